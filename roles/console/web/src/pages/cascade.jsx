// cascade.jsx - who pulls from whom, as a picture that the keyboard can walk through; promote a PC to update agent.
import { useSignal } from "@preact/signals";
import { get, post } from "../lib/api.js";
import { fleet, loadFleet } from "../lib/fleet.js";
import { bytes, compareText, milliseconds, number, now, visible } from "../lib/format.js";
import { t, tn, tv } from "../lib/i18n.js";
import { useLive } from "../lib/live.js";
import { mayChange } from "../lib/session.js";
import {
	Bytes,
	Card,
	Dialog,
	Facts,
	Loading,
	Page,
	ProblemNote,
	Rows,
	State,
	Text,
	Time,
	notify,
	useAction,
	useLoad,
	useThrottle,
} from "../ui/bits.jsx";
import { Buttons, Field, Search, submit } from "../ui/form.jsx";
import { TaskDialog } from "../ui/taskform.jsx";
import { Findings } from "./computer.jsx";

const BOX = { w: 190, h: 74, gapX: 90, gapY: 22, pad: 16 };
const LATE_MS = 600_000;

// Each node once, below the node that it takes most from; a ring of mirrors ends where it began.
export function layout(nodes, links) {
	const parent = new Map();
	for (const l of [...links].sort((a, b) => b.bytes - a.bytes))
		if (!parent.has(l.to) && l.from !== l.to) parent.set(l.to, l.from);
	const byId = new Map(nodes.map((n) => [n.id, n]));
	const children = new Map();
	const roots = [];
	for (const n of nodes) {
		const up = parent.get(n.id);
		if (n.kind === "server" || !byId.has(up)) roots.push(n);
		else children.set(up, [...(children.get(up) ?? []), n]);
	}
	const placed = new Map();
	let row = 0;
	const place = (n, depth) => {
		if (placed.has(n.id)) return;
		placed.set(n.id, null);
		const mine = (children.get(n.id) ?? []).sort((a, b) => compareText(a.name, b.name));
		const first = row;
		mine.forEach((c) => place(c, depth + 1));
		if (row === first) row++;
		placed.set(n.id, {
			node: n,
			x: BOX.pad + depth * (BOX.w + BOX.gapX),
			y: BOX.pad + ((first + row - 1) / 2) * (BOX.h + BOX.gapY),
			depth,
		});
	};
	roots.sort((a, b) => (b.kind === "server") - (a.kind === "server"));
	[...roots, ...nodes].forEach((n) => place(n, 0));
	const boxes = [...placed.values()];
	return {
		boxes,
		at: placed,
		width: BOX.pad * 2 + (Math.max(0, ...boxes.map((b) => b.depth)) + 1) * (BOX.w + BOX.gapX) - BOX.gapX,
		height: BOX.pad * 2 + Math.max(1, row) * (BOX.h + BOX.gapY) - BOX.gapY,
	};
}

const setOf = (node) => (node.feeds ?? []).find((f) => f[0] !== "policies");
function toneOf(node, newest) {
	if (node.kind === "server") return "good";
	if (node.kind === "unknown" || now.value - milliseconds(node.seen) > LATE_MS) return "bad";
	return newest && (setOf(node)?.[1] ?? 0) < newest ? "warn" : "good";
}

const clip = (text, n) => visible(text.length > n ? text.slice(0, n - 1) + "…" : text);

function Node({ box, counts, newest, chosen, onPick }) {
	const n = box.node;
	const set = setOf(n);
	const clients = counts.get(n.id);
	const late = clients?.outdated ? ", " + t("{n} late", { n: number(clients.outdated) }) : "";
	const line = tn(clients?.count ?? n.clients ?? 0, "one client", "{n} clients") + late;
	const facts = `${set ? t("set {version}", { version: set[1] }) : t("no set")} · ${bytes(n.bytes_out)}`;
	const name = clip(n.kind === "server" ? t("Server") : n.host || n.name || n.id, 22);
	return (
		<g
			class={`node ${toneOf(n, newest)}${chosen ? " on" : ""}`}
			transform={`translate(${box.x} ${box.y})`}
			tabindex={0}
			role="button"
			aria-pressed={chosen}
			onClick={onPick}
			onKeyDown={(e) => (e.key === "Enter" || e.key === " ") && (e.preventDefault(), onPick())}
		>
			<rect width={BOX.w} height={BOX.h} rx={9} />
			<text class="name" x={12} y={22} unicode-bidi="isolate">
				{name}
			</text>{" "}
			<text class="sub" x={12} y={42}>
				{facts}
			</text>{" "}
			<text x={12} y={61}>
				{line}
			</text>
		</g>
	);
}

function Picture({ data, chosen, onPick }) {
	const plan = layout(data.nodes, data.links);
	const counts = new Map(data.clients.map((c) => [c.node, c]));
	const newest = Math.max(0, ...data.nodes.map((n) => setOf(n)?.[1] ?? 0));
	const most = Math.max(1, ...data.links.map((l) => l.bytes));
	return (
		<div class="cascade" tabIndex={0} role="group" aria-label={t("Who pulls from whom")}>
			<svg
				preserveAspectRatio="xMinYMid"
				width={plan.width}
				height={plan.height}
				viewBox={`0 0 ${plan.width} ${plan.height}`}
			>
				{data.links.map((l) => {
					const a = plan.at.get(l.from);
					const b = plan.at.get(l.to);
					if (!a || !b || a === b) return null;
					const [x1, y1, x2, y2] = [a.x + BOX.w, a.y + BOX.h / 2, b.x, b.y + BOX.h / 2];
					const mid = (x1 + x2) / 2;
					return (
						<path
							class={l.bytes ? "" : "dim"}
							d={`M${x1} ${y1}C${mid} ${y1} ${mid} ${y2} ${x2} ${y2}`}
							stroke-width={1.5 + 6 * Math.sqrt(l.bytes / most)}
						>
							<title>{bytes(l.bytes)}</title>
						</path>
					);
				})}
				{plan.boxes.map((b) => (
					<Node
						key={b.node.id}
						box={b}
						counts={counts}
						newest={newest}
						chosen={chosen === b.node.id}
						onPick={() => onPick(b.node.id)}
					/>
				))}
			</svg>
		</div>
	);
}

function Chosen({ node, counts, onSend }) {
	const isAgent = node.kind === "agent";
	return (
		<Card
			title={<Text v={node.kind === "server" ? t("Server") : node.host || node.name} max={60} />}
			actions={
				<>
					{isAgent && (
						<a class="button small" href={`/computers/${encodeURIComponent(node.id)}`}>
							{t("Open")}
						</a>
					)}
					{isAgent && mayChange.value && (
						<>
							<button
								type="button"
								class="small"
								onClick={() => onSend({ type: "update.now", hide: [] })}
							>
								{t("Update now")}
							</button>
							<button
								type="button"
								class="small danger"
								onClick={() =>
									onSend({ type: "role.set", args: { role: "update-agent", on: false } })
								}
							>
								{t("Take the role away")}
							</button>
						</>
					)}
				</>
			}
		>
			<Facts
				of={[
					[t("Address"), <Text v={node.address} />],
					[t("Group"), <Text v={node.group} />],
					node.state && [t("State"), <State of={node.state} />],
					[t("Heard of"), <Time at={node.seen} />],
					[
						t("Clients"),
						counts
							? `${number(counts.count)}, ${t("{n} late", { n: number(counts.outdated) })}`
							: number(node.clients),
					],
					[t("Given in 30 days"), <Bytes n={node.bytes_out} />],
					[t("Taken in 30 days"), <Bytes n={node.bytes_in} />],
					...(node.feeds ?? []).map(([feed, version, at]) => [
						<Text v={feed} max={40} />,
						<>
							{version} · <Time at={at} />
						</>,
					]),
				]}
			/>
		</Card>
	);
}

// The PC is picked first, then its settings; the server checks range and address before the task is sent.
function Promote({ agents, onClose }) {
	const q = useSignal("");
	const agent = useSignal("");
	const values = useSignal({});
	const findings = useSignal(null);
	const preset = useSignal(null);
	const view = useLoad(async () => {
		if (!fleet.value) await loadFleet();
		return (await get("/task-types")).settings;
	});
	const settings = () =>
		Object.fromEntries(Object.entries(values.value).filter(([, v]) => v.trim() !== ""));
	const check = useAction(
		() => post("/cascade/check", { agent: agent.value, settings: settings() }),
		(r) => (findings.value = r.findings),
	);
	if (preset.value)
		return (
			<TaskDialog
				computers={[fleet.value.byId.get(agent.value)]}
				preset={preset.value}
				onClose={onClose}
			/>
		);
	const words = q.value.toLowerCase();
	const found = (fleet.value?.rows ?? [])
		.filter(
			(r) =>
				r.role !== "update-agent" &&
				r.state !== "revoked" &&
				!agents.has(r.agent) &&
				(!words || r.host.toLowerCase().includes(words) || r.address.includes(words)),
		)
		.slice(0, 50);
	const good = findings.value?.every((f) => f.good);
	const next = () =>
		good
			? (preset.value = {
					type: "role.set",
					args: { role: "update-agent", on: true, settings: settings() },
					hide: ["role", "on", "settings"],
				})
			: check.run();
	return (
		<Dialog title={t("Make a PC an update agent")} onClose={onClose} wide>
			<Loading of={view} />
			{view.data.value && (
				<form onSubmit={submit(next)}>
					<div class="bar">
						<Search label={t("Find the PC")} value={q.value} onInput={(v) => (q.value = v)} />
					</div>
					<Field label={t("PC")} id="promote-pc">
						<select
							id="promote-pc"
							size={6}
							required
							value={agent.value}
							onChange={(e) => {
								agent.value = e.currentTarget.value;
								findings.value = null;
							}}
						>
							{found.map((r) => (
								<option value={r.agent} selected={r.agent === agent.value}>
									{clip(r.host, 40)} · {clip(r.group, 30)} · {r.address}
								</option>
							))}
						</select>
					</Field>
					<div class="fields">
						{view.data.value.map((s) => (
							<Field label={s.name} help={s.help && tv(s.help)} id={"set-" + s.name}>
								<input
									id={"set-" + s.name}
									value={values.value[s.name] ?? ""}
									placeholder={String(s.default ?? "")}
									aria-describedby={`set-${s.name}-help`}
									onInput={(e) => {
										values.value = { ...values.value, [s.name]: e.currentTarget.value };
										findings.value = null;
									}}
								/>
							</Field>
						))}
					</div>
					{findings.value && <Findings of={findings.value} />}
					<ProblemNote problem={check.problem.value} />
					<Buttons
						word={good ? t("Go on") : t("Check the settings")}
						busy={check.busy.value || !agent.value}
						onClose={onClose}
					>
						{findings.value && !good && (
							<button
								type="button"
								class="danger"
								onClick={() =>
									(preset.value = {
										type: "role.set",
										args: { role: "update-agent", on: true, settings: settings() },
										hide: ["role", "on", "settings"],
									})
								}
							>
								{t("Go on all the same")}
							</button>
						)}
					</Buttons>
				</form>
			)}
		</Dialog>
	);
}

export function Cascade() {
	// A PC that takes from the mirror on itself names it "own mirror": that is no hop.
	const view = useLoad(async () => {
		const d = await get("/cascade");
		return { ...d, nodes: d.nodes.filter((n) => n.id !== "name:own mirror") };
	});
	const chosen = useSignal("server");
	const promote = useSignal(false);
	const task = useSignal(null);
	const soon = useThrottle(view.reload, 500);
	useLive(
		{ topics: "agents,events", type: "org.atalaia.role.*" },
		{ agent: soon, event: soon, dropped: soon, missed: soon },
	);
	const d = view.data.value;
	const node = d?.nodes.find((n) => n.id === chosen.value) ?? d?.nodes[0];
	const send = async (preset) => {
		if (!fleet.value) await loadFleet();
		const row = fleet.value.byId.get(node.id);
		if (row) task.value = { preset, row };
		else notify(t("This computer is not in the list."));
	};
	return (
		<Page
			wide
			title={t("Update agents")}
			actions={
				mayChange.value && (
					<button type="button" class="primary" onClick={() => (promote.value = true)}>
						{t("Make a PC an update agent…")}
					</button>
				)
			}
		>
			<Loading of={view} />
			{d && (
				<>
					<Card
						title={t("Who pulls from whom")}
						actions={<span class="count">{t("Thicker lines carried more in 30 days")}</span>}
					>
						<Picture data={d} chosen={node?.id} onPick={(id) => (chosen.value = id)} />
					</Card>
					<div class="cards">
						{node && (
							<Chosen
								node={node}
								counts={d.clients.find((c) => c.node === node.id)}
								onSend={send}
							/>
						)}
						<Card title={t("Traffic by hop, 30 days")}>
							<Rows
								label={t("Traffic by hop, 30 days")}
								head={[t("From"), t("To"), t("Bytes"), t("Last")]}
								rows={[...d.links]
									.sort((a, b) => b.bytes - a.bytes)
									.slice(0, 50)
									.map((l) =>
										[l.from, l.to]
											.map((id) => {
												const n = d.nodes.find((x) => x.id === id);
												return (
													<Text
														v={
															n?.kind === "server"
																? t("Server")
																: n?.host || n?.name || id
														}
														max={40}
													/>
												);
											})
											.concat([<Bytes n={l.bytes} />, <Time at={l.last} />]),
									)}
							/>
						</Card>
					</div>
				</>
			)}
			{promote.value && (
				<Promote
					agents={new Set(d?.nodes.map((n) => n.id))}
					onClose={() => (promote.value = false)}
				/>
			)}
			{task.value && (
				<TaskDialog
					computers={[task.value.row]}
					preset={task.value.preset}
					onClose={() => (task.value = null)}
				/>
			)}
		</Page>
	);
}

// task.jsx - one task: who asked, who signed, how far each computer is; signing in the browser while it waits.
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { get, post } from "../lib/api.js";
import { number } from "../lib/format.js";
import { t } from "../lib/i18n.js";
import { canonical } from "../lib/canonical.js";
import { decodeBytes, heldKeys, importKey, loadKeys, readOrder, sign } from "../lib/keys.js";
import { useLive } from "../lib/live.js";
import { mayChange } from "../lib/session.js";
import {
	Badge,
	Card,
	Confirm,
	Empty,
	Facts,
	Loading,
	Page,
	ProblemNote,
	Rows,
	TaskState,
	Text,
	Time,
	notify,
	useAction,
	useLoad,
	useThrottle,
} from "../ui/bits.jsx";
import { VTable } from "../ui/table.jsx";
import { Progress } from "./tasks.jsx";

const columns = () => [
	{
		id: "host",
		title: t("Computer"),
		width: "minmax(8rem, 1fr)",
		sort: false,
		cell: (r) => (
			<a href={`/computers/${encodeURIComponent(r.agent)}`} tabIndex={-1}>
				<Text v={r.host || r.agent} max={60} />
			</a>
		),
	},
	{ id: "state", title: t("State"), width: "8.5rem", sort: false, cell: (r) => <TaskState of={r.state} /> },
	{
		id: "step",
		title: t("What"),
		width: "minmax(0, 1.6fr)",
		sort: false,
		wide: true,
		cell: (r) => <Text v={r.error || r.step || (r.result ? JSON.stringify(r.result) : "")} max={200} />,
	},
	{
		id: "way",
		title: t("Way"),
		width: "5rem",
		sort: false,
		wide: true,
		cell: (r) => <Text v={r.way} max={20} />,
	},
	{ id: "at", title: t("When"), width: "7rem", sort: false, cell: (r) => <Time at={r.updated} /> },
];

function Signatures({ task }) {
	return (
		<Rows
			label={t("Signatures")}
			head={[t("By"), t("When"), t("Key")]}
			empty={t("Nobody has signed yet.")}
			rows={(task.signatures ?? []).map((s) => [
				s.console ? t("the console") : <Text v={s.by} max={40} />,
				<Time at={s.at} exact />,
				<code>{s.keyid.slice(0, 16)}…</code>,
			])}
		/>
	);
}

// What is signed is what these bytes decode to, not what another route says of the task.
async function orderOf(task) {
	const answer = await get(`/tasks/${encodeURIComponent(task.id)}/bytes`);
	const bytes = decodeBytes(answer.bytes);
	const signed = readOrder(bytes);
	if (canonical(answer.envelope.signed) !== canonical(signed))
		throw new Error(t("The console shows another order than it wants signed: nothing was signed."));
	return { bytes, signed, keyids: answer.keyids };
}

function Order({ of: s }) {
	return (
		<Facts
			of={[
				[
					t("What to do"),
					<strong>
						<Text v={s.type} max={60} />
					</strong>,
				],
				[t("For whom"), <Text v={s.agent} max={80} />],
				[t("Until"), <Time at={s.expires} exact />],
				[t("Issuer"), <Text v={s.issuer} max={60} />],
				[
					t("Arguments"),
					<pre tabIndex={0} aria-label={t("Arguments")}>
						<Text v={JSON.stringify(s.args, null, 2)} max={8000} />
					</pre>,
				],
			]}
		/>
	);
}

function Signing({ task, onSigned }) {
	const order = useLoad(() => orderOf(task), [task.id, task.have]);
	useEffect(() => {
		loadKeys().catch(() => {});
	}, []);
	const imported = useAction(async (file) => importKey(await file.text(), file.name));
	const act = useAction(
		async (key) =>
			post(`/tasks/${encodeURIComponent(task.id)}/signatures`, {
				keyid: key.keyid,
				sig: await sign(key, order.data.value.bytes),
				format: "raw",
			}),
		onSigned,
	);
	const o = order.data.value;
	const usable = o
		? heldKeys.value.filter(
				(k) =>
					o.keyids.includes(k.keyid) && !(task.signatures ?? []).some((s) => s.keyid === k.keyid),
			)
		: [];
	return (
		<Card
			title={t("Waits for signatures: {have} of {needed}", { have: task.have, needed: task.needed })}
			class="signing"
		>
			<Loading of={order} />
			{o && (
				<>
					<p>{t("This is what you sign, read from the very bytes:")}</p>
					<Order of={o.signed} />
					{usable.length === 0 && (
						<div class="note warn">
							<span>{t("None of your keys in this browser can sign this task.")}</span>
							<a class="button small" href="/account">
								{t("My keys")}
							</a>
						</div>
					)}
					<ProblemNote problem={act.problem.value ?? imported.problem.value} />
					<div class="buttons">
						<label class="button">
							{t("Use a key from a file…")}
							<input
								class="hidden"
								type="file"
								accept=".pem,.key"
								onChange={(e) =>
									e.currentTarget.files[0] && imported.run(e.currentTarget.files[0])
								}
							/>
						</label>
						{usable.map((k) => (
							<button
								type="button"
								class="primary"
								disabled={act.busy.value}
								onClick={() => act.run(k)}
							>
								{t("Sign with {key}", { key: k.label.slice(0, 40) })}
							</button>
						))}
					</div>
				</>
			)}
		</Card>
	);
}

function Summary({ agents }) {
	const counts = new Map();
	for (const a of agents) counts.set(a.state, (counts.get(a.state) ?? 0) + 1);
	return (
		<div class="bar">
			{[...counts].map(([state, n]) => (
				<span>
					<TaskState of={state} /> <b class="num">{number(n)}</b>
				</span>
			))}
		</div>
	);
}

export function Task({ id }) {
	const view = useLoad(() => get(`/tasks/${encodeURIComponent(id)}`), [id]);
	const asks = useSignal(false);
	const soon = useThrottle(view.reload, 200);
	useLive(
		{ topics: "tasks" },
		{ task: (x) => x.id === id && soon(), dropped: soon, missed: soon },
	);
	const d = view.data.value;
	if (!d)
		return (
			<Page title={t("Task")}>
				<Loading of={view} />
			</Page>
		);
	const open = d.state !== "ended" && !d.canceled;
	const agents = d.agents ?? [];
	return (
		<Page
			title={
				<>
					{t("Task")} <Text v={d.type} max={60} />
				</>
			}
			actions={
				<>
					<TaskState of={d.canceled ? "canceled" : d.state} />
					{open && mayChange.value && (
						<button type="button" class="danger" onClick={() => (asks.value = true)}>
							{d.state === "waiting" ? t("Withdraw") : t("Cancel the task")}
						</button>
					)}
				</>
			}
		>
			{d.state === "waiting" && mayChange.value && (
				<Signing
					task={d}
					onSigned={() => {
						notify(t("Signed."));
						view.reload();
					}}
				/>
			)}
			<div class="cards">
				<Card title={t("Order")}>
					<Facts
						of={[
							[t("For whom"), <Text v={d.target_text} max={80} />],
							[t("Asked by"), <Text v={d.by} max={60} />],
							[t("Created"), <Time at={d.created} exact />],
							[t("Until"), <Time at={d.expires} exact />],
							[
								t("Arguments"),
								<code>
									<Text v={JSON.stringify(d.envelope?.signed?.args ?? {})} max={600} />
								</code>,
							],
							[t("Id"), <code>{d.id}</code>],
						]}
					/>
				</Card>
				<Card
					title={t("Signatures")}
					actions={
						<Badge tone={d.have >= d.needed ? "good" : "warn"} mark="◆">
							{t("{have} of {needed}", { have: d.have, needed: d.needed })}
						</Badge>
					}
				>
					<Signatures task={d} />
				</Card>
			</div>
			<Card title={t("Computers")} actions={<Progress of={d} />}>
				{agents.length ? (
					<>
						<Summary agents={agents} />
						<VTable
							label={t("Computers")}
							columns={columns()}
							rows={agents}
							keyOf={(r) => r.agent}
						/>
					</>
				) : (
					<Empty>{t("Not sent to any computer yet.")}</Empty>
				)}
			</Card>
			{asks.value && (
				<Confirm
					title={t("Cancel this task?")}
					text={t("Computers that have not finished it stop; what is done stays done.")}
					word={t("Cancel the task")}
					onClose={() => (asks.value = false)}
					onYes={async () => {
						await post(`/tasks/${encodeURIComponent(id)}/cancel`);
						asks.value = false;
						view.reload();
					}}
				/>
			)}
		</Page>
	);
}

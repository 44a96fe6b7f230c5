// events.jsx - the live tail, filters in the address, details and export.
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { get, url } from "../lib/api.js";
import { m, t, tv } from "../lib/i18n.js";
import { milliseconds } from "../lib/format.js";
import { useLive } from "../lib/live.js";
import { params, setParam } from "../lib/route.js";
import { mayChange } from "../lib/session.js";
import { Dialog, Page, ProblemNote, Text, Time, useAction } from "../ui/bits.jsx";
import { EventDetails, EventType, summaryOf } from "../ui/event.jsx";
import { Filter, Search } from "../ui/form.jsx";
import { VTable } from "../ui/table.jsx";
import { TaskDialog } from "../ui/taskform.jsx";

const PAGE = 200;
const KEPT = 5000; // rows of the tail in memory; older ones can be loaded again
const CLASSES = [
	["", m("every class")],
	["detection", m("detections")],
	["task", m("tasks and updates")],
	["telemetry", m("telemetry")],
];
const TYPES = [
	"detection",
	"update.applied",
	"update.rejected",
	"update.stale",
	"update.reverted",
	"engine.*",
	"role.changed",
	"policy.*",
	"task.done",
	"events.dropped",
	"agent.started",
];
const TYPING_MS = 300;

const columns = () => [
	{ id: "at", title: t("Received"), width: "7rem", sort: false, cell: (r) => <Time at={r.received} /> },
	{
		id: "host",
		title: t("Computer"),
		width: "minmax(6rem, .7fr)",
		sort: false,
		cell: (r) => <Text v={r.host || r.agent} max={60} />,
	},
	{
		id: "type",
		title: t("Event"),
		width: "minmax(8rem, .7fr)",
		sort: false,
		cell: (r) => <EventType event={r.event} />,
	},
	{
		id: "what",
		title: t("What"),
		width: "minmax(0, 2fr)",
		sort: false,
		wide: true,
		cell: (r) => <Text v={summaryOf(r.event)} max={240} />,
	},
];

// The list: newest first; live ones wait in a buffer for the next frame, or while the reader holds the list.
function useTail(filter) {
	const rows = useSignal([]);
	const more = useSignal(true);
	const held = useSignal(false);
	const waiting = useSignal(0);
	const buffer = useRef([]);
	const frame = useRef(0);
	const key = JSON.stringify(filter);
	const turn = useRef(0);

	const load = useAction(async (older) => {
		const mine = ++turn.current;
		const before = older ? rows.value.at(-1)?.n : undefined;
		const answer = await get("/events", { ...filter, last: 1, limit: PAGE, before });
		if (mine !== turn.current) return;
		const page = answer.events.reverse();
		more.value = page.length === PAGE;
		rows.value = older ? [...rows.value, ...page] : page;
	});
	const flush = () => {
		frame.current = 0;
		const known = rows.value[0]?.n ?? 0;
		const fresh = buffer.current.filter((e) => e.n > known).reverse();
		buffer.current = [];
		waiting.value = 0;
		if (fresh.length) rows.value = [...fresh, ...rows.value].slice(0, KEPT);
	};
	const add = (item) => {
		if (filter.q && !JSON.stringify(item).toLowerCase().includes(filter.q.toLowerCase())) return;
		buffer.current.push(item);
		if (buffer.current.length > KEPT) buffer.current.shift();
		if (held.value) waiting.value = buffer.current.length;
		else frame.current ||= requestAnimationFrame(flush);
	};
	useEffect(() => {
		load.run(false);
	}, [key]);
	useEffect(() => () => cancelAnimationFrame(frame.current), []);
	return {
		rows,
		more,
		held,
		waiting,
		load,
		add,
		release: () => {
			held.value = false;
			flush();
		},
	};
}

function Details({ item, onClose, onTask }) {
	const vault = item.event.data?.unmapped?.quarantine_id;
	const whole = useSignal(item);
	useEffect(() => {
		if (item.cut)
			get("/events", { after: item.n - 1, limit: 1 })
				.then((a) => (whole.value = a.events[0] ?? item))
				.catch(() => {});
	}, [item.n]);
	return (
		<Dialog wide title={<Text v={item.event.type} max={60} />} onClose={onClose}>
			<EventDetails item={whole.value} />
			{mayChange.value && item.agent && (
				<div class="buttons">
					{typeof vault === "string" && (
						<button
							type="button"
							onClick={() => onTask(item, { type: "quarantine.restore", args: { id: vault } })}
						>
							{t("Give the file back…")}
						</button>
					)}
					<button type="button" onClick={() => onTask(item)}>
						{t("Task for this computer…")}
					</button>
				</div>
			)}
		</Dialog>
	);
}

function Bar({ filter, tail, text }) {
	const timer = useRef();
	const typing = (q) => {
		text.value = q;
		clearTimeout(timer.current);
		timer.current = setTimeout(() => setParam({ q }), TYPING_MS);
	};
	return (
		<div class="bar">
			<Search label={t("Text in the event")} value={text.value} onInput={typing} />
			<Filter
				label={t("Class")}
				value={filter.class ?? ""}
				onChange={(v) => setParam({ class: v })}
				options={CLASSES.map(([v, name]) => [v, tv(name)])}
			/>
			<Filter
				label={t("Type")}
				value={filter.type ?? ""}
				onChange={(type) => setParam({ type })}
				options={[["", t("every type")], ...TYPES.map((x) => ["org.atalaia." + x, x])]}
			/>
			<button
				type="button"
				aria-pressed={!tail.held.value}
				onClick={() => (tail.held.value ? tail.release() : (tail.held.value = true))}
			>
				{tail.held.value ? t("Held: {n} waiting", { n: tail.waiting.value }) : t("Live")}
			</button>
			<span class="actions">
				<a class="button" download href={url("/events/export", { ...filter, format: "csv" })}>
					CSV
				</a>
				<a class="button" download href={url("/events/export", { ...filter, format: "ndjson" })}>
					NDJSON
				</a>
			</span>
		</div>
	);
}

const rowOf = (item) => ({
	agent: item.agent,
	host: item.host ?? item.agent,
	group: item.group,
	seen: milliseconds(item.received),
});

export function Events() {
	const p = params.value;
	const filter = Object.fromEntries(["class", "type", "agent", "q"].map((n) => [n, p.get(n) ?? undefined]));
	const text = useSignal(filter.q ?? "");
	const tail = useTail(filter);
	const open = useSignal(null);
	const task = useSignal(null);
	const dropped = useSignal(0);
	const { class: cls, type, agent } = filter;
	useLive(
		{ topics: "events", class: cls, type, agent },
		{
			event: tail.add,
			hello: (h) => h.again && tail.load.run(false),
			dropped: (d) => {
				dropped.value += d.events ?? 0;
			},
		},
	);
	return (
		<Page wide title={t("Events")}>
			<div>
				<Bar filter={filter} tail={tail} text={text} />
				{filter.agent && (
					<div class="note">
						<span>
							{t("Of one computer only")}{" "}
							<code>
								<Text v={filter.agent} max={60} />
							</code>
						</span>
						<button type="button" class="small" onClick={() => setParam({ agent: "" })}>
							{t("Of all")}
						</button>
					</div>
				)}
				{dropped.value > 0 && (
					<div class="note warn">
						<span>
							{t("{n} events came faster than this page could take them; they are stored.", {
								n: dropped.value,
							})}
						</span>
						<button
							type="button"
							class="small"
							onClick={() => {
								dropped.value = 0;
								tail.load.run(false);
							}}
						>
							{t("Load the newest")}
						</button>
					</div>
				)}
				<ProblemNote problem={tail.load.problem.value} again={() => tail.load.run(false)} />
				<VTable
					label={t("Events")}
					columns={columns()}
					rows={tail.rows.value}
					keyOf={(r) => r.n}
					onOpen={(r) => (open.value = r)}
					empty={tail.load.busy.value ? t("Loading…") : t("No event is like this.")}
				/>
				{tail.more.value && tail.rows.value.length > 0 && (
					<div class="buttons">
						<button
							type="button"
							disabled={tail.load.busy.value}
							onClick={() => tail.load.run(true)}
						>
							{t("Older ones")}
						</button>
					</div>
				)}
			</div>
			{open.value && (
				<Details
					item={open.value}
					onClose={() => (open.value = null)}
					onTask={(item, preset) => {
						open.value = null;
						task.value = { item, preset };
					}}
				/>
			)}
			{task.value && (
				<TaskDialog
					preset={task.value.preset}
					computers={[rowOf(task.value.item)]}
					onClose={() => (task.value = null)}
				/>
			)}
		</Page>
	);
}

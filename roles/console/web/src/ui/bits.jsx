// bits.jsx - the small parts that every page is made of.
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { bytes as formatBytes, age, localTime, milliseconds, utcTime, visible } from "../lib/format.js";
import { m, t, tv } from "../lib/i18n.js";

const TITLE_MAX = 1000;

// Text from a computer, which may be hostile: isolated in its direction, its invisible characters shown, and
// never longer than `max`.
export function Text({ v, max = 160 }) {
	if (v === undefined || v === null || v === "") return <span class="none">–</span>;
	const whole = String(v);
	const short = whole.length > max ? whole.slice(0, max) + "…" : whole;
	const shown = visible(short);
	return (
		<bdi
			class="data"
			title={short === whole && shown === whole ? undefined : visible(whole.slice(0, TITLE_MAX))}
		>
			{shown}
		</bdi>
	);
}

export function Time({ at, exact }) {
	const ms = milliseconds(at);
	if (!ms) return <span class="none">–</span>;
	return (
		<time
			dateTime={new Date(ms).toISOString()}
			title={exact ? utcTime(ms) : `${localTime(ms)} · ${utcTime(ms)}`}
		>
			{exact ? localTime(ms) : age(ms)}
		</time>
	);
}

export const Bytes = ({ n }) =>
	n === undefined || n === null ? <span class="none">–</span> : <span class="num">{formatBytes(n)}</span>;

export const STATES = {
	infected: { word: m("infected"), tone: "bad", mark: "▲" },
	unreachable: { word: m("unreachable"), tone: "dim", mark: "◌" },
	engine_down: { word: m("engine down"), tone: "bad", mark: "■" },
	outdated: { word: m("out of date"), tone: "warn", mark: "◆" },
	protected: { word: m("protected"), tone: "good", mark: "●" },
	revoked: { word: m("revoked"), tone: "dim", mark: "✕" },
};
export const STATE_ORDER = Object.keys(STATES);

const TASK_STATES = {
	waiting: { word: m("waits for signatures"), tone: "warn", mark: "◆" },
	open: { word: m("under way"), tone: "info", mark: "◐" },
	ended: { word: m("ended"), tone: "dim", mark: "●" },
	done: { word: m("done"), tone: "good", mark: "●" },
	failed: { word: m("failed"), tone: "bad", mark: "▲" },
	refused: { word: m("refused"), tone: "bad", mark: "▲" },
	interrupted: { word: m("interrupted"), tone: "bad", mark: "▲" },
	canceled: { word: m("canceled"), tone: "dim", mark: "✕" },
	expired: { word: m("expired"), tone: "dim", mark: "✕" },
	running: { word: m("running"), tone: "info", mark: "◐" },
	accepted: { word: m("accepted"), tone: "info", mark: "◐" },
	queued: { word: m("queued"), tone: "dim", mark: "◌" },
	sent: { word: m("sent"), tone: "info", mark: "◐" },
};

// A state is told by a word and a mark, not by colour alone.
export function Badge({ tone, mark, children }) {
	return (
		<span class={`badge ${tone}`}>
			<span aria-hidden="true">{mark}</span> {children}
		</span>
	);
}
export function State({ of, table = STATES }) {
	const s = Object.hasOwn(table, of) ? table[of] : undefined;
	return s ? (
		<Badge tone={s.tone} mark={s.mark}>
			{tv(s.word)}
		</Badge>
	) : (
		<Badge tone="dim" mark="◌">
			<Text v={of} max={30} />
		</Badge>
	);
}
export const TaskState = ({ of }) => <State of={of} table={TASK_STATES} />;
export const Good = ({ good }) =>
	good ? (
		<Badge tone="good" mark="●">
			{t("good")}
		</Badge>
	) : (
		<Badge tone="bad" mark="▲">
			{t("look here")}
		</Badge>
	);

export function Page({ title, actions, children, wide }) {
	return (
		<div class="view">
			<header class="page-head">
				<h1 tabIndex={-1}>{title}</h1>
				{actions && <div class="actions">{actions}</div>}
			</header>
			<div class={wide ? "page wide" : "page"}>{children}</div>
		</div>
	);
}

export function Card({ title, actions, children, class: cls = "" }) {
	return (
		<section class={`card ${cls}`}>
			{(title || actions) && (
				<header>
					<h2>{title}</h2>
					{actions && <div class="actions">{actions}</div>}
				</header>
			)}
			{children}
		</section>
	);
}

export const Empty = ({ children }) => <p class="empty">{children}</p>;

export function ProblemNote({ problem, again }) {
	if (!problem) return null;
	return (
		<div class="note bad" role="alert">
			<Text v={problem.message} max={400} />
			{again && (
				<button type="button" class="small" onClick={again}>
					{t("Try again")}
				</button>
			)}
		</div>
	);
}

// A list that scrolls sideways on a phone can be reached and moved by the keyboard.
export const Scroll = ({ label, children }) => (
	<div class="scroll" tabIndex={0} role="group" aria-label={label}>
		{children}
	</div>
);

// A small table: head = texts, rows = arrays of cells.
export function Rows({ label, head, rows, empty }) {
	if (!rows.length) return <Empty>{empty ?? t("Nothing here.")}</Empty>;
	return (
		<Scroll label={label}>
			<table class="list">
				<thead>
					<tr>
						{head.map((h) => (
							<th scope="col">{h}</th>
						))}
					</tr>
				</thead>
				<tbody>
					{rows.map((cells) => (
						<tr>
							{cells.map((c) => (
								<td>{c}</td>
							))}
						</tr>
					))}
				</tbody>
			</table>
		</Scroll>
	);
}

export function Facts({ of }) {
	return (
		<dl class="facts">
			{of.filter(Boolean).map(([name, value]) => (
				<div>
					<dt>{name}</dt>
					<dd>{value}</dd>
				</div>
			))}
		</dl>
	);
}

export function Dialog({ title, onClose, children, wide }) {
	const ref = useRef();
	useEffect(() => {
		const before = document.activeElement;
		ref.current.showModal();
		return () => before?.focus?.();
	}, []);
	return (
		<dialog
			ref={ref}
			class={wide ? "wide" : ""}
			aria-labelledby="dialog-title"
			onCancel={(e) => {
				e.preventDefault();
				onClose();
			}}
			onClick={(e) => e.target === ref.current && onClose()}
		>
			<div class="dialog">
				<header>
					<h2 id="dialog-title">{title}</h2>
					<button type="button" class="quiet" aria-label={t("Close")} onClick={onClose}>
						✕
					</button>
				</header>
				{children}
			</div>
		</dialog>
	);
}

// A change that asks first.
export function Confirm({ title, text, word, onYes, onClose, danger = true }) {
	const act = useAction(onYes, onClose);
	return (
		<Dialog title={title} onClose={onClose}>
			<p>{text}</p>
			<ProblemNote problem={act.problem.value} />
			<div class="buttons">
				<button type="button" onClick={onClose}>
					{t("Cancel")}
				</button>
				<button
					type="button"
					class={danger ? "danger" : "primary"}
					disabled={act.busy.value}
					onClick={() => act.run()}
				>
					{word}
				</button>
			</div>
		</Dialog>
	);
}

// run() calls fn once at a time; `problem` is what it threw; `then` is called with its result.
export function useAction(fn, then) {
	const busy = useSignal(false);
	const problem = useSignal(null);
	const run = async (...args) => {
		if (busy.value) return;
		busy.value = true;
		problem.value = null;
		try {
			const result = await fn(...args);
			then?.(result);
		} catch (e) {
			problem.value = e;
		} finally {
			busy.value = false;
		}
	};
	return { busy, problem, run };
}

// What a page shows: loads once, and again by reload() or when a dependency changes; an answer that comes
// after a newer question is dropped.
export function useLoad(fn, deps = []) {
	const data = useSignal(null);
	const problem = useSignal(null);
	const turn = useRef(0);
	const load = async () => {
		const mine = ++turn.current;
		try {
			const answer = await fn();
			if (mine === turn.current) {
				data.value = answer;
				problem.value = null;
			}
		} catch (e) {
			if (mine === turn.current) problem.value = e;
		}
	};
	useEffect(() => {
		load();
		return () => {
			turn.current++;
		};
	}, deps);
	return { data, problem, reload: load };
}

// Calls fn at most once in `ms`, the last call always: live messages come by the hundred.
export function useThrottle(fn, ms = 500) {
	const state = useRef({});
	state.current.fn = fn;
	useEffect(() => () => clearTimeout(state.current.timer), []);
	return () => {
		const s = state.current;
		s.timer ??= setTimeout(() => {
			s.timer = undefined;
			s.fn();
		}, ms);
	};
}

// A notice for everybody, read aloud by screen readers; it goes after a while.
const NOTICE_MS = 6000;
let noticeTarget;
export function notify(text) {
	noticeTarget?.(text);
}
export function Notices() {
	const text = useSignal("");
	useEffect(() => {
		let timer;
		noticeTarget = (words) => {
			clearTimeout(timer);
			text.value = words;
			timer = setTimeout(() => (text.value = ""), NOTICE_MS);
		};
	}, []);
	return (
		<div class={text.value ? "notice shown" : "notice"} role="status">
			{text.value}
		</div>
	);
}

export function Copy({ text }) {
	return (
		<button
			type="button"
			class="small"
			onClick={() => navigator.clipboard.writeText(text).then(() => notify(t("Copied.")))}
		>
			{t("Copy")}
		</button>
	);
}

export const Loading = ({ of }) =>
	of.problem.value ? (
		<ProblemNote problem={of.problem.value} again={of.reload} />
	) : of.data.value ? null : (
		<p class="loading">{t("Loading…")}</p>
	);

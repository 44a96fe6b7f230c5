// taskform.jsx - a new task: type, arguments, exactly whom it reaches, then send. Used by every page that sends one.
import { signal, useSignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { eachOf, get, post } from "../lib/api.js";
import { t, tn, tv } from "../lib/i18n.js";
import { go } from "../lib/route.js";
import {
	Dialog,
	Loading,
	ProblemNote,
	Rows,
	State,
	Text,
	Time,
	notify,
	useAction,
	useLoad,
} from "./bits.jsx";
import { Area, Buttons, Check, Select, TextField, submit } from "./form.jsx";

const PREVIEW_ROWS = 200; // in the document; the count is of all

const EMPTY = { bool: false, choices: new Set() };
const newValues = (args, preset) =>
	Object.fromEntries(
		args.map((a) => [
			a.name,
			signal(
				preset?.[a.name] ??
					(a.type === "choices"
						? new Set(a.choices)
						: (EMPTY[a.type] ?? (a.required ? a.choices?.[0] : "") ?? "")),
			),
		]),
	);

function settingsOf(text) {
	const lines = text
		.split("\n")
		.map((l) => l.trim())
		.filter(Boolean);
	return Object.fromEntries(
		lines.map((l) => {
			const at = l.indexOf("=");
			if (at < 1)
				throw new Error(t("A setting is written name = value: {line}", { line: l.slice(0, 60) }));
			return [l.slice(0, at).trim(), l.slice(at + 1).trim()];
		}),
	);
}

function valueOf(arg, v) {
	switch (arg.type) {
		case "bool":
			return v;
		case "number":
			return v === "" ? undefined : Number(v);
		case "choices":
			return [...v];
		case "paths":
			return v
				.split("\n")
				.map((l) => l.trim())
				.filter(Boolean);
		case "settings":
			return typeof v === "string" ? settingsOf(v) : v;
		case "time":
			return v && new Date(v).toISOString().replace(/\.\d+/, "");
		default:
			return v || undefined;
	}
}

export function argsOf(type, values) {
	const out = {};
	for (const arg of type.args) {
		const v = valueOf(arg, values[arg.name].value);
		const unset =
			v === undefined ||
			v === "" ||
			(arg.type === "bool" && v === false && !arg.required) ||
			(arg.type === "settings" && !Object.keys(v).length);
		if (!unset) out[arg.name] = v;
	}
	return out;
}

function Choices({ arg, value }) {
	const toggle = (c) => {
		const next = new Set(value.value);
		if (!next.delete(c)) next.add(c);
		value.value = next;
	};
	return (
		<fieldset>
			<legend>{arg.name}</legend>
			{arg.choices.map((c) => (
				<label class="field check">
					<input type="checkbox" checked={value.value.has(c)} onChange={() => toggle(c)} />
					{c}
				</label>
			))}
		</fieldset>
	);
}

function Argument({ arg, value, feeds }) {
	const label = arg.name + (arg.required ? "" : " " + t("(optional)"));
	const common = { label, help: arg.help && tv(arg.help), value };
	switch (arg.type) {
		case "bool":
			return <Check {...common} label={arg.name} />;
		case "choices":
			return <Choices arg={arg} value={value} />;
		case "feed":
			return (
				<Select
					{...common}
					options={[...(arg.required ? [] : [["", t("all")]]), ...feeds.map((f) => [f, f])]}
				/>
			);
		case "choice":
			return (
				<Select
					{...common}
					options={[...(arg.required ? [] : [["", "–"]]), ...arg.choices.map((c) => [c, c])]}
				/>
			);
		case "paths":
			return (
				<Area
					{...common}
					rows={3}
					required={arg.required}
					help={arg.help ? tv(arg.help) : t("One path a line.")}
				/>
			);
		case "settings":
			return <Area {...common} rows={4} help={t("One setting a line: name = value.")} />;
		case "number":
			return <TextField {...common} type="number" min={0} required={arg.required} />;
		case "time":
			return <TextField {...common} type="datetime-local" required={arg.required} />;
		default:
			return <TextField {...common} required={arg.required} />;
	}
}

export function Reach({ preview }) {
	const { total, reachable, rows } = preview;
	return (
		<>
			<p>
				<strong>{tn(total, "one computer gets it", "{n} computers get it")}</strong>,{" "}
				{t("{n} of them were heard of in the last ten minutes.", { n: reachable })}
			</p>
			<Rows
				label={t("Whom the task reaches")}
				head={[t("Computer"), t("Group"), t("State"), t("Heard of")]}
				rows={rows
					.slice(0, PREVIEW_ROWS)
					.map((r) => [
						<Text v={r.host} max={60} />,
						<Text v={r.group} max={40} />,
						<State of={r.state} />,
						<Time at={r.seen} />,
					])}
			/>
			{rows.length > PREVIEW_ROWS && <p>{t("and {n} more", { n: rows.length - PREVIEW_ROWS })}</p>}
		</>
	);
}

const objects = (p) => ({
	...p,
	rows: p.rows.map((cells) => Object.fromEntries(p.columns.map((c, i) => [c, cells[i]]))),
});

async function previewOf(computers, target, type) {
	if (!computers) return objects(await post("/tasks/preview", { target, type }));
	const late = Date.now() - 600_000;
	return {
		total: computers.length,
		reachable: computers.filter((c) => c.seen > late).length,
		rows: computers,
	};
}

async function sendAll(computers, body) {
	const results = await eachOf(computers, (c) => post("/tasks", { ...body, target: c.agent }));
	const bad = results.filter((r) => r.problem);
	if (bad.length)
		throw new Error(
			t("{bad} of {all} were refused: {why}", {
				bad: bad.length,
				all: results.length,
				why: bad[0].problem.message,
			}),
		);
	return results.length === 1 ? results[0].value : null;
}

function afterSend(task, onClose) {
	onClose();
	notify(task?.state === "waiting" ? t("The task waits for signatures.") : t("The task is sent."));
	go(task ? `/tasks/${encodeURIComponent(task.id)}` : "/tasks");
}

function Sender({ types, feeds, groups, computers, preset, onClose }) {
	const typeName = useSignal(preset?.type ?? types[0].type);
	const target = useSignal(preset?.target ?? "*");
	const life = useSignal("1d");
	const type = types.find((x) => x.type === typeName.value) ?? types[0];
	const values = useMemo(() => newValues(type.args, preset?.args), [type]);
	const preview = useSignal(null);
	const check = useAction(
		() => previewOf(computers, target.value, type.type),
		(p) => (preview.value = p),
	);
	const send = useAction(
		async () => {
			const body = { type: type.type, args: argsOf(type, values), life: life.value };
			return computers ? sendAll(computers, body) : post("/tasks", { ...body, target: target.value });
		},
		(task) => afterSend(task, onClose),
	);
	useEffect(() => {
		preview.value = null;
	}, [target.value, typeName.value]);

	return (
		<form onSubmit={submit(() => (preview.value ? send.run() : check.run()))}>
			<Select
				label={t("What to do")}
				value={typeName}
				options={types.map((x) => [x.type, `${tv(x.text)} (${x.type})`])}
				disabled={!!preset?.type}
			/>
			{computers ? null : (
				<Select
					label={t("For whom")}
					value={target}
					options={[
						["*", t("all computers")],
						...groups.map((g) => [
							`group:${g.group}`,
							t("group {name} ({n})", { name: g.group, n: g.computers }),
						]),
					]}
				/>
			)}
			{type.args.map((a) =>
				preset?.hide?.includes(a.name) ? null : (
					<Argument key={type.type + a.name} arg={a} value={values[a.name]} feeds={feeds} />
				),
			)}
			<Select
				label={t("Good for")}
				value={life}
				options={[
					["1h", t("an hour")],
					["8h", t("8 hours")],
					["1d", t("a day")],
					["7d", t("7 days")],
				]}
				help={t("A computer that is not heard of until then never gets it.")}
			/>
			{type.signatures > 1 && (
				<div class="note warn">
					{t("This task needs {n} signatures: it waits until operators have signed it.", {
						n: type.signatures,
					})}
				</div>
			)}
			{type.signatures === 0 && <div class="note bad">{t("The authority lets nobody send this.")}</div>}
			{preview.value && <Reach preview={preview.value} />}
			<ProblemNote problem={send.problem.value ?? check.problem.value} />
			<Buttons
				word={preview.value ? t("Send") : t("Show whom it reaches")}
				busy={send.busy.value || check.busy.value}
				danger={!!preview.value && type.destructive}
				onClose={onClose}
			/>
		</form>
	);
}

// computers: rows of the selection, or none to choose a target; preset: {type, args, hide, target}.
export function TaskDialog({ computers, preset, onClose }) {
	const view = useLoad(async () => {
		const [types, groups, feeds] = await Promise.all([get("/task-types"), get("/groups"), get("/feeds")]);
		return { types: types.types, groups: groups.groups, feeds: feeds.feeds.map((f) => f.feed) };
	});
	const title =
		computers?.length === 1
			? t("Task for {host}", { host: computers[0].host.slice(0, 60) })
			: computers
				? tn(computers.length, "Task for one computer", "Task for {n} computers")
				: t("New task");
	return (
		<Dialog title={<bdi>{title}</bdi>} onClose={onClose} wide>
			<Loading of={view} />
			{view.data.value && (
				<Sender {...view.data.value} computers={computers} preset={preset} onClose={onClose} />
			)}
		</Dialog>
	);
}

// policies.jsx - the policy documents: a form from the schema, the difference before publishing, and for each group
// the values in force with the file that set them.
import { useSignal } from "@preact/signals";
import { get, put, del, post } from "../lib/api.js";
import { t, tn, tv } from "../lib/i18n.js";
import { params, setParam } from "../lib/route.js";
import { isLimited, mayChange } from "../lib/session.js";
import {
	Badge,
	Card,
	Confirm,
	Dialog,
	Loading,
	Page,
	ProblemNote,
	Rows,
	Text,
	notify,
	useAction,
	useLoad,
} from "../ui/bits.jsx";
import { Buttons, Filter, TextField, submit } from "../ui/form.jsx";

export function valueAt(doc, path) {
	return path
		.split(".")
		.reduce(
			(v, name) => (v && typeof v === "object" && Object.hasOwn(v, name) ? v[name] : undefined),
			doc,
		);
}

// A new document with one member set, or taken away when value is undefined; emptied parents go with it.
export function withValue(doc, path, value) {
	const [name, ...rest] = path.split(".");
	const next = { ...(doc ?? {}) };
	if (rest.length) {
		const inner = withValue(next[name], rest.join("."), value);
		if (Object.keys(inner).length) next[name] = inner;
		else delete next[name];
	} else if (value === undefined) {
		delete next[name];
	} else {
		next[name] = value;
	}
	return next;
}

const show = (v) => (v === undefined || v === null ? "–" : typeof v === "string" ? v : JSON.stringify(v));
const startValue = (m) =>
	m.default ??
	{ bool: true, windows: [], strings: [], sources: [], table: {}, choice: m.choices?.[0] }[m.type] ??
	"";

// Lists and tables are written as JSON; what does not parse is said and not taken over.
function JsonInput({ id, value, onChange, ...rest }) {
	const text = useSignal(JSON.stringify(value, null, 1));
	const bad = useSignal("");
	return (
		<>
			<textarea
				id={id}
				rows={Math.min(8, text.value.split("\n").length + 1)}
				spellcheck={false}
				value={text.value}
				aria-invalid={!!bad.value}
				{...rest}
				onInput={(e) => {
					text.value = e.currentTarget.value;
					try {
						onChange(JSON.parse(text.value));
						bad.value = "";
					} catch (problem) {
						bad.value = problem.message;
					}
				}}
			/>
			{bad.value && <small role="alert">{t("Not JSON yet: {why}", { why: bad.value })}</small>}
		</>
	);
}

function Input({ member, id, value, onChange }) {
	switch (member.type) {
		case "bool":
			return (
				<select
					id={id}
					value={String(value)}
					onChange={(e) => onChange(e.currentTarget.value === "true")}
				>
					<option value="true" selected={value === true}>
						{t("yes")}
					</option>
					<option value="false" selected={value === false}>
						{t("no")}
					</option>
				</select>
			);
		case "choice":
			return (
				<select id={id} value={value} onChange={(e) => onChange(e.currentTarget.value)}>
					{member.choices.map((c) => (
						<option value={c} selected={c === value}>
							{c}
						</option>
					))}
				</select>
			);
		case "windows":
		case "strings":
			return (
				<input
					id={id}
					value={(value ?? []).join(", ")}
					onInput={(e) =>
						onChange(
							e.currentTarget.value
								.split(",")
								.map((s) => s.trim())
								.filter(Boolean),
						)
					}
				/>
			);
		case "sources":
		case "table":
			return <JsonInput id={id} value={value} onChange={onChange} />;
		default:
			return (
				<input
					id={id}
					value={value}
					onInput={(e) =>
						onChange(
							typeof member.default === "number" && /^\d+$/.test(e.currentTarget.value)
								? Number(e.currentTarget.value)
								: e.currentTarget.value,
						)
					}
				/>
			);
	}
}

function Member({ member, doc, onChange, locked }) {
	const value = valueAt(doc, member.path);
	const set = value !== undefined;
	const id = "m-" + member.path;
	return (
		<div class={set ? "member" : "member unset"}>
			<label for={id}>
				<code>{member.path}</code>
			</label>
			<div class="value">
				{set ? (
					<Input
						member={member}
						id={id}
						value={value}
						onChange={(v) => onChange(withValue(doc, member.path, v))}
					/>
				) : (
					<span id={id}>
						{t("not set here")} · {t("built in: {value}", { value: show(member.default) })}
					</span>
				)}
				{!locked && (
					<button
						type="button"
						class="small"
						onClick={() =>
							onChange(withValue(doc, member.path, set ? undefined : startValue(member)))
						}
					>
						{set ? t("Leave open") : t("Set")}
						<span class="hidden"> {member.path}</span>
					</button>
				)}
				{member.help && <small>{tv(member.help)}</small>}
			</div>
		</div>
	);
}

function Difference({ of }) {
	return (
		<>
			{of.computers !== undefined && (
				<p>
					<strong>
						{tn(of.computers, "It is for one computer.", "It is for {n} computers.")}
					</strong>
				</p>
			)}
			<Rows
				label={t("Difference")}
				head={[t("Member"), t("In force"), t("Then"), t("From")]}
				empty={t("No effective value changes.")}
				rows={of.diff.map((d) => [
					<code>
						<Text v={d.member} max={60} />
					</code>,
					<Text v={show(d.before)} max={200} />,
					<strong>
						<Text v={show(d.after)} max={200} />
					</strong>,
					<Text v={d.origin_after} max={60} />,
				])}
			/>
			{of.unknown?.length > 0 && (
				<div class="note warn">
					{t("Members that this version does not know are kept: {names}", {
						names: of.unknown.join(", ").slice(0, 300),
					})}
				</div>
			)}
		</>
	);
}

function Editor({ name, schema, start, locked, onPublished }) {
	const doc = useSignal(start);
	const checked = useSignal(null);
	const change = (next) => {
		doc.value = next;
		checked.value = null;
	};
	const check = useAction(
		() => post("/policy/check", { name, document: doc.value }),
		(r) => (checked.value = r),
	);
	const publish = useAction(
		() => put(`/policies/${name}`, doc.value),
		(r) => {
			notify(t("Published as version {n}.", { n: r.version }));
			onPublished();
		},
	);
	const sections = [...new Set(schema.map((m) => m.path.split(".")[0]))];
	const changed = JSON.stringify(doc.value) !== JSON.stringify(start);
	return (
		<form onSubmit={submit(() => (checked.value ? publish.run() : check.run()))}>
			{sections.map((s) => (
				<fieldset disabled={locked}>
					<legend>{s}</legend>
					{schema
						.filter((m) => m.path.split(".")[0] === s)
						.map((m) => (
							<Member
								key={m.path}
								member={m}
								doc={doc.value}
								onChange={change}
								locked={locked}
							/>
						))}
				</fieldset>
			))}
			<details>
				<summary>{t("The whole document")}</summary>
				<pre tabIndex={0} aria-label={t("The whole document")}>
					<Text v={JSON.stringify(doc.value, null, 2)} max={40000} />
				</pre>
			</details>
			{checked.value && <Difference of={checked.value} />}
			<ProblemNote problem={publish.problem.value ?? check.problem.value} />
			{!locked && (
				<Buttons
					word={checked.value ? t("Publish") : t("Show the difference")}
					busy={check.busy.value || publish.busy.value}
				>
					{changed && (
						<button type="button" onClick={() => change(start)}>
							{t("Undo all")}
						</button>
					)}
				</Buttons>
			)}
		</form>
	);
}

function Effective({ groups }) {
	const group = params.value.get("group") ?? groups[0] ?? "default";
	const view = useLoad(() => get("/policy/effective", { group }), [group]);
	return (
		<Card
			title={t("In force")}
			actions={
				<Filter
					label={t("Group")}
					value={group}
					onChange={(g) => setParam({ group: g })}
					options={groups.map((g) => [g, g])}
				/>
			}
		>
			<Loading of={view} />
			{view.data.value && (
				<Rows
					label={t("In force")}
					head={[t("Member"), t("Value"), t("From")]}
					rows={view.data.value.values.map((v) => [
						<code>{v.member}</code>,
						<Text v={show(v.value)} max={300} />,
						v.origin === "built-in" ? (
							<span class="none">{t("built in")}</span>
						) : (
							<Badge tone="info" mark="◆">
								<Text v={v.origin} max={60} />
							</Badge>
						),
					])}
				/>
			)}
		</Card>
	);
}

function NewGroup({ groups, onClose, onMake }) {
	const name = useSignal(groups[0] ?? "");
	return (
		<Dialog title={t("Policy for a group")} onClose={onClose}>
			<form onSubmit={submit(() => onMake(name.value.trim()))}>
				<TextField
					label={t("Group")}
					value={name}
					required
					pattern="[A-Za-z0-9_\-]{1,64}"
					list="group-names"
				/>
				<datalist id="group-names">
					{groups.map((g) => (
						<option value={g} />
					))}
				</datalist>
				<Buttons word={t("Go on")} onClose={onClose} />
			</form>
		</Dialog>
	);
}

async function load(name) {
	const [list, schema, groups] = await Promise.all([
		get("/policy/list"),
		get("/policy/schema"),
		get("/groups"),
	]);
	const known = list.policies.some((p) => p.name === name);
	return {
		list,
		schema: schema.members,
		groups: groups.groups,
		name,
		document: known ? await get(`/policies/${name}`) : {},
		known,
	};
}

export function Policies() {
	const name = params.value.get("policy") ?? "default.json";
	const turn = useSignal(0);
	const view = useLoad(() => load(name), [name]);
	const asks = useSignal("");
	const d = view.data.value?.name === name ? view.data.value : null;
	const again = () => {
		turn.value++;
		view.reload();
	};
	const own = d?.list.policies.map((p) => p.group).filter(Boolean) ?? [];
	const locked =
		!mayChange.value || d?.list.writable === false || (isLimited.value && name === "default.json");
	return (
		<Page
			title={t("Policies")}
			actions={
				mayChange.value && (
					<button type="button" onClick={() => (asks.value = "new")}>
						{t("Policy for a group…")}
					</button>
				)
			}
		>
			<Loading of={view} />
			{d && (
				<>
					<div class="bar" role="group" aria-label={t("Policy documents")}>
						{[...new Set([...d.list.policies.map((p) => p.name), name])].map((n) => (
							<button
								type="button"
								aria-pressed={n === name}
								onClick={() => setParam({ policy: n })}
							>
								<Text v={n} max={70} />
							</button>
						))}
						<span class="count">{t("feed version {n}", { n: d.list.version ?? "–" })}</span>
					</div>
					<div class="cards">
						<Card
							title={<Text v={name} max={70} />}
							actions={
								d.known &&
								name !== "default.json" &&
								!locked && (
									<button
										type="button"
										class="small danger"
										onClick={() => (asks.value = "delete")}
									>
										{t("Delete…")}
									</button>
								)
							}
						>
							<Editor
								key={name + turn.value + JSON.stringify(d.document).length}
								name={name}
								schema={d.schema}
								start={d.document}
								locked={locked}
								onPublished={again}
							/>
						</Card>
						<Effective
							key={turn.value}
							groups={[...new Set([...d.groups.map((g) => g.group), ...own, "default"])].sort()}
						/>
					</div>
				</>
			)}
			{asks.value === "new" && (
				<NewGroup
					groups={d?.groups.map((g) => g.group).filter((g) => !own.includes(g)) ?? []}
					onClose={() => (asks.value = "")}
					onMake={(g) => {
						asks.value = "";
						setParam({ policy: `group/${g}.json`, group: g });
					}}
				/>
			)}
			{asks.value === "delete" && (
				<Confirm
					title={t("Delete this policy?")}
					text={t("The group then follows the default policy.")}
					word={t("Delete")}
					onClose={() => (asks.value = "")}
					onYes={async () => {
						await del(`/policies/${name}`);
						asks.value = "";
						setParam({ policy: "" });
					}}
				/>
			)}
		</Page>
	);
}

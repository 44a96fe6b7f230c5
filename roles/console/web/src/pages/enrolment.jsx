// enrolment.jsx - tokens, and the one command to run on each system.
import { useSignal } from "@preact/signals";
import { get, post } from "../lib/api.js";
import { milliseconds, now } from "../lib/format.js";
import { t } from "../lib/i18n.js";
import { mayChange } from "../lib/session.js";
import {
	Badge,
	Card,
	Copy,
	Dialog,
	Loading,
	Page,
	ProblemNote,
	Rows,
	Text,
	Time,
	useAction,
	useLoad,
} from "../ui/bits.jsx";
import { Buttons, Select, TextField, submit } from "../ui/form.jsx";

function Made({ token, onClose }) {
	return (
		<Dialog wide title={t("The token, shown once")} onClose={onClose}>
			<pre tabIndex={0} aria-label={t("Token")}>
				{token.token}
			</pre>
			<Copy text={token.token} />
			{(token.commands ?? []).map((c) => (
				<>
					<h3>{c.system}</h3>
					<pre tabIndex={0} aria-label={c.system}>
						{c.command}
					</pre>
					<Copy text={c.command} />
				</>
			))}
			<p>
				{t("Good until")} <Time at={token.expires} exact />
			</p>
		</Dialog>
	);
}

function Make({ onMade, onClose }) {
	const group = useSignal("default");
	const uses = useSignal("1");
	const life = useSignal("7d");
	const act = useAction(
		() => post("/tokens", { group: group.value, uses: Number(uses.value), life: life.value }),
		onMade,
	);
	return (
		<Dialog title={t("New token")} onClose={onClose}>
			<form onSubmit={submit(act.run)}>
				<TextField
					label={t("Group")}
					value={group}
					required
					help={t("Computers that use it belong to this group.")}
				/>
				<TextField
					label={t("Uses")}
					value={uses}
					type="number"
					min={1}
					max={100000}
					required
					help={t("How many computers may enrol with it.")}
				/>
				<Select
					label={t("Good for")}
					value={life}
					options={[
						["1h", t("an hour")],
						["1d", t("a day")],
						["7d", t("7 days")],
						["30d", t("30 days")],
					]}
				/>
				<ProblemNote problem={act.problem.value} />
				<Buttons word={t("Make")} busy={act.busy.value} onClose={onClose} />
			</form>
		</Dialog>
	);
}

function stateOf(token) {
	if (token.revoked)
		return (
			<Badge tone="dim" mark="✕">
				{t("revoked")}
			</Badge>
		);
	if (milliseconds(token.expires) < now.value)
		return (
			<Badge tone="dim" mark="✕">
				{t("expired")}
			</Badge>
		);
	return token.used >= token.uses ? (
		<Badge tone="dim" mark="●">
			{t("used up")}
		</Badge>
	) : (
		<Badge tone="good" mark="●">
			{t("good")}
		</Badge>
	);
}

export function Enrolment() {
	const view = useLoad(() => get("/tokens"));
	const making = useSignal(false);
	const made = useSignal(null);
	const revoke = useAction((id) => post(`/tokens/${encodeURIComponent(id)}/revoke`), view.reload);
	return (
		<Page
			title={t("Enrolment")}
			actions={
				mayChange.value && (
					<button type="button" class="primary" onClick={() => (making.value = true)}>
						{t("New token…")}
					</button>
				)
			}
		>
			<Loading of={view} />
			<ProblemNote problem={revoke.problem.value} />
			{view.data.value && (
				<Card title={t("Tokens")}>
					<Rows
						label={t("Tokens")}
						head={[
							t("Token"),
							t("Group"),
							t("State"),
							t("Used"),
							t("Tries"),
							t("Created"),
							t("Until"),
							"",
						]}
						empty={t("No token yet: make one and run its command on a computer.")}
						rows={view.data.value.tokens.map((x) => [
							<code>{x.id}</code>,
							<Text v={x.group} max={40} />,
							stateOf(x),
							t("{part} of {whole}", { part: x.used, whole: x.uses }),
							x.attempts,
							<Time at={x.created} />,
							<Time at={x.expires} />,
							mayChange.value && !x.revoked && milliseconds(x.expires) > now.value && (
								<button type="button" class="small danger" onClick={() => revoke.run(x.id)}>
									{t("Revoke")}
								</button>
							),
						])}
					/>
				</Card>
			)}
			{making.value && (
				<Make
					onClose={() => (making.value = false)}
					onMade={(token) => {
						making.value = false;
						made.value = token;
						view.reload();
					}}
				/>
			)}
			{made.value && <Made token={made.value} onClose={() => (made.value = null)} />}
		</Page>
	);
}

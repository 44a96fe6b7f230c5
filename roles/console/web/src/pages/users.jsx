// users.jsx - who may log in, as what, for which groups.
import { useSignal } from "@preact/signals";
import { del, get, post } from "../lib/api.js";
import { milliseconds, now } from "../lib/format.js";
import { m, t, tv } from "../lib/i18n.js";
import { isAdministrator } from "../lib/session.js";
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
	Time,
	notify,
	useAction,
	useLoad,
} from "../ui/bits.jsx";
import { Buttons, Check, Select, TextField, submit } from "../ui/form.jsx";

const ROLES = [
	["administrator", m("administrator: everything")],
	["operator", m("operator: computers, tasks, policies")],
	["auditor", m("auditor: reads only")],
];
const listOf = (text) =>
	text
		.split(",")
		.map((s) => s.trim())
		.filter(Boolean);

function UserDialog({ user, onClose, onDone }) {
	const name = useSignal(user?.name ?? "");
	const role = useSignal(user?.role ?? "operator");
	const groups = useSignal((user?.groups ?? []).join(", "));
	const password = useSignal("");
	const disabled = useSignal(user?.disabled ?? false);
	const noTotp = useSignal(false);
	const act = useAction(() => {
		const body = { role: role.value, groups: listOf(groups.value) };
		if (password.value) body.password = password.value;
		if (!user) return post("/users", { name: name.value, ...body });
		if (noTotp.value) body.totp = false;
		return post(`/users/${encodeURIComponent(user.name)}`, { ...body, disabled: disabled.value });
	}, onDone);
	return (
		<Dialog title={user ? <bdi>{user.name}</bdi> : t("New user")} onClose={onClose}>
			<form onSubmit={submit(act.run)}>
				{!user && (
					<TextField
						label={t("Name")}
						value={name}
						required
						pattern="[a-z0-9._\-]{1,64}"
						autocomplete="off"
						help={t("Small letters, digits, dot, dash, underscore.")}
					/>
				)}
				<Select label={t("Role")} value={role} options={ROLES.map(([v, text]) => [v, tv(text)])} />
				<TextField
					label={t("Groups")}
					value={groups}
					help={t("With commas between; empty means all.")}
				/>
				<TextField
					label={user ? t("New password") : t("Password")}
					value={password}
					type="password"
					minLength={12}
					required={!user}
					autocomplete="new-password"
					help={t("At least 12 characters.")}
				/>
				{user && <Check label={t("May not log in")} value={disabled} />}
				{user?.totp && (
					<Check label={t("Take the one-time code away (the device is lost)")} value={noTotp} />
				)}
				<ProblemNote problem={act.problem.value} />
				<Buttons word={user ? t("Save") : t("Make")} busy={act.busy.value} onClose={onClose} />
			</form>
		</Dialog>
	);
}

function stateOf(u) {
	if (u.disabled)
		return (
			<Badge tone="dim" mark="✕">
				{t("may not log in")}
			</Badge>
		);
	if (milliseconds(u.locked_until) > now.value)
		return (
			<Badge tone="warn" mark="◆">
				{t("locked")}
			</Badge>
		);
	return (
		<Badge tone="good" mark="●">
			{t("good")}
		</Badge>
	);
}

export function Users() {
	const view = useLoad(() => get("/users"));
	const open = useSignal(undefined);
	const gone = useSignal(null);
	const act = useAction(([name, verb]) => post(`/users/${encodeURIComponent(name)}/${verb}`), view.reload);
	const done = (text) => () => {
		open.value = undefined;
		gone.value = null;
		notify(text);
		view.reload();
	};
	const buttons = (u) =>
		isAdministrator.value && (
			<span class="actions">
				<button type="button" class="small" onClick={() => (open.value = u)}>
					{t("Change")}
					<span class="hidden"> {u.name}</span>
				</button>
				{milliseconds(u.locked_until) > now.value && (
					<button type="button" class="small" onClick={() => act.run([u.name, "unlock"])}>
						{t("Unlock")}
					</button>
				)}
				{u.sessions > 0 && (
					<button type="button" class="small" onClick={() => act.run([u.name, "logout"])}>
						{t("End sessions")}
						<span class="hidden"> {u.name}</span>
					</button>
				)}
				<button type="button" class="small danger" onClick={() => (gone.value = u)}>
					{t("Delete")}
					<span class="hidden"> {u.name}</span>
				</button>
			</span>
		);
	return (
		<Page
			title={t("Users")}
			actions={
				isAdministrator.value && (
					<button type="button" class="primary" onClick={() => (open.value = null)}>
						{t("New user…")}
					</button>
				)
			}
		>
			<Loading of={view} />
			<ProblemNote problem={act.problem.value} />
			{view.data.value && (
				<Card>
					<Rows
						label={t("Users")}
						head={[
							t("Name"),
							t("Role"),
							t("Groups"),
							t("State"),
							t("One-time code"),
							t("Last log-in"),
							t("Sessions"),
							"",
						]}
						rows={view.data.value.users.map((u) => [
							<Text v={u.name} max={64} />,
							u.role,
							u.groups?.length ? <Text v={u.groups.join(", ")} max={80} /> : t("all"),
							stateOf(u),
							u.totp ? (
								t("yes")
							) : (
								<Badge tone="warn" mark="◆">
									{t("no")}
								</Badge>
							),
							<Time at={u.last_login} />,
							u.sessions,
							buttons(u),
						])}
					/>
				</Card>
			)}
			{open.value !== undefined && (
				<UserDialog
					user={open.value}
					onClose={() => (open.value = undefined)}
					onDone={done(t("Saved."))}
				/>
			)}
			{gone.value && (
				<Confirm
					title={t("Delete {name}?", { name: gone.value.name })}
					text={t("What the user did stays in the audit log.")}
					word={t("Delete")}
					onClose={() => (gone.value = null)}
					onYes={async () => {
						await del(`/users/${encodeURIComponent(gone.value.name)}`);
						done(t("Deleted."))();
					}}
				/>
			)}
		</Page>
	);
}

// account.jsx - one's own password, one-time code, signing keys and sessions.
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { get, post } from "../lib/api.js";
import { t } from "../lib/i18n.js";
import { forgetKey, generateKey, heldKeys, importKey, loadKeys } from "../lib/keys.js";
import { mayChange, session } from "../lib/session.js";
import {
	Badge,
	Card,
	Copy,
	Facts,
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
import { Buttons, TextField, submit } from "../ui/form.jsx";
import { QrCode } from "../ui/qr.jsx";

function Password() {
	const old = useSignal("");
	const next = useSignal("");
	const again = useSignal("");
	const act = useAction(
		async () => {
			if (next.value !== again.value) throw new Error(t("The two new passwords differ."));
			await post("/me/password", { old: old.value, new: next.value });
		},
		() => {
			old.value = next.value = again.value = "";
			notify(t("The password is changed."));
		},
	);
	return (
		<Card title={t("Password")}>
			<form onSubmit={submit(act.run)}>
				<TextField
					label={t("Present password")}
					value={old}
					type="password"
					autocomplete="current-password"
					required
				/>
				<TextField
					label={t("New password")}
					value={next}
					type="password"
					autocomplete="new-password"
					minLength={12}
					required
					help={t("At least 12 characters.")}
				/>
				<TextField
					label={t("Once more")}
					value={again}
					type="password"
					autocomplete="new-password"
					required
				/>
				<ProblemNote problem={act.problem.value} />
				<Buttons word={t("Change")} busy={act.busy.value} />
			</form>
		</Card>
	);
}

function Totp() {
	const password = useSignal("");
	const code = useSignal("");
	const secret = useSignal(null);
	const has = session.value.totp;
	const set = (on) => {
		session.value = { ...session.value, totp: on };
		password.value = code.value = "";
		secret.value = null;
	};
	const start = useAction(
		() => post("/me/totp/start", { password: password.value }),
		(r) => (secret.value = r),
	);
	const finish = useAction(
		() => post("/me/totp", { code: code.value.replace(/\s/g, "") }),
		() => {
			set(true);
			notify(t("The one-time code is in force."));
		},
	);
	const remove = useAction(
		() => post("/me/totp/remove", { password: password.value }),
		() => {
			set(false);
			notify(t("The one-time code is gone."));
		},
	);
	return (
		<Card
			title={t("One-time code")}
			actions={
				has ? (
					<Badge tone="good" mark="●">
						{t("in force")}
					</Badge>
				) : (
					<Badge tone="warn" mark="◆">
						{t("not set up")}
					</Badge>
				)
			}
		>
			{secret.value ? (
				<form onSubmit={submit(finish.run)}>
					<p>
						{t(
							"Scan this with an authenticator, or type the secret; then enter the six digits that it shows.",
						)}
					</p>
					<QrCode text={secret.value.uri} label={t("One-time code")} />
					<p>
						<code class="secret">{secret.value.secret}</code> <Copy text={secret.value.secret} />
					</p>
					<TextField
						label={t("Six digits")}
						value={code}
						inputmode="numeric"
						autocomplete="one-time-code"
						required
					/>
					<ProblemNote problem={finish.problem.value} />
					<Buttons
						word={t("Put in force")}
						busy={finish.busy.value}
						onClose={() => (secret.value = null)}
					/>
				</form>
			) : (
				<form onSubmit={submit(has ? remove.run : start.run)}>
					<TextField
						label={t("Password")}
						value={password}
						type="password"
						autocomplete="current-password"
						required
					/>
					<ProblemNote problem={start.problem.value ?? remove.problem.value} />
					<Buttons
						word={has ? t("Take it away") : t("Set it up")}
						danger={has}
						busy={start.busy.value || remove.busy.value}
					/>
				</form>
			)}
		</Card>
	);
}

function Keys() {
	const view = useLoad(() => get("/me/keys"));
	const label = useSignal("");
	const register = (spki) => post("/me/keys", { label: label.value, spki });
	const make = useAction(
		() => generateKey(label.value, register),
		() => {
			label.value = "";
			view.reload();
			notify(t("The key is made; it cannot leave this browser."));
		},
	);
	const take = useAction(
		async (file) => importKey(await file.text(), file.name),
		() => notify(t("The key is here until you close this page.")),
	);
	const remove = useAction(async (keyid) => {
		await post(`/me/keys/${keyid}/remove`);
		await forgetKey(keyid);
	}, view.reload);
	useEffect(() => {
		loadKeys().catch(() => {});
	}, []);
	const here = new Map(heldKeys.value.map((k) => [k.keyid, k]));
	return (
		<Card title={t("Signing keys")}>
			<p>
				{t(
					"Tasks that need several signatures are signed here. The console never has your key; only the authority gives it power.",
				)}
			</p>
			<Loading of={view} />
			{view.data.value && (
				<Rows
					label={t("Signing keys")}
					head={[t("Name"), t("Key"), t("Where"), t("May sign"), ""]}
					empty={t("You have no signing key yet.")}
					rows={[
						...view.data.value.keys,
						...heldKeys.value.filter(
							(k) => k.imported && !view.data.value.keys.some((x) => x.keyid === k.keyid),
						),
					].map((k) => [
						<Text v={k.label} max={40} />,
						<code title={k.keyid}>{k.keyid.slice(0, 16)}…</code>,
						here.has(k.keyid)
							? here.get(k.keyid).imported
								? t("from a file, for now")
								: t("in this browser")
							: t("elsewhere"),
						k.tasks?.length ? k.tasks.join(", ") : "–",
						k.added && (
							<button type="button" class="small danger" onClick={() => remove.run(k.keyid)}>
								{t("Remove")}
								<span class="hidden"> {k.label}</span>
							</button>
						),
					])}
				/>
			)}
			{mayChange.value && (
				<form onSubmit={submit(make.run)}>
					<TextField
						label={t("Name of a new key")}
						value={label}
						required
						maxLength={60}
						placeholder={t("my laptop")}
					/>
					<ProblemNote problem={make.problem.value ?? take.problem.value ?? remove.problem.value} />
					<Buttons word={t("Make a key in this browser")} busy={make.busy.value}>
						<label class="button">
							{t("Use a key from a file…")}
							<input
								class="hidden"
								type="file"
								accept=".pem,.key"
								onChange={(e) =>
									e.currentTarget.files[0] && take.run(e.currentTarget.files[0])
								}
							/>
						</label>
					</Buttons>
				</form>
			)}
		</Card>
	);
}

function Sessions() {
	const view = useLoad(() => get("/me/sessions"));
	const end = useAction((id) => post(`/me/sessions/${encodeURIComponent(id)}/revoke`), view.reload);
	return (
		<Card title={t("Sessions")}>
			<Loading of={view} />
			<ProblemNote problem={end.problem.value} />
			{view.data.value && (
				<Rows
					label={t("Sessions")}
					head={[t("From"), t("Browser"), t("Since"), t("Last seen"), ""]}
					rows={view.data.value.sessions.map((s) => [
						<Text v={s.address} max={60} />,
						<Text v={s.agent} max={60} />,
						<Time at={s.created} />,
						<Time at={s.seen} />,
						s.current ? (
							<Badge tone="info" mark="●">
								{t("this one")}
							</Badge>
						) : (
							<button type="button" class="small danger" onClick={() => end.run(s.id)}>
								{t("End")}
							</button>
						),
					])}
				/>
			)}
		</Card>
	);
}

export function Account() {
	const s = session.value;
	return (
		<Page title={t("My account")}>
			<div class="cards">
				<Card title={t("User")}>
					<Facts
						of={[
							[t("Name"), <Text v={s.user} />],
							[t("Role"), s.role],
							[t("Groups"), s.groups?.length ? <Text v={s.groups.join(", ")} /> : t("all")],
							[t("Session ends"), <Time at={s.expires} exact />],
						]}
					/>
				</Card>
				<Totp />
				<Password />
				<Keys />
			</div>
			<Sessions />
		</Page>
	);
}

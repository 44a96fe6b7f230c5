// login.jsx - user and password, then the one-time code when the account has one.
import { useSignal } from "@preact/signals";
import { post } from "../lib/api.js";
import { language, setLanguage, t, tn } from "../lib/i18n.js";
import { ended, session } from "../lib/session.js";
import { ProblemNote, useAction } from "../ui/bits.jsx";
import { Buttons, TextField, submit } from "../ui/form.jsx";

function reason(problem) {
	if (problem?.code === "wrong-login") return { message: t("User, password or code is wrong.") };
	if (problem?.code === "locked")
		return {
			message: tn(
				Math.max(1, Math.ceil(problem.retryAfter / 60)),
				"Too many wrong tries. Try again in a minute.",
				"Too many wrong tries. Try again in {n} minutes.",
			),
		};
	return problem;
}

export function Login() {
	const user = useSignal("");
	const password = useSignal("");
	const code = useSignal("");
	const asksCode = useSignal(false);
	const act = useAction(async () => {
		try {
			const body = { user: user.value.trim(), password: password.value };
			if (asksCode.value) body.code = code.value.replace(/\s/g, "");
			session.value = await post("/login", body);
			ended.value = false;
		} catch (problem) {
			if (problem.code !== "code-needed") throw problem;
			asksCode.value = true;
		}
	});
	return (
		<main class="login">
			<form class="card" onSubmit={submit(act.run)}>
				<h1 class="brand">Atalaia</h1>
				{ended.value && (
					<div class="note warn" role="status">
						{t("Your session has ended. Log in again.")}
					</div>
				)}
				<ProblemNote problem={reason(act.problem.value)} />
				<TextField
					label={t("User")}
					value={user}
					autocomplete="username"
					autocapitalize="none"
					required
				/>
				<TextField
					label={t("Password")}
					value={password}
					type="password"
					autocomplete="current-password"
					required
				/>
				{asksCode.value && (
					<TextField
						label={t("One-time code")}
						value={code}
						inputmode="numeric"
						maxLength={7}
						autocomplete="one-time-code"
						autofocus
						required
						help={t("Six digits from your authenticator.")}
					/>
				)}
				<Buttons word={t("Log in")} busy={act.busy.value}>
					<button
						type="button"
						class="quiet"
						onClick={() => setLanguage(language.value === "pt" ? "en" : "pt")}
					>
						{language.value === "pt" ? "English" : "Português"}
					</button>
				</Buttons>
			</form>
		</main>
	);
}

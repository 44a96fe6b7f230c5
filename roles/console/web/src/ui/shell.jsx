// shell.jsx - what surrounds every page: the list of pages, who is logged in, language and theme.
import { useSignal } from "@preact/signals";
import { useEffect, useErrorBoundary } from "preact/hooks";
import { post } from "../lib/api.js";
import { language, m, setLanguage, t, tv } from "../lib/i18n.js";
import { liveState } from "../lib/live.js";
import { readsUsers, session } from "../lib/session.js";
import { go, path } from "../lib/route.js";
import { waitingTasks } from "../lib/waiting.js";
import { choice } from "./theme.js";
import { Page, ProblemNote } from "./bits.jsx";
import { Overview } from "../pages/overview.jsx";
import { Computers } from "../pages/computers.jsx";
import { Computer } from "../pages/computer.jsx";
import { Cascade } from "../pages/cascade.jsx";
import { Events } from "../pages/events.jsx";
import { Tasks } from "../pages/tasks.jsx";
import { Task } from "../pages/task.jsx";
import { Policies } from "../pages/policies.jsx";
import { Feeds } from "../pages/feeds.jsx";
import { Enrolment } from "../pages/enrolment.jsx";
import { Users } from "../pages/users.jsx";
import { Audit } from "../pages/audit.jsx";
import { Settings } from "../pages/settings.jsx";
import { Account } from "../pages/account.jsx";

const everybody = { value: true };
const PAGES = [
	{ path: "/", title: m("Overview"), page: Overview, who: everybody, key: "o" },
	{ path: "/computers", title: m("Computers"), page: Computers, one: Computer, who: everybody, key: "c" },
	{ path: "/update-agents", title: m("Update agents"), page: Cascade, who: everybody, key: "u" },
	{ path: "/events", title: m("Events"), page: Events, who: everybody, key: "e" },
	{ path: "/tasks", title: m("Tasks"), page: Tasks, one: Task, who: everybody, key: "t" },
	{ path: "/policies", title: m("Policies"), page: Policies, who: everybody, key: "p" },
	{ path: "/feeds", title: m("Feeds"), page: Feeds, who: everybody, key: "f" },
	{ path: "/enrolment", title: m("Enrolment"), page: Enrolment, who: everybody, key: "n" },
	{ path: "/users", title: m("Users"), page: Users, who: readsUsers, key: "s" },
	{ path: "/audit", title: m("Audit"), page: Audit, who: readsUsers, key: "a" },
	{ path: "/settings", title: m("Settings"), page: Settings, who: readsUsers, key: "g" },
	{ path: "/account", title: m("My account"), page: Account, who: everybody, hidden: true },
];

function find(at) {
	const whole = PAGES.find((p) => p.path === at && p.who.value);
	if (whole) return { entry: whole, View: whole.page };
	const slash = at.indexOf("/", 1);
	const list = PAGES.find((p) => p.one && p.path === at.slice(0, slash));
	return list ? { entry: list, View: list.one, id: decodeURIComponent(at.slice(slash + 1)) } : {};
}

// "g" and then a letter goes to a page; "/" goes to the search field.
function useKeys() {
	useEffect(() => {
		let armed = 0;
		const onKey = (e) => {
			if (e.target.closest("input,select,textarea,dialog") || e.metaKey || e.ctrlKey || e.altKey)
				return;
			if (e.key === "/") {
				document.querySelector("main input[type=search]")?.focus();
				e.preventDefault();
			} else if (armed && e.timeStamp - armed < 1500) {
				armed = 0;
				const entry = PAGES.find((p) => p.key === e.key && p.who.value);
				if (entry) {
					go(entry.path);
					e.preventDefault();
				}
			} else if (e.key === "g") {
				armed = e.timeStamp;
			}
		};
		document.addEventListener("keydown", onKey);
		return () => document.removeEventListener("keydown", onKey);
	}, []);
}

async function logout() {
	await post("/logout").catch(() => {});
	session.value = null;
	go("/");
}

function Side({ entry }) {
	const open = useSignal(false);
	useEffect(() => {
		open.value = false;
	}, [path.value]);
	return (
		<div class={open.value ? "side open" : "side"}>
			<div class="top">
				<div class="brand">
					Atalaia{" "}
					<small>
						<bdi>{session.value.org}</bdi>
					</small>
				</div>
				<button
					type="button"
					class="menu-button"
					aria-expanded={open.value}
					onClick={() => (open.value = !open.value)}
				>
					{t("Menu")}
				</button>
			</div>
			<nav aria-label={t("Pages")}>
				{PAGES.filter((p) => !p.hidden && p.who.value).map((p) => (
					<a
						href={p.path}
						aria-current={p === entry ? "page" : undefined}
						title={t("Keys: g {key}", { key: p.key })}
					>
						{tv(p.title)}
						{p.path === "/tasks" && waitingTasks.value > 0 && (
							<span
								class="count"
								aria-label={t("{n} waiting for signatures", { n: waitingTasks.value })}
							>
								{waitingTasks.value}
							</span>
						)}
					</a>
				))}
			</nav>
			<div class="foot">
				<a href="/account" aria-current={path.value === "/account" ? "page" : undefined}>
					<bdi>{session.value.user}</bdi>
				</a>
				<select
					aria-label={t("Language")}
					value={language.value}
					onChange={(e) => setLanguage(e.currentTarget.value)}
				>
					<option value="en" lang="en">
						English
					</option>
					<option value="pt" lang="pt-BR">
						Português
					</option>
				</select>
				<select
					aria-label={t("Theme")}
					value={choice.value}
					onChange={(e) => (choice.value = e.currentTarget.value)}
				>
					<option value="system">{t("As the system")}</option>
					<option value="light">{t("Light")}</option>
					<option value="dark">{t("Dark")}</option>
				</select>
				<button type="button" onClick={logout}>
					{t("Log out")}
				</button>
			</div>
		</div>
	);
}

// A page that fails says so in its place; the others go on.
function Guarded({ View, id }) {
	const [problem, again] = useErrorBoundary((e) => console.error(e));
	return problem ? <ProblemNote problem={problem} again={again} /> : <View id={id} />;
}

export function Shell() {
	const { entry, View, id } = find(path.value);
	useKeys();
	useEffect(() => {
		document.title = (entry ? tv(entry.title) + " – " : "") + "Atalaia";
	}, [entry]);
	return (
		<div class="shell">
			<a class="skip" href="#main">
				{t("To the content")}
			</a>
			<Side entry={entry} />
			<main id="main">
				{liveState.value === "lost" && (
					<div class="lost" role="alert">
						{t("The connection to the console is lost; trying again. What you see may be old.")}
					</div>
				)}
				{session.value.role === "administrator" && !session.value.totp && path.value === "/" && (
					<div class="note warn">
						<span>{t("Your account has no one-time code yet.")}</span>
						<a class="button small" href="/account">
							{t("Set it up")}
						</a>
					</div>
				)}
				{View ? (
					<Guarded key={path.value} View={View} id={id} />
				) : (
					<Page title={t("There is no such page")}>
						<p>
							<a href="/">{t("Overview")}</a>
						</p>
					</Page>
				)}
			</main>
		</div>
	);
}

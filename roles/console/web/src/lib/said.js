// said.js - sentences of the server and of agents in the reader's language: by their code where they have one, by their
// form where they come from an agent's programs. What is not known here is shown as it came, in English.
import { localTime } from "./format.js";
import { language, m, tv } from "./i18n.js";

// Codes of refusals. A sentence without a full stop is completed by what the server says in particular.
export const ERRORS = {
	malformed: m("The console could not read this"),
	"not-found": m("That is not there, or not within your groups."),
	busy: m("The console is busy: try again in a moment."),
	unauthorized: m("The session has ended: log in again."),
	forbidden: m("Your role does not allow this."),
	csrf: m("The page is out of date: load it again."),
	"body-too-large": m("That is more than the console takes."),
	"method-not-allowed": m("The console does not do that."),
	internal: m("Something went wrong at the console"),
	"no-memory": m("The console has no memory left: try again."),
	"outside-groups": m("The target is not within your groups."),
	"unknown-agent": m("There is no such computer."),
	ambiguous: m("Several computers have this name."),
	"unknown-task": m("There is no such task."),
	"unknown-token": m("There is no such token."),
	"known-task": m("This task was sent already."),
	"known-key": m("This key is registered already."),
	"known-user": m("There is a user of this name already."),
	"too-many": m("There are too many of these already."),
	"last-administrator": m("This is the last administrator without limits."),
	"wrong-password": m("The password is wrong, or was changed meanwhile."),
	"weak-password": m("A password has 12 to 256 bytes."),
	"wrong-code": m("The code is wrong; look at the clocks."),
	"not-started": m("Ask for a secret first."),
	locked: m("Too many wrong tries: come again later."),
	refused: m("Refused"),
	"publish-failed": m("It could not be published"),
	"not-a-signer": m("The authority in force does not let this key sign tasks of this type."),
	"signed-already": m("This key has signed the task already."),
	"bad-signature": m("The signature does not fit the task and the key."),
	"not-waiting": m("The task does not wait for signatures."),
	"not-allowed": m("The authority lists nobody for this type of task."),
	"issuer-refused": m("The authority does not list this console."),
	threshold: m("Fewer valid signatures than this type of task needs."),
	"life-too-long": m("A task may live seven days at most."),
	expired: m("The time of the task has passed."),
	revoked: m("It is revoked."),
	"not-yet": m("Its time has not come."),
	"too-old": m("The task is older than the enrolment of the computer."),
	"wrong-agent": m("The task is for another computer or group."),
};

export function refusal(code, detail) {
	const known = Object.hasOwn(ERRORS, code) ? ERRORS[code] : undefined;
	if (language.value === "en" || !known) return detail;
	const said = tv(known);
	return said.endsWith(".") || !detail ? said : `${said}: ${said_of(detail)}`;
}

// Codes of roles/console/web_findings.c and web_promote.c.
export const FINDINGS = {
	revoked: m("this computer is revoked"),
	"certificate-ended": m("its certificate has ended"),
	away: m("it was heard of last at {when}"),
	"heard-of": m("it was heard of at {when}"),
	"no-set": m("it has reported no set of {feed} yet; the newest is {newest}"),
	"set-refused": m("it refused a set of {feed}: {why}"),
	"past-its-time": m("what it reaches of {feed} is past its time: {why}"),
	"set-old": m("it has {version} of {feed}; the newest is {newest}"),
	"set-waits": m("it has {version} of {feed}; the newest is {newest}; it waits: {why}"),
	"set-newest": m("it has the newest set of {feed}, {newest}"),
	"engine-up": m("the engine is up"),
	"engine-down": m("the engine is down"),
	"not-dealt-with": m("detections since they were cleared last: {count}"),
	cloned: m("two machines use this identity"),
	"part-fenced": m("a part of the agent crashed again and again and is not started any more"),
	"no-port": m("{option} is no port number up to 65535"),
	"privileged-port": m("{option}: ports below 1024 need a privilege that the role does not have"),
	"port-taken": m("{option}: something of ours has port {port} already"),
	"ports-fine": m("the ports of the services are fine"),
	"no-range": m("the passive range is no pair of numbers"),
	"any-free-port": m("any free port of the system: open them all"),
	"range-outside": m("the passive range leaves 1024 to 65535"),
	"range-over-service": m("ports {first} to {last} have service ports inside: {ports}"),
	"range-fine": m("ports {first} to {last}"),
	"no-nat": m("no NAT: clients reach its own address"),
	"no-address": m("it is no IPv4 address"),
	"address-told": m("peers outside local_networks are told {address}: forward the passive range to it"),
};

// What a finding looked at: the words of the console, of `atalaia doctor` and of `atalaia why-old`.
export const CHECKS = {
	identity: m("identity"),
	contact: m("contact"),
	set: m("set"),
	rejected: m("refused set"),
	stale: m("old metadata"),
	detections: m("detections"),
	clone: m("clone"),
	child: m("part of the agent"),
	ports: m("ports"),
	passive_range: m("passive range"),
	passive_address: m("passive address"),
	agent: m("agent"),
	clock: m("clock"),
	enrolment: m("enrolment"),
	certificate: m("certificate"),
	trust: m("trust"),
	console: m("console"),
	source: m("source"),
	sources: m("sources"),
	transfer: m("transfer"),
	freshness: m("freshness"),
	offer: m("offer"),
	gate: m("gate"),
	pin: m("pin"),
	age: m("age"),
	engine: m("engine"),
	"task-port": m("task port"),
	"event-port": m("event port"),
	version: m("version port"),
	ftp: m("FTP"),
	"ftp-passive": m("FTP passive range"),
	"nat-address": m("address behind NAT"),
	http: m("HTTP"),
	proxy: m("proxy"),
	role: m("update agent"),
	"passive-overlap": m("passive range over services"),
	memory: m("memory"),
	disk: m("disk"),
	freshclam: m("freshclam"),
};

// What `atalaia doctor` and `atalaia why-old` print: {a}, {b}, {c} stand for what they put in.
export const AGENT_TEXTS = [
	m("set the clock (timedatectl set-ntp yes)"),
	m("this PC's clock is behind signed time {a}"),
	m("not behind any signed time"),
	m("enrolled in {a}"),
	m("this PC is not enrolled"),
	m("let the PC reach its console: it renews then"),
	m("valid until {a}"),
	m("the policies feed must reach this PC once; see its links below"),
	m("an authority is in force"),
	m("no authority has been verified yet"),
	m("not reached now: {a}"),
	m("{a} failed {b} times: {c}"),
	m("{a} can be asked"),
	m("atalaia doctor probes each port"),
	m("the console must name sources (enrolment) or policy update agents"),
	m("every source failed lately"),
	m("no source is known for this PC"),
	m("see the sentence; atalaia doctor probes the ports"),
	m("the last run failed: {a}"),
	m("it goes on by itself; atalaia policy --explain shows the rule"),
	m("the last run waits: {a}"),
	m("the last run ended with: {a}"),
	m("the publisher must sign its timestamp again"),
	m("the newest signed metadata expired at {a}"),
	m("version {a} was offered, {b} is active"),
	m("publish a set that the engine can load"),
	m("version {a} was refused ({b}): {c}"),
	m("it ends by itself, or by task update.pin with version 0"),
	m("version {a} is pinned until {b}"),
	m("mend the first broken link, then: atalaia update"),
	m("no set has ever been active"),
	m("version {a}, verified as current {b} minutes ago"),
	m("start the engine (systemctl status clamav-daemon)"),
	m("{a} answers"),
	m("{a} does not answer"),
	m("answers"),
	m("serves"),
	m("behind signed time"),
	m("let this PC reach its console: it renews by itself"),
	m("{a} s behind the console's"),
	m("{a} s ahead of the console's"),
	m("the console sees this PC as {a} and reaches port {b}"),
	m("the console sees this PC as {a} and does not reach port {b}: {c}"),
	m("let the console reach TCP {a} of this PC; until then tasks come by 2225, which is slower and no harm (usual behind NAT)"),
	m("let this PC reach TCP {a} of {b}"),
	m("answers, and connected back"),
	m("the range {a}-{b} has service ports of ours inside: {c}"),
	m("the range {a}-{b} has no service port of ours inside"),
	m("move passive_first, such as 3400 with passive_count 600"),
	m("does not serve"),
	m("see the log of atalaia-agent; correct [update-agent] or the task's settings"),
	m("{a} available, a load needs about {b}"),
	m("set ConcurrentDatabaseReload no in clamd.conf, or add memory"),
	m("{a} free, {b} must stay free"),
	m("free some room: updates stop below the floor, what is there goes on working"),
	m("runs (process {a}); clamd does not read it while DatabaseDirectory is our set: systemctl disable --now clamav-freshclam"),
	m("listings came through {a} ports from {b} to {c}"),
	m("it is reached at {a} but names {b} for data connections: {c}"),
	m("on that mirror set [update-agent] passive_address={a}, and local_networks without this PC's network"),
	m("port {a} of the passive range cannot be reached: {b}"),
	m("let this PC reach the passive range of {a} (default 3400-3999; passive_first and passive_count of the mirror)"),
	m("http_proxy of the environment is not used; [update] proxy= would be"),
	m("correct [update] proxy= in agent.conf, or leave it empty"),
	m("let programs on this PC reach 127.0.0.1: a rule for loopback comes first in a firewall"),
	m("no source of updates is known"),
	m("let the console name a server, or an update agent in sources of a policy"),
];

let forms;
export function said(text) {
	if (language.value === "en" || !text) return text;
	const whole = tv(text);
	if (whole !== text) return whole;
	forms ??= AGENT_TEXTS.filter((x) => x.includes("{")).map((template) => ({
		template,
		form: new RegExp(
			"^" +
				template
					.split(/\{\w\}/)
					.map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"))
					.join("([^]*?)") +
				"$",
		),
	}));
	for (const { template, form } of forms) {
		const hit = form.exec(text);
		if (hit) return tv(template, { a: hit[1], b: hit[2], c: hit[3] });
	}
	return text;
}
const TIME = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g;
const local = (text) => text?.replace(TIME, (when) => localTime(Date.parse(when)));

export function sayFinding(f) {
	return {
		good: f.good,
		feed: f.feed,
		name: Object.hasOwn(CHECKS, f.name) ? tv(CHECKS[f.name]) : f.name,
		text: local(
			Object.hasOwn(FINDINGS, f.code ?? "") ? tv(FINDINGS[f.code], f.values ?? {}) : said(f.text),
		),
		remedy: said(f.remedy),
	};
}

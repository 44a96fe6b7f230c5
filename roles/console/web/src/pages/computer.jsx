// computer.jsx - one computer: what is wrong first, then identity, sets, engine, tasks, events; a button for every task.
import { useSignal } from "@preact/signals";
import { get, post } from "../lib/api.js";
import { t, tn, tv } from "../lib/i18n.js";
import { useLive } from "../lib/live.js";
import { sayFinding } from "../lib/said.js";
import { isAdministrator, mayChange } from "../lib/session.js";
import {
	Badge,
	Bytes,
	Card,
	Confirm,
	Empty,
	Facts,
	Good,
	Loading,
	Page,
	Rows,
	State,
	TaskState,
	Text,
	Time,
	notify,
	useLoad,
	useThrottle,
} from "../ui/bits.jsx";
import { EventLine } from "../ui/event.jsx";
import { TaskDialog } from "../ui/taskform.jsx";

export function Findings({ of }) {
	return (
		<ul class="findings">
			{of.map(sayFinding).map((f) => (
				<li>
					<Good good={f.good} />
					<div>
						<b>
							<Text v={f.name} max={60} />
						</b>
						{f.feed && (
							<>
								{" "}
								<Text v={f.feed} max={40} />
							</>
						)}
						{f.text && (
							<>
								{" "}
								– <Text v={f.text} max={400} />
							</>
						)}
						{!f.good && f.remedy && (
							<small>
								<Text v={f.remedy} max={400} />
							</small>
						)}
					</div>
				</li>
			))}
		</ul>
	);
}

function Sets({ sets }) {
	return (
		<Rows
			label={t("Sets")}
			head={[t("Feed"), t("Version"), t("Applied"), t("From"), t("Delta"), t("Full"), ""]}
			empty={t("No set has been reported.")}
			rows={sets.map((s) => [
				<Text v={s.feed} max={40} />,
				s.version,
				<Time at={s.applied} />,
				<Text v={s.mirror} max={40} />,
				<Bytes n={s.bytes_delta} />,
				<Bytes n={s.bytes_full} />,
				s.rejected ? (
					<Badge tone="bad" mark="▲">
						{t("refused")}
					</Badge>
				) : s.stale ? (
					<Badge tone="warn" mark="◆">
						{t("stopped")}
					</Badge>
				) : null,
			])}
		/>
	);
}

function Identity({ c }) {
	return (
		<Card title={t("Identity")}>
			<Facts
				of={[
					[
						t("Id"),
						<code>
							<Text v={c.agent} />
						</code>,
					],
					[t("Group"), <Text v={c.group} />],
					[t("Address"), <Text v={c.address} />],
					[t("Version"), <Text v={c.version} />],
					[t("Role"), c.role ? t("update agent") : t("workstation")],
					[
						t("Engine"),
						c.engine === "up" ? (
							<Good good />
						) : c.engine === "down" ? (
							<Badge tone="bad" mark="■">
								{t("engine down")}
							</Badge>
						) : (
							"–"
						),
					],
					[t("Heard of"), <Time at={c.seen} />],
					[t("Enrolled"), <Time at={c.enrolled} />],
					[t("Certificate ends"), <Time at={c.certificate_ends} exact />],
					[t("Policy applied"), <Time at={c.policy} />],
					[t("Task port"), c.task_port],
					[
						t("Machine"),
						<code>
							<Text v={c.machine} max={64} />
						</code>,
					],
					c.clone_seen
						? [
								t("Clone"),
								<Badge tone="warn" mark="◆">
									{t("the same identity came from two machines")}
								</Badge>,
							]
						: null,
				]}
			/>
		</Card>
	);
}

// What the PC found about itself: the answer of the last task `doctor`. What is wrong comes first, what is well is folded.
function Doctor({ of, at, onAsk }) {
	const findings = [
		...(of?.chain ?? []).map((x) => ({
			name: x.link,
			feed: x.feed,
			good: !x.broken,
			text: x.text,
			remedy: x.remedy,
		})),
		...(of?.findings ?? []).map((f) => ({ ...f, feed: / at |[(/]/.test(f.what) ? f.what : undefined })),
	];
	const bad = findings.filter((f) => !f.good);
	const good = findings.filter((f) => f.good);
	return (
		<Card title={t("What the PC itself finds")} actions={at && <Time at={at} />}>
			{of ? (
				<>
					{bad.length ? (
						<Findings of={bad} />
					) : (
						<p class="calm">
							<span aria-hidden="true">●</span>
							{t("It finds nothing wrong.")}
						</p>
					)}
					{good.length > 0 && (
						<details>
							<summary>{tn(good.length, "one thing is well", "{n} things are well")}</summary>
							<Findings of={good} />
						</details>
					)}
				</>
			) : (
				<Empty>
					{t("It has not been asked yet: the task doctor tests its ports, clock, disk and engine there.")}
				</Empty>
			)}
			{onAsk && (
				<div class="buttons">
					<button type="button" onClick={onAsk}>
						{of ? t("Ask it again") : t("Ask it now")}
					</button>
				</div>
			)}
		</Card>
	);
}

// The answer of the last task `status`: what people ask for, and the whole of it folded.
function Status({ of, at }) {
	return (
		<Card title={t("Last status")} actions={at && <Time at={at} />}>
			{of ? (
				<>
					<Facts
						of={[
							[t("Running since"), <Time at={of.started} />],
							[t("Version"), <Text v={of.version} max={40} />],
							of.engine?.type && [
								t("Engine"),
								<Text v={`${of.engine.type} ${of.engine.version ?? ""}`} max={80} />,
							],
							...(of.feeds ?? []).slice(0, 8).map((f) => [
								<Text v={f.feed} max={40} />,
								<>
									{f.version} · {t("checked")} <Time at={f.checked} />
								</>,
							]),
							of.identity?.console_error && [
								t("Console"),
								<Text v={of.identity.console_error} max={200} />,
							],
						]}
					/>
					<details>
						<summary>{t("Everything it said")}</summary>
						<pre tabIndex={0} aria-label={t("Last status")}>
							<Text v={JSON.stringify(of, null, 2)} max={20000} />
						</pre>
					</details>
				</>
			) : (
				<Empty>{t("No status has been asked for.")}</Empty>
			)}
		</Card>
	);
}

export function Computer({ id }) {
	const view = useLoad(() => get(`/computers/${encodeURIComponent(id)}`), [id]);
	const types = useLoad(() => get("/task-types"), []);
	const task = useSignal(null);
	const asks = useSignal(null);
	const soon = useThrottle(view.reload, 300);
	const mine = (row) => row.agent === id && soon();
	useLive(
		{ topics: "agents,tasks,events", agent: id },
		{ agent: mine, event: soon, task: soon, dropped: soon, missed: soon },
	);
	const d = view.data.value;
	if (!d)
		return (
			<Page title={t("Computer")}>
				<Loading of={view} />
			</Page>
		);
	const c = d.computer;
	const canDoctor =
		mayChange.value && types.data.value?.types.some((x) => x.type === "doctor" && x.signatures > 0);
	const done = (text) => () => {
		asks.value = null;
		notify(text);
		view.reload();
	};
	return (
		<Page title={<Text v={c.host} max={80} />} actions={<State of={c.state} />}>
			{mayChange.value && (
				<div class="bar" role="group" aria-label={t("Tasks")}>
					{types.data.value?.types.map((x) => (
						<button
							type="button"
							title={x.type}
							class={x.destructive ? "danger" : ""}
							disabled={x.signatures === 0}
							onClick={() => (task.value = { type: x.type })}
						>
							{tv(x.text)}
						</button>
					))}
					{c.detections > 0 && (
						<button type="button" onClick={() => (asks.value = "clear")}>
							{t("Detections are dealt with")}
						</button>
					)}
					{isAdministrator.value && c.state !== "revoked" && (
						<button type="button" class="danger" onClick={() => (asks.value = "revoke")}>
							{t("Revoke…")}
						</button>
					)}
				</div>
			)}
			<div class="cards">
				<Card title={t("Why is it as it is")}>
					{d.findings?.length ? (
						<Findings of={[...d.findings].sort((a, b) => a.good - b.good)} />
					) : (
						<Empty>{t("Nothing to say.")}</Empty>
					)}
				</Card>
				<Doctor
					of={d.doctor}
					at={d.doctor_at}
					onAsk={canDoctor ? () => (task.value = { type: "doctor" }) : undefined}
				/>
				<Identity c={c} />
				<Card title={t("Sets")}>
					<Sets sets={d.sets ?? []} />
					{d.mirror?.length > 0 && (
						<>
							<h3>{t("Its mirror")}</h3>
							<Rows
								label={t("Its mirror")}
								head={[t("Feed"), t("Version"), t("Published"), t("From")]}
								rows={d.mirror.map((x) => [
									<Text v={x.feed} />,
									x.version,
									<Time at={x.published} />,
									<Text v={x.mirror} max={60} />,
								])}
							/>
						</>
					)}
				</Card>
				<Card title={t("Last tasks")}>
					<Rows
						label={t("Last tasks")}
						head={[t("Task"), t("State"), t("Created"), t("By")]}
						rows={(d.tasks ?? []).map((x) => [
							<a href={`/tasks/${encodeURIComponent(x.id)}`}>{x.type}</a>,
							<TaskState of={x.state} />,
							<Time at={x.created} />,
							<Text v={x.by} max={40} />,
						])}
					/>
				</Card>
				<Status of={d.status} at={d.status_at} />
			</div>
			<Card title={t("Last events")}>
				{d.events?.length ? (
					<ul class="events">
						{[...d.events].reverse().map((e) => (
							<EventLine key={e.n} item={e} />
						))}
					</ul>
				) : (
					<Empty>{t("Nothing here.")}</Empty>
				)}
			</Card>
			{task.value && (
				<TaskDialog computers={[c]} preset={task.value} onClose={() => (task.value = null)} />
			)}
			{asks.value === "clear" && (
				<Confirm
					title={t("Detections are dealt with")}
					danger={false}
					word={t("They are dealt with")}
					onClose={() => (asks.value = null)}
					text={t("The computer no longer counts as infected, until the next detection.")}
					onYes={async () => {
						await post(`/computers/${encodeURIComponent(id)}/clear`);
						done(t("Noted."))();
					}}
				/>
			)}
			{asks.value === "revoke" && (
				<Confirm
					title={t("Revoke this computer?")}
					word={t("Revoke")}
					onClose={() => (asks.value = null)}
					text={t("It gets no tasks and no certificate any more, and must enrol anew.")}
					onYes={async () => {
						await post(`/agents/${encodeURIComponent(id)}/revoke`);
						done(t("Revoked."))();
					}}
				/>
			)}
		</Page>
	);
}

// tasks.jsx - all tasks, those that wait for a signature first.
import { useSignal } from "@preact/signals";
import { get } from "../lib/api.js";
import { t } from "../lib/i18n.js";
import { useLive } from "../lib/live.js";
import { mayChange } from "../lib/session.js";
import { countWaiting } from "../lib/waiting.js";
import { Card, Loading, Page, Rows, TaskState, Text, Time, useLoad, useThrottle } from "../ui/bits.jsx";
import { TaskDialog } from "../ui/taskform.jsx";

export function Progress({ of }) {
	if (!of.agents_total) return <span class="none">–</span>;
	return (
		<span class="two">
			<progress max={of.agents_total} value={of.agents_final} aria-label={t("Progress")} />
			<small>
				{t("{final} of {total} ended, {failed} failed", {
					final: of.agents_final,
					total: of.agents_total,
					failed: of.agents_failed ?? 0,
				})}
			</small>
		</span>
	);
}

const link = (x) => <a href={`/tasks/${encodeURIComponent(x.id)}`}>{x.type}</a>;

export function Tasks() {
	const view = useLoad(async () => {
		const { tasks } = await get("/tasks", { limit: 200 });
		countWaiting(tasks);
		return tasks;
	});
	const creating = useSignal(false);
	const soon = useThrottle(view.reload, 300);
	useLive({ topics: "tasks" }, { task: soon, dropped: soon, missed: soon });
	const tasks = view.data.value ?? [];
	const waiting = tasks.filter((x) => x.state === "waiting");
	return (
		<Page
			title={t("Tasks")}
			actions={
				mayChange.value && (
					<button type="button" class="primary" onClick={() => (creating.value = true)}>
						{t("New task…")}
					</button>
				)
			}
		>
			<Loading of={view} />
			{waiting.length > 0 && (
				<Card title={t("Wait for signatures")}>
					<Rows
						label={t("Wait for signatures")}
						head={[t("Task"), t("For"), t("Asked by"), t("Signatures"), t("Until")]}
						rows={waiting.map((x) => [
							link(x),
							<Text v={x.target_text} max={60} />,
							<Text v={x.by} max={40} />,
							t("{have} of {needed}", { have: x.have, needed: x.needed }),
							<Time at={x.expires} />,
						])}
					/>
				</Card>
			)}
			{view.data.value && (
				<Card>
					<Rows
						label={t("Tasks")}
						head={[t("Task"), t("For"), t("State"), t("Progress"), t("By"), t("Created")]}
						empty={t("No task has been sent yet.")}
						rows={tasks
							.filter((x) => x.state !== "waiting")
							.map((x) => [
								link(x),
								<Text v={x.target_text} max={60} />,
								<TaskState of={x.canceled ? "canceled" : x.state} />,
								<Progress of={x} />,
								<Text v={x.by} max={40} />,
								<Time at={x.created} />,
							])}
					/>
				</Card>
			)}
			{creating.value && <TaskDialog onClose={() => (creating.value = false)} />}
		</Page>
	);
}

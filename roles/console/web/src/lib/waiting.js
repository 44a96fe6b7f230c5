// waiting.js - how many tasks wait for a signature: shown beside "Tasks" on every page.
import { signal } from "@preact/signals";

export const waitingTasks = signal(0);
export const countWaiting = (tasks) =>
	(waitingTasks.value = tasks.filter((task) => task.state === "waiting").length);

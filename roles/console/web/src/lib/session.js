// session.js - who is logged in: undefined while nobody has asked, null when nobody is.
import { computed, signal } from "@preact/signals";

export const session = signal(undefined);
export const ended = signal(false); // there was a session and it ended: the log-in page says so

export function endSession() {
	if (session.value) ended.value = true;
	session.value = null;
}

const role = computed(() => session.value?.role ?? "");
export const mayChange = computed(() => role.value === "administrator" || role.value === "operator");
export const isAdministrator = computed(() => role.value === "administrator");
export const readsUsers = computed(() => role.value === "administrator" || role.value === "auditor");
export const isLimited = computed(() => (session.value?.groups ?? []).length > 0);

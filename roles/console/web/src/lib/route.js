// route.js - the address bar is the state of a page: path picks it, query holds its filters.
import { computed, signal } from "@preact/signals";

const read = () => location.pathname + location.search;
const where = signal(read());

export const path = computed(() => where.value.split("?")[0]);
export const params = computed(() => new URLSearchParams(where.value.split("?")[1] ?? ""));

export function go(to, replace = false) {
	if (to === where.value) return;
	history[replace ? "replaceState" : "pushState"](null, "", to);
	const moved = to.split("?")[0] !== path.value;
	where.value = read();
	if (moved) {
		scrollTo(0, 0);
		// The reader of a screen reader hears the new page; the keyboard goes on from its beginning.
		requestAnimationFrame(() => document.querySelector("main h1")?.focus());
	}
}

export function setParam(changes) {
	const next = new URLSearchParams(params.value);
	for (const [name, value] of Object.entries(changes))
		if (value === "" || value === undefined || value === null) next.delete(name);
		else next.set(name, value);
	const text = next.toString();
	go(path.value + (text ? "?" + text : ""), true);
}

addEventListener("popstate", () => (where.value = read()));
addEventListener("click", (e) => {
	const a = e.target.closest?.("a[href]");
	if (!a || e.defaultPrevented || e.button !== 0 || e.metaKey || e.ctrlKey || e.shiftKey || e.altKey)
		return;
	if (
		a.origin !== location.origin ||
		a.hasAttribute("download") ||
		a.target ||
		a.pathname.startsWith("/api/")
	)
		return;
	if (a.hash && a.pathname === location.pathname) return;
	e.preventDefault();
	go(a.pathname + a.search);
});

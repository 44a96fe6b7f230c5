// theme.js - light, dark, or as the system says.
import { effect, signal } from "@preact/signals";

const dark = matchMedia("(prefers-color-scheme: dark)");
const system = signal(dark.matches);
dark.addEventListener("change", (e) => (system.value = e.matches));

export const choice = signal(localStorage.getItem("atalaia.theme") ?? "system");
export const theme = signal("light");

effect(() => {
	theme.value = choice.value === "system" ? (system.value ? "dark" : "light") : choice.value;
	document.documentElement.dataset.theme = theme.value;
	localStorage.setItem("atalaia.theme", choice.value);
});

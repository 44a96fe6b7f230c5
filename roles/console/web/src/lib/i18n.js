// i18n.js - English is the key of every text; texts.mjs checks at build time that each has its Portuguese.
import { signal } from "@preact/signals";
import pt from "../i18n/pt.json";

const tables = { en: {}, pt };
const stored = localStorage.getItem("atalaia.language");
export const language = signal(tables[stored] ? stored : navigator.language.startsWith("pt") ? "pt" : "en");

export function setLanguage(code) {
	language.value = code;
	localStorage.setItem("atalaia.language", code);
	document.documentElement.lang = code === "pt" ? "pt-BR" : "en";
}

// Translates a text that m() marked elsewhere, or that came from the server (then it is shown as it is).
export function tv(text, values) {
	const table = tables[language.value];
	const found = Object.hasOwn(table, text) ? table[text] : text;
	return values ? found.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole) : found;
}

export const t = tv;
export const m = (text) => text;
export const tn = (n, one, many) => tv(n === 1 ? one : many, { n: n.toLocaleString(locale()) });
export const locale = () => (language.value === "pt" ? "pt-BR" : "en-GB");

// format.js - numbers and times as a person reads them.
import { signal } from "@preact/signals";
import { language, locale, t, tn } from "./i18n.js";

// Ticks once a minute: ages on the screen stay true.
export const now = signal(Date.now());
setInterval(() => (now.value = Date.now()), 30_000);

export const number = (n) => (n ?? 0).toLocaleString(locale());

const UNITS = ["B", "KB", "MB", "GB", "TB"];
export function bytes(n) {
	let value = n ?? 0;
	let unit = 0;
	while (value >= 1000 && unit < UNITS.length - 1) {
		value /= 1000;
		unit++;
	}
	const digits = unit && value < 100 ? 1 : 0;
	return value.toLocaleString(locale(), { maximumFractionDigits: digits }) + " " + UNITS[unit];
}

export const percent = (part, whole) => (whole ? Math.round((100 * part) / whole) : 0) + " %";

export function milliseconds(when) {
	if (!when) return 0;
	const ms = typeof when === "number" ? when : Date.parse(when);
	return Number.isFinite(ms) ? ms : 0;
}

export function localTime(ms, withSeconds = true) {
	return new Date(ms).toLocaleString(locale(), {
		dateStyle: "medium",
		timeStyle: withSeconds ? "medium" : "short",
	});
}

export const utcTime = (ms) =>
	new Date(ms)
		.toISOString()
		.replace("T", " ")
		.replace(/\.\d+Z$/, " UTC");

export function age(ms) {
	const s = Math.round((now.value - ms) / 1000);
	if (s < -60) return localTime(ms, false);
	if (s < 60) return t("just now");
	if (s < 5400) return tn(Math.round(s / 60), "a minute ago", "{n} min ago");
	if (s < 129600) return tn(Math.round(s / 3600), "an hour ago", "{n} h ago");
	return tn(Math.round(s / 86400), "a day ago", "{n} days ago");
}

let collator;
let collatorLanguage;
export function compareText(a, b) {
	if (collatorLanguage !== language.value) {
		collator = new Intl.Collator(locale(), { numeric: true });
		collatorLanguage = language.value;
	}
	return collator.compare(a, b);
}

// Control characters, marks of direction and invisible ones, made visible: a name that lies about itself does not.
const UNSEEN =
	/[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g;
export const visible = (text) =>
	text.replace(UNSEEN, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);

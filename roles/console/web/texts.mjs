// texts.mjs - finds every text that the pages show: t("..."), tn(n, "one", "many") and m("..."), which marks
// a text that is translated later. English is the key; src/i18n/pt.json has the Portuguese of each, and nothing else.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const STRING = '"((?:[^"\\\\]|\\\\.)*)"';
const CALLS = [
	new RegExp(`\\b[tm]\\(\\s*${STRING}`, "g"),
	new RegExp(`\\btn\\([^"]*${STRING}`, "g"),
	new RegExp(`\\btn\\([^"]*${STRING.replace("(", "(?:")},\\s*${STRING}`, "g"),
];

function sources(folder) {
	return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
		const path = join(folder, entry.name);
		if (entry.isDirectory()) return sources(path);
		return /\.jsx?$/.test(entry.name) ? [path] : [];
	});
}

export function textsOf(code) {
	return CALLS.flatMap((call) => [...code.matchAll(call)].map((hit) => JSON.parse(`"${hit[1]}"`)));
}

const placeholders = (text) => (text.match(/\{\w+\}/g) ?? []).sort().join();

export function checkTexts(folder) {
	const table = JSON.parse(readFileSync(join(folder, "i18n/pt.json"), "utf8"));
	const used = new Map();
	const problems = [];

	for (const path of sources(folder)) {
		const code = readFileSync(path, "utf8");
		for (const text of textsOf(code)) used.set(text, path);
		if (!path.endsWith("i18n.js"))
			for (const hit of code.matchAll(/[^.\w]t\((?!\s*")[^)]{0,30}/g))
				problems.push(
					`${path}: t() wants a text as it stands, not "${hit[0].trim()}": use m() and tv()`,
				);
	}
	for (const [text, path] of used)
		if (!(text in table)) problems.push(`${path}: no Portuguese for ${JSON.stringify(text)}`);
		else if (placeholders(text) !== placeholders(table[text]))
			problems.push(`pt.json: other placeholders than in ${JSON.stringify(text)}`);
	for (const text of Object.keys(table))
		if (!used.has(text)) problems.push(`pt.json: nothing shows ${JSON.stringify(text)}`);
	return problems;
}

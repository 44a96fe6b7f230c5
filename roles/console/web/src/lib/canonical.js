// canonical.js - the OLPC canonical form of JSON that signatures are made over: members in the order of their
// code points, only quote and backslash escaped, whole numbers only. The twin of common/update/canon.c.
const MAX_DEPTH = 32;

function byCodePoint(a, b) {
	const x = [...a];
	const y = [...b];
	for (let i = 0; i < Math.min(x.length, y.length); i++)
		if (x[i] !== y[i]) return x[i].codePointAt(0) - y[i].codePointAt(0);
	return x.length - y.length;
}

const string = (s) => '"' + s.replace(/["\\]/g, "\\$&") + '"';

function value(v, depth) {
	if (depth > MAX_DEPTH) throw new Error(`nesting is deeper than ${MAX_DEPTH}`);
	if (v === null || typeof v === "boolean") return String(v);
	if (typeof v === "string") return string(v);
	if (typeof v === "number") {
		if (!Number.isSafeInteger(v) || v < 0 || Object.is(v, -0))
			throw new Error("a number is not an integer from 0 to 2^53-1, so it has no canonical form");
		return String(v);
	}
	if (Array.isArray(v)) return "[" + v.map((x) => value(x, depth + 1)).join(",") + "]";
	return (
		"{" +
		Object.keys(v)
			.sort(byCodePoint)
			.map((name) => string(name) + ":" + value(v[name], depth + 1))
			.join(",") +
		"}"
	);
}

export const canonical = (document) => value(document, 0);
export const canonicalBytes = (document) => new TextEncoder().encode(canonical(document));

// bridge.mjs - lets a Python test drive Chromium: JSON lines in, JSON lines out. A request names an object
// (0 is the browser, others are those that earlier answers named) and a chain of calls on it:
// {"id", "on", "chain": [["method", args...], ...], "keep": bool} -> {"id", "value"} | {"id", "object"} | {"id", "error"}.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const [, , modules, executable] = process.argv;
const { chromium } = createRequire(modules + "/")("playwright-core");

const browser = await chromium.launch({
	executablePath: executable,
	args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--force-prefers-reduced-motion"],
});
const objects = [browser];

async function run({ on, chain, keep }) {
	let value = objects[on];
	for (const [method, ...args] of chain) {
		if (method === "evaluate" && args.length === 2) args[0] = new Function(`return (${args[0]})`)(); // a text with an argument is a function
		value = typeof value[method] === "function" ? await value[method](...args) : value[method];
	}
	if (!keep) return { value: value === undefined ? null : value };
	objects.push(value);
	return { object: objects.length - 1 };
}

function answer(document) {
	process.stdout.write(JSON.stringify(document) + "\n");
}

// What a page logs or throws is kept for the test: a refused script shows there.
async function watch(page) {
	page.heard = [];
	page.on("console", (m) => m.type() === "error" && page.heard.push(m.text()));
	page.on("pageerror", (e) => page.heard.push(String(e)));
	page.on("dialog", (d) => {
		page.heard.push("dialog: " + d.message());
		d.dismiss();
	});
}

answer({ ready: browser.version() });
for await (const line of createInterface({ input: process.stdin })) {
	const request = JSON.parse(line);
	run(request).then(
		async (done) => {
			if (request.watch) await watch(objects[done.object]);
			answer({ id: request.id, ...done });
		},
		(e) => answer({ id: request.id, error: e.message }),
	);
}
await browser.close();

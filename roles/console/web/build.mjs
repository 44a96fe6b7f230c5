// build.mjs [FOLDER] - bundles src/ into FOLDER (default build/web of the repository): content-hashed names
// under assets/, index.html beside them, .gz and .br copies. Fails on a text without a translation and when
// what a browser loads first grows over the limit.
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, extname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { build } from "esbuild";
import { checkTexts } from "./texts.mjs";

const FIRST_LOAD_LIMIT = 120 * 1024; // gzip: a phone on a bad line shows the first page within two seconds
const here = dirname(fileURLToPath(import.meta.url));
const out = resolve(process.argv[2] ?? join(here, "../../../build/web"));

function fail(lines) {
	for (const line of lines) console.error("web: " + line);
	process.exit(1);
}

const problems = checkTexts(join(here, "src"));
if (problems.length) fail(problems);

rmSync(out, { recursive: true, force: true });
mkdirSync(join(out, "assets"), { recursive: true });
const made = await build({
	absWorkingDir: here,
	entryPoints: { app: "src/main.jsx" },
	outdir: out,
	bundle: true,
	minify: true,
	format: "esm",
	target: ["es2022"],
	jsx: "automatic",
	jsxImportSource: "preact",
	entryNames: "assets/[name]-[hash]",
	legalComments: "linked",
	metafile: true,
	logLevel: "warning",
});

const outputs = Object.keys(made.metafile.outputs).map((file) => basename(file));
const named = (ext) => "assets/" + outputs.find((file) => extname(file) === ext);
const icon = readFileSync(join(here, "src/icon.svg"));
const iconName = `assets/icon-${createHash("sha256").update(icon).digest("hex").slice(0, 8)}.svg`;
writeFileSync(join(out, iconName), icon);
const page = readFileSync(join(here, "index.html"), "utf8")
	.replace("%JS%", named(".js"))
	.replace("%CSS%", named(".css"))
	.replace("%ICON%", iconName);
writeFileSync(join(out, "index.html"), page);

let total = 0;
for (const file of ["index.html", ...readdirSync(join(out, "assets")).map((f) => "assets/" + f)]) {
	const data = readFileSync(join(out, file));
	const gz = gzipSync(data, { level: 9 });
	writeFileSync(join(out, file + ".gz"), gz);
	writeFileSync(
		join(out, file + ".br"),
		brotliCompressSync(data, {
			params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: data.length },
		}),
	);
	if (!file.endsWith(".txt")) total += gz.length;
}
console.log(`web: ${out}, first load ${(total / 1024).toFixed(1)} KB compressed`);
if (total > FIRST_LOAD_LIMIT)
	fail([`first load is ${total} bytes compressed, the limit is ${FIRST_LOAD_LIMIT}`]);

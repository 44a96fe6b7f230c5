// update.mjs METADATA_URL TARGETS_URL DIR TARGET...: what tuf-js makes of a repository. DIR/root.json is the trusted
// root; each target goes to DIR/out. Prints one line of JSON: versions and SHA-256 of what it downloaded.
import * as crypto from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { createRequire } from "node:module";

const require = createRequire(process.cwd() + "/");
const { Updater } = require("tuf-js");
const [metadataBaseUrl, targetBaseUrl, dir, ...names] = process.argv.slice(2);
const targetDir = path.join(dir, "out");
fs.mkdirSync(targetDir, { recursive: true });
const updater = new Updater({ metadataBaseUrl, targetBaseUrl, metadataDir: dir, targetDir });
await updater.refresh();
const targets = {};
for (const name of names) {
  const info = await updater.getTargetInfo(name);
  if (info === undefined) throw new Error(`${name} is not among the targets`);
  const file = await updater.downloadTarget(info);
  targets[name] = crypto.createHash("sha256").update(fs.readFileSync(file)).digest("hex");
}
const version = (role) => JSON.parse(fs.readFileSync(path.join(dir, role + ".json"))).signed.version;
console.log(JSON.stringify({ targets, root: version("root"), timestamp: version("timestamp"),
  snapshot: version("snapshot"), targetsVersion: version("targets") }));

// make-repo.mjs DIR: writes repositories with @tufjs/models, one folder per step: DIR/<step>/{metadata,targets}.
// DIR/initial.json is the first root. Every step is what a server shows at one moment; tests point a web server at
// them one after the other.
import * as crypto from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { createRequire } from "node:module";

const require = createRequire(process.cwd() + "/");
const { Key, MetaFile, Metadata, Root, Signature, Snapshot, TargetFile, Targets, Timestamp } = require("@tufjs/models");
const { canonicalize } = require("@tufjs/canonical-json");

const day = 86400000;
const when = (days) => new Date(Date.now() + days * day).toISOString().slice(0, 19) + "Z";
const sha256 = (data) => crypto.createHash("sha256").update(data).digest("hex");

class Signer {
  constructor(type = "ecdsa") {
    if (type === "ecdsa") {
      this.pair = crypto.generateKeyPairSync("ec", { namedCurve: "P-256" });
      this.make("ecdsa", "ecdsa-sha2-nistp256", this.pem());
    } else if (type === "rsa") {
      this.pair = crypto.generateKeyPairSync("rsa", { modulusLength: 2048 });
      this.make("rsa", "rsassa-pss-sha256", this.pem());
    } else {
      this.pair = crypto.generateKeyPairSync("ed25519");
      this.make("ed25519", "ed25519", this.pair.publicKey.export({ type: "spki", format: "der" }).subarray(-32).toString("hex"));
    }
  }

  pem() {
    return this.pair.publicKey.export({ type: "spki", format: "pem" });
  }

  make(keyType, scheme, value) {
    const json = { keytype: keyType, scheme, keyval: { public: value } };
    this.key = new Key({ keyID: sha256(canonicalize(json)), keyType, scheme, keyVal: { public: value } });
  }

  sign = (data) => {
    const { keyType, keyID } = this.key;
    let sig;
    if (keyType === "ed25519") {
      sig = crypto.sign(null, data, this.pair.privateKey);
    } else if (keyType === "rsa") {
      sig = crypto.sign("sha256", data, {
        key: this.pair.privateKey, padding: crypto.constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 });
    } else {
      sig = crypto.sign("sha256", data, this.pair.privateKey);
    }
    return new Signature({ keyID, sig: sig.toString("hex") });
  };
}

class Repo {
  constructor(dir) {
    this.dir = dir;
    this.version = { root: 0, timestamp: 0, snapshot: 0, targets: 0, team: 0 };
    this.signers = { root: [new Signer("rsa"), new Signer()], timestamp: [new Signer()], snapshot: [new Signer("ed25519")],
      targets: [new Signer()], team: [new Signer(), new Signer("ed25519")] };
    this.metadata = {};
    this.contents = {};
    this.targets = {};
    this.teamTargets = {};
    this.life = 30;
  }

  common(role) {
    return { version: ++this.version[role], specVersion: "1.0.31", expires: when(this.life) };
  }

  write(name, role, signed, signers = this.signers[role]) {
    const md = new Metadata(signed);
    for (const s of signers) md.sign(s.sign);
    this.metadata[name] = Buffer.from(JSON.stringify(md.toJSON()));
    return this.metadata[name];
  }

  root() {
    const root = new Root({ ...this.common("root"), keys: {}, consistentSnapshot: true });
    for (const role of ["root", "timestamp", "snapshot", "targets"])
      for (const s of this.signers[role]) root.addKey(s.key, role);
    root.roles.root.threshold = 2;
    return this.write(`${this.version.root}.root.json`, "root", root);
  }

  file(name, content) {
    const data = Buffer.from(content);
    const hash = sha256(data);
    const slash = name.lastIndexOf("/") + 1;
    this.contents[`${name.slice(0, slash)}${hash}.${name.slice(slash)}`] = data;
    return new TargetFile({ path: name, length: data.length, hashes: { sha256: hash } });
  }

  add(name, content) {
    this.targets[name] = this.file(name, content);
  }

  addToTeam(name, content) {
    this.teamTargets[name] = this.file(name, content);
  }

  all() {
    const team = new Targets({ ...this.common("team"), targets: this.teamTargets });
    this.write(`${this.version.team}.team.json`, "team", team);
    const keys = Object.fromEntries(this.signers.team.map((s) => [s.key.keyID, s.key.toJSON()]));
    const roles = [{ name: "team", keyids: Object.keys(keys), threshold: 2, terminating: true, paths: ["team/*"] }];
    const plain = new Targets({ ...this.common("targets"), targets: this.targets }).toJSON();
    const targets = Targets.fromJSON({ ...plain, delegations: { keys, roles } });
    const bytes = this.write(`${this.version.targets}.targets.json`, "targets", targets);
    this.snapshot({
      "targets.json": new MetaFile({ version: this.version.targets, length: bytes.length, hashes: { sha256: sha256(bytes) } }),
      "team.json": new MetaFile({ version: this.version.team }) });
  }

  snapshot(meta) {
    const snapshot = new Snapshot({ ...this.common("snapshot"), meta });
    this.meta = meta;
    this.timestamp(this.write(`${this.version.snapshot}.snapshot.json`, "snapshot", snapshot));
  }

  timestamp(bytes, version = this.version.snapshot) {
    const snapshotMeta = new MetaFile({ version, length: bytes.length, hashes: { sha256: sha256(bytes) } });
    this.write("timestamp.json", "timestamp", new Timestamp({ ...this.common("timestamp"), snapshotMeta }));
  }

  save(step, change = (files) => files) {
    const files = change({ ...Object.fromEntries(Object.entries(this.metadata).map(([k, v]) => ["metadata/" + k, v])),
      ...Object.fromEntries(Object.entries(this.contents).map(([k, v]) => ["targets/" + k, v])) });
    for (const [name, data] of Object.entries(files)) {
      const full = path.join(this.dir, step, name);
      fs.mkdirSync(path.dirname(full), { recursive: true });
      fs.writeFileSync(full, data);
    }
  }
}

const dir = process.argv[2];
const repo = new Repo(dir);
fs.mkdirSync(dir, { recursive: true });
fs.writeFileSync(path.join(dir, "initial.json"), repo.root());
repo.add("set/data.hdb", "one\n");
repo.addToTeam("team/notes", "by the team\n");
repo.all();
repo.save("first");
const old = { timestamp: repo.metadata["timestamp.json"], snapshot: repo.metadata["1.snapshot.json"] };

// an update, with all of root's own keys changed and a file of the team
const before = repo.signers.root;
repo.signers.root = [new Signer("ed25519"), new Signer("rsa")];
const root2 = JSON.parse(repo.root());
for (const s of before) {
  const md = Metadata.fromJSON("root", root2);
  md.sign(s.sign);
  root2.signatures = md.toJSON().signatures;
}
repo.metadata["2.root.json"] = Buffer.from(JSON.stringify(root2));
repo.add("set/data.hdb", "one\ntwo\n");
repo.addToTeam("team/more", "more\n");
repo.all();
repo.save("second");

const only = (name, data) => (files) => ({ ...files, [name]: data });
repo.save("rollback", only("metadata/timestamp.json", old.timestamp));
repo.save("wrong-hash", only("metadata/2.targets.json", Buffer.from(repo.metadata["2.targets.json"].toString().replace("one", "ONE").replace(/.$/, " "))));
repo.save("wrong-length", only("metadata/2.targets.json", Buffer.concat([repo.metadata["2.targets.json"], Buffer.from("\n")])));
repo.save("mix-and-match", only("metadata/2.snapshot.json", old.snapshot));
repo.save("portal", only("metadata/3.root.json", Buffer.from("<html>sign in</html>")));
repo.save("brackets", only("metadata/3.root.json", Buffer.from("[".repeat(200000))));
repo.save("target-bytes", (files) => Object.fromEntries(Object.entries(files).map(([k, v]) =>
  [k, k.startsWith("targets/") ? Buffer.from(v.toString().toUpperCase()) : v])));
const confused = Metadata.fromJSON("timestamp", JSON.parse(repo.metadata["timestamp.json"]));
confused.signed.version += 1;
confused.sign(repo.signers.snapshot[0].sign, false);
repo.save("key-confusion", only("metadata/timestamp.json", Buffer.from(JSON.stringify(confused.toJSON()))));
const twice = repo.metadata["timestamp.json"].toString().replace('"version":', '"version":1,"version":');
repo.save("duplicate-member", only("metadata/timestamp.json", Buffer.from(twice)));

// frozen: everything is in order but a day too old
repo.life = -1;
repo.all();
repo.save("frozen");
repo.life = 30;
repo.all();
repo.save("third");

"""A feed made without our own publisher: TUF metadata signed with python3-cryptography, deltas and
compressed copies by the written formats. For tests that need a repository to be wrong on purpose."""
import hashlib
import json
import pathlib
import subprocess
import tempfile
import time

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

ROLES = ("root", "targets", "snapshot", "timestamp")


def sha(data):
    return hashlib.sha256(data).hexdigest()


def canonical(tree):
    """OLPC form: json's sorting and separators, but line ends stand as they are. No quotes in ours."""
    text = json.dumps(tree, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.replace("\\n", "\n").encode()


def zstd(data, level=9):
    return subprocess.run(["zstd", f"-{level}", "-c", "--no-check"], input=data, check=True,
                          capture_output=True).stdout


def zstd_with_prefix(data, prefix, level=9):
    if not prefix:
        return zstd(data, level)
    with tempfile.TemporaryDirectory() as d:
        (pathlib.Path(d) / "prefix").write_bytes(prefix)
        (pathlib.Path(d) / "data").write_bytes(data)
        return subprocess.run(["zstd", f"-{level}", "-c", "--no-check", "-q", "--patch-from=prefix",
                               "data"], cwd=d, check=True, capture_output=True).stdout


class Key:
    def __init__(self):
        self.private = ec.generate_private_key(ec.SECP256R1())
        pem = self.private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
        self.public = {"keytype": "ecdsa", "scheme": "ecdsa-sha2-nistp256", "keyval": {"public": pem}}
        self.id = sha(canonical(self.public))

    def sign(self, body):
        sig = self.private.sign(canonical(body), ec.ECDSA(hashes.SHA256()))
        return {"keyid": self.id, "sig": sig.hex()}


def varint(n):
    out = bytearray()
    while True:
        out.append(n & 0x7F | (0x80 if n > 0x7F else 0))
        n >>= 7
        if not n:
            return bytes(out)


def delta(old, new):
    """ATD1 (common/update/delta-format.md): the common beginning and end are copied."""
    p = 0
    while p < min(len(old), len(new)) and old[p] == new[p]:
        p += 1
    s = 0
    while s < min(len(old), len(new)) - p and old[-1 - s] == new[-1 - s]:
        s += 1
    middle = new[p:len(new) - s]
    records = []             # insert, copy, skip
    if p:
        records.append((0, p, 0))
    if middle or s:
        records.append((len(middle), s, 2 * (len(old) - s - p)))
    control = b"ATD1" + varint(0) + varint(len(old)) + varint(len(new)) + varint(0)
    control += varint(len(records))
    control += b"".join(varint(r[0]) for r in records) + b"".join(varint(r[1]) for r in records)
    control += b"".join(varint(r[2]) for r in records if r[1])
    if not middle:
        return zstd(control)
    skipped = min(records[-1][2] // 2, 4096) if s else 0
    return zstd(control) + zstd_with_prefix(middle, old[p:p + skipped])


def pack(files):
    """The strict ustar subset of common/update/pack.h; names up to 100 bytes."""
    out = b""
    for name in sorted(files):
        data = files[name]
        head = name.encode().ljust(100, b"\0") + b"0000644\0" + b"0000000\0" * 2
        head += b"%011o\0" % len(data) + b"0" * 11 + b"\0" + b" " * 8 + b"0" + b"\0" * 100
        head += b"ustar\00000" + b"\0" * 64 + b"0000000\0" * 2
        head = head.ljust(512, b"\0")
        head = head[:148] + b"%06o\0 " % sum(head) + head[156:]
        out += head + data + b"\0" * (-len(data) % 512)
    return out + b"\0" * 1024


class Feed:
    """folder/<metadata,targets>: what a mirror serves. publish() makes the next version."""

    def __init__(self, folder, days=30):
        self.folder = pathlib.Path(folder)
        self.days = days
        self.keys = {r: Key() for r in ROLES}
        self.versions = dict.fromkeys(ROLES, 0)
        self.files = {}          # name -> bytes of the newest version
        self.custom = {}
        self.helpers = {}        # delta/ and full/ targets: name -> (bytes, custom)
        (self.folder / "metadata").mkdir(parents=True)
        (self.folder / "targets").mkdir()
        self.root()

    # -- documents
    def document(self, role, body, keys=None):
        body = {"_type": role, "spec_version": "1.0.31", "version": self.versions[role],
                "expires": self.expires(role), **body}
        sigs = [k.sign(body) for k in (keys or [self.keys[role]])]
        return json.dumps({"signed": body, "signatures": sigs}).encode()

    def expires(self, role):
        days = 365 if role == "root" else self.days
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + days * 86400))

    def write(self, name, data):
        path = self.folder / "metadata" / name
        tmp = path.with_name("." + name + ".new")
        tmp.write_bytes(data)
        tmp.rename(path)
        return data

    def root(self, old=None):
        self.versions["root"] += 1
        signers = [self.keys["root"]] + ([old] if old else [])
        keys = {k.id: k.public for k in self.keys.values()}
        roles = {r: {"keyids": [self.keys[r].id], "threshold": 1} for r in ROLES}
        data = self.document("root", {"consistent_snapshot": True, "keys": keys, "roles": roles},
                             signers)
        return self.write(f"{self.versions['root']}.root.json", data)

    def rotate(self, role):
        old, self.keys[role] = self.keys[role], Key()
        return self.root(old if role == "root" else None)

    @property
    def root_file(self):
        return self.folder / "metadata" / "1.root.json"

    # -- targets
    def put_target(self, name, data):
        path = self.folder / "targets" / name
        path = path.with_name(f"{sha(data)}.{path.name}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    def path_of(self, name):
        data = self.files[name] if name in self.files else self.helpers[name][0]
        path = self.folder / "targets" / name
        return path.with_name(f"{sha(data)}.{path.name}")

    def publish(self, files, deltas=True, full=False, packs=(), edit=None):
        """files: name -> bytes, the whole set. edit(targets) may spoil the targets before signing."""
        for name, data in files.items():
            custom = {"pack": True} if name in packs else {}
            old = self.files.get(name)
            if deltas and old is not None and old != data:
                d = f"delta/{name}.{sha(data)}.d"
                self.helpers[d] = (delta(old, data), {"from": sha(old), "to": sha(data)})
                custom["delta"] = {"from": sha(old), "path": d}
            if full and old != data:
                z = f"full/{name}.{sha(data)}.zst"
                self.helpers[z] = (zstd(data), {})
                custom["full"] = z
            if old != data:
                self.custom[name] = custom
        self.files = dict(files)
        every = {n: (d, self.custom.get(n, {})) for n, d in self.files.items()}
        every.update(self.helpers)
        targets = {}
        for name, (data, custom) in every.items():
            self.put_target(name, data)
            targets[name] = {"length": len(data), "hashes": {"sha256": sha(data)}}
            if custom:
                targets[name]["custom"] = {"atalaia": custom}
        if edit:
            edit(targets)
        self.versions["targets"] += 1
        t = self.document("targets", {"targets": targets})
        self.write(f"{self.versions['targets']}.targets.json", t)
        self.snapshot()
        return self.versions["targets"]

    def snapshot(self):
        self.versions["snapshot"] += 1
        meta = {"targets.json": {"version": self.versions["targets"]}}
        s = self.document("snapshot", {"meta": meta})
        self.write(f"{self.versions['snapshot']}.snapshot.json", s)
        self.timestamp()

    def timestamp(self):
        self.versions["timestamp"] += 1
        name = f"{self.versions['snapshot']}.snapshot.json"
        s = (self.folder / "metadata" / name).read_bytes()
        meta = {"snapshot.json": {"version": self.versions["snapshot"], "length": len(s),
                                  "hashes": {"sha256": sha(s)}}}
        return self.write("timestamp.json", self.document("timestamp", {"meta": meta}))

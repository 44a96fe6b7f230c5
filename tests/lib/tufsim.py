"""A TUF repository in memory and a web server for it: tests change dictionaries and publish.

Nothing here shares code with the client under test: keys are python3-cryptography's, canonical JSON and
the order of publication are written from the specification."""
import copy
import datetime
import hashlib
import http.server
import json
import os
import subprocess
import threading
import urllib.parse

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

TOP = ("root", "timestamp", "snapshot", "targets")
FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"


def canonical(value):
    if isinstance(value, dict):
        return "{" + ",".join(canonical(k) + ":" + canonical(value[k]) for k in sorted(value)) + "}"
    if isinstance(value, list):
        return "[" + ",".join(canonical(v) for v in value) + "]"
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, int):
        return str(value)
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def pem(public):
    return public.public_bytes(serialization.Encoding.PEM,
                               serialization.PublicFormat.SubjectPublicKeyInfo).decode()


class Signer:
    """A private key of one of the three schemes, with its TUF public form."""

    def __init__(self, scheme="ecdsa-sha2-nistp256", keytype=None):
        self.scheme = scheme
        if scheme == "ed25519":
            self.private = ed25519.Ed25519PrivateKey.generate()
            public = self.private.public_key().public_bytes(
                serialization.Encoding.Raw, serialization.PublicFormat.Raw).hex()
        elif scheme.startswith("rsa"):
            self.private = rsa.generate_private_key(65537, 2048)
            public = pem(self.private.public_key())
        else:
            self.private = ec.generate_private_key(ec.SECP256R1())
            public = pem(self.private.public_key())
        default = {"ed25519": "ed25519", "rsassa-pss-sha256": "rsa", "rsa-pkcs1v15-sha256": "rsa"}
        self.key = {"keytype": keytype or default.get(scheme, "ecdsa"), "scheme": scheme,
                    "keyval": {"public": public}}
        self.keyid = sha256(canonical(self.key).encode())

    def sign(self, data):
        if self.scheme == "ed25519":
            return self.private.sign(data).hex()
        if self.scheme == "rsassa-pss-sha256":
            return self.private.sign(data, padding.PSS(padding.MGF1(hashes.SHA256()), 32),
                                     hashes.SHA256()).hex()
        if self.scheme == "rsa-pkcs1v15-sha256":
            return self.private.sign(data, padding.PKCS1v15(), hashes.SHA256()).hex()
        return self.private.sign(data, ec.ECDSA(hashes.SHA256())).hex()


def when(days):
    t = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=days)
    return t.strftime("%Y-%m-%dT%H:%M:%SZ")


def envelope(signed, signers):
    data = canonical(signed).encode()
    return {"signatures": [{"keyid": s.keyid, "sig": s.sign(data)} for s in signers], "signed": signed}


class Repo:
    """`signed[role]` is the dictionary that the next publish(role) signs with `signers[role]`."""

    def __init__(self, consistent=True, scheme="ecdsa-sha2-nistp256", hashes=False):
        self.hashes = hashes
        self.signed, self.signers, self.published, self.history = {}, {}, {}, {}
        self.files = {}      # path below the server -> bytes; "metadata/timestamp.json"
        self.override = {}   # path -> bytes, HTTP status, or function(handler)
        self.requests = []
        self.lock = threading.Lock()
        common = {"spec_version": "1.0.31", "expires": when(30)}
        self.signed["root"] = {"_type": "root", "version": 0, "consistent_snapshot": consistent,
                               "keys": {}, "roles": {}, **common}
        self.signed["targets"] = {"_type": "targets", "version": 0, "targets": {}, **common}
        self.signed["snapshot"] = {"_type": "snapshot", "version": 0, "meta": {}, **common}
        self.signed["timestamp"] = {"_type": "timestamp", "version": 0, "meta": {}, **common}
        for role in TOP:
            self.set_keys(role, [Signer(scheme)])
        self.publish("root", "targets", "snapshot", "timestamp")

    @property
    def consistent(self):
        return self.signed["root"]["consistent_snapshot"]

    def set_keys(self, role, signers, threshold=1):
        """Root names these keys for a top-level role, and they sign it from now on."""
        root = self.signed["root"]
        for s in signers:
            root["keys"][s.keyid] = s.key
        root["roles"][role] = {"keyids": [s.keyid for s in signers], "threshold": threshold}
        self.signers[role] = list(signers)

    def delegate(self, name, by="targets", paths=("*",), signers=None, threshold=1, terminating=False,
                 prefixes=None):
        signers = signers or self.signers.get(name) or [Signer()]
        d = self.signed[by].setdefault("delegations", {"keys": {}, "roles": []})
        for s in signers:
            d["keys"][s.keyid] = s.key
        role = {"name": name, "keyids": [s.keyid for s in signers], "threshold": threshold,
                "terminating": terminating}
        role.update({"path_hash_prefixes": list(prefixes)} if prefixes else {"paths": list(paths)})
        d["roles"].append(role)
        self.signers[name] = list(signers)
        if name not in self.signed:
            self.signed[name] = {"_type": "targets", "version": 0, "spec_version": "1.0.31",
                                 "expires": when(30), "targets": {}}
        return role

    def add(self, path, content, role="targets", custom=None):
        entry = {"length": len(content), "hashes": {"sha256": sha256(content)}}
        if custom is not None:
            entry["custom"] = custom
        self.signed[role]["targets"][path] = entry
        head, slash, tail = path.rpartition("/")
        name = f"{head}{slash}{sha256(content)}.{tail}" if self.consistent else path
        self.files["targets/" + urllib.parse.quote(name)] = content

    def file_name(self, role, version=None):
        name = urllib.parse.quote(role, "") + ".json"
        if role == "root" or (self.consistent and role != "timestamp"):
            name = f"{version or self.signed[role]['version']}.{name}"
        return "metadata/" + name

    def meta(self, role):
        m = {"version": self.signed[role]["version"]}
        if self.hashes:
            data = self.published[role]
            m.update(length=len(data), hashes={"sha256": sha256(data)})
        return m

    def put(self, role, document):
        """Serves a document as it is: dictionary or bytes."""
        data = document if isinstance(document, bytes) else json.dumps(document, indent=1).encode()
        self.published[role] = data
        self.history.setdefault(role, []).append(data)
        self.files[self.file_name(role)] = data
        if role not in ("root", "snapshot", "timestamp"):
            self.signed["snapshot"]["meta"][role + ".json"] = self.meta(role)
        if role == "snapshot":
            self.signed["timestamp"]["meta"]["snapshot.json"] = self.meta("snapshot")

    def publish(self, *roles, bump=True):
        for role in roles:
            if bump:
                self.signed[role]["version"] += 1
            self.put(role, envelope(copy.deepcopy(self.signed[role]), self.signers[role]))

    def publish_all(self, *more):
        self.publish(*more, "targets", "snapshot", "timestamp")

    def rotate(self, role, scheme="ecdsa-sha2-nistp256"):
        self.set_keys(role, [Signer(scheme)])

    def asked(self):
        """Metadata files that were asked for since the last call."""
        with self.lock:
            names = [r[len("metadata/"):] for r in self.requests if r.startswith("metadata/")]
            self.requests.clear()
        return names


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are two writes: 40 ms each otherwise

    def do_GET(self):
        repo, path = self.server.repo, self.path.lstrip("/")
        with repo.lock:
            repo.requests.append(path)
        answer = repo.override.get(path, repo.files.get(path, 404))
        if callable(answer):
            answer(self)
            return
        if isinstance(answer, int):
            self.send_error(answer)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


class Server:
    """Serves one repository on a free loopback port."""

    def __init__(self, repo):
        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.http.repo = repo
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()

    def close(self):
        self.http.shutdown()
        self.http.server_close()


class FolderServer:
    """Serves the files of a folder; `folder` may be changed while it runs."""

    def __init__(self, folder):
        self.folder = str(folder)
        outer = self

        class FolderHandler(http.server.SimpleHTTPRequestHandler):
            disable_nagle_algorithm = True

            def translate_path(self, path):
                return os.path.join(outer.folder, urllib.parse.unquote(path).lstrip("/"))

            def log_message(self, *_):
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), FolderHandler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()

    def close(self):
        self.http.shutdown()
        self.http.server_close()


class Client:
    """tuf-client with its folders."""

    def __init__(self, program, folder, url):
        self.program, self.url = str(program), url
        self.dir, self.out = os.path.join(folder, "metadata"), os.path.join(folder, "targets")
        self.root_file = os.path.join(folder, "initial.json")
        self.stderr = ""

    def run(self, *argv, days=0, metadata_dir=None):
        # Not by the program faketime: its semaphore has the name of its PID, and one that was killed leaves it.
        env = {**os.environ, "LD_PRELOAD": FAKETIME, "FAKETIME": f"{days:+d}d"} if days else None
        cmd = [self.program, "--metadata-dir", metadata_dir or self.dir, *argv]
        r = subprocess.run(cmd, capture_output=True, text=True, timeout=60, env=env)
        self.stderr = r.stderr
        assert r.returncode in (0, 1), r
        return r.returncode == 0

    def init(self, root):
        with open(self.root_file, "wb") as f:
            f.write(root)
        return self.run("init", self.root_file)

    def refresh(self, days=0):
        return self.run("--metadata-url", self.url + "/metadata/", "refresh", days=days)

    def download(self, *paths, days=0):
        names = [a for p in paths for a in ("--target-name", p)]
        return self.run("--metadata-url", self.url + "/metadata", *names, "--target-dir", self.out,
                        "--target-base-url", self.url + "/targets", "download", days=days)

    def bytes(self, role):
        try:
            with open(os.path.join(self.dir, urllib.parse.quote(role, "") + ".json"), "rb") as f:
                return f.read()
        except FileNotFoundError:
            return None

    def version(self, role):
        data = self.bytes(role)
        return json.loads(data)["signed"]["version"] if data else None

    def versions(self):
        return tuple(self.version(r) for r in TOP)

    def json_files(self):
        return sorted(f for f in os.listdir(self.dir) if f.endswith(".json"))

    def target(self, path):
        try:
            with open(os.path.join(self.out, urllib.parse.quote(path, "")), "rb") as f:
                return f.read()
        except FileNotFoundError:
            return None

    def target_files(self):
        return sorted(os.listdir(self.out)) if os.path.isdir(self.out) else []

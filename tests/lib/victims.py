"""What the torture tortures. Each victim has a folder `live`, an argv that changes it, and check(status): "" or
what is broken; check also lets a clean run heal and looks whether it did."""
import json
import os
import pathlib
import shutil
import subprocess
import sys

import feedmaker
import fetcher
import liars
import world

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "integration"))
from test_fetch_mirror import served, variant, verify_tree  # noqa: E402

HOST = "127.0.90.2"


def copy(a, b):
    """The content of folder a in place of that of folder b, which may be a mount point."""
    b.mkdir(exist_ok=True)
    for old in b.iterdir():
        if old.name != "lost+found":
            shutil.rmtree(old) if old.is_dir() and not old.is_symlink() else old.unlink()
    subprocess.run(["cp", "-a", f"{a}/.", b], check=True)


class Victim:
    change_only = True                         # nthcall.py
    kill_under = False
    start_file = None
    repeat = 1
    only = ""                                  # of the calls those that name this

    def __init__(self, bin_dir, base):
        self.bin, self.base = bin_dir, base
        self.template, self.live = base / "template", base / "live"
        self.template.mkdir(parents=True)
        self.kw = {}
        self.make()

    def prepare(self):
        copy(self.template, self.live)

    def under(self):
        return [self.live]

    def run(self, wrap=(), env=None, seconds=60):
        """One life of the program; its exit status."""
        kw = {k: x() if callable(x) else x for k, x in self.kw.items()}
        return subprocess.run([*map(str, wrap), *map(str, self.argv)], env={**os.environ, **(env or {})},
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=seconds,
                              check=False, **kw).returncode

    def close(self):
        pass

    def end(self):
        """After a life that hung."""

    def status_ok(self, status):
        """False success is looked for by check; a crash is never right (137 and -9: we killed it)."""
        return status not in (-11, -6, -7, 139, 134, 135)


class _Fetch(Victim):
    """atalaia-fetch reads its configuration from a pipe that stays open."""

    def make(self):
        self.feed = feedmaker.Feed(self.base / "pub" / "signatures")
        self.feed.publish(variant(0))
        self.server = liars.Http(self.feed.folder.parent, HOST)
        self.server.__enter__()
        self.held = []
        self.named = fetcher.sources(("m", self.server))
        self.before()
        self.feed.publish(variant(1))
        self.argv = [self.bin / "atalaia-fetch"]
        self.kw = {"stdin": self.pipe}

    def pipe(self):
        for fd in self.held:
            os.close(fd)
        r, w = os.pipe()
        os.write(w, json.dumps({"type": "config", **self.config}).encode() + b"\n")
        self.held = [r, w]
        return r

    def close(self):
        if hasattr(self, "server"):
            self.server.__exit__(None, None, None)


class SetUpdate(_Fetch):
    name = "set update"

    def before(self):
        r = fetcher.run(fetcher.set_config(self.template, self.feed.root_file, self.named))
        fetcher.activate(self.template, r["version"])
        self.config = fetcher.set_config(self.live, self.feed.root_file, self.named, current=1)

    def whole(self, version):
        folder = self.live / "sets" / str(version)
        return all((folder / n).exists() and (folder / n).read_bytes() == d
                   for n, d in variant(version - 1).items())

    def check(self, status):
        if os.readlink(self.live / "current") != "sets/1" or not self.whole(1):
            return "the set in force is damaged"
        if (self.live / "sets" / "2").exists() and not self.whole(2):
            return "a torn set stands under its final name"
        r = fetcher.run(self.config)
        if r["outcome"] not in ("updated", "current") or not self.whole(2):
            return f"the next run did not heal: {r['outcome']} {r['errors'][-1:]}"
        return ""


class MirrorSync(_Fetch):
    name = "mirror sync"

    def before(self):
        fetcher.run(fetcher.mirror_config(self.template, self.feed.root_file, self.named))
        self.config = fetcher.mirror_config(self.live, self.feed.root_file, self.named, current=1)

    def check(self, status):
        try:
            before = verify_tree(served(self.live))
            r = fetcher.run(self.config)
            after = verify_tree(served(self.live))
        except (AssertionError, OSError, ValueError, KeyError) as e:
            return f"a reader finds no whole repository: {e!r}"[:200]
        if before not in (1, 2):
            return f"version {before} is served"
        if r["outcome"] not in ("updated", "current") or after != 2:
            return f"the next run did not heal: {r['outcome']} {r['errors'][-1:]}"
        return ""


class Publish(Victim):
    name = "publish"

    def repo(self, *argv):
        return world.run([self.bin / "atalaia-repo", *argv])

    def make(self):
        for n in (0, 1):
            (self.base / f"set{n}").mkdir()
            for name, data in variant(n).items():
                (self.base / f"set{n}" / name).write_bytes(data)
        r = self.template / "r"
        for argv in (("init", r, "--feed", "signatures"),
                     ("publish", r, self.base / "set0", "--out", self.template / "out")):
            done = self.repo(*argv)
            assert done.returncode == 0, done.stderr
        self.argv = [self.bin / "atalaia-repo", "publish", self.live / "r", self.base / "set1", "--out",
                     self.live / "out"]

    def verify(self):
        done = self.repo("verify", self.live / "out" / "signatures")
        return "" if done.returncode == 0 else done.stderr.strip()[:200]

    def check(self, status):
        broken = self.verify()
        if broken:
            return f"what is published is broken: {broken}"
        done = world.run(self.argv)
        if done.returncode != 0:
            return f"the next publish failed: {done.stderr.strip()[:200]}"
        broken = self.verify()
        if broken:
            return f"not healed: {broken}"
        want = {feedmaker.sha(d) for d in variant(1).values()}
        have = {p.name.split(".")[0] for p in (self.live / "out/signatures/targets").rglob("*")}
        return "" if want <= have else "the new files are not published"


class Spool(Victim):
    name = "spool append and drain"
    more = ()

    def make(self):
        self.program = self.bin / "tests/torture/spoolwork"
        self.promises = self.base / "promises"
        self.argv = [self.program, "run", self.live, self.promises, *self.more]

    def prepare(self):
        super().prepare()
        self.promises.unlink(missing_ok=True)

    def promised(self, log_size=None):
        if not self.promises.exists():
            return 0
        rows = [x.split() for x in self.promises.read_text().splitlines() if x.count(" ") == 1]
        return max((int(n) for n, at in rows if log_size is None or int(at) <= log_size), default=0)

    def check(self, status, log_size=None):
        done = world.run([self.program, "check", self.live])
        if done.returncode != 0:
            return done.stdout.strip() + done.stderr.strip()
        first, last, count = map(int, done.stdout.split())
        if last < self.promised(log_size):
            return f"{self.promised(log_size)} events were promised, the last one there is {last}"
        return "" if count == 0 or count == last - first + 1 else f"gaps: {first} {last} {count}"


class CarelessSpool(Spool):
    name = "careless spool"
    more = ("careless",)


class Enrolment(Victim):
    name = "enrolment"

    def make(self):
        from consoleclient import Console
        os.environ["ATALAIA_BIN"] = str(self.bin)
        self.console = Console(self.base / "console", address="127.0.90.3").start()
        self.word = self.console.token("--uses", "100000").word
        (self.template / "state").mkdir()
        self.conf = self.base / "agent.conf"
        self.conf.write_text(f"[agent]\nstate = {self.live}/state\nrun = {self.live}/run\n"
                             "listen = 127.0.90.4\ntask_port = 0\nevent_port = 0\n")
        self.argv = [self.bin / "atalaia-agent", "enroll", "--config", self.conf, self.word]

    def identity(self):
        """"": none; else the agent's id when certificate and key belong together."""
        from cryptography import x509
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
        folder = self.live / "state/identity"
        if not (folder / "identity.json").exists():
            return ""
        key = load_pem_private_key((folder / "key.pem").read_bytes(), None)
        cert = x509.load_pem_x509_certificate((folder / "cert.pem").read_bytes())
        assert cert.public_key().public_numbers() == key.public_key().public_numbers(), "key and certificate differ"
        return json.loads((folder / "identity.json").read_text())["agent"]

    def check(self, status):
        try:
            before = self.identity()
            if status == 0 and not before:
                return "success was told without an identity"
            done = world.run(self.argv)
            after = self.identity()
        except (AssertionError, OSError, ValueError, KeyError) as e:
            return f"the identity is torn: {e!r}"[:200]
        if not after:
            return f"enrolling again failed: {done.stderr.strip()[-200:]}"
        return "" if not before or before == after else "the identity changed"

    def close(self):
        if hasattr(self, "console"):
            self.console.stop()


WRITE_OVER = """
import os, shutil, sys
new, live, *names = sys.argv[1:]
for name in names:
    a, b = os.path.join(new, name), os.path.join(live, name)
    os.makedirs(os.path.dirname(b), exist_ok=True)
    if os.path.isdir(a):
        shutil.copytree(a, b, dirs_exist_ok=True)
    else:
        shutil.copyfile(a, b)
"""


def careless(cls, *names):
    """The same victim, done by a program that copies over what is there, in the worst order and without a second
    name: the sweep must find it broken."""
    class Careless(cls):
        name = f"careless {cls.name}"
        kill_under = True

        def make(self):
            super().make()
            self.prepare()
            assert self.run() == 0, "the careful one failed"
            new = self.base / "new"
            subprocess.run(["cp", "-a", self.live, new], check=True)
            self.good = self.argv
            self.bad = [sys.executable, "-S", "-c", WRITE_OVER, new, self.live, *names]
            self.argv = self.bad

        def check(self, status):
            self.argv = self.good
            try:
                return super().check(status)
            finally:
                self.argv = self.bad

    return Careless


CARELESS = [careless(SetUpdate, "sets/2"),
            careless(MirrorSync, "root/signatures/metadata/timestamp.json", "root/signatures"),
            careless(Publish, "out/signatures/metadata/timestamp.json", "out/signatures"),
            careless(Enrolment, "state/identity/identity.json", "state/identity"),
            CarelessSpool]

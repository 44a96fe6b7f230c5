#!/usr/bin/python3
"""load.py BIN [--short]: 300 FTP readers, 300 HTTP readers and 5,000 long-polls on one update agent for 60 s, while
a sync publishes five versions into what it serves. No error, no torn read, memory bounded and given back.
--short: a tenth of it, for `make test`. --careless: copies timestamp.json first, which the readers must see.
CROWD names the compiled loadcrowd when it is not beside the programs."""
import json
import os
import pathlib
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests/lib"))

import feedmaker  # noqa: E402
import liars  # noqa: E402
import world  # noqa: E402

VERSIONS = 5
KB = 1024
# What a session or a waiter may cost, and what may stay when all are gone: caches of the allocator.
READER_MOST, WAITER_MOST, KEPT_MOST = 256 * KB, 8 * KB, 3072 * KB


def files(n):
    """A set of 1.2 MB; a part of each file is another one every day."""
    rng = random.Random(1)
    lines = [b"%032x:%d:Load.%d\n" % (rng.getrandbits(128), i, i) for i in range(20_000)]
    for day in range(n):
        lines[day * 997 % len(lines)] = b"changed on day %d\n" % day
    return {f"part{k}.hdb": b"".join(lines[k::4]) for k in range(4)}


class Memory:
    """Resident bytes of a process, and the most that was seen."""

    def __init__(self, pid):
        self.pid = pid
        self.most = self.before = self.now()

    def now(self):
        with open(f"/proc/{self.pid}/status", encoding="ascii") as f:
            return int(next(x for x in f if x.startswith("VmRSS")).split()[1]) * KB

    def look(self):
        self.most = max(self.most, self.now())


class Load:
    careless = False

    def __init__(self, bin_dir, base, short):
        import fetcher
        from mirror import Mirror
        self.fetcher, self.base = fetcher, base
        self.readers, self.waiters, self.seconds = (30, 500, 6) if short else (300, 5000, 60)
        self.feed = feedmaker.Feed(base / "pub" / "signatures")
        self.feed.publish(files(0))
        self.upstream = liars.Http(self.feed.folder.parent, "127.0.91.2")
        self.upstream.__enter__()
        self.synced()
        self.procs = world.Procs()
        cap = 2 * self.readers + self.waiters
        self.mirror = Mirror(self.procs, bin_dir, base, address="127.0.91.3", max_sessions=cap,
                             max_sessions_per_address=cap, waiters_per_address=cap, log="error")
        self.crowd = os.environ.get("CROWD", bin_dir / "tests/torture/loadcrowd")

    def synced(self):
        """What the update agent's own sync does: verify, stage, publish by renames."""
        if self.careless:
            shutil.copy(self.feed.folder / "metadata/timestamp.json", self.mirror.root / "signatures/metadata")
            time.sleep(0.3)
        config = self.fetcher.mirror_config(self.base, self.feed.root_file,
                                            self.fetcher.sources(("up", self.upstream)))
        r = self.fetcher.run(config, seconds=60)
        assert r["outcome"] == "updated", r["errors"]
        return r["version"]

    def run(self):
        m = self.mirror
        world.wait_for(lambda: "signatures" in subprocess.run(
            ["curl", "-s", f"http://{m.address}:{m.version}/v1/feeds"], capture_output=True, text=True,
            check=False).stdout, 10, "the feed")
        memory, began = Memory(m.proc.process.pid), time.monotonic()
        crowd = subprocess.Popen([str(x) for x in (
            self.crowd, m.address, m.ftp, m.http, m.version, "signatures", self.readers, self.readers,
            self.waiters)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for n in range(1, VERSIONS + 1):
            while time.monotonic() - began < n * self.seconds * 0.8 / VERSIONS - self.seconds * 0.1:
                memory.look()
                time.sleep(0.1)
            self.feed.publish(files(n))
            version = self.synced()
        while time.monotonic() - began < self.seconds:
            memory.look()
            time.sleep(0.1)
        newest = json.loads((m.root / "signatures/metadata/timestamp.json").read_text())["signed"]["version"]
        crowd.stdin.write(f"{newest}\n")
        crowd.stdin.flush()
        while crowd.poll() is None:
            memory.look()
            time.sleep(0.1)
        said = json.loads(crowd.stdout.read())
        kept = self.settled(memory)
        return said, memory, kept, version

    def settled(self, memory):
        """Given back: as soon as the crowd's last connection has ended."""
        try:
            world.wait_for(lambda: memory.now() <= memory.before + KEPT_MOST, 15, "memory given back")
        except AssertionError:
            pass
        return memory.now()

    def close(self):
        status = self.mirror.proc.stop()
        self.procs.__exit__(None, None, None)
        self.upstream.__exit__(None, None, None)
        return status

    def complaints(self, said, memory, kept, version):
        bound = memory.before + 2 * self.readers * READER_MOST + self.waiters * WAITER_MOST
        newest = json.loads((self.mirror.root / "signatures/metadata/timestamp.json").read_text())
        if said["errors"]:
            yield f"{said['errors']} errors; the first: {said['first']}"
        if min(said["ftp_rounds"], said["http_rounds"]) < 2 * self.readers:
            yield "the readers hardly read anything"
        if said["newest"] != newest["signed"]["version"] or said["answers"] < self.waiters * 2:
            yield f"the long-polls heard {said['answers']} answers, up to version {said['newest']}"
        if version != VERSIONS + 1:
            yield f"version {version} was published last"
        if memory.most > bound:
            yield f"{memory.most // KB} KiB of memory, over {bound // KB}"
        if kept > memory.before + KEPT_MOST:
            yield f"{kept // KB} KiB stayed in memory, {memory.before // KB} were there before"


def main():
    if len(sys.argv) < 2:
        print("usage: load.py FOLDER_WITH_PROGRAMS [--short]", file=sys.stderr)
        return 2
    bin_dir = pathlib.Path(sys.argv[1]).resolve()
    os.environ["ATALAIA_BIN"] = str(bin_dir)
    os.environ.setdefault("ATALAIA_LOG", "error")
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    base = pathlib.Path(tempfile.mkdtemp(prefix="atalaia-load-"))
    load = None
    try:
        load = Load(bin_dir, base, "--short" in sys.argv)
        load.careless = "--careless" in sys.argv
        said, memory, kept, version = load.run()
        wrong = list(load.complaints(said, memory, kept, version))
    finally:
        status = load.close() if load else 0
        shutil.rmtree(base, ignore_errors=True)
    if status != 0:
        wrong.append(f"the update agent ended with {status}")
    print(f"load: {load.readers} FTP and {load.readers} HTTP readers, {load.waiters} long-polls, {load.seconds} s, "
          f"{VERSIONS} versions: {said['ftp_rounds']} + {said['http_rounds']} rounds of four files, "
          f"{said['bytes'] / 1e6:.0f} MB, {said['answers']} answers; memory {memory.before // KB} -> "
          f"{memory.most // KB} -> {kept // KB} KiB; {said['errors']} errors")
    for w in wrong:
        print("load: WRONG: " + w)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

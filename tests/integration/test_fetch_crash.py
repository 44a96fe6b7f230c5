"""Death and a failing disk at every call that matters: what was there stays whole, the next run is right and
leaves nothing behind. FETCH_SWEEP_STEP=1 tries every point (minutes); by default every few."""
import errno
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

import feedmaker
import fetcher
import liars
import world

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from test_fetch_mirror import served, variant, verify_tree  # noqa: E402

HOST = "127.0.50.5"
STEP = int(os.environ.get("FETCH_SWEEP_STEP", "37"))
KINDS = ("write", "fsync", "rename", "open", "close", "unlink", "ftruncate")
PACK = {f"r/{i}.yar": b"rule %d {}" % i for i in range(3)}


@pytest.fixture(scope="module")
def shim(tmp_path_factory):
    source = pathlib.Path(__file__).parent.parent / "torture" / "faultshim.c"
    out = tmp_path_factory.mktemp("shim") / "faultshim.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", out, source, "-ldl"], check=True)
    return out


@pytest.fixture
def feed(tmp_path):
    f = feedmaker.Feed(tmp_path / "pub" / "signatures")
    f.publish({**variant(0), "p.pack": feedmaker.pack(PACK)}, packs=("p.pack",))
    return f


@pytest.fixture
def server(feed):
    with liars.Http(feed.folder.parent, HOST) as s:
        yield s


def copy(a, b):
    shutil.rmtree(b, ignore_errors=True)
    subprocess.run(["cp", "-a", a, b], check=True)


def listing(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*"))


def run_with(shim, config, fault, count=None):
    env = {"LD_PRELOAD": str(shim), "ATALAIA_LOG": "error", "FAULT": fault}
    if count:
        env["FAULT_COUNT"] = str(count)
    f = fetcher.Fetch(None, env=env)
    try:
        f.send({"type": "config", **config})
    except BrokenPipeError:
        pass  # it died before it could read
    f.process.wait(30)
    for r in f.readers:
        r.join(5)
    return f


def counts(shim, config, file):
    assert run_with(shim, config, "write:0", file).process.returncode in (0, 3)
    text = file.read_text()
    file.unlink()
    return {k: int(v) for k, v in (x.split("=") for x in text.split())}


def points(numbers, action):
    every = [(k, n) for k in KINDS for n in range(1, numbers[k] + 1)]
    return [f"{k}:{n}:{action}" for k, n in every[len(action) % STEP::STEP]]


def sweep(shim, template, live, config, count_file, check, action, outcome="updated"):
    """One run per point on a fresh copy; then one clean run, which must look like an undisturbed one."""
    copy(template, live)
    numbers = counts(shim, config, count_file)
    copy(template, live)
    assert fetcher.run(config)["outcome"] == outcome
    want = listing(live)
    tried = points(numbers, action)
    for fault in tried:
        copy(template, live)
        f = run_with(shim, config, fault)
        if action != "kill":
            results = f.of("result")
            assert not results or results[0]["outcome"] != outcome or check(True), fault
        check(False)
        r = fetcher.run(config)
        assert r["outcome"] in ("updated", "current"), (fault, r)
        assert check(True), fault
        assert listing(live) == want, fault
    assert len(tried) > 20 / STEP


@pytest.mark.parametrize("action", ["kill", "ENOSPC", "EIO"])
def test_a_set_survives(feed, server, shim, tmp_path, action):
    template, live = tmp_path / "template", tmp_path / "live"
    named = fetcher.sources(("m", server))
    r = fetcher.run(fetcher.set_config(template, feed.root_file, named))
    fetcher.activate(template, r["version"])
    feed.publish({**variant(1), "p.pack": feedmaker.pack({**PACK, "r/1.yar": b"new"})},
                 packs=("p.pack",))
    want = {1: variant(0), 2: variant(1)}

    def check(done):
        for v in (1, 2):
            folder = live / "sets" / str(v)
            if v == 1 or done or folder.exists():
                for name, data in want[v].items():
                    assert (folder / name).read_bytes() == data
                assert len(listing(folder)) == 6
        assert os.readlink(live / "current") == "sets/1"
        return True

    sweep(shim, template, live, fetcher.set_config(live, feed.root_file, named, current=1),
          live / "work" / "count", check, action)


@pytest.mark.parametrize("action", ["kill", "EIO"])
def test_mending_a_damaged_set_survives(feed, server, shim, tmp_path, action):
    """At any instant a file of the active set is right or as damaged as before, and the next run ends the work."""
    template, live = tmp_path / "template", tmp_path / "live"
    named = fetcher.sources(("m", server))
    r = fetcher.run(fetcher.set_config(template, feed.root_file, named))
    fetcher.activate(template, r["version"])
    want = {**variant(0), **PACK}
    rotten = {"a.hdb": b"\0" * len(want["a.hdb"]), "r/1.yar": b"torn"}
    for name, data in rotten.items():
        (template / "sets/1" / name).write_bytes(data)
    (template / "sets/1/nobody.named.it").write_bytes(b"x")

    def check(done):
        for name, data in want.items():
            now = (live / "sets/1" / name).read_bytes()
            assert now == data or (not done and now == rotten.get(name))
        assert os.readlink(live / "current") == "sets/1"
        assert not done or len(listing(live / "sets/1")) == len(want) + 1
        return True

    sweep(shim, template, live, fetcher.set_config(live, feed.root_file, named, current=1),
          live / "work" / "count", check, action, outcome="current")


@pytest.mark.parametrize("action", ["kill", "ENOSPC"])
def test_a_mirror_survives(feed, server, shim, tmp_path, action):
    template, live = tmp_path / "template", tmp_path / "live"
    named = fetcher.sources(("m", server))
    fetcher.run(fetcher.mirror_config(template, feed.root_file, named))
    feed.publish({**variant(1), "p.pack": feedmaker.pack({**PACK, "r/1.yar": b"new"})},
                 packs=("p.pack",))

    def check(done):
        v = verify_tree(served(live))
        assert v == 2 if done else v in (1, 2)
        return True

    sweep(shim, template, live, fetcher.mirror_config(live, feed.root_file, named, current=1),
          live / "work" / "signatures" / "count", check, action)


def test_a_full_disk_fails_and_heals(feed, server, tmp_path):
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    disk = tmp_path / "disk"
    disk.mkdir()
    made = world.run(["mount", "-t", "tmpfs", "-o", "size=700k", "none", disk])
    if made.returncode != 0:
        pytest.skip("no small disk here")
    try:
        config = fetcher.set_config(disk / "s", feed.root_file, fetcher.sources(("m", server)))
        filler = disk / "filler"
        filler.write_bytes(b"x" * 400000)
        r = fetcher.run(config)
        assert r["outcome"] == "failed" and r["errors"][-1]["error"] == "no-space"
        assert not (disk / "s" / "sets" / "1").exists()
        filler.unlink()
        assert fetcher.run({**config, "disk_floor": 0})["outcome"] in ("updated", "failed")
        subprocess.run(["mount", "-o", "remount,size=8m", disk], check=True)
        assert fetcher.run(config)["outcome"] == "updated"
    finally:
        world.run(["umount", "-l", disk])


@pytest.mark.parametrize("left", [0, 3, 7, 12])
def test_exhausted_inodes_fail_and_heal(feed, server, tmp_path, left):
    """Bytes are free and names are not: the first document, some documents, or the middle of the set fails."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    disk = tmp_path / "disk"
    disk.mkdir()
    if world.run(["mount", "-t", "tmpfs", "-o", "size=64m,nr_inodes=120", "none", disk]).returncode != 0:
        pytest.skip("no small disk here")
    try:
        config = fetcher.set_config(disk / "s", feed.root_file, fetcher.sources(("m", server)), current=1)
        assert fetcher.run({**config, "current": 0})["outcome"] == "updated"
        fetcher.activate(disk / "s", 1)
        feed.publish({**variant(1), "p.pack": feedmaker.pack(PACK)}, packs=("p.pack",))
        fillers = []
        try:
            while True:
                name = disk / f"filler{len(fillers)}"
                name.write_bytes(b"")
                fillers.append(name)
        except OSError as e:
            assert e.errno == errno.ENOSPC
        for name in fillers[:left]:
            name.unlink()
        r = fetcher.run(config)
        assert (r["outcome"], r["exit"], r["errors"][-1]["error"]) == ("failed", 1, "no-space"), r["errors"]
        assert os.readlink(disk / "s/current") == "sets/1"
        for name, data in variant(0).items():
            assert (disk / "s/sets/1" / name).read_bytes() == data
        if (disk / "s/sets/2").exists():        # only notes about it could not be written
            assert [(disk / "s/sets/2" / n).read_bytes() for n in variant(1)] == list(variant(1).values())
        for name in fillers[left:]:
            name.unlink()
        assert fetcher.run(config)["outcome"] == "updated"
        for name, data in variant(1).items():
            assert (disk / "s/sets/2" / name).read_bytes() == data
    finally:
        world.run(["umount", "-l", disk])


@pytest.mark.parametrize("kind", ["malloc", "calloc", "realloc"])
def test_memory_that_runs_out_ends_in_a_result(feed, server, shim, tmp_path, kind):
    """At one call, and at that and every later one: no crash, and never a false success."""
    template, live = tmp_path / "template", tmp_path / "live"
    named = fetcher.sources(("m", server))
    r = fetcher.run(fetcher.set_config(template, feed.root_file, named))
    fetcher.activate(template, r["version"])
    feed.publish({**variant(1), "p.pack": feedmaker.pack(PACK)}, packs=("p.pack",))
    config = fetcher.set_config(live, feed.root_file, named, current=1)
    copy(template, live)
    total = counts(shim, config, live / "work" / "count")[kind]
    tried = int(os.environ.get("FETCH_MALLOC_POINTS", "3"))
    for i in range(tried):
        for later in ("", "+"):
            fault = f"{kind}:{1 + total * i // tried}{later}"
            copy(template, live)
            f = run_with(shim, config, fault)
            # Before the job starts libuv aborts and libseccomp 2.5 crashes without memory: no harm then.
            early = (-6, -11, 127) if not f.of("progress") else ()
            assert f.process.returncode in (0, 1, 2, 70, *early), (fault, f.log[-5:])
            for result in f.of("result"):
                if result["outcome"] == "updated":
                    folder = live / "sets" / "2"
                    assert (folder / "a.hdb").read_bytes() == variant(1)["a.hdb"]
            assert (live / "sets" / "1" / "a.hdb").read_bytes() == variant(0)["a.hdb"]
            r = fetcher.run(config)
            assert r["outcome"] == "updated", fault

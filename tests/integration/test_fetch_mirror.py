"""atalaia-fetch in mirror mode: whole and valid for a reader at every instant, whatever the upstream."""
import json
import os
import pathlib
import shutil
import threading

import pytest

import feedmaker
import fetcher
import liars
import world

HOST = "127.0.50.4"
LINES = [b"%064x:%d:Sig.%d\n" % (i * 982451653, i, i) for i in range(6000)]


def variant(n):
    """The file of day n: one line changed a day."""
    lines = list(LINES)
    for i in range(n):
        lines[100 * i + 50] = b"changed on day %d\n" % i
    return {"a.hdb": b"".join(lines), "b.ndb": b"same\n"}


@pytest.fixture
def feed(tmp_path):
    f = feedmaker.Feed(tmp_path / "pub" / "signatures")
    f.publish(variant(0))
    return f


@pytest.fixture
def upstream(feed):
    with liars.Ftp(feed.folder.parent, HOST) as s:
        yield s


def sync(feed, base, *named, root=None, **more):
    return fetcher.run(fetcher.mirror_config(base, root or feed.root_file, fetcher.sources(*named), **more))


def served(base):
    return pathlib.Path(base) / "root" / "signatures"


def verify_tree(folder, helpers=("full/",)):
    """A reader's look: from timestamp.json down everything named is there and has its hash. None when
    nothing is published yet; else the targets version."""
    meta = folder / "metadata"
    if not (meta / "timestamp.json").exists():
        return None
    ts = json.loads((meta / "timestamp.json").read_bytes())["signed"]["meta"]["snapshot.json"]
    snap = (meta / f"{ts['version']}.snapshot.json").read_bytes()
    assert feedmaker.sha(snap) == ts["hashes"]["sha256"]
    version = json.loads(snap)["signed"]["meta"]["targets.json"]["version"]
    targets = json.loads((meta / f"{version}.targets.json").read_bytes())["signed"]["targets"]
    for name, t in targets.items():
        path = folder / "targets" / name
        path = path.with_name(f"{t['hashes']['sha256']}.{path.name}")
        if name.startswith(helpers) and not path.exists():
            continue
        assert feedmaker.sha(path.read_bytes()) == t["hashes"]["sha256"], name
    assert (meta / "1.root.json").exists()
    return version


class Reader(threading.Thread):
    """Reads the served tree in a loop until stopped; keeps the first thing that was wrong."""

    def __init__(self, folder, helpers=("full/",)):
        super().__init__(daemon=True)
        self.helpers = helpers
        self.folder, self.done, self.wrong, self.looks, self.seen = folder, threading.Event(), None, 0, []
        self.start()

    def run(self):
        while not self.done.is_set():
            try:
                v = verify_tree(self.folder, self.helpers)
            except Exception as e:  # noqa: BLE001 - whatever it is, it is a torn tree
                self.wrong = repr(e)
                return
            self.looks += 1
            if v and (not self.seen or self.seen[-1] != v):
                self.seen.append(v)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.done.set()
        self.join(10)
        assert self.wrong is None
        assert self.looks > 0
        assert self.seen == sorted(self.seen)


def clean_work(base):
    for kind in ("objects", "parts", "build"):
        assert list((pathlib.Path(base) / "work" / "signatures" / kind).iterdir()) == []


def test_first_sync_and_a_day_by_delta(feed, upstream, tmp_path):
    base = tmp_path / "m"
    with Reader(served(base)):
        r = sync(feed, base, ("up", upstream))
        assert (r["outcome"], r["version"], r["errors"]) == ("updated", 1, [])
        assert verify_tree(served(base)) == 1
        r = sync(feed, base, ("up", upstream), current=1)
        assert (r["outcome"], r["bytes"]["full"]) == ("current", 0)
        feed.publish(variant(1))
        r = sync(feed, base, ("up", upstream), current=1)
    assert (r["outcome"], r["version"], r["bytes"]["full"]) == ("updated", 2, 0)
    assert 0 < r["bytes"]["total_wire"] < len(variant(1)["a.hdb"]) * 0.02
    assert verify_tree(served(base)) == 2
    clean_work(base)
    modes = {oct(p.stat().st_mode & 0o777) for p in served(base).rglob("*") if p.is_file()}
    assert modes == {"0o644"}


def test_a_timestamp_alone_is_published(feed, upstream, tmp_path):
    sync(feed, tmp_path / "m", ("up", upstream))
    feed.timestamp()
    r = sync(feed, tmp_path / "m", ("up", upstream), current=1)
    assert (r["outcome"], r["version"], r["timestamp_version"]) == ("updated", 1, 2)
    want = (feed.folder / "metadata" / "timestamp.json").read_bytes()
    assert (served(tmp_path / "m") / "metadata" / "timestamp.json").read_bytes() == want


def test_cascade_of_three_and_a_workstation(feed, upstream, tmp_path):
    above, chain = upstream, []
    for name in ("a", "b", "c"):
        assert sync(feed, tmp_path / name, ("up", above))["outcome"] == "updated"
        above = liars.Ftp(tmp_path / name / "root", HOST)
        chain.append(above)
    state = tmp_path / "state"
    one = fetcher.sources(("c", above))
    r = fetcher.run(fetcher.set_config(state, feed.root_file, one))
    fetcher.activate(state, r["version"])
    feed.publish(variant(1))
    for name, up in zip("abc", [upstream, *chain]):
        r = sync(feed, tmp_path / name, ("up", up), current=1)
        assert r["outcome"] == "updated" and r["bytes"]["full"] == 0
    r = fetcher.run(fetcher.set_config(state, feed.root_file, one, current=1))
    assert (r["outcome"], r["version"], r["bytes"]["full"]) == ("updated", 2, 0)
    assert (state / "sets" / "2" / "a.hdb").read_bytes() == variant(1)["a.hdb"]
    for s in chain:
        s.close()


def test_first_sync_takes_compressed_copies_and_clients_cope_without(feed, upstream, tmp_path):
    feed.publish(variant(1), full=True)
    r = sync(feed, tmp_path / "m", ("up", upstream))
    assert r["bytes"]["full"] < len(variant(1)["a.hdb"]) * 0.7
    feed.publish(variant(2), full=True)
    r = sync(feed, tmp_path / "m", ("up", upstream), current=2)
    assert r["bytes"]["full"] == 0  # copies are not handed on for their own sake
    with liars.Http(tmp_path / "m" / "root", HOST) as s:
        r = fetcher.run(fetcher.set_config(tmp_path / "state", feed.root_file, fetcher.sources(("m", s))))
    assert (r["outcome"], r["errors"]) == ("updated", [])


def lies(feed):
    def flip(path):
        data = (feed.folder.parent / path.lstrip("/")).read_bytes()
        return {"body": data[:-1] + bytes([data[-1] ^ 1])}

    def only(part, how):
        return lambda p: how(p) if part in p else None
    def old(path):
        name = path.split("/")[-1].replace("2.", "1.", 1)       # what was served under the version before
        return {"body": (feed.folder / "metadata" / name).read_bytes()}

    def longer(path):
        return {"body": (feed.folder.parent / path.lstrip("/")).read_bytes() + b"more"}

    def anothers(path):
        stranger = feedmaker.Feed(feed.folder.parent.parent / "stranger" / "signatures")
        stranger.publish(variant(1))
        stranger.publish(variant(2))
        return {"body": (stranger.folder / "metadata" / path.split("/")[-1]).read_bytes()}

    return {
        "old snapshot": only("snapshot.json", old), "old targets": only("targets.json", old),
        "longer target": only(".a.hdb", longer), "endless snapshot": only("snapshot.json", lambda p: {
            "body": b" " * 3_000_000}),
        "a stranger's keys": only("/metadata/", anothers), "hangs": only("/targets/", lambda p: {"hang": True}),
        "flipped target": only(".a.hdb", flip), "flipped delta": only("/delta/", flip),
        "flipped timestamp": only("timestamp", flip), "flipped targets": only("targets.json", flip),
        "zeros": only("/targets/", lambda p: {"body": b"\0" * 4096}),
        "html": lambda p: {"body": b"<html>"}, "cut": only(".a.hdb", lambda p: {"cut": 60000}),
        "empty": lambda p: {"body": b""}, "421": only("/targets/", lambda p: {"status": 421}),
        "absent targets": only("/targets/", lambda p: {"status": 550}),
    }


@pytest.mark.parametrize("lie", ["flipped target", "flipped delta", "flipped timestamp",
                                 "flipped targets", "zeros", "html", "cut", "empty", "421",
                                 "absent targets", "old snapshot", "old targets", "longer target",
                                 "endless snapshot", "a stranger's keys", "hangs"])
def test_a_liar_upstream_never_shows(feed, upstream, tmp_path, lie):
    base = tmp_path / "m"
    assert sync(feed, base, ("up", upstream))["outcome"] == "updated"
    feed.publish(variant(1), deltas=lie == "flipped delta")
    upstream.hook = lies(feed)[lie]
    # A delta that no source has must not hold back the version; clients take the full copy.
    with Reader(served(base), ("full/", "delta/") if lie == "flipped delta" else ("full/",)):
        r = sync(feed, base, ("up", upstream), current=1, stall_ms=1000)
        upstream.hook = None
        if lie in ("flipped delta", "cut", "longer target"):  # made good by the full copy, by resuming, by the cut
            assert r["outcome"] == "updated"
        else:
            assert r["outcome"] == "failed" and r["errors"]
            assert verify_tree(served(base)) == 1
            assert sync(feed, base, ("up", upstream), current=1)["outcome"] == "updated"
    sync(feed, base, ("up", upstream), current=2)
    assert verify_tree(served(base)) == 2
    clean_work(base)


def test_retention_and_grace(feed, upstream, tmp_path):
    base = tmp_path / "m"
    for day in range(6):
        if day:
            feed.publish(variant(day))
        sync(feed, base, ("up", upstream), current=day, keep=3, grace_s=0)
    assert verify_tree(served(base)) == 6
    names = {p.name for p in (served(base) / "metadata").iterdir()}
    assert names == {"1.root.json", "timestamp.json"} | {
        f"{v}.{role}.json" for v in (4, 5, 6) for role in ("targets", "snapshot")}
    kept = [p.name for p in (served(base) / "targets").iterdir() if p.name.endswith(".a.hdb")]
    assert sorted(kept) == sorted(f"{feedmaker.sha(variant(d)['a.hdb'])}.a.hdb" for d in (3, 4, 5))
    base = tmp_path / "n"  # within the grace time nothing goes
    feed2 = feedmaker.Feed(tmp_path / "pub2" / "signatures")
    with liars.Ftp(tmp_path / "pub2", HOST) as s:
        for day in range(5):
            feed2.publish(variant(day))
            sync(feed2, base, ("up", s), current=day, keep=3, grace_s=3600)
    kept = [p for p in (served(base) / "targets").iterdir() if p.name.endswith(".a.hdb")]
    assert len(kept) == 5


def test_roots_of_all_ages(feed, upstream, tmp_path):
    feed.rotate("root")
    feed.rotate("timestamp")
    feed.timestamp()
    second = tmp_path / "2.root.json"
    shutil.copy(feed.folder / "metadata" / "2.root.json", second)
    r = sync(feed, tmp_path / "m", ("up", upstream), root=second)
    assert r["outcome"] == "updated"
    for v in (1, 2, 3):
        name = f"{v}.root.json"
        assert (served(tmp_path / "m") / "metadata" / name).read_bytes() == \
            (feed.folder / "metadata" / name).read_bytes()
    with liars.Http(tmp_path / "m" / "root", HOST) as s:  # a client that knows only the first root
        r = fetcher.run(fetcher.set_config(tmp_path / "st", feed.root_file, fetcher.sources(("m", s))))
    assert r["outcome"] == "updated"
    other = feedmaker.Feed(tmp_path / "other" / "signatures")
    with liars.Http(feed.folder.parent, HOST, lambda p: {"body": other.root_file.read_bytes()}
                    if "/1.root" in p else None) as s:
        r = sync(feed, tmp_path / "m2", ("up", s), root=second)
    assert r["outcome"] == "updated" and r["errors"][0]["file"] == "1.root.json"
    assert not (served(tmp_path / "m2") / "metadata" / "1.root.json").exists()


@pytest.mark.parametrize("damage", ["cut", "gone", "zeroed", "bit"])
def test_a_damaged_served_file_heals(feed, upstream, tmp_path, damage):
    base = tmp_path / "m"
    sync(feed, base, ("up", upstream))
    data = variant(0)["a.hdb"]
    path = served(base) / "targets" / f"{feedmaker.sha(data)}.a.hdb"
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes({"cut": data[:999], "zeroed": b"\0" * len(data),
                          "bit": bytes([data[0] ^ 1]) + data[1:]}[damage])
    r = sync(feed, base, ("up", upstream), current=1)
    assert r["outcome"] == "updated" and verify_tree(served(base)) == 1
    assert path.read_bytes() == data
    if damage in ("bit", "zeroed", "cut"):
        assert [e["rule"] for e in r["errors"]] == ["damaged"]


def test_disk_floor_is_checked_before_anything_is_fetched(feed, upstream, tmp_path):
    r = sync(feed, tmp_path / "m", ("up", upstream), disk_floor=1 << 50)
    assert r["outcome"] == "failed" and r["errors"][0]["error"] == "no-space"
    assert r["bytes"]["full"] == r["bytes"]["delta"] == 0


def test_several_feeds_share_a_root(feed, upstream, tmp_path):
    other = feedmaker.Feed(tmp_path / "pub" / "policies")
    other.publish({"default.json": b"{}", "group/a.json": b"{1}"})
    sync(feed, tmp_path / "m", ("up", upstream))
    c = fetcher.mirror_config(tmp_path / "m", other.root_file,
                              fetcher.sources(("up", upstream), feed="policies"))
    r = fetcher.run({**c, "feed": "policies", "work": str(tmp_path / "m" / "work" / "policies")})
    assert r["outcome"] == "updated"
    assert verify_tree(tmp_path / "m" / "root" / "policies") == 1
    assert verify_tree(served(tmp_path / "m")) == 1


def test_mirror_confinement(feed, upstream, tmp_path):
    secret = tmp_path / "m" / "spool.db"
    secret.parent.mkdir()
    secret.write_text("secret")
    r = fetcher.run(fetcher.mirror_config(tmp_path / "m", feed.root_file,
                                          fetcher.sources(("up", upstream)), require_confinement=True),
                    env={"ATALAIA_FETCH_PROBE": str(secret)})
    assert any("broken=none thread=pool" in x for x in r["log"]) and r["outcome"] == "updated"


def test_a_kernel_without_landlock(debug_bin, feed, upstream, tmp_path):
    env = {"ATALAIA_INJECT": "confine.landlock"}
    config = fetcher.mirror_config(tmp_path / "m", feed.root_file, fetcher.sources(("up", upstream)))
    r = fetcher.run(config, env=env)
    assert r["outcome"] == "updated"
    assert any("level=error" in x and "missing=yes" in x and "landlock=0" in x for x in r["log"])
    r = fetcher.run({**config, "require_confinement": True}, env=env)
    assert r["exit"] == 2 and r["outcome"] == "failed" and "Landlock" in r["errors"][0]["text"]


def test_stop_and_go_on(feed, upstream, tmp_path):
    upstream.hook = lambda p: {"piece": 20000, "delay": 0.05} if ".a.hdb" in p else None
    f = fetcher.Fetch(fetcher.mirror_config(tmp_path / "m", feed.root_file,
                                            fetcher.sources(("up", upstream))))
    part = tmp_path / "m" / "work" / "signatures" / "parts" / feedmaker.sha(variant(0)["a.hdb"])
    world.wait_for(lambda: part.exists() and part.stat().st_size > 100000, what="part of the file")
    f.send({"type": "stop"})
    assert f.result(5)["outcome"] == "canceled"
    have = os.path.getsize(part)
    upstream.hook = None
    r = sync(feed, tmp_path / "m", ("up", upstream))
    assert r["outcome"] == "updated"
    assert r["bytes"]["full"] <= sum(map(len, variant(0).values())) - have

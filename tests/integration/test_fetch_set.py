"""atalaia-fetch in set mode, driven over its pipe, against servers that serve and servers that lie."""
import base64
import os
import pathlib
import shutil
import time

import pytest

import feedmaker
import fetcher
import liars
import world

HOST = "127.0.50.2"
LINES = [b"%064x:%d:Sig.%d\n" % (i * 7919 * 104729, i, i) for i in range(4000)]
BIG = b"".join(LINES)
BIG3 = b"".join(LINES[:3000] + [b"third\n"] + LINES[3000:])
BIG2 = b"".join(LINES[:1500] + [b"new line\n"] + LINES[1510:])
RULES = {f"rules/r{i}.yar": b"rule r%d {}\n" % i * 30 for i in range(20)}


def files(big=BIG, small=b"small\n", rules=None):
    return {"a.hdb": big, "b.ndb": small, "rules.pack": feedmaker.pack(rules or RULES)}


@pytest.fixture
def feed(tmp_path):
    f = feedmaker.Feed(tmp_path / "pub" / "signatures")
    f.publish(files(), packs=("rules.pack",))
    return f


@pytest.fixture
def servers(feed):
    """One folder by FTP and by HTTP; tests set .hook on them."""
    with liars.Ftp(feed.folder.parent, HOST) as ftp, liars.Http(feed.folder.parent, HOST) as http:
        yield ftp, http


@pytest.fixture
def state(tmp_path):
    return tmp_path / "state"


def check_set(state, version, want):
    """The staged set is exactly the targets, packs unpacked."""
    folder = state / "sets" / str(version)
    flat = {n: d for n, d in want.items() if not n.endswith(".pack")}
    flat.update(RULES)
    got = {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    assert got == flat
    for kind in ("objects", "parts", "build"):
        assert list((state / "work" / kind).iterdir()) == []


def first(feed, state, *named, **more):
    r = fetcher.run(fetcher.set_config(state, feed.root_file, fetcher.sources(*named), **more))
    if r["outcome"] == "updated":
        fetcher.activate(state, r["version"])
    return r


def rules_of(result):
    return [(e["source"], e.get("file", ""), e["rule"]) for e in result["errors"]]


@pytest.mark.parametrize("form", [0, 1], ids=["ftp", "http"])
def test_first_download_then_current(feed, servers, state, form):
    server = servers[form]
    r = first(feed, state, ("m", server))
    assert (r["outcome"], r["version"], r["exit"], r["errors"]) == ("updated", 1, 0, [])
    assert r["set"] == str(state / "sets" / "1") and r["source"] == "m"
    assert r["bytes"]["full"] == sum(len(d) for d in feed.files.values())
    assert 0 <= server.sent - r["bytes"]["full"] - r["bytes"]["metadata"] < 10  # and a 404's body
    assert r["bytes"]["total_wire"] > server.sent
    check_set(state, 1, feed.files)
    r = first(feed, state, ("m", server), current=1)
    assert (r["outcome"], r["exit"], r["bytes"]["full"]) == ("current", 0, 0)


def test_a_change_travels_as_a_delta(feed, servers, state):
    first(feed, state, ("m", servers[0]))
    feed.publish(files(BIG2, rules=RULES), packs=("rules.pack",))
    r = first(feed, state, ("m", servers[0]), current=1)
    assert (r["outcome"], r["version"], r["from"], r["bytes"]["full"]) == ("updated", 2, 1, 0)
    assert 0 < r["bytes"]["delta"] < 2000
    check_set(state, 2, feed.files)
    old, new = ((state / "sets" / v / "b.ndb").stat() for v in "12")
    assert old.st_ino == new.st_ino  # unchanged files are linked


def test_chains_packs_and_compressed_copies(feed, servers, state):
    first(feed, state, ("m", servers[1]))
    rules = dict(RULES)
    for i in range(3):
        rules["rules/r3.yar"] = b"rule changed%d {}\n" % i
        big = b"".join(LINES[:2000] + [b"line %d\n" % i] + LINES[2000:])
        feed.publish(files(big, rules=rules), packs=("rules.pack",), full=True)
    r = first(feed, state, ("m", servers[1]), current=1)
    assert (r["version"], r["bytes"]["full"], r["errors"]) == (4, 0, [])
    assert any("deltas=3 passes=1" in line for line in r["log"])
    shutil.rmtree(state)
    r = first(feed, state, ("m", servers[1]))
    plain = sum(len(d) for d in feed.files.values())
    assert r["outcome"] == "updated" and 0 < r["bytes"]["full"] < plain * 0.6


def test_helpers_that_are_missing_or_lie_cost_only_bytes(feed, servers, state):
    feed.publish(files(BIG2), packs=("rules.pack",), full=True)
    servers[1].hook = lambda p: {"status": 404} if "/full/" in p else None
    r = first(feed, state, ("m", servers[1]))
    assert (r["outcome"], r["errors"]) == ("updated", [])
    feed.publish(files(BIG3), packs=("rules.pack",), full=True)
    servers[1].hook = lambda p: {"body": b"x" * 50} if "/delta/" in p else None
    r = first(feed, state, ("m", servers[1]), current=2)
    assert r["outcome"] == "updated" and r["bytes"]["full"] > 0
    assert ("m", f"delta/a.hdb.{feedmaker.sha(BIG3)}.d", "length") in rules_of(r)
    check_set(state, 3, feed.files)


def test_delta_modes(feed, servers, state):
    first(feed, state, ("m", servers[1]))
    feed.publish(files(BIG2), packs=("rules.pack",))
    servers[1].hook = lambda p: {"status": 404} if "/delta/" in p else None
    r = first(feed, state, ("m", servers[1]), current=1, delta="require", keep=5)
    assert (r["outcome"], r["exit"]) == ("waiting", 1)
    assert ("", "", "waiting") in rules_of(r) and r["bytes"]["full"] == 0
    servers[1].hook = None
    r = first(feed, state, ("m", servers[1]), current=1, delta="require", keep=5)
    assert r["outcome"] == "updated" and r["bytes"]["full"] == 0
    feed.publish(files(BIG3), packs=("rules.pack",))
    r = first(feed, state, ("m", servers[1]), current=2, delta="off", keep=5)
    assert r["bytes"]["delta"] == 0 and r["bytes"]["full"] == len(BIG3)
    feed.publish(files(BIG), packs=("rules.pack",))  # comes back: a kept set has it
    r = first(feed, state, ("m", servers[1]), current=3, delta="off", keep=5)
    assert r["bytes"]["delta"] == r["bytes"]["full"] == 0


def test_dead_and_refusing_sources_are_passed_over(feed, servers, state):
    nobody = f"ftp://{HOST}:{world.free_port(HOST)}"
    servers[0].hook = lambda p: {"status": 550}
    with liars.Http(feed.folder.parent, HOST, lambda p: {"status": 403}) as forbidding:
        r = first(feed, state, ("dead", nobody), ("branch", forbidding), ("server", servers[0]),
                  ("server", servers[1]))
    assert (r["outcome"], r["source"], r["url"]) == ("updated", "server", servers[1].url + "/signatures")
    errors = {e["source"]: e["error"] for e in r["errors"]}
    assert errors == {"dead": "unreachable", "branch": "not-found", "server": "not-found"}


def test_a_flipped_bit_is_refused_with_both_hashes(feed, servers, state):
    spoiled = bytearray(BIG)
    spoiled[1000] ^= 1
    servers[0].hook = lambda p: {"body": bytes(spoiled)} if p.endswith(".a.hdb") else None
    r = first(feed, state, ("branch", servers[0]), ("server", servers[1]))
    assert r["outcome"] == "updated"
    (e,) = r["errors"]
    assert (e["source"], e["file"], e["rule"], e["error"]) == ("branch", "a.hdb", "hash", "verify")
    assert e["expected"] == "sha256:" + feedmaker.sha(BIG)
    assert e["got"] == "sha256:" + feedmaker.sha(bytes(spoiled))
    check_set(state, 1, feed.files)


def test_all_lie_and_the_old_set_stays(feed, servers, state):
    first(feed, state, ("m", servers[1]))
    feed.publish(files(BIG2), packs=("rules.pack",), deltas=False)
    servers[1].hook = lambda p: {"body": b"\0" * len(BIG2)} if ".a.hdb" in p else None
    r = first(feed, state, ("m", servers[1]), current=1)
    assert (r["outcome"], r["exit"]) == ("failed", 1) and ("m", "a.hdb", "hash") in rules_of(r)
    assert not (state / "sets" / "2").exists()
    check_set(state, 1, files())
    servers[1].hook = None  # and it heals by itself
    assert first(feed, state, ("m", servers[1]), current=1)["outcome"] == "updated"


def test_captive_portal_and_redirects(feed, servers, state):
    page = b"<html>please pay</html>"
    with liars.Http(feed.folder.parent, HOST, lambda p: {"body": page, "status": 200}) as portal, \
            liars.Http(feed.folder.parent, HOST, lambda p: {
                "body": page, "status": 302, "headers": {"Location": "file:///etc/passwd"}}) as away:
        r = first(feed, state, ("portal", portal), ("away", away), ("m", servers[1]))
        assert r["outcome"] == "updated" and r["source"] == "m"
        assert {e["source"] for e in r["errors"]} == {"portal", "away"}
        r = first(feed, state, ("portal", portal), current=1)
        assert r["outcome"] == "failed"
    check_set(state, 1, feed.files)


def test_endless_and_short_metadata(feed, servers, state):
    with liars.Http(feed.folder.parent, HOST, lambda p: {
            "body": b"[" * 20000000, "status": 200} if "timestamp" in p else None) as endless:
        r = first(feed, state, ("endless", endless), ("m", servers[1]))
    assert r["outcome"] == "updated"
    assert endless.sent < 10000000 and r["errors"][0]["source"] == "endless"


def test_a_mirror_with_an_older_version_is_noticed(feed, servers, state, tmp_path):
    shutil.copytree(feed.folder.parent, tmp_path / "old")
    feed.publish(files(BIG2), packs=("rules.pack",))
    first(feed, state, ("m", servers[1]))
    with liars.Http(tmp_path / "old", HOST) as old:
        r = first(feed, state, ("old", old), current=2)
        assert r["outcome"] == "failed" and rules_of(r) == [("old", "timestamp.json", "rollback")]
        r = first(feed, state, ("old", old), ("m", servers[1]), current=2)
        assert r["outcome"] == "current" and ("old", "timestamp.json", "rollback") in rules_of(r)
        shutil.rmtree(state / "tuf")  # a lost store must not let the old version in
        r = first(feed, state, ("old", old), current=2)
        assert r["outcome"] == "failed" and rules_of(r) == [("old", "targets.json", "rollback")]


def test_announcements(feed, servers, state):
    def hint():
        data = (feed.folder / "metadata" / "timestamp.json").read_bytes()
        return base64.b64encode(data).decode()

    old = hint()
    r = first(feed, state, ("m", servers[1]), timestamp=old)
    assert r["outcome"] == "updated"
    assert not any("timestamp.json" in p for p in servers[1].requests)
    feed.publish(files(BIG2), packs=("rules.pack",))
    r = first(feed, state, ("m", servers[1]), current=1, timestamp=old)  # played again
    assert (r["outcome"], r["version"]) == ("updated", 2)
    r = first(feed, state, ("m", servers[1]), current=2, timestamp=base64.b64encode(b"junk").decode())
    assert r["outcome"] == "current" and r["errors"][0]["source"] == "announcement"


def at_time(feed, state, server, offset):
    env = {"LD_PRELOAD": "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1", "FAKETIME": offset,
           "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    if not pathlib.Path(env["LD_PRELOAD"]).exists():
        pytest.skip("libfaketime is not here")
    return fetcher.run(fetcher.set_config(state, feed.root_file, fetcher.sources(("m", server)),
                                          current=1), env=env)


def test_expired_metadata_and_wrong_clocks_keep_the_set(feed, servers, state):
    first(feed, state, ("m", servers[1]))
    for offset in ("+40d", "+3650d"):
        r = at_time(feed, state, servers[1], offset)
        assert (r["outcome"], r["stale"]) == ("failed", True) and rules_of(r)[0][2] == "expired"
        check_set(state, 1, feed.files)
    r = at_time(feed, state, servers[1], "-3650d")
    assert (r["outcome"], r["stale"]) == ("current", False)
    assert r["clock_behind_ms"] > 3649 * 86400 * 1000
    assert first(feed, state, ("m", servers[1]), current=1)["outcome"] == "current"  # healed


@pytest.mark.parametrize("file", ["tuf/timestamp.json", "tuf/snapshot.json", "tuf/targets.json",
                                  "tuf/root.json", "tuf/verified-time", "work/built.json",
                                  "sets/1.meta/manifest"])
def test_damaged_state_heals(feed, servers, state, file):
    first(feed, state, ("m", servers[1]))
    (state / file).write_bytes(b"" if "snapshot" in file else b"\0" * 300)
    r = first(feed, state, ("m", servers[1]), current=1)
    assert r["outcome"] in ("current", "updated"), r["errors"]
    check_set(state, 1, feed.files)
    assert sorted(p.name for p in (state / "sets").iterdir()) == ["1", "1.meta"]
    feed.publish(files(BIG2), packs=("rules.pack",))
    assert first(feed, state, ("m", servers[1]), current=1)["outcome"] == "updated"
    check_set(state, 2, feed.files)


def rot(path):
    """Flips a bit as a disk does: neither size nor times tell."""
    at, data = path.stat(), bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    with open(path, "r+b") as f:
        f.write(data)
    os.utime(path, ns=(at.st_atime_ns, at.st_mtime_ns))


@pytest.mark.parametrize("file,delta", [("b.ndb", "prefer"), ("a.hdb", "require"), ("rules/r1.yar", "prefer")])
def test_a_rotten_active_set_is_noticed_and_mended(feed, servers, state, file, delta):
    first(feed, state, ("m", servers[1]))
    inode = (state / "sets/1").stat().st_ino
    rot(state / "sets/1" / file)
    r = first(feed, state, ("m", servers[1]), current=1, delta=delta)       # touched: read at once
    assert (r["outcome"], r["exit"]) == ("current", 3), r["errors"]
    assert [(e["source"], e["rule"], e["file"]) for e in r["errors"]][:1] == [("", "damaged", f"sets/1/{file}")]
    check_set(state, 1, feed.files)
    assert (state / "sets/1").stat().st_ino == inode                        # `current` was never without
    r = first(feed, state, ("m", servers[1]), current=1)
    assert (r["outcome"], r["exit"], r["errors"]) == ("current", 0, [])


def test_rot_that_no_time_tells_is_found_once_a_day_and_on_request(feed, servers, state):
    first(feed, state, ("m", servers[1]))
    rot(state / "sets/1/a.hdb")
    stamp = state / "work/seen"
    later = stamp.stat().st_mtime + 60

    def run(**more):
        os.utime(stamp, (later, later))     # as if the run that ended then had seen the file as it is
        return first(feed, state, ("m", servers[1]), current=1, **more)
    assert (run()["exit"], run()["errors"]) == (0, [])
    assert run(inspect=True)["exit"] == 3
    check_set(state, 1, feed.files)
    rot(state / "sets/1/a.hdb")
    day_ago = later - 86401
    os.utime(state / "work/scrubbed", (day_ago, day_ago))
    assert run()["exit"] == 3
    check_set(state, 1, feed.files)


@pytest.mark.parametrize("file", ["a.hdb", "b.ndb"], ids=["base-of-a-delta", "unchanged"])
def test_a_rotten_set_does_not_stop_the_next_version(feed, servers, state, file):
    first(feed, state, ("m", servers[1]))
    feed.publish(files(BIG2), packs=("rules.pack",))
    rot(state / "sets/1" / file)
    r = first(feed, state, ("m", servers[1]), current=1)
    assert (r["outcome"], r["exit"]) == ("updated", 3), r["errors"]
    assert {e["rule"] for e in r["errors"]} == {"damaged"}
    check_set(state, 2, feed.files)


def test_names_are_resolved_inside_the_confinement(feed, state):
    with liars.Http(feed.folder.parent, "127.0.0.1") as s:
        r = first(feed, state, ("m", f"http://localhost:{s.port}"), require_confinement=True)
        assert (r["outcome"], r["errors"]) == ("updated", [])
    r = first(feed, state, ("m", "http://name.invalid"), current=1)
    assert r["errors"][0]["error"] == "unreachable"


def test_a_refused_set_is_not_downloaded_again(feed, servers, state):
    r = first(feed, state, ("m", servers[1]))
    refused = r["set_sha256"]
    (state / "current").unlink()
    shutil.rmtree(state / "sets" / "1")
    shutil.rmtree(state / "sets" / "1.meta")
    r = first(feed, state, ("m", servers[1]), reject=[refused])
    assert (r["outcome"], r["bytes"]["full"], r["set_sha256"]) == ("waiting", 0, refused)
    assert not (state / "sets" / "1").exists()
    feed.publish(files(BIG2), packs=("rules.pack",))
    assert first(feed, state, ("m", servers[1]), reject=[refused])["outcome"] == "updated"


def test_sets_are_kept_and_pruned(feed, servers, state):
    for i in range(4):
        feed.publish(files(BIG, b"%d" % i), packs=("rules.pack",))
        r = first(feed, state, ("m", servers[1]), current=i + 1 if i else 0)
        assert r["outcome"] == "updated"
    kept = sorted(int(p.name) for p in (state / "sets").iterdir() if p.name.isdigit())
    assert kept[-1] == 5 and 2 <= len(kept) <= 3


def test_wrong_configuration_is_a_result_with_exit_2(state, tmp_path):
    r = fetcher.run({"mode": "set", "feed": "x", "state": str(state), "sources": []})
    assert (r["outcome"], r["exit"], r["errors"][0]["rule"]) == ("failed", 2, "config")
    assert "sources" in r["errors"][0]["text"]
    r = fetcher.run(fetcher.set_config(state, tmp_path / "none.json",
                                       [{"name": "m", "url": "http://127.0.50.2:1/x"}]))
    assert r["outcome"] == "failed" and "root" in r["errors"][0]["text"]


def test_one_at_a_time(feed, servers, state):
    servers[1].hook = lambda p: {"piece": 1000, "delay": 0.05} if ".a.hdb" in p else None
    slow = fetcher.Fetch(fetcher.set_config(state, feed.root_file, fetcher.sources(("m", servers[1]))))
    slow.wait("progress", where=lambda m: m["phase"] == "download")
    r = first(feed, state, ("m", servers[1]))
    assert r["outcome"] == "failed" and r["errors"][0]["error"] == "busy"
    slow.send({"type": "stop"})
    assert slow.result()["outcome"] == "canceled"


def test_the_agent_going_away_ends_it(feed, servers, state):
    servers[1].hook = lambda p: {"hang": True}
    f = fetcher.Fetch(fetcher.set_config(state, feed.root_file, fetcher.sources(("m", servers[1]))))
    world.wait_for(lambda: servers[1].requests, what="a request")
    start = time.monotonic()
    f.process.stdin.close()
    assert f.process.wait(5) == 1
    assert time.monotonic() - start < 1.5


def test_confinement_from_inside_the_pool(feed, servers, state, tmp_path):
    secret = tmp_path / "identity" / "key.pem"
    secret.parent.mkdir()
    secret.write_text("secret")
    r = fetcher.run(fetcher.set_config(state, feed.root_file, fetcher.sources(("m", servers[1])),
                                       require_confinement=True),
                    env={"ATALAIA_FETCH_PROBE": str(secret)})
    assert any("landlock=" in x and "seccomp=yes" in x for x in r["log"])
    assert any("broken=none thread=pool" in x for x in r["log"])
    assert r["outcome"] == "updated"

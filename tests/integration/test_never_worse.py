"""Never worse than before: whatever goes wrong with updates, the last good set stays active, the engine
works on, the reason is one event and one line of `atalaia why-old`, and it heals without a person.

Where else "better than freshclam" is tested:
- an older set at a mirror is noticed: test_fetch_set.test_a_mirror_with_an_older_version_is_noticed
- flipped hash digit, zeros: test_fetch_set.test_a_flipped_bit_is_refused_with_both_hashes,
  test_all_lie_and_the_old_set_stays (a whole file of zeros); cut at a line end, 4 KiB of zeros: here
- a change with the same mtime and size is never missed: here
- a killed download leaves no garbage: test_fetch_lines.test_a_killed_download_is_resumed_by_the_next_run,
  test_fetch_crash.test_a_set_survives (the folder is the same, name by name)
- fsync before rename: test_fetch_crash (power cut at every call)
- a 403 blocks one source alone: test_fetch_set.test_dead_and_refusing_sources_are_passed_over; 429: here
- exit status tells partial success: here (3, and `errors` lists what failed)"""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

import pytest

import feedmaker
import fetcher
import fleet as fleets
import liars
from world import run, wait_for

BIN = pathlib.Path(os.environ["ATALAIA_BIN"])
ADDRESSES = ("127.0.110.1", "127.0.110.2", "127.0.110.3")
FAKETIME = pathlib.Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")
POLICY = {"update": {"interval": "2s", "jitter": "0"}}
ENGINE = """#!/bin/sh
# test SET | reload SET | scan SET FILE
echo "$@" >> {log}
case $1 in
test) grep -rqs crash-the-engine "$2" && kill -SEGV $$ ;;
reload) echo "$2" > {loaded} ;;
scan) grep -qs lie-after-activation "$(cat {loaded})"/own.txt && echo Everything.Is.Bad ;;
esac
exit 0
"""


def feed(host):
    status = json.loads(host.local("/v1/status"))
    return next(f for f in status["feeds"] if f["feed"] == "signatures")


def why_old(host):
    done = run([BIN / "atalaia", "why-old", "--json", "--url", f"http://127.0.0.1:{host.event_port}"])
    return [x for x in json.loads(done.stdout) if x["broken"] and x["feed"] in ("", "signatures")]


def log(host, word):
    return [line for line in list(host.agent.err) if word in line]


class World(fleets.Fleet):
    def release(self, text="good", **more):
        """Publishes a small set that the command engine reads; returns its version."""
        folder = self.server.dir / "small"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        self.day += 1
        lines = "".join(f"line {i}\n" for i in range(3000))
        (folder / "own.txt").write_text(f"{lines}{text} {self.day}\n")
        self.server.own(folder)
        done = self.server.run("atalaia-repo", "publish", self.repo, folder, "--out",
                               self.publish_root, "--json", *more.get("args", ()))
        return json.loads(done.stdout)["version"]

    def told(self, kind):
        """Events of the workstation's signatures feed, of all that the console has."""
        return [e for e in self.events() if e["type"] == f"org.atalaia.{kind}"
                and e["source"].endswith(self.workstation.agent_id)
                and e["data"].get("feed", "signatures") == "signatures"]

    def stop_agent(self, host, how=signal.SIGTERM):
        host.agent.process.send_signal(how)
        assert host.agent.process.wait(20) in (0, -how), host.agent.err[-5:]

    def wait_version(self, version, seconds=25):
        w = self.workstation
        wait_for(lambda: feed(w)["version"] == version and feed(w)["state"] == "idle", seconds,
                 f"version {version}; {log(w, 'update.')[-6:]}")

    def engine_works(self):
        """The engine has the active set and finds nothing in a clean file."""
        w = self.workstation
        loaded = (w.dir / "loaded").read_text().strip()
        assert pathlib.Path(loaded).resolve() == (w.dir / "state/feeds/signatures/current").resolve()
        done = subprocess.run([w.dir / "engine.sh", "scan", loaded, "/etc/hostname"],
                              capture_output=True, text=True, timeout=20)
        assert (done.returncode, done.stdout) == (0, "")


@pytest.fixture(scope="module")
def world():
    root = pathlib.Path(tempfile.mkdtemp(prefix="atalaia-never-"))
    f = World(BIN, root, addresses=ADDRESSES)
    w = f.workstation
    try:
        f.make_feed()
        f.first = f.release()
        f.start_console(policy=POLICY, admin_port=22990)
        f.configure_agent(f.server, 22991, more="retry=500ms", role=f.origin(http_port=2221, poll_interval="200ms"))
        script = w.write("engine.sh", ENGINE.format(log=w.dir / "engine.calls",
                                                    loaded=w.dir / "loaded"))
        script.chmod(0o755)
        f.configure_agent(w, 22992, more="retry=300ms\ndisk_floor=64K", engine=f"""[engine]
type=command
command_test={script} test {{set}}
command_reload={script} reload {{set}}
command_scan={script} scan {{set}} {{file}}
""")
        for host in (f.server, w):
            f.enroll(host)
            f.start_agent(host)
        f.wait_version(f.first, 40)
        yield f
    finally:
        f.stop()
        shutil.rmtree(root, ignore_errors=True)


def under_trouble(world, kind, reason, count, held, tries=2, ended=("failed", "waiting", "refused",
                                                                  "reverted")):
    """The event came once though the agent tried again; the old set and the engine work on."""
    w = world.workstation
    wait_for(lambda: feed(w).get("last") in ended, 25, f"a run that ends so: {log(w, 'update.')[-5:]}")
    runs = feed(w)["runs"]
    wait_for(lambda: feed(w)["runs"] >= runs + tries, 25, "more tries")
    assert feed(w)["version"] == held
    world.engine_works()
    broken = why_old(w)
    lines = [x for x in broken if reason in x["text"]]
    assert len(lines) == 1, broken
    wait_for(lambda: len(world.told(kind)) > count, 25, f"event {kind}")
    assert len(world.told(kind)) == count + 1
    return world.told(kind)


def test_an_engine_that_crashes_on_the_new_set(world):
    held, w = feed(world.workstation)["version"], world.workstation
    bad = world.release("crash-the-engine")
    world.wait_event("update.rejected", w, match=lambda e: e["data"].get("version") == bad)
    under_trouble(world, "update.rejected", f"version {bad} was refused", 0, held)
    assert [r["version"] for r in feed(w)["rejected"]] == [bad]
    assert not world.told("update.waiting")
    world.wait_version(world.release())
    assert why_old(w) == []


def test_a_set_that_lies_after_activation_is_taken_back(world):
    w, held = world.workstation, feed(world.workstation)["version"]
    bad = world.release("lie-after-activation")
    event = world.wait_event("update.reverted", w)
    assert (event["data"]["from"], event["data"]["to"]) == (bad, held)
    assert (w.dir / "state/feeds/signatures/current").resolve().name == str(held)
    last = [x for x in (w.dir / "engine.calls").read_text().splitlines() if x.startswith("reload")][-1]
    assert last.endswith(f"sets/{held}") or "current" in last
    under_trouble(world, "update.reverted", f"version {bad} was refused", 0, held)
    world.wait_version(world.release())
    assert why_old(w) == []


def test_upstream_gone(world):
    w, held = world.workstation, feed(world.workstation)["version"]
    count = len(world.told("update.stale"))
    world.stop_agent(world.server)
    wait_for(lambda: feed(w).get("last") in ("failed", "waiting"), 25, "a run that fails")
    new = world.release()
    under_trouble(world, "update.stale", "every source failed lately", count, held, tries=1)
    world.start_agent(world.server)
    world.wait_version(new, 40)
    wait_for(lambda: why_old(w) == [], 20, "nothing broken any more")


def with_clock(world, offset):
    """Runs the workstation's agent and its children as if it were another day."""
    w = world.workstation
    if not FAKETIME.exists():
        pytest.skip("libfaketime is not here")
    world.stop_agent(w)
    w.agent = w.start("/usr/bin/env", f"LD_PRELOAD={FAKETIME}", f"FAKETIME={offset}",
                      "FAKETIME_DONT_FAKE_MONOTONIC=1", BIN.resolve() / "atalaia-agent", "run",
                      "--config", w.conf)
    w.agent.line("ready")


def back_to_now(world):
    world.stop_agent(world.workstation)
    world.start_agent(world.workstation)


@pytest.mark.parametrize("offset", ["+4d", "+3650d"], ids=["metadata-expired", "clock-ahead"])
def test_metadata_expired(world, offset):
    w, held, count = world.workstation, feed(world.workstation)["version"], len(world.told("update.stale"))
    with_clock(world, offset)
    wait_for(lambda: feed(w).get("stale"), 25, "stale metadata")
    wait_for(lambda: feed(w)["runs"] >= 3, 25, "more tries")
    assert feed(w)["version"] == held
    world.engine_works()
    assert len([x for x in why_old(w) if x["link"] == "freshness"]) == 1
    assert len(log(w, "event=update.stale feed=signatures")) == 1
    back_to_now(world)  # the cause goes away
    wait_for(lambda: len(world.told("update.stale")) == count + 1, 25, "the event, delivered at last")
    world.wait_version(world.release())
    assert why_old(w) == []


def test_a_clock_ten_years_behind(world):
    w = world.workstation
    with_clock(world, "-3650d")
    wait_for(lambda: feed(w)["runs"] >= 3, 25, "some runs")
    new = world.release()
    world.wait_version(new)  # updates do not need this PC's clock
    world.engine_works()
    assert [x["link"] for x in why_old(w)][:1] == ["clock"]
    assert len(log(w, "event=clock.skew")) == 1
    back_to_now(world)
    wait_for(lambda: len(world.told("clock.skew")) == 1, 25, "the event, delivered at last")
    wait_for(lambda: why_old(w) == [], 25, "healed")


def test_disk_full(world):
    if os.geteuid() != 0:
        pytest.skip("needs root for a small tmpfs")
    w, held = world.workstation, feed(world.workstation)["version"]
    sigs = w.dir / "state/feeds/signatures"
    count = len(world.told("update.waiting"))
    world.stop_agent(w)
    copy = w.dir / "copy"
    sigs.rename(copy)
    sigs.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2M", "tmpfs", sigs]).returncode:
        sigs.rmdir()
        copy.rename(sigs)
        world.start_agent(w)
        pytest.skip("no tmpfs can be mounted here")
    try:
        subprocess.run(["cp", "-a", f"{copy}/.", sigs], check=True)
        w.own(sigs)
        with open(sigs / "ballast", "wb", buffering=0) as f:
            try:
                while f.write(b"x" * 4096):
                    pass
            except OSError:
                pass
        world.start_agent(w)
        new = world.release()
        wait_for(lambda: feed(w).get("last") == "failed", 25, "a run that fails")
        runs = feed(w)["runs"]
        wait_for(lambda: feed(w)["runs"] >= runs + 2, 25, "more tries")
        assert feed(w)["version"] == held
        world.engine_works()
        assert len([x for x in why_old(w) if x["link"] == "transfer"]) == 1, why_old(w)
        wait_for(lambda: len(world.told("update.waiting")) > count, 25, "the event")
        assert len(world.told("update.waiting")) == count + 1, world.told("update.waiting")
        (sigs / "ballast").unlink()
        world.wait_version(new)
        world.stop_agent(w)
        shutil.rmtree(copy)
        subprocess.run(["cp", "-a", f"{sigs}/.", copy], check=True)
    finally:
        if w.agent.process.poll() is None:
            world.stop_agent(w)
        subprocess.run(["umount", sigs], check=True)
        sigs.rmdir()
        copy.rename(sigs)
        world.start_agent(w)
    world.wait_version(new)
    assert why_old(w) == []


def test_a_rotten_active_set_is_mended_told_and_loaded_again(world):
    w = world.workstation
    file, calls = w.dir / "state/feeds/signatures/current/own.txt", w.dir / "engine.calls"
    right, count = file.read_bytes(), len(world.told("update.rejected"))
    reloads = calls.read_text().count("reload ")
    for _ in range(8):      # a timer's run may be faster than ours
        with open(file, "r+b") as f:
            f.write(b"\0" * 100)
        done = run([BIN / "atalaia", "update", "--wait", "--feed", "signatures", "--url",
                    f"http://127.0.0.1:{w.event_port}"])
        if done.returncode == 4 and file.read_bytes() == right:
            break           # else that was the answer of a run which had looked before
        assert done.returncode in (0, 4) or "too-often" in done.stderr, done.stdout + done.stderr
        time.sleep(2.1)     # the agent looks once in two seconds for anybody who asks
    assert done.returncode == 4 and "refused or failed on the way" in done.stdout
    assert file.read_bytes() == right
    wait_for(lambda: calls.read_text().count("reload ") > reloads, 25, "the engine loads what is right now")
    wait_for(lambda: len(world.told("update.rejected")) > count, 25, "the event")
    data = world.told("update.rejected")[-1]["data"]
    assert (data["what"], data["rule"], data.get("mirror", "")) == ("file", "damaged", "")
    assert data["file"].endswith("/own.txt")
    wait_for(lambda: why_old(w) == [], 20, "healed")


def test_delta_require_waits_and_says_so(world):
    w, held, count = world.workstation, feed(world.workstation)["version"], len(world.told("update.waiting"))
    world.set_policy("default.json", {"update": {**POLICY["update"], "delta": "require"}})

    def mode():
        return next(m["value"] for m in json.loads(w.local("/v1/policy"))["members"]
                    if m["member"] == "update.delta")
    wait_for(lambda: mode() == "require", 25, "the policy")
    targets = world.publish_root / "signatures/targets/delta"
    world.stop_agent(world.server)
    new = world.release()
    deltas = [p for p in targets.rglob("*") if p.is_file()]
    for p in deltas:
        p.rename(p.with_name(p.name + ".away"))
    world.start_agent(world.server)
    under_trouble(world, "update.waiting", "the last run waits", count, held, ended=("waiting",))
    for p in deltas:
        p.with_name(p.name + ".away").rename(p)
    world.wait_version(new)
    world.set_policy("default.json", POLICY)
    wait_for(lambda: mode() == "prefer", 25, "the old policy")


def test_a_pin_holds_until_its_expiry_and_lets_go(world):
    w, now = world.workstation, feed(world.workstation)["version"]
    before = feed(w)["previous"]
    until = time.time() + 8
    text = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(until))
    pin = world.send_task(w, "update.pin", {"feed": "signatures", "version": before, "until": text})
    assert pin["state"] == "done", pin
    assert feed(w)["version"] == before
    assert [x["link"] for x in why_old(w) if x["link"] == "pin"] == ["pin"]
    runs = feed(w)["runs"]
    wait_for(lambda: feed(w)["runs"] > runs or time.time() > until, 10, "a run under the pin")
    assert feed(w)["version"] == before or time.time() > until - 1
    world.wait_version(now, 25)
    assert time.time() > until - 1
    assert log(w, "event=update.pin feed=signatures")


def test_memory_preflight_refuses_and_says_which_reload_fits(world):
    w, held, count = world.workstation, feed(world.workstation)["version"], len(world.told("update.waiting"))

    def with_limit(limit):
        world.stop_agent(w)
        w.conf.write_text(conf.replace("[engine]\n", f"[engine]\nmemory_limit={limit}\n"))
        world.start_agent(w)

    def memory():
        return json.loads(w.local("/v1/status"))["engine"].get("memory", {}).get("reload")
    conf = w.conf.read_text()
    with_limit("32M")
    new = world.release()
    under_trouble(world, "update.waiting", "needs about 64 MiB, 32 MiB are free", count, held,
                  ended=("waiting",))
    assert memory() == "none" and log(w, "reload=none")
    assert feed(w).get("rejected", []) == [] or new not in [r["version"] for r in feed(w)["rejected"]]
    with_limit("80M")  # the cause goes away
    world.wait_version(new)
    assert memory() == "blocking" and log(w, "event=engine.memory") and log(w, "reload=blocking")
    with_limit("0")
    world.wait_version(world.release())
    assert memory() == "concurrent"


# --- what freshclam was seen to get wrong: the downloader alone ---

TEXT = b"".join(b"%064x:%d:Sig.%d\n" % (i * 7919, i, i) for i in range(2000))


@pytest.fixture
def store(tmp_path):
    f = feedmaker.Feed(tmp_path / "pub" / "signatures")
    f.publish({"a.hdb": TEXT})
    with liars.Http(f.folder.parent, ADDRESSES[0]) as server:
        yield f, server, tmp_path / "state"


def fetch(feed_made, state, *named, **more):
    r = fetcher.run(fetcher.set_config(state, feed_made.root_file, fetcher.sources(*named), **more))
    if r["outcome"] == "updated":
        fetcher.activate(state, r["version"])
    return r


@pytest.mark.parametrize("spoil", [
    lambda d: d[:d.rindex(b"\n", 0, len(d) // 2) + 1],
    lambda d: d[:4096] + b"\0" * 4096 + d[8192:],
    lambda d: d.replace(b"%064x" % 7919, b"%064x" % 7918, 1)],
    ids=["cut-at-a-line-end", "zeros", "flipped-hash-digit"])
def test_spoiled_content_is_refused(store, spoil):
    f, server, state = store
    fetch(f, state, ("m", server))
    new = TEXT.replace(b"Sig.1999\n", b"Sig.new\n")
    f.publish({"a.hdb": new}, deltas=False)
    assert spoil(new) != new
    server.hook = lambda p: {"body": spoil(new)} if p.endswith(".a.hdb") else None
    r = fetch(f, state, ("m", server), current=1)
    assert (r["outcome"], r["exit"]) == ("failed", 1)
    assert {e["rule"] for e in r["errors"] if e["source"] == "m"} & {"hash", "length", "fetch"}
    assert (state / "current").resolve().name == "1"
    assert (state / "sets/1/a.hdb").read_bytes() == TEXT and not (state / "sets/2").exists()


def test_a_change_with_the_same_time_and_size_is_not_missed(store):
    f, server, state = store
    fetch(f, state, ("m", server))
    old = {p.name: p.stat() for p in f.folder.rglob("*") if p.is_file()}
    new = TEXT.replace(b"Sig.7\n", b"Sig.8\n")
    f.publish({"a.hdb": new})
    stamp = min(s.st_mtime for s in old.values())
    for p in f.folder.rglob("*"):
        os.utime(p, (stamp, stamp))
    r = fetch(f, state, ("m", server), current=1)
    assert r["outcome"] == "updated" and (state / "sets/2/a.hdb").read_bytes() == new


@pytest.mark.parametrize("status", [403, 429])
def test_a_refusing_source_blocks_itself_alone_and_the_exit_status_tells(store, status):
    f, server, state = store
    with liars.Http(f.folder.parent, ADDRESSES[1], lambda p: {"status": status}) as refusing:
        r = fetch(f, state, ("branch", refusing), ("server", server))
        assert (r["outcome"], r["exit"], r["source"]) == ("updated", 3, "server")
        assert {e["source"] for e in r["errors"]} == {"branch"}
        r = fetch(f, state, ("branch", refusing), current=1)
        assert (r["outcome"], r["exit"]) == ("failed", 1)

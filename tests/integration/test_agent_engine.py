"""The agent and Debian's clamd: gate, reload proved by the marker, scans by task, and a set that the
engine cannot load."""
import json
import os
import pathlib
import shutil
import tempfile

import pytest

import fleet as fleets
from world import run, wait_for

BIN = pathlib.Path(os.environ["ATALAIA_BIN"])
ADDRESSES = ("127.0.60.21", "127.0.60.22", "127.0.60.23")
EICAR = "X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"


def feed(host):
    status = json.loads(host.local("/v1/status"))
    return next(f for f in status["feeds"] if f["feed"] == "signatures")


def engine(host):
    return json.loads(host.local("/v1/status"))["engine"]


def log(host, word):
    return [line for line in host.agent.err if word in line]


@pytest.fixture(scope="module")
def world():
    if not pathlib.Path("/usr/sbin/clamd").exists():
        pytest.skip("clamd is not installed")
    root = pathlib.Path(tempfile.mkdtemp(prefix="atalaia-engine-"))
    f = fleets.Fleet(BIN, root, addresses=ADDRESSES, lines=3000)
    w = f.workstation
    try:
        f.make_feed()
        f.publish()
        f.start_console(policy={"update": {"interval": "10s", "jitter": "0"}}, admin_port=22970)
        f.configure_agent(f.server, 22971, more="retry=500ms", role=f.origin(poll_interval="200ms"))
        f.configure_agent(w, 22972, more="retry=500ms", engine=f"""[engine]
type=clamd
clamd_socket={w.dir}/run/clamd.sock
deadline=60s
""")
        for host in (f.server, w):
            f.enroll(host)
            f.start_agent(host)
        yield f
    finally:
        f.stop()
        shutil.rmtree(root, ignore_errors=True)


def test_a_set_becomes_current_while_the_engine_is_away_and_is_proved_when_it_comes(world):
    w = world.workstation
    wait_for(lambda: feed(w)["version"] == 2, 30, "the first set")
    assert engine(w)["up"] is False
    world.start_clamd(w)
    wait_for(lambda: engine(w)["up"], 40, "the engine")
    wait_for(lambda: log(w, "event=update.probe feed=signatures version=2 outcome=ok"), 60, "the proof")


def test_a_new_set_is_gated_loaded_and_proved_by_its_marker(world):
    w = world.workstation
    version = world.publish()["version"]
    wait_for(lambda: log(w, f"event=update.probe feed=signatures version={version} outcome=ok"), 60,
             "the proof")
    assert log(w, f"event=update.gate feed=signatures version={version} outcome=ok skipped=0")
    assert feed(w)["version"] == version
    world.wait_event("update.applied", w, match=lambda e: e["data"]["version"] == version)


def test_a_set_that_the_engine_cannot_load_is_refused_by_hash_and_the_old_one_stays(world):
    w, held = world.workstation, feed(world.workstation)["version"]
    bad = world.server.dir / "bad"
    shutil.copytree(world.server.dir / "set", bad)
    (bad / "broken.ndb").write_text("this is :not: a signature\n")
    world.server.own(bad)
    version = world.publish(bad)["version"]
    event = world.wait_event("update.rejected", w, match=lambda e: e["data"]["what"] == "set")
    assert event["data"]["version"] == version and event["data"]["rule"] == "load"
    assert feed(w)["version"] == held
    assert [r["version"] for r in feed(w)["rejected"]] == [version]
    assert (w.dir / "state/feeds/signatures/current").resolve().name == str(held)
    mended = world.publish(world.server.dir / "set")["version"]
    wait_for(lambda: feed(w)["version"] == mended, 40, "the mended set")


def test_a_scan_by_task_finds_tells_and_quarantines(world):
    w = world.workstation
    folder = w.dir / "documents"
    folder.mkdir()
    (folder / "letter.txt").write_text("nothing to see\n")
    (folder / "bad.txt").write_text(EICAR)
    w.own(folder)
    done = world.send_task(w, "scan.start", {"paths": [str(folder)], "quarantine": True})
    assert done["state"] == "done", done
    assert done["result"]["found"] == 1 and done["result"]["files"] >= 2
    assert done["result"]["quarantined"] == 1 and not (folder / "bad.txt").exists()
    event = world.wait_event("detection", w)
    assert "Eicar" in json.dumps(event["data"])
    assert "bad.txt" in (w.dir / "state/mwav.log").read_text()
    stop = world.send_task(w, "scan.stop")
    assert stop["state"] == "done" and stop["result"]["was_running"] is False


def test_the_vault_is_listed_and_gives_back_by_task(world):
    w = world.workstation
    listed = world.send_task(w, "quarantine.list")
    assert listed["state"] == "done" and listed["result"]["count"] == 1, listed
    (item,) = listed["result"]["items"]
    path = pathlib.Path(item["path"])
    assert path.name == "bad.txt" and "Eicar" in item["signature"] and not path.exists()
    taken = world.wait_event("quarantine.taken", w)
    assert taken["data"]["id"] == item["id"] and taken["data"]["path"] == str(path)
    done = world.send_task(w, "quarantine.restore", {"id": item["id"]})
    assert done["state"] == "done" and done["result"]["path"] == str(path), done
    assert path.read_text() == EICAR
    told = world.wait_event("quarantine.restored", w)
    assert told["data"]["id"] == item["id"] and told["data"]["restored_by"]
    assert world.send_task(w, "quarantine.list")["result"] == {"count": 0, "items": []}
    again = world.send_task(w, "quarantine.restore", {"id": item["id"]})
    assert again["state"] == "failed" and again["error"] == "not-found", again


def child(parent, name):
    """Pid of the parent's child with this name, or None."""
    done = run(["pgrep", "-P", parent, "-x", name])
    return int(done.stdout.split()[0]) if done.stdout.split() else None


def test_a_scan_by_policy_runs_once_in_its_window_and_stops_at_its_end(world):
    w = world.workstation
    folder = w.dir / "documents"                  # the restored file is still there
    update = {"interval": "10s", "jitter": "0"}

    def scans():
        return [e["data"] for e in world.events() if e["type"] == "org.atalaia.scan.done"
                and e["data"]["trigger"] == "schedule"]

    world.set_policy("default.json", {"update": update, "scan": {
        "schedule": ["00:00-00:00"], "paths": [str(folder)], "quarantine": True}})
    assert world.send_task(w, "policy.refresh")["state"] == "done"
    wait_for(scans, 40, "the scan by policy")
    assert scans()[0]["outcome"] == "done" and scans()[0]["quarantined"] == 1
    assert not (folder / "bad.txt").exists()
    wait_for((w.dir / "state/scan-schedule.json").exists, 10, "the record")
    w.agent.stop()
    world.start_agent(w)                          # not again today
    many = w.dir / "many"
    many.mkdir()
    for i in range(400):
        (many / f"{i}.txt").write_text(f"{i}\n" * 40000)
    w.own(many)
    world.set_policy("default.json", {"update": update, "scan": {
        "schedule": ["00:00-00:00"], "paths": [str(many)]}})
    assert world.send_task(w, "policy.refresh")["state"] == "done" and len(scans()) == 1
    w.agent.stop()
    (w.dir / "state/scan-schedule.json").unlink()
    world.start_agent(w)
    wait_for(lambda: log(w, "event=scan.scheduled paths=1"), 40, "the second scan")
    scan = wait_for(lambda: child(w.agent.process.pid, "atalaia-scan"), 10, "the scanner")
    assert os.getpriority(os.PRIO_PROCESS, scan) == 15
    assert run(["ionice", "-p", scan]).stdout.strip() == "idle"
    busy = world.send_task(w, "scan.start", {"paths": ["/etc"]})
    assert busy["state"] == "failed" and busy["error"] == "busy", busy
    world.set_policy("default.json", {"update": update})  # the window is gone
    assert world.send_task(w, "policy.refresh")["state"] == "done"
    wait_for(lambda: len(scans()) == 2, 40, "the end of the second scan")
    assert scans()[0]["outcome"] == "canceled" or scans()[1]["outcome"] == "canceled"


def test_a_reload_that_does_not_fit_waits_and_a_blocking_clamd_takes_it(world):
    w, conf = world.workstation, world.workstation.conf.read_text()

    def with_options(text):
        w.agent.process.terminate()
        assert w.agent.process.wait(20) == 0
        w.conf.write_text(conf.replace("type=clamd\n", f"type=clamd\n{text}"))
        world.start_agent(w)

    def with_clamd(more):
        w.clamd.process.kill()
        w.clamd.process.wait()
        (w.dir / "run/clamd.sock").unlink(missing_ok=True)
        world.start_clamd(w, more)
        wait_for(lambda: engine(w)["up"], 60, "the engine")
    held = world.publish()["version"]
    wait_for(lambda: log(w, f"event=update.probe feed=signatures version={held} outcome=ok"), 60, "a reload")
    assert engine(w)["memory"]["reload"] == "concurrent"
    assert engine(w)["memory"]["kind"] == "concurrent" and engine(w)["memory"]["held"] > 1 << 20
    with_options("gate=off\nmemory_limit=20M\n")
    version = world.publish()["version"]
    event = world.wait_event("update.waiting", w, seconds=60)
    assert "a concurrent reload of this set needs about" in event["data"]["why"]
    assert "a blocking one fits" in event["data"]["why"]
    assert feed(w)["version"] == held and engine(w)["memory"]["reload"] == "none"
    with_clamd("ConcurrentDatabaseReload no\nIdleTimeout 1\n")
    wait_for(lambda: log(w, f"event=update.probe feed=signatures version={version} outcome=ok"), 60, "the new set")
    assert (engine(w)["memory"]["reload"], engine(w)["memory"]["kind"]) == ("blocking", "blocking")
    with_options("")
    with_clamd("")


def test_an_engine_that_dies_is_reported_and_updates_go_on(world):
    w = world.workstation
    w.clamd.process.kill()
    w.clamd.process.wait()
    world.wait_event("engine.down", w)
    version = world.publish()["version"]
    wait_for(lambda: feed(w)["version"] == version, 40, "the new set without an engine")
    (w.dir / "run/clamd.sock").unlink(missing_ok=True)
    world.start_clamd(w)
    wait_for(lambda: log(w, f"event=update.probe feed=signatures version={version} outcome=ok"), 60,
             f"the proof after its return: {log(w, 'engine.')[-4:]} {log(w, 'update.')[-6:]}")

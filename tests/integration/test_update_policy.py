"""What a published policy says to a workstation: its download rate, its window (and what a task may do outside
it), the quotas of its spool; all live, against real programs. The tests run in order: a world is dear."""
import datetime
import json
import os
import pathlib
import shutil
import tempfile
import time

import pytest

import fleet as fleets
from world import wait_for

BIN = pathlib.Path(os.environ["ATALAIA_BIN"])
ADDRESSES = ("127.0.67.11", "127.0.67.12", "127.0.67.13")
RATE, SIZE = 400_000, 1_600_000


def policy(update=None, **more):
    return {"update": {"interval": "1s", "jitter": "0", "bypass": "0s", **(update or {})}, **more}


@pytest.fixture(scope="module")
def world():
    root = pathlib.Path(tempfile.mkdtemp(prefix="atalaia-upolicy-"))
    f = fleets.Fleet(BIN, root, addresses=ADDRESSES, lines=300)
    try:
        f.make_feed()
        f.publish()
        f.start_console(policy=policy(), admin_port=0)
        f.configure_agent(f.server, 0, more="retry=1h", role=f.origin(poll_interval="200ms"))
        f.configure_agent(f.workstation, 0, more="retry=500ms")
        for host in (f.server, f.workstation):
            f.enroll(host)
            f.start_agent(host)
            host.event_port = json.loads((host.dir / "run/ports.json").read_text())["event"]
        wait_for(lambda: version(f) > 0, 60, "the first version at the workstation")
        f.wait_task_port(f.workstation)
        yield f
    finally:
        f.stop()
        shutil.rmtree(root, ignore_errors=True)


def version(f, feed="signatures"):
    path = f.workstation.dir / "state/feeds" / feed / "current"
    return int(os.readlink(path).split("/")[-1]) if path.is_symlink() else 0


def apply(f, value, *marks):
    """Publishes a policy and waits until the workstation has it in force."""
    f.set_policy("default.json", value)
    wait_for(lambda: all(m in f.workstation.local("/v1/policy") for m in marks), 40, "the policy in force")


def window(hours):
    """One that begins in so many hours, an hour long."""
    at = datetime.datetime.now() + datetime.timedelta(hours=hours)
    return f"{at:%H:%M}-{at + datetime.timedelta(hours=1):%H:%M}"


def part(f):
    """Bytes of what is being fetched."""
    work = f.workstation.dir / "state/feeds/signatures/work"
    sizes = [0]
    for path in work.rglob("*"):
        try:
            sizes.append(path.stat().st_size if path.is_file() else 0)
        except FileNotFoundError:
            pass
    return max(sizes)


def test_the_rate_that_policy_sets_bounds_a_download(world):
    apply(world, policy({"rate_limit": str(RATE)}), f'"{RATE}"')
    want = world.publish_noise(SIZE)
    wait_for(lambda: part(world) > 100_000, 60, "the file under way")
    begin, at = time.monotonic(), part(world)
    while time.monotonic() - begin < 2 and version(world) < want:
        time.sleep(0.05)
    took = time.monotonic() - begin
    assert version(world) < want                        # without a limit it had come long ago
    moved = part(world) - at
    assert 0.3 * RATE < moved / took < 1.15 * RATE, (moved, took)
    wait_for(lambda: version(world) == want, 60, "the whole version")


def test_outside_its_window_it_waits_but_a_task_is_obeyed(world):
    apply(world, policy({"windows": [window(3)]}), window(3))
    before, policies = version(world), version(world, "policies")
    want = world.publish_noise(1000)
    apply(world, policy({"windows": [window(3), window(5)]}), window(5))   # policies are never held back
    assert version(world, "policies") > policies
    time.sleep(1.5)                                     # more than an interval
    assert version(world) == before
    done = world.send_task(world.workstation, "update.now", {"feed": "signatures"})
    assert done["state"] == "done", done
    assert done["result"]["feeds"][0]["outcome"] == "updated" and version(world) == want
    later = world.publish_noise(1000)                              # and the timers wait again
    time.sleep(1.5)
    assert version(world) == want
    apply(world, policy())
    wait_for(lambda: version(world) == later, 40, "the version, once the window is open")


def test_inside_its_window_it_updates_by_itself_and_by_task(world):
    apply(world, policy({"windows": [window(-0.5)]}), window(-0.5))
    want = world.publish_noise(1000)
    wait_for(lambda: version(world) == want, 40, "the version by itself")
    done = world.send_task(world.workstation, "update.now", {"feed": "signatures"})
    assert done["state"] == "done" and done["result"]["feeds"][0]["outcome"] == "current", done


def post(f, n, first):
    body = json.dumps([{"specversion": "1.0", "id": str(first + k), "source": "/t", "type": "test.quota",
                        "data": {"pad": "z" * 2000, "n": first + k}} for k in range(n)]).encode()
    f.workstation.local("/v1/events", "POST", body, "application/cloudevents-batch+json")


def test_the_quota_that_policy_sets_bounds_the_spool_while_it_runs(world):
    refused = world.console_run("policy", "set", "default.json", world.server.write("low.json", json.dumps(
        policy(events={"quotas": {"telemetry": "1000k"}}))), check=False)
    assert refused.returncode == 1 and "events.quotas.telemetry" in refused.stderr and "1M" in refused.stderr
    apply(world, policy(events={"quotas": {"telemetry": "1M"}}), '"telemetry"', '"1M"')
    world.console.stop()
    for first in range(0, 1200, 100):                   # 2.4 MB
        post(world, 100, first)
    world.console = world.server.start("atalaia-console", "serve", "--config", world.console_conf)
    world.console.line("ready")

    def newest():
        return [e for e in world.events("--type", "test.quota") if e["data"]["n"] == 1199]
    wait_for(newest, 60, "the newest of them")
    kept = {e["data"]["n"] for e in world.events("--type", "test.quota")}
    assert 0 not in kept and 200 < len(kept) < 700, len(kept)

    def told():
        found = [e["data"] for e in world.events("--type", "org.atalaia.events.dropped")]
        assert all(x["class"] == "telemetry" and x["why"] == "quota" for x in found), found
        return sum(x["count"] for x in found) >= 1200 - len(kept)     # the agent's own may be among them
    wait_for(told, 30, "all that were dropped told")

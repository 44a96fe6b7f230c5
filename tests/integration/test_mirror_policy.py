"""What policy says to a mirror's sync: its rate, its window; update.cancel; the role switched off in mid-download. The tests run in order: a world is dear."""
import datetime
import json
import os
import pathlib
import shutil
import socket
import tempfile
import threading
import time

import pytest

import fleet as fleets
import liars
from mirror import Raw, read_all
from world import free_port, wait_for

BIN = pathlib.Path(os.environ["ATALAIA_BIN"])
ADDRESSES = ("127.0.62.11", "127.0.62.12", "127.0.62.13")
RATE = 300_000
SIZE = 3_000_000


def policy(rate="0", window=None):
    return {"update": {"auto": False, "interval": "1h", "jitter": "0"},
            "mirror": {"rate_limit": rate, "window": window or []}}


def start(fleet, host):
    fleet.start_agent(host)
    host.event_port = json.loads((host.dir / "run/ports.json").read_text())["event"]


@pytest.fixture(scope="module")
def world():
    root = pathlib.Path(tempfile.mkdtemp(prefix="atalaia-mpolicy-"))  # pytest's own is closed to others
    f = fleets.Fleet(BIN, root, addresses=ADDRESSES, lines=300)
    try:
        f.make_feed()
        f.publish()
        f.start_console(policy=policy(), admin_port=0)
        f.configure_agent(f.server, 0, role=f.origin(poll_interval="200ms"))
        f.configure_agent(f.branch, 0, more="retry=500ms",
                          role=f"[update-agent]\nenabled=yes\nlisten={ADDRESSES[1]}\n")
        for host in (f.server, f.branch):
            f.enroll(host)
            start(f, host)
        wait_for(lambda: mirrored(f, "signatures") > 0, 30, "the first version mirrored")
        yield f
    finally:
        f.stop()
        shutil.rmtree(root, ignore_errors=True)


def mirrored(world, feed):
    """Newest targets version that the branch serves."""
    meta = world.branch.dir / "state/mirror/root" / feed / "metadata"
    versions = [int(p.name.split(".")[0]) for p in meta.glob("*.targets.json")] if meta.exists() else []
    return max(versions, default=0)


def apply(world, value):
    world.set_policy("default.json", value)
    want = value["mirror"]

    def applied():
        text = world.branch.local("/v1/policy")
        return f'"{want["rate_limit"]}"' in text and all(w in text for w in want["window"])

    wait_for(applied, 30, "the branch has the policy")


def part(world):
    """Bytes of the file that is being fetched."""
    try:
        return max((p.stat().st_size for p in (world.branch.dir / "state/mirror/work/signatures/parts").iterdir()),
                   default=0)
    except FileNotFoundError:
        return 0


def log_time(world, *words):
    """When the branch's newest log line with all these words was written."""
    found = None
    for line in (world.branch.dir / "atalaia-agent.log").read_text(errors="replace").splitlines():
        if all(w in line for w in words):
            found = line
    return found and datetime.datetime.fromisoformat(found.split()[0][5:].replace("Z", "+00:00"))


def test_the_rate_that_policy_sets_is_kept_and_cancel_is_obeyed_at_once(world):
    apply(world, policy(rate=str(RATE)))
    version = world.publish_noise(SIZE)
    wait_for(lambda: part(world) > 100_000, 60, "the file under way")
    begin, at = time.monotonic(), part(world)
    samples = []
    while time.monotonic() - begin < 3:   # ten seconds and 10 % are test_the_rate_is_kept_over_ten_seconds
        samples.append((time.monotonic() - begin, part(world) - at))
        time.sleep(0.05)
    seconds, amount = samples[-1]
    assert 0.75 * RATE < amount / seconds < 1.15 * RATE, (seconds, amount)
    assert mirrored(world, "signatures") < version
    done = world.send_task(world.branch, "update.cancel", {"feed": "signatures"})
    assert done["state"] == "done", done
    wait_for(lambda: log_time(world, "event=fetch.done", "outcome=canceled"), 10, "its end")
    asked = log_time(world, "event=task.start", "type=update.cancel")
    assert (log_time(world, "event=fetch.done", "outcome=canceled") - asked).total_seconds() < 1
    have = part(world)
    assert have > 600_000
    apply(world, policy())                 # and the rest comes from where it stopped
    assert world.send_task(world.branch, "update.now", {"feed": "signatures"})["state"] in ("done", "failed")
    wait_for(lambda: mirrored(world, "signatures") == version, 60, "the whole version")
    branch = json.loads(world.branch.local("/v1/status"))["update_agent"]["feeds"]
    taken = next(f for f in branch if f["feed"] == "signatures")["bytes_full"]
    assert taken < SIZE + 200_000          # what a second download from the start would not keep


def test_outside_its_window_a_mirror_waits_but_for_policies(world):
    now = datetime.datetime.now()
    hour = f"{(now.hour + 3) % 24:02d}:{now.minute:02d}-{(now.hour + 4) % 24:02d}:{now.minute:02d}"
    apply(world, policy(window=[hour]))
    before, policies = mirrored(world, "signatures"), mirrored(world, "policies")
    version = world.publish_noise(1000)
    apply(world, policy(rate="1M", window=[hour]))
    wait_for(lambda: mirrored(world, "policies") > policies, 30, "a newer policy mirrored all the same")
    time.sleep(1.5)
    assert mirrored(world, "signatures") == before
    apply(world, policy())
    wait_for(lambda: mirrored(world, "signatures") == version, 30, "the version, once the window is open")


def closed(port):
    """Nobody listens there."""
    with socket.socket() as s:
        return s.connect_ex((ADDRESSES[1], port)) != 0


def test_switching_off_frees_the_ports_at_once_and_lets_downloads_end(world):
    content = os.urandom(12_000_000)
    root = world.branch.dir / "state/mirror/root/extra"
    root.mkdir()
    (root / "big").write_bytes(content)
    world.branch.own(root)
    done = []
    with Raw(ADDRESSES[1], 2021) as r:
        r.login()
        r.ask("TYPE I")
        port = r.passive()
        with socket.socket() as d:
            d.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            d.settimeout(15)
            d.connect((ADDRESSES[1], port))
            assert r.ask("RETR extra/big").startswith("150")
            off = threading.Thread(target=lambda: done.append(world.send_task(
                world.branch, "role.set", {"role": "update-agent", "on": False})))
            off.start()
            begin = wait_for(lambda: log_time(world, "event=serve.stopping"), 20, "the role's end")
            wait_for(lambda: closed(2021) and closed(3333), 5, "free ports")
            assert (datetime.datetime.now(datetime.timezone.utc) - begin).total_seconds() < 1 + 1   # a slow machine
            assert not done                        # and the download is still under way
            assert read_all(d) == content
        assert r.reply().startswith("226")
    off.join(30)
    assert done and done[0]["state"] == "done", done
    on = world.send_task(world.branch, "role.set", {"role": "update-agent", "on": True})
    assert on["state"] == "done", on
    assert not closed(2021) and not closed(3333)


def test_a_dead_upstream_is_asked_ever_more_rarely_and_holds_nobody_up(world):
    """Back-off is kept for each source: the pauses of a dead one double, a healthy one is asked meanwhile."""
    asked = []

    def refuse(path):
        if "signatures" in path:
            asked.append(time.monotonic())
        return {"status": 421}

    value = policy()
    value["update"]["bypass"] = "1s"
    world.set_policy("default.json", value)
    wait_for(lambda: '"1s"' in world.branch.local("/v1/policy"), 40, "the branch has the policy")
    with liars.Ftp(world.publish_root, ADDRESSES[2], refuse) as dead:
        stop(world.server)
        stop(world.branch)                     # a start begins with a run
        world.configure_agent(world.branch, 0, more="retry=500ms", role=f"""[update-agent]
enabled=yes
listen={ADDRESSES[1]}
upstream={ADDRESSES[2]}/{dead.port}/0/{free_port(ADDRESSES[2])}
""")
        asked.clear()
        start(world, world.branch)
        wait_for(lambda: len(runs(asked)) >= 4, 60, "four runs against a dead upstream")
        pauses = [b[0] - a[-1] for a, b in zip(runs(asked), runs(asked)[1:])]
        assert all(p >= 0.5 * 2 ** i * 0.9 for i, p in enumerate(pauses)), pauses
        start(world, world.server)
        at = len(asked)
        for size in (1000, 2000):
            version = world.publish_noise(size)
            wait_for(lambda v=version: mirrored(world, "signatures") == v, 60, "mirrored from the one that works")
        gaps = [b[0] - a[-1] for a, b in zip(runs(asked), runs(asked)[1:])]
        assert all(p >= min(0.5 * 2 ** i, 8) * 0.9 for i, p in enumerate(gaps)), (gaps, at)


def runs(times):
    """Requests of one run follow each other at once; runs are at least half a second apart."""
    found = []
    for t in list(times):
        if found and t - found[-1][-1] < 0.4:
            found[-1].append(t)
        else:
            found.append([t])
    return found


def stop(host):
    host.agent.process.terminate()
    host.agent.process.wait(20)

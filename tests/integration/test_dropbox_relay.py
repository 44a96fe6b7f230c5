"""What lies in a branch's drop box reaches the console: whole, once, at the set rate, through kills and outages. And the
collect task that travels this way. The tests run in order: a world is dear."""
import hashlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

import pytest

import fleet as fleets
from world import wait_for

BIN = pathlib.Path(os.environ["ATALAIA_BIN"])
ADDRESSES = ("127.0.61.11", "127.0.61.12", "127.0.61.13")
RATE = 400_000


def policy():
    near = [{"name": "branch", "host": ADDRESSES[1], "ftp": 2021, "http": 0, "version": 3333,
             "subnets": [ADDRESSES[2] + "/32"]}]
    return {"update": {"auto": False, "interval": "1h", "rate_limit": str(RATE)}, "mirror": {"rate_limit": str(RATE)},
            "sources": {"update_agents": near}}


def role(host, more):
    return f"""[update-agent]
enabled=yes
listen={host.address}
dropbox={host.dir}/box
dropbox_floor=0
{more}
"""


def start(fleet, host):
    fleet.start_agent(host)
    host.event_port = json.loads((host.dir / "run/ports.json").read_text())["event"]


@pytest.fixture(scope="module")
def world():
    root = pathlib.Path(tempfile.mkdtemp(prefix="atalaia-relay-"))  # pytest's own is closed to others
    f = fleets.Fleet(BIN, root, addresses=ADDRESSES, lines=300)
    try:
        f.make_feed()
        f.publish()
        f.start_console(policy=policy(), admin_port=0)
        for host in (f.server, f.branch):
            (host.dir / "box").mkdir()
            host.own(host.dir)
        f.configure_agent(f.server, 0,
                          role=role(f.server, f"mode=origin\nroot={f.publish_root}"))
        f.configure_agent(f.branch, 0, role=role(f.branch, ""))
        f.configure_agent(f.workstation, 0, engine="[console]\ncollect=dropbox")
        for host in (f.server, f.branch, f.workstation):
            f.enroll(host)
            start(f, host)
        for host in (f.server, f.branch):
            wait_for(lambda h=host: status(h)["update_agent"]["serving"], 20, "the role serves")
        wait_for(lambda: '"task_port":0' not in f.console_run("agents", "--json").stdout.replace(" ", ""),
                 30, "everybody's task port at the console")
        yield f
    finally:
        f.stop()
        shutil.rmtree(root, ignore_errors=True)


def status(host):
    return json.loads(host.local("/v1/status"))


def status_task(host):
    return json.loads(host.local("/v1/tasks"))["tasks"][0]


def put(host, content, name="mwav.log"):
    done = subprocess.run(["curl", "-sS", "-T", "-", f"ftp://{host.address}:2021/incoming/{name}"],
                          input=content, capture_output=True, timeout=30)
    assert done.returncode == 0, done.stderr


def box(host):
    return sorted(p.name for p in (host.dir / "box").iterdir() if not p.name.startswith("."))


def brought(world, host):
    """Hashes of what this mirror has brought to the console: one for each file, repeats shown."""
    folder = world.server.dir / "console/collected/dropbox" / host.agent_id
    found = []
    for path in folder.glob("*") if folder.exists() else ():
        try:
            if path.suffix != ".part":
                found.append(hashlib.sha256(path.read_bytes()).hexdigest())
        except FileNotFoundError:
            pass            # filed elsewhere meanwhile
    return sorted(found)


def sizes(folder, pattern):
    """Bytes of files that come and go."""
    total = 0
    for path in folder.glob(pattern) if folder.exists() else ():
        try:
            total += path.stat().st_size
        except FileNotFoundError:
            pass
    return total


def hashes(*contents):
    return sorted(hashlib.sha256(c).hexdigest() for c in contents)


def clear(world):
    shutil.rmtree(world.server.dir / "console/collected", ignore_errors=True)


def kill(host):
    host.agent.process.kill()
    host.agent.process.wait()


def test_an_upload_reaches_the_console_and_leaves_the_box(world):
    contents = [os.urandom(300_000), b"", b"small"]
    for c in contents:
        put(world.branch, c)
    wait_for(lambda: brought(world, world.branch) == hashes(*contents), 30, "all three at the console")
    wait_for(lambda: box(world.branch) == [], 10, "an empty box")
    said = wait_for(lambda: (d := status(world.branch)["update_agent"]["dropbox"])["sent"] == 3 and d, 10, "3 sent")
    assert said["to"] == "console" and said["waiting_files"] == 0 and said["failed_tries"] == 0
    wait_for(lambda: status(world.branch)["update_agent"]["counters"]["uploads"] == 3, 10, "3 counted")
    metrics = world.branch.local("/metrics").splitlines()
    assert "atalaia_mirror_uploads 3" in metrics and "atalaia_dropbox_sent 3" in metrics
    clear(world)


def test_collect_by_way_of_the_box_is_filed_as_if_it_had_come_directly(world):
    log = os.urandom(100_000)
    (world.workstation.dir / "state/mwav.log").write_bytes(log)
    done = world.send_task(world.workstation, "collect", {"what": ["system", "mwav"]})
    assert done["state"] == "done", done
    result = wait_for(lambda: status_task(world.workstation).get("result"), 10, "its result")
    assert result == {"box": "branch", "system": "dropped", "mwav": "dropped"}
    filed = world.server.dir / "console/collected" / world.workstation.agent_id

    def whole():
        tasks = list(filed.glob("*")) if filed.exists() else []
        return len(tasks) == 1 and {p.name: p for p in tasks[0].iterdir()}

    files = wait_for(lambda: (w := whole()) and set(w) == {"system.json", "mwav.log"} and w, 30, "both files filed")
    assert files["mwav.log"].read_bytes() == log
    assert json.loads(files["system.json"].read_bytes())["agent"]["id"] == world.workstation.agent_id
    wait_for(lambda: box(world.branch) == [], 10, "an empty box")
    assert brought(world, world.branch) == []
    assert list((world.workstation.dir / "state/collect").iterdir()) == []


def test_what_nobody_vouches_for_stays_apart(world):
    """The same sealed file again is dropped as known; one with a changed byte is nobody's."""
    filed = next((world.server.dir / "console/collected" / world.workstation.agent_id).glob("*/mwav.log"))
    kept = filed.read_bytes()
    world.server.agent.process.terminate()      # the next file stays in the server's box for us to see
    task = filed.parent.name
    from cryptography.hazmat.primitives import hashes as h, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    identity = world.workstation.dir / "state/identity"
    key = serialization.load_pem_private_key((identity / "key.pem").read_bytes(), None)

    def sealed(content, agent=world.workstation.agent_id, claimed=None):
        signed = {"_type": "dropped", "agent": agent, "name": "mwav.log", "task": task,
                  "sha256": claimed or hashlib.sha256(content).hexdigest(), "size": len(content)}
        sig = key.sign(json.dumps(signed, sort_keys=True, separators=(",", ":")).encode(), ec.ECDSA(h.SHA256()))
        head = {"certificate": (identity / "cert.pem").read_text(), "sig": sig.hex(), "signed": signed}
        return b"ATALAIA-DROPPED 1 " + json.dumps(head).encode() + b"\n" + content

    bad = [sealed(b"lie", claimed="0" * 64), sealed(b"other", agent=world.branch.agent_id),
           sealed(kept).replace(b'"size"', b'"sizE"'), b"ATALAIA-DROPPED 1 \n"]
    for content in [sealed(b"the same task and name with other content"), *bad]:
        put(world.branch, content)
    wait_for(lambda: brought(world, world.branch) == hashes(*bad), 30, "the unverified ones apart")
    wait_for(lambda: box(world.branch) == [], 10, "an empty box")
    assert filed.read_bytes() == kept and len(list(filed.parent.iterdir())) == 2
    clear(world)
    start(world, world.server)


def test_a_collect_killed_in_the_middle_is_filed_once_and_whole(world):
    log = os.urandom(1_200_000)
    (world.workstation.dir / "state/mwav.log").write_bytes(log)
    world.console_run("task", "send", world.workstation.agent_id, "collect", "--args", '{"what": ["mwav"]}')

    def arriving():
        return sizes(world.branch.dir / "box", ".open-*")

    wait_for(lambda: arriving() > 200_000, 40, "a part of it in the box")
    kill(world.workstation)
    had = arriving()
    start(world, world.workstation)
    while arriving():
        assert arriving() in (0, had - 1) or arriving() >= had      # it goes on where it was
        time.sleep(0.01)
    filed = world.server.dir / "console/collected" / world.workstation.agent_id
    logs = wait_for(lambda: list(filed.glob("*/mwav.log")), 60, "the log filed")
    assert [p.read_bytes() == log for p in logs] == [True]
    wait_for(lambda: box(world.branch) == [], 10, "an empty box")
    wait_for(lambda: status_task(world.workstation)["state"] == "done", 20, "the task done")
    assert brought(world, world.branch) == []
    clear(world)


def test_nothing_is_lost_or_doubled_by_outages_and_kills(world):
    world.console.stop()
    contents = [os.urandom(1_200_000), os.urandom(1000), os.urandom(2000)]
    for c in contents:
        put(world.branch, c)
    kill(world.branch)                                            # while nobody can be reached
    start(world, world.branch)
    world.console = world.server.start("atalaia-console", "serve", "--config", world.console_conf)
    world.console.line("ready")
    folder = world.server.dir / "console/collected/dropbox" / world.branch.agent_id

    def moving():
        return sizes(folder, "*.part")

    at = wait_for(lambda: (m := moving()) and m > 50_000 and m, 60, "a file under way")
    begin = time.monotonic()
    wait_for(lambda: not (m := moving()) or m >= at + 500_000, 60, "half a megabyte more")
    assert time.monotonic() - begin > (500_000 - 131_072) / RATE  # a piece may be under way
    kill(world.branch)                                            # in the middle
    assert moving()
    start(world, world.branch)
    wait_for(lambda: brought(world, world.branch) == hashes(*contents), 90, "all at the console, once")
    wait_for(lambda: box(world.branch) == [], 20, "an empty box")
    clear(world)


def test_from_box_to_box_by_ftp(world):
    """A branch without a way to the console hands its box to the upstream's; and whoever is killed while it does,
    the upstream gets each file once."""
    kill(world.branch)
    world.configure_agent(world.branch, 0, role=role(world.branch, "dropbox_relay=upstream"))
    start(world, world.branch)
    wait_for(lambda: status(world.branch)["update_agent"]["serving"], 20, "the role serves")
    contents = [os.urandom(200_000)]
    put(world.branch, contents[0])
    wait_for(lambda: brought(world, world.server) == hashes(*contents), 40, "at the console, by the server's box")
    wait_for(lambda: box(world.branch) == box(world.server) == [], 10, "empty boxes")

    contents.append(os.urandom(600_000))                 # the sender, when the upstream has the file and it does not know
    put(world.branch, contents[1])
    wait_for(lambda: sizes(world.server.dir / "box", ".open-*") > 100_000, 40, "half of it")
    world.branch.agent.process.send_signal(signal.SIGSTOP)
    wait_for(lambda: brought(world, world.server) == hashes(*contents), 40, "at the console")
    assert len(box(world.branch)) == 1
    kill(world.branch)
    start(world, world.branch)
    wait_for(lambda: box(world.branch) == [], 40, "an empty box")

    contents.append(os.urandom(600_000))                 # and the upstream, with half of it
    put(world.branch, contents[2])
    wait_for(lambda: sizes(world.server.dir / "box", ".open-*") > 100_000, 40, "half of it")
    kill(world.server)
    half = sizes(world.server.dir / "box", ".open-*")
    assert half > 100_000
    start(world, world.server)
    wait_for(lambda: box(world.branch) == [], 60, "an empty box")
    last = b"a later one, behind which nothing else can come"
    put(world.branch, last)
    wait_for(lambda: hashlib.sha256(last).hexdigest() in brought(world, world.server), 40, "the last one")
    assert brought(world, world.server) == hashes(*contents, last)
    assert brought(world, world.branch) == []

"""The incident of January 2026 again: a regional mirror is taken over, serves malware for a while, and hosts files
send its name to the thief's own server. No workstation takes anything, each says so to the console, and each heals
when the mirror is itself again, without anybody touching it."""
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import tempfile

import pytest

import fleet as fleets
import world
from world import wait_for

BIN = pathlib.Path(os.environ["ATALAIA_BIN"]).resolve()
SERVER, BRANCH, THIEF = "127.0.90.11", "127.0.90.12", "127.0.90.66"
STATIONS = ("127.0.90.21", "127.0.90.22", "127.0.90.23")
NAME = "mirror.branch.example"
MALWARE = b"this is what the thief wants everybody to have\n"


def hosts_file(path, address):
    """In place: the file is mounted over /etc/hosts in the stations' namespaces."""
    with open(path, "w", encoding="ascii") as f:
        f.write(f"127.0.0.1 localhost\n{address} {NAME}\n")


def own_view(hosts):
    """Command prefix of a PC with a hosts file of its own."""
    return ["unshare", "-m", "--", "sh", "-c", f'mount --bind {hosts} /etc/hosts && exec "$@"', "sh"]


@pytest.fixture
def scene():
    if os.geteuid() != 0:
        pytest.skip("a hosts file of one's own needs a mount namespace, and that root")
    root = pathlib.Path(tempfile.mkdtemp(prefix="atalaia-thief-"))
    hosts = root / "hosts"
    hosts_file(hosts, BRANCH)
    hosts.chmod(0o644)
    if world.run([*own_view(hosts), "true"]).returncode != 0:
        shutil.rmtree(root)
        pytest.skip("no mount namespaces here")
    f = fleets.Fleet(BIN, root, addresses=(SERVER, BRANCH, STATIONS[0]), lines=3000,
                     prefixes=[(), (), own_view(hosts)])
    f.stations = [f.workstation] + [
        fleets.Host(f, f"workstation{i}", STATIONS[i], 64110 + i, prefix=own_view(hosts)) for i in (1, 2)]
    f.hosts = hosts
    try:
        yield f
    finally:
        f.stop()
        shutil.rmtree(root, ignore_errors=True)


def start(f):
    f.make_feed()
    f.publish()
    f.start_console(policy={
        "update": {"auto": False, "bypass": "never", "jitter": "0"},
        "sources": {"update_agents": [{"name": "branch", "host": NAME, "ftp": 2021, "http": 2221,
                                       "version": 3333, "subnets": ["127.0.90.0/24"]}]}},
                    admin_port=0)
    f.configure_agent(f.server, world.free_port(), more="retry=500ms", role=f"""[update-agent]
enabled = yes
mode = origin
root = {f.publish_root}
listen = {SERVER}
poll_interval = 200ms
""")
    f.start_agent(f.server)
    for host in [f.branch, *f.stations]:
        f.configure_agent(host, world.free_port(), more="retry=500ms\n[tamper]\ninterval=1s\n")
        f.enroll(host)
        f.start_agent(host)
    done = f.send_task(f.branch, "role.set", {"role": "update-agent", "on": True,
                                              "settings": {"listen": BRANCH, "http_port": "2221"}})
    assert done["state"] == "done", done
    mirrored(f)


def mirrored(f):
    version = json.loads((f.publish_root / "signatures/metadata/timestamp.json").read_bytes())["signed"]["version"]
    path = f.branch.dir / "state/mirror/root/signatures/metadata/timestamp.json"
    wait_for(lambda: path.exists() and json.loads(path.read_bytes())["signed"]["version"] == version, 60,
             "the branch's mirror")


def current(host):
    return os.readlink(host.dir / "state/feeds/signatures/current")


def update(f, host):
    return f.send_task(host, "update.now", {"feed": "signatures"})["state"]


def rejected(f, host):
    return [e["data"] for e in f.events() if e["type"] == "org.atalaia.update.rejected"
            and e["source"].endswith(host.agent_id)]


def nobody_holds(f, content):
    wanted = hashlib.sha256(content).hexdigest()
    for host in f.stations:
        for path in (host.dir / "state/feeds").rglob("*"):
            if path.is_file() and not path.is_symlink() and "/work/" not in str(path):
                assert hashlib.sha256(path.read_bytes()).hexdigest() != wanted, f"{host.name}: {path}"


def change_targets(tree):
    """The thief's first try: true metadata, other content."""
    for path in (tree / "signatures/targets").rglob("*"):
        if path.is_file():
            path.write_bytes(MALWARE)


def change_metadata(tree, work):
    """The second: a repository of the thief's own, with higher numbers and good signatures of the wrong keys."""
    bad = work / "bad"
    shutil.rmtree(tree)
    (work / "malware").mkdir()
    (work / "malware" / "hashes.hdb").write_bytes(MALWARE)
    done = world.run([BIN / "atalaia-repo", "init", bad, "--feed", "signatures"])
    assert done.returncode == 0, done.stderr
    for _ in range(5):
        done = world.run([BIN / "atalaia-repo", "publish", bad, work / "malware", "--force", "--out", tree])
        assert done.returncode == 0, done.stderr


def thief(f, tree):
    conf = f.root / "thief.conf"
    conf.write_text(f"[update-agent]\nroot = {tree}\nlisten = {THIEF}\nhttp_port = 2221\n")
    p = world.Proc([BIN / "atalaia-update-agent", "serve", "--config", conf])
    p.line("ready")
    return f.keep(p)


def test_a_stolen_mirror_is_refused_told_and_healed(scene):
    f = scene
    start(f)
    for host in f.stations:
        assert update(f, host) == "done"
    before = {h.name: current(h) for h in f.stations}
    assert len(set(before.values())) == 1
    version = f.publish()["version"]
    mirrored(f)

    tree = f.root / "thief"
    shutil.copytree(f.publish_root, tree)
    work = pathlib.Path(tempfile.mkdtemp(dir=f.root))
    for n, steal in enumerate((change_targets, lambda t: change_metadata(t, work))):
        steal(tree)
        subprocess.run(["chmod", "-R", "a+rX", tree], check=True)
        served = thief(f, tree)
        hosts_file(f.hosts, THIEF)
        for host in f.stations:
            assert update(f, host) == "failed", f"{host.name} took the thief's update"
            told = wait_for(lambda host=host, n=n: len(rejected(f, host)) > n and rejected(f, host), 30,
                            f"update.rejected of {host.name}")
            assert told[0]["mirror"] == "branch" and told[0]["rule"], told
            assert current(host) == before[host.name]
        served.stop()
    for host in f.stations:                     # not the refused files alone: the way to the thief as well
        f.wait_event("tamper.found", host,
                     match=lambda e: e["data"]["unmapped"]["name"] == f"{NAME} {THIEF}")
    nobody_holds(f, MALWARE)

    hosts_file(f.hosts, BRANCH)
    for host in f.stations:
        assert update(f, host) == "done"
        assert current(host).endswith(f"/{version}"), current(host)
        want = (f.server.dir / "set/hashes.hdb").read_bytes()
        assert (host.dir / "state/feeds/signatures/current/hashes.hdb").read_bytes() == want

"""Two incidents again. January 2026: a regional mirror is taken over, serves malware for two hours, and hosts files
send its name to the thief's own server. 2024: a man in the middle of plain HTTP changes what true mirrors send. No
workstation takes anything, each says so to the console, and each heals when the way is clear again, without anybody
touching it; the mirror mends itself."""
import contextlib
import http.client
import http.server
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor

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
    f.configure_agent(f.server, world.free_port(), more="retry=500ms", role=f.origin(poll_interval="200ms"))
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
    """Not in a set, not in a partial file, not under any name."""
    for host in f.stations:
        for path in (host.dir / "state").rglob("*"):
            if path.is_file() and not path.is_symlink():
                assert content not in path.read_bytes(), f"{host.name}: {path}"


def everybody(f, do):
    with ThreadPoolExecutor(len(f.stations)) as pool:
        return list(pool.map(do, f.stations))


@contextlib.contextmanager
def taken_over(f):
    """The thief is on the mirror itself: every file that it serves has another content, at the same length."""
    tree = f.branch.dir / "state/mirror/root/signatures/targets"
    for path in tree.rglob("*"):
        if path.is_file():
            path.write_bytes(as_long_as(path.read_bytes()))
    yield
    wait_for(lambda: update(f, f.branch) == "done", 60, "the mirror mends itself")
    for path, content in offered(f):
        assert (tree / path).read_bytes() == content, f"the mirror still serves another {path}"


def offered(f):
    """Names and content of what the newest version consists of; files of versions before go with their time."""
    root = f.publish_root / "signatures"
    version = json.loads((root / "metadata/timestamp.json").read_bytes())["signed"]["meta"]["snapshot.json"]["version"]
    targets = json.loads((root / f"metadata/{version}.targets.json").read_bytes())["signed"]["targets"]
    for name, about in targets.items():
        path = pathlib.PurePath(name).with_name(f"{about['hashes']['sha256']}.{pathlib.PurePath(name).name}")
        yield path, (root / "targets" / path).read_bytes()


def as_long_as(content):
    return (MALWARE * (len(content) // len(MALWARE) + 1))[:len(content)]


@contextlib.contextmanager
def sent_elsewhere(f, change):
    """Hosts files name the thief's own server, with a changed copy of the mirror."""
    work = pathlib.Path(tempfile.mkdtemp(dir=f.root))
    tree = work / "tree"
    shutil.copytree(f.publish_root, tree)
    change(tree, work)
    subprocess.run(["chmod", "-R", "a+rX", work], check=True)
    served = thief(f, tree)
    hosts_file(f.hosts, THIEF)
    yield
    for host in f.stations:                     # not the refused files alone: the way to the thief as well
        f.wait_event("tamper.found", host,
                     match=lambda e: e["data"]["unmapped"]["name"] == f"{NAME} {THIEF}")
    served.stop()
    hosts_file(f.hosts, BRANCH)


def changed_files(tree, work):
    """True metadata, other content."""
    for path in (tree / "signatures/targets").rglob("*"):
        if path.is_file():
            path.write_bytes(MALWARE)


def changed_repository(tree, work):
    """A repository of the thief's own, with higher numbers and good signatures of the wrong keys."""
    shutil.rmtree(tree)
    (work / "malware").mkdir()
    (work / "malware" / "hashes.hdb").write_bytes(MALWARE)
    done = world.run([BIN / "atalaia-repo", "init", work / "bad", "--feed", "signatures"])
    assert done.returncode == 0, done.stderr
    for _ in range(5):
        done = world.run([BIN / "atalaia-repo", "publish", work / "bad", work / "malware", "--force", "--out", tree])
        assert done.returncode == 0, done.stderr


def thief(f, tree):
    conf = f.root / "thief.conf"
    conf.write_text(f"[update-agent]\nroot = {tree}\nlisten = {THIEF}\nhttp_port = 2221\n")
    p = world.Proc([BIN / "atalaia-update-agent", "serve", "--config", conf])
    p.line("ready")
    return f.keep(p)


class Middle(http.server.BaseHTTPRequestHandler):
    """Passes everything on to the true mirror and back, but for files: those are malware of the same length."""
    changed = 0

    def log_message(self, *_):
        pass

    def do_GET(self):
        up = http.client.HTTPConnection(BRANCH, self.server.server_address[1], timeout=30)
        up.request("GET", self.path, headers=dict(self.headers))
        answer = up.getresponse()
        body = answer.read()
        if "/targets/" in self.path:
            body = as_long_as(body)
            Middle.changed += 1
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        up.close()


@contextlib.contextmanager
def in_the_middle(f):
    """On the line: the true mirror answers, FTP does not come through, HTTP does, changed."""
    servers = [http.server.ThreadingHTTPServer((THIEF, port), Middle) for port in (2221, 3333)]
    for s in servers:
        threading.Thread(target=s.serve_forever, args=(0.05,), daemon=True).start()
    hosts_file(f.hosts, THIEF)
    yield
    hosts_file(f.hosts, BRANCH)
    for s in servers:
        s.shutdown()
        s.server_close()
    assert Middle.changed >= len(f.stations), "nobody asked the man in the middle"


# With the number of tries while it lasts: the incident's two hours, with one every half hour.
THEFTS = ((taken_over, 1), (lambda f: sent_elsewhere(f, changed_files), 4),
          (lambda f: sent_elsewhere(f, changed_repository), 1), (in_the_middle, 1))


def nobody_takes_it(f, tries, before, told):
    """What workstations would do by themselves is ordered here."""
    for _ in range(tries):
        assert everybody(f, lambda host: update(f, host)) == ["failed"] * len(f.stations), "the thief's update was taken"
        assert {h.name: current(h) for h in f.stations} == before
    for host in f.stations:
        rows = wait_for(lambda host=host: len(rejected(f, host)) > told[host.name] and rejected(f, host), 30,
                        f"update.rejected of {host.name}")
        told[host.name] = len(rows)
        assert rows[0]["mirror"] == "branch" and rows[0]["rule"], rows


def test_thieves_are_refused_told_and_healed_from(scene):
    f = scene
    start(f)
    assert everybody(f, lambda host: update(f, host)) == ["done"] * len(f.stations)
    before = {h.name: current(h) for h in f.stations}
    assert len(set(before.values())) == 1
    version = f.publish()["version"]
    mirrored(f)
    told = dict.fromkeys(before, 0)
    for theft, tries in THEFTS:
        with theft(f):
            nobody_takes_it(f, tries, before, told)
        nobody_holds(f, MALWARE)

    assert everybody(f, lambda host: update(f, host)) == ["done"] * len(f.stations)
    want = (f.server.dir / "set/hashes.hdb").read_bytes()
    for host in f.stations:
        assert current(host).endswith(f"/{version}"), current(host)
        assert (host.dir / "state/feeds/signatures/current/hashes.hdb").read_bytes() == want
    nobody_holds(f, MALWARE)

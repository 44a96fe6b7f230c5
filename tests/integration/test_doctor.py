"""`atalaia doctor`: one broken world for each finding. The agent's documents come from a small stand-in;
mirrors are real ones, with a crooked relay in front where something must be wrong."""
import http.server
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile
import threading

import pytest

import fleet as fleets
from mirror import Mirror
from world import Procs, free_port, run, wait_for

BIN = pathlib.Path(os.environ["ATALAIA_BIN"])
MIRROR, NAT = "127.0.120.1", "127.0.120.2"


class Agent:
    """The local port with documents of our choice."""

    def __init__(self):
        self.status = {
            "version": "0", "clock_behind": False, "ports": {"task": 2222, "event": 2227},
            "identity": {"enrolled": True, "console": "127.0.120.3", "console_port": 2225,
                         "certificate_until": "2099-01-01T00:00:00.000Z"},
            "engine": {"type": "clamd", "up": True}, "update_agent": {"on": False}, "feeds": []}
        self.sources = source()
        self.inventory = {"hardware": {"memory_available": 4 << 30}, "disks": [{"path": "/", "free": 9 << 30}]}
        self.probe = (200, {"address": "127.0.120.4", "task_port": 2222, "reached": True, "status": 200})
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                body = {"/v1/status": outer.status, "/v1/sources": outer.sources,
                        "/v1/inventory": outer.inventory}[self.path]
                self.answer(200, body)

            def do_POST(self):
                self.answer(*outer.probe)

            def answer(self, status, body):
                data = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.status["ports"]["event"] = self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def doctor(self, *options, env=None):
        done = run(
            [BIN / "atalaia", "doctor", "--json", *options, "--url",
             f"http://127.0.0.1:{self.server.server_port}"], env={**os.environ, **(env or {})})
        report = json.loads(done.stdout)
        assert done.returncode == (1 if report["bad"] else 0), done.stderr
        return report

    def text(self, *options):
        return run([BIN / "atalaia", "doctor", *options, "--url",
                    f"http://127.0.0.1:{self.server.server_port}"]).stdout


@pytest.fixture
def agent():
    a = Agent()
    yield a
    a.server.shutdown()
    a.server.server_close()


@pytest.fixture(scope="module")
def mirror():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="atalaia-doctor-"))
    with Procs() as procs:
        m = Mirror(procs, BIN, folder, address=MIRROR, files={"signatures/targets/a": "a"})
        yield m
    shutil.rmtree(folder)


def source(host=MIRROR, **ports):
    return {"sources": [{"name": "branch", "kind": "update-agent", "host": host, "ftp": 0, "http": 0,
                         "version": 0, **ports}]}


def bad(report):
    return [f["name"] for f in report["findings"] if not f["good"]]


def finding(report, name):
    return next(f for f in report["findings"] if f["name"] == name and not f["good"])


class Relay:
    """FTP's control connection, carried to a mirror; answers to PASV and EPSV are rewritten."""

    def __init__(self, target, rewrite):
        self.listener = socket.create_server((NAT, 0))
        self.port = self.listener.getsockname()[1]
        self.target, self.rewrite = target, rewrite
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            far = socket.create_connection(self.target, source_address=("127.0.0.1", 0))
            threading.Thread(target=self.copy, args=(near, far, False), daemon=True).start()
            threading.Thread(target=self.copy, args=(far, near, True), daemon=True).start()

    def copy(self, a, b, back):
        try:
            for line in a.makefile("rb"):
                b.sendall(self.rewrite(line) if back else line)
            b.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def test_nothing_is_wrong(agent, mirror):
    agent.sources = source(ftp=mirror.ftp, http=mirror.http, version=mirror.version)
    report = agent.doctor()
    assert bad(report) == [], report
    names = [f["name"] for f in report["findings"]]
    assert names.count("ftp-passive") == 2 and {"ftp", "http", "version", "task-port", "console"} <= set(names)
    assert report["rules"] == {"nft": [], "firewalld": [], "ufw": []}
    assert "no rule is needed" in agent.text("--fix-hints")


@pytest.mark.parametrize("kind, name", [("ftp", "ftp"), ("http", "http"), ("version", "version")])
def test_closed_port(agent, kind, name):
    port = free_port(MIRROR)
    agent.sources = source(**{kind: port})
    report = agent.doctor()
    assert bad(report) == [name]
    assert report["rules"]["nft"] == [
        f"nft add rule inet filter output ip daddr {MIRROR} tcp dport {port} accept"]
    assert report["rules"]["ufw"] == [f"ufw allow out proto tcp from any to {MIRROR} port {port}"]
    assert f"-d {MIRROR} --dport {port} -j ACCEPT" in report["rules"]["firewalld"][0]


def test_passive_range_closed(agent, mirror):
    closed = free_port(NAT)

    def rewrite(line):
        if line.startswith(b"229"):
            return b"229 Entering Extended Passive Mode (|||%d|)\r\n" % closed
        if line.startswith(b"227"):
            return b"227 Entering Passive Mode (127,0,120,2,%d,%d)\r\n" % divmod(closed, 256)
        return line

    relay = Relay((MIRROR, mirror.ftp), rewrite)
    agent.sources = source(NAT, ftp=relay.port)
    report = agent.doctor()
    assert bad(report) == ["ftp-passive", "ftp-passive"], report
    assert str(closed) in finding(report, "ftp-passive")["text"]
    assert f"{NAT} tcp dport {closed} accept" in report["rules"]["nft"][0]
    relay.listener.close()


def test_wrong_address_behind_nat(agent, mirror):
    wrong = free_port("127.0.120.9")

    def rewrite(line):
        if line.startswith(b"227"):
            return b"227 Entering Passive Mode (127,0,120,9,%d,%d)\r\n" % divmod(wrong, 256)
        if line.startswith(b"229"):
            return b"500 not here\r\n"
        return line

    relay = Relay((MIRROR, mirror.ftp), rewrite)
    agent.sources = source(NAT, ftp=relay.port)
    report = agent.doctor()
    found = finding(report, "nat-address")
    assert "127.0.120.9" in found["text"] and f"passive_address={NAT}" in found["remedy"]
    relay.listener.close()


def test_somebody_else_on_the_port(agent):
    """A port that is open but speaks another protocol is no mirror."""
    with socket.create_server((MIRROR, 0)) as s:
        def greet():
            peer, _ = s.accept()
            peer.sendall(b"SSH-2.0-other\r\n")
            peer.close()
        threading.Thread(target=greet, daemon=True).start()
        agent.sources = source(ftp=s.getsockname()[1])
        assert bad(agent.doctor()) == ["ftp"]


def test_overlap(agent):
    agent.status["update_agent"] = {"on": True, "serving": True,
                                    "options": {"passive_first": "3023", "passive_count": "1000"}}
    found = finding(agent.doctor(), "passive-overlap")
    assert "3333" in found["text"] and "3023-4022" in found["text"]
    agent.status["update_agent"]["options"] = {"passive_first": "3400", "passive_count": "600"}
    assert "passive-overlap" not in bad(agent.doctor())


def test_role_that_does_not_serve(agent):
    agent.status["update_agent"] = {"on": True, "serving": False, "why": "port 2021 is taken"}
    assert finding(agent.doctor(), "role")["text"] == "port 2021 is taken"


def test_task_port_closed(agent):
    agent.probe = (200, {"address": "127.0.120.4", "task_port": 2222, "reached": False, "error": "timed out"})
    report = agent.doctor()
    assert bad(report) == ["task-port"]
    assert report["rules"] == {"nft": ["nft add rule inet filter input tcp dport 2222 accept"],
                               "firewalld": ["firewall-cmd --permanent --add-port=2222/tcp"],
                               "ufw": ["ufw allow proto tcp from any to any port 2222"]}


def test_console_closed(agent):
    agent.probe = (502, {"code": "console", "detail": "connection refused"})
    report = agent.doctor()
    assert bad(report) == ["console"]
    assert report["rules"]["ufw"] == ["ufw allow out proto tcp from any to 127.0.120.3 port 2225"]


def test_clock_differs_from_the_console(agent):
    agent.probe[1]["time"] = "2020-01-01T00:00:00.000Z"
    assert "ahead of the console's" in finding(agent.doctor(), "clock")["text"]


def test_clock_behind(agent):
    agent.status["clock_behind"] = True
    assert bad(agent.doctor()) == ["clock"]


def test_certificate_near_its_end(agent):
    agent.status["identity"]["certificate_until"] = "2020-01-01T00:00:00.000Z"
    assert bad(agent.doctor()) == ["certificate"]


def test_not_enrolled(agent):
    agent.status["identity"] = {"enrolled": False, "remedy": "enrol"}
    assert bad(agent.doctor()) == ["enrolment"]


def test_event_port_closed(agent):
    agent.status["ports"]["event"] = free_port()
    report = agent.doctor()
    assert bad(report) == ["event-port"] and report["rules"]["nft"] == []


def test_no_source(agent):
    agent.sources = {"sources": []}
    assert bad(agent.doctor()) == ["sources"]


def test_proxy(agent, mirror):
    agent.sources = {**source(http=mirror.http), "proxy": f"127.0.120.9:{free_port('127.0.120.9')}"}
    assert bad(agent.doctor()) == ["proxy"]
    del agent.sources["proxy"]
    report = agent.doctor(env={"http_proxy": "http://127.0.120.9:1"})
    assert bad(report) == [] and any("is not used" in f["text"] for f in report["findings"])


def test_disk_memory_engine(agent):
    agent.inventory["disks"][0]["free"] = 1 << 20
    agent.inventory["hardware"]["memory_available"] = 64 << 20
    agent.status["engine"] = {"type": "clamd", "up": False, "error": "no clamd.ctl"}
    assert bad(agent.doctor()) == ["engine", "memory", "disk"]


def test_floors(agent):
    """What counts is what this PC's agent keeps and its engine needs, not a fixed number."""
    agent.inventory = {"hardware": {"memory_available": 2 << 30},
                       "disks": [{"path": "/", "free": 3 << 30, "total": 100 << 30}]}
    assert bad(agent.doctor()) == []
    agent.status["engine"]["memory"] = {"need": 3 << 30, "have": 2 << 30, "reload": "none"}
    agent.status["update_agent"] = {"on": True, "serving": True}       # a mirror keeps 4 GiB free
    report = agent.doctor()
    assert bad(report) == ["memory", "disk"]
    assert "3072 MiB" in finding(report, "memory")["text"] and "4096 MiB" in finding(report, "disk")["text"]
    agent.sources["disk_floor"] = 1 << 30
    assert bad(agent.doctor()) == ["memory"]


def test_a_hole_in_the_passive_range(agent, mirror):
    """One port in three is closed: eight tries find it, where one would pass. (Where EPSV's port is closed libcurl
    goes on with PASV, so it is there that a hole shows.)"""
    closed = free_port(NAT)
    seen = []

    def rewrite(line):
        if line.startswith(b"227"):
            seen.append(line)
            if len(seen) % 3 == 0:
                return b"227 Entering Passive Mode (127,0,120,2,%d,%d)\r\n" % divmod(closed, 256)
        return line

    relay = Relay((MIRROR, mirror.ftp), rewrite)
    agent.sources = source(NAT, ftp=relay.port)
    report = agent.doctor()
    assert "ftp-passive" in bad(report) and str(closed) in finding(report, "ftp-passive")["text"], report
    relay.listener.close()


def test_freshclam_is_noticed(agent, tmp_path):
    shutil.copy("/bin/sleep", tmp_path / "freshclam")
    process = subprocess.Popen([tmp_path / "freshclam", "60"])
    try:
        report = agent.doctor()
        assert bad(report) == []
        assert any(f["name"] == "freshclam" and "DatabaseDirectory" in f["text"] for f in report["findings"])
    finally:
        process.kill()
        process.wait()


def test_real_console_connects_back():
    """Console and agent as they are: reached first; then the console sees another port than ours."""
    root = pathlib.Path(tempfile.mkdtemp(prefix="atalaia-doctor-"))
    f = fleets.Fleet(BIN, root, addresses=("127.0.120.11", "127.0.120.12", "127.0.120.13"), lines=10)
    w = f.workstation
    try:
        f.make_feed()
        f.publish()
        f.start_console(admin_port=22995)
        f.configure_agent(w, free_port())
        f.enroll(w)
        f.start_agent(w)
        answer = wait_for(lambda: json.loads(w.local("/v1/probe", "POST", b"{}")), 10, "probe")
        assert answer["reached"] and answer["address"] == "127.0.120.13", answer
        done = run([BIN / "atalaia", "doctor", "--json", "--socket", w.dir / "run/events.sock"])
        names = {x["name"]: x["good"] for x in json.loads(done.stdout)["findings"]}
        assert names["console"] and names["task-port"]
        assert not names["version"]  # nobody serves: the real finding of this world
        assert re.search("reached=yes", (f.server.dir / "atalaia-console.log").read_text())
    finally:
        f.stop()
        shutil.rmtree(root, ignore_errors=True)

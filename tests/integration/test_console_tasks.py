"""Tasks through the console: signed envelopes, push to 2222, pull over 2225, outcomes, cancel, groups."""
import hashlib
import http.server
import json
import ssl
import subprocess
import tempfile
import threading
import time
import uuid

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from consoleclient import Agent, Console, binary, make_cert
from world import wait_for

TASK_ADDRESS = "127.0.80.2"


@pytest.fixture(scope="module")
def console(tmp_path_factory):
    c = Console(tmp_path_factory.mktemp("console") / "c", push_timeout="2s").start()
    yield c
    assert c.stop() == 0, c.process.err[-20:]


@pytest.fixture
def agent(console):
    return Agent(console, console.token("--group", "g" + uuid.uuid4().hex[:8]),
                 "pc-" + uuid.uuid4().hex[:6])


class TaskPort:
    """An agent's 2222: takes envelopes over mutual TLS and answers 202."""

    def __init__(self, cert, key, ca, status=202, answer=None):
        self.got, self.peers = [], []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.got.append((self.path, json.loads(body)))
                outer.peers.append(self.connection.getpeercert())
                data = json.dumps(answer or {}).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            def handle_error(self, *_):
                pass                            # refused handshakes are what some tests want
        self.server = Server((TASK_ADDRESS, 0), Handler)
        c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        c.verify_mode = ssl.CERT_REQUIRED
        c.load_verify_locations(cadata=ca)
        with tempfile.NamedTemporaryFile("w", suffix=".pem") as f:
            f.write(cert + ca + key)
            f.flush()
            c.load_cert_chain(f.name)
        self.server.socket = c.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def move(console, agent, port):
    """The console knows the agent under the address its connections come from; tests run on one machine,
    so the port of another loopback address is written straight into the database."""
    import sqlite3
    db = sqlite3.connect(console.state / "console.db")
    db.execute("UPDATE agents SET address = ?, task_port = ? WHERE agent = ?",
               (TASK_ADDRESS, port, agent.id))
    db.commit()
    db.close()


def send(console, target, kind="update.now", *args):
    done = console.cli("task", "send", "--to", target, kind, *args, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def show(console, task):
    return console.json("task", "show", task["id"])


def canonical(tree):
    return json.dumps(tree, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def test_a_pulled_envelope_is_signed_by_a_key_of_the_authority(console, agent):
    task = send(console, agent.id, "scan.start", "paths=[\"/srv\"]", "quarantine=true")
    status, answer = agent.pull()
    assert status == 200 and len(answer["tasks"]) == 1
    envelope = answer["tasks"][0]
    s = envelope["signed"]
    assert s["id"] == task["id"] and s["agent"] == agent.id and s["issuer"] == "main"
    assert s["type"] == "scan.start" and s["args"] == {"paths": ["/srv"], "quarantine": True}
    authority = json.loads(console.cli("authority", "show").stdout)
    rule = authority["tasks"]["scan.start"]
    signature = envelope["signatures"][0]
    assert signature["keyid"] in rule["keyids"] and rule["threshold"] == 1
    key = serialization.load_pem_public_key(
        authority["keys"][signature["keyid"]]["keyval"]["public"].encode())
    key.verify(bytes.fromhex(signature["sig"]), canonical(s), ec.ECDSA(hashes.SHA256()))


def test_a_waiting_pull_wakes_within_a_second(console, agent):
    got = []
    started = threading.Thread(target=lambda: got.append((agent.pull(wait=20), time.monotonic())))
    started.start()
    wait_for(lambda: console.json("status")["waiters"] > 0, 10, "the pull waits")
    before = time.monotonic()
    task = send(console, agent.host)
    started.join()
    (status, answer), when = got[0]
    assert status == 200 and answer["tasks"][0]["signed"]["id"] == task["id"]
    assert when - before < 2.0                  # the command itself included
    assert show(console, task)["agents"][0]["state"] == "queued"
    assert agent.pull()[0] == 204               # offered, not offered again at once
    assert agent.report(task["id"], "running", step="fetch")[0] == 204
    assert agent.report(task["id"], "done", result={"version": 7})[0] == 204
    t = show(console, task)
    assert (t["state"], t["way"], t["result"], t["ended"]) == ("done", "pull", {"version": 7}, True)


@pytest.mark.parametrize("form", ["--json", None])
def test_following_a_task_tells_each_step_as_it_comes(console, agent, form):
    task = send(console, agent.host, "collect", 'what=["system"]')["id"]
    words = [x for x in ("task", "show", task, "--follow", "--timeout", "60s", form) if x]
    with subprocess.Popen([binary(), *words, "--config", console.conf], stdout=subprocess.PIPE,
                          text=True) as follow:
        lines = iter(follow.stdout.readline, "")
        if form:
            lines = (json.loads(x) for x in lines)
        first = next(lines)
        assert agent.host in str(first) and "queued" in str(first), first
        assert agent.pull()[0] == 200
        seen = []
        for state, step in (("running", "gather"), ("running", "send"), ("done", "sent")):
            assert agent.report(task, state, step=step)[0] == 204
            while not seen or step not in str(seen[-1]):     # each line before the next step is reported
                seen.append(next(lines))
            assert state in str(seen[-1])
            if state == "running" and step == "gather":
                assert agent.report(task, state, step=step, progress={"done": 70707, "total": 99})[0] == 204
                while "70707" not in str(seen[-1]):
                    seen.append(next(lines))
        assert next(lines, None) is None and "70707" not in str(seen[-1])
        assert follow.wait(20) == 0
    if form:
        assert {"task", "agent", "host", "state", "step", "updated"} <= set(seen[-1])
        assert seen[-1]["task"] == task and seen[-1]["agent"] == agent.id
    late = console.cli("task", "show", task, "--follow")     # one that has ended: its rows, and the end
    assert late.returncode == 0 and late.stdout.count("\n") == 1 and "done" in late.stdout


def test_following_ends_with_its_time_and_tells_failure(console, agent):
    task = send(console, agent.host, "status")["id"]
    done = console.cli("task", "show", task, "--follow", "--timeout", "1s")
    assert done.returncode == 1 and "queued" in done.stdout
    agent.pull()
    agent.report(task, "failed", error="agent-died")
    done = console.cli("task", "show", task, "--follow")
    assert done.returncode == 1 and "agent-died" in done.stdout


def test_a_final_state_stands_and_other_agents_may_not_report(console, agent):
    task = send(console, agent.id)
    other = Agent(console, console.token())
    assert other.report(task["id"], "done")[0] == 404
    assert agent.report(task["id"], "failed", error="no-source")[0] == 204
    assert agent.report(task["id"], "done")[0] == 204
    assert show(console, task)["state"] == "failed"
    for body in ({"state": "happy"}, {}, {"state": "done", "result": 7}, {"state": "done", "updated": "x"}):
        assert agent.call("POST", f"/v1/tasks/{task['id']}/state", body)[0] == 400
    assert agent.report(str(uuid.uuid4()), "done")[0] == 404
    assert agent.report("x", "done")[0] == 404


def test_push_goes_to_the_task_port_first(console, agent):
    port = TaskPort(agent.cert, agent.key, (console.state / "ca.pem").read_text())
    try:
        move(console, agent, port.port)
        task = send(console, agent.id)
        wait_for(lambda: show(console, task)["agents"][0].get("way") == "push", 5, "the push")
        path, envelope = port.got[0]
        assert path == "/v1/tasks" and envelope["signed"]["id"] == task["id"]
        san = dict(port.peers[0]["subjectAltName"])
        assert san["URI"] == "atalaia://example/console/main"
        assert agent.report(task["id"], "done")[0] == 204
        t = show(console, task)
        assert (t["state"], t["way"]) == ("done", "push") and "202" in t["agents"][0]["push"]
    finally:
        port.close()


def test_an_unreachable_task_port_leaves_the_task_to_the_pull(console, agent):
    move(console, agent, 9)
    got = []
    t = threading.Thread(target=lambda: got.append((agent.pull(wait=20, port=9), time.monotonic())))
    t.start()
    wait_for(lambda: console.json("status")["waiters"] > 0, 10, "the pull waits")
    move(console, agent, 9)                     # the pull itself has told the real address
    before = time.monotonic()
    task = send(console, agent.id)
    t.join()
    (status, answer), when = got[0]
    assert status == 200 and when - before < 2.5
    agent.report(task["id"], "done")
    shown = show(console, task)
    assert shown["way"] == "pull" and "failed" in shown["agents"][0]["push"]


@pytest.mark.parametrize("uri, eku", [
    ("atalaia://example/agent/{other}", (ExtendedKeyUsageOID.SERVER_AUTH,)),
    ("atalaia://example/console/main", (ExtendedKeyUsageOID.SERVER_AUTH,)),
    ("atalaia://other/agent/{own}", (ExtendedKeyUsageOID.SERVER_AUTH,)),
    ("atalaia://example/agent/{own}", (ExtendedKeyUsageOID.CLIENT_AUTH,))])
def test_a_task_is_never_pushed_to_somebody_else(console, agent, uri, eku):
    cert, key = make_cert(uri.format(own=agent.id, other=uuid.uuid4()), console.ca(), eku=eku)
    port = TaskPort(cert, key, (console.state / "ca.pem").read_text())
    try:
        move(console, agent, port.port)
        task = send(console, agent.id)
        row = wait_for(lambda: show(console, task)["agents"][0].get("push") and
                       show(console, task)["agents"][0], 8, "the failed push")
        assert row["push"].startswith("failed") and "way" not in row and port.got == []
    finally:
        port.close()


def test_an_agent_that_refuses_ends_the_task_with_its_code(console, agent):
    port = TaskPort(agent.cert, agent.key, (console.state / "ca.pem").read_text(), 400,
                    {"code": "wrong-argument", "detail": "argument 'x'"})
    try:
        move(console, agent, port.port)
        done = console.cli("task", "send", "--to", agent.id, "update.now", "x=1", "--wait", "--json")
        assert done.returncode == 1
        t = json.loads(done.stdout)
        assert (t["state"], t["error"]) == ("refused", "wrong-argument")
    finally:
        port.close()


def test_a_group_task_reaches_its_members_only(console):
    token = console.token("--group", "shop", "--uses", "3")
    members = [Agent(console, token, f"shop-{n}") for n in range(3)]
    outsider = Agent(console, console.token(), "office")
    task = send(console, "group:shop", "policy.refresh")
    assert task["agents"] == 3
    for m in members:
        status, answer = m.pull()
        assert status == 200 and answer["tasks"][0]["signed"]["agent"] == "group:shop"
        assert m.report(task["id"], "done")[0] == 204
    assert outsider.pull()[0] == 204
    assert show(console, task)["ended"] is True
    row = next(t for t in console.json("task", "list")["tasks"] if t["id"] == task["id"])
    assert (row["agents_total"], row["agents_done"]) == (3, 3)


def test_cancel_before_and_after_the_agent_knows(console, agent):
    first = send(console, agent.id)
    assert console.cli("task", "cancel", first["id"]).returncode == 0
    assert show(console, first)["state"] == "canceled"
    assert agent.pull()[0] == 204
    second = send(console, agent.id, "scan.start", "paths=[\"/\"]")
    assert agent.pull()[0] == 200
    agent.report(second["id"], "running")
    assert console.cli("task", "cancel", second["id"]).returncode == 0
    assert agent.pull() == (200, {"tasks": [], "cancel": [second["id"]]})
    agent.report(second["id"], "canceled")
    assert show(console, second)["state"] == "canceled"


def test_a_cancel_reaches_more_than_64_agents_at_once(console):
    group = "g" + uuid.uuid4().hex[:8]
    token = console.token("--group", group, "--uses", "70")
    agents = [Agent(console, token, f"many-{n}", port=9) for n in range(70)]  # nobody listens on 9
    task = send(console, "group:" + group, "scan.start", "paths=[\"/\"]")
    told = []

    def life(agent):
        assert agent.pull(wait=20)[0] == 200
        agent.report(task["id"], "running")
        held.release()
        status, answer = agent.pull(wait=60)
        told.append((status, answer.get("cancel"), time.monotonic()))
    held = threading.Semaphore(0)
    threads = [threading.Thread(target=life, args=(a,)) for a in agents]
    for t in threads:
        t.start()
    for _ in agents:
        assert held.acquire(timeout=40)
    wait_for(lambda: console.json("status")["waiters"] >= 70, 20, "70 held pulls")
    began = time.monotonic()
    assert console.cli("task", "cancel", task["id"]).returncode == 0
    for t in threads:
        t.join(30)
    assert len(told) == 70 and all(x[:2] == (200, [task["id"]]) for x in told)
    assert max(x[2] for x in told) - began < 5


def test_a_task_that_nobody_fetched_expires(console, agent):
    task = send(console, agent.id, "update.now", "--life", "1s")
    done = console.cli("task", "show", task["id"], "--wait", "--timeout", "30s", "--json")
    assert done.returncode == 1 and json.loads(done.stdout)["state"] == "expired"
    assert agent.pull()[0] == 204


def test_the_end_of_a_task_also_counts_when_it_comes_as_an_event(console, agent):
    task = send(console, agent.id)
    assert agent.pull()[0] == 200
    event = agent.event(1, "task", type="org.atalaia.task.done",
                        data={"task": task["id"], "type": "update.now", "state": "interrupted", "step": "2"})
    assert agent.call("POST", "/v1/events", [event])[0] == 200
    t = show(console, task)
    assert (t["state"], t["step"], t["ended"]) == ("interrupted", "2", True)


@pytest.mark.parametrize("args, code", [
    (("--to", "nobody", "update.now"), "unknown-agent"),
    (("--to", "group:none", "update.now"), "unknown-agent"),
    (("--to", "all", "run.command"), "not-allowed"),
    (("--to", "all", "Update Now"), "malformed"),
    (("--to", "group:UPPER", "update.now"), "malformed"),
    (("--to", "all", "update.now", "--life", "8d"), "malformed")])
def test_orders_that_no_agent_would_take_are_refused_here(console, agent, args, code):
    done = console.cli("task", "send", *args)
    assert done.returncode == 1 and f"refused ({code})" in done.stderr, done.stderr


def test_a_copied_disk_is_noticed(console, agent):
    assert agent.pull()[0] == 204
    status, answer = agent.pull(machine="another")
    assert status == 409 and answer["code"] == "clone"
    row = next(a for a in console.json("agents")["agents"] if a["agent"] == agent.id)
    assert "clone_seen" in row


def test_two_signatures_need_the_offline_key(tmp_path):
    console = Console(tmp_path / "c", init=("--two-signatures",)).start()
    agent = Agent(console, console.token())
    role = ("role.set", "role=update-agent", "on=true", "settings.ftp_port=2121")
    done = console.cli("task", "send", "--to", agent.id, *role)
    assert done.returncode == 1 and "refused (threshold)" in done.stderr
    draft = tmp_path / "draft.json"
    assert console.cli("task", "send", "--to", agent.id, *role, "--draft", draft).returncode == 0
    assert json.loads(draft.read_text())["signed"]["args"]["settings"] == {"ftp_port": "2121"}
    assert console.cli("task", "submit", draft).returncode == 1
    assert console.cli("task", "sign", draft, "--key", console.state / "offline/task-second.pem").returncode == 0
    assert console.cli("task", "sign", draft, "--key", console.state / "offline/task-second.pem").returncode == 1
    assert console.cli("task", "submit", draft).returncode == 0
    assert console.cli("task", "submit", draft).returncode == 1      # known already
    status, answer = agent.pull()
    assert status == 200 and len(answer["tasks"][0]["signatures"]) == 2
    assert send(console, agent.id)["agents"] == 1                    # the others still need one
    assert console.stop() == 0


def put(agent, task, name, data, offset, piece, total=None, sha=None):
    query = (f"?offset={offset}&total={total if total is not None else len(data)}"
             f"&sha256={sha or hashlib.sha256(data).hexdigest()}")
    return agent.call("PUT", f"/v1/tasks/{task}/files/{name}{query}", piece,
                      headers={"Content-Type": "application/octet-stream"})


def test_files_of_a_collect_task_arrive_in_pieces_and_once(console, agent):
    task = send(console, agent.id, "collect", 'what=["system","mwav"]')["id"]
    data = bytes(range(256)) * 1000
    assert put(agent, task, "mwav.log", data, 0, b"") == (200, {"have": 0})
    assert put(agent, task, "mwav.log", data, 0, data[:100000]) == (200, {"have": 100000})
    status, answer = put(agent, task, "mwav.log", data, 0, data[:100000])
    assert status == 409 and answer["have"] == 100000        # the answer was lost: go on there
    assert put(agent, task, "mwav.log", data, 100000, data[100000:200000])[1] == {"have": 200000}
    assert put(agent, task, "mwav.log", data, 200000, data[200000:]) == (201, {"have": len(data)})
    assert put(agent, task, "mwav.log", data, 0, data[:10])[0] == 201
    stored = console.state / "collected" / agent.id / task / "mwav.log"
    assert stored.read_bytes() == data and stored.stat().st_mode & 0o777 == 0o600
    wrong = put(agent, task, "system.json", b"{}", 0, b"[]")
    assert wrong[0] == 422 and put(agent, task, "system.json", b"{}", 0, b"") == (200, {"have": 0})
    assert put(agent, task, "system.json", b"{}", 0, b"{}")[0] == 201
    other = Agent(console, console.token())
    assert put(other, task, "system.json", b"{}", 0, b"{}")[0] == 404
    plain = send(console, agent.id)["id"]
    assert put(agent, plain, "system.json", b"{}", 0, b"{}")[0] == 404
    for name, kw in (("passwd", {}), ("..%2fx", {}), ("mwav.log", {"total": 1 << 40}),
                     ("mwav.log", {"sha": "zz"})):
        assert put(agent, task, name, b"{}", 0, b"{}", **kw)[0] in (400, 404)
    assert put(agent, task, "system.json", b"x" * 200000, 0, b"x" * 200000)[0] == 413


def test_an_offer_whose_answer_was_lost_comes_again(console, agent):
    task = send(console, agent.id)
    assert agent.pull()[0] == 200
    assert agent.pull()[0] == 204
    import sqlite3
    db = sqlite3.connect(console.state / "console.db")
    db.execute("UPDATE deliveries SET offered = offered - 60000 WHERE agent = ?", (agent.id,))
    db.commit()
    db.close()
    status, answer = agent.pull()
    assert status == 200 and answer["tasks"][0]["signed"]["id"] == task["id"]

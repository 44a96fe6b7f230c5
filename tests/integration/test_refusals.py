"""Whoever is turned away leaves a trace: at each route of 2222, 2225, 2226 and 2227, for each reason, a line in
the log and an event that say who and why; a flood of them leaves few."""
import http.client
import json
import os
import pathlib
import re
import shutil
import ssl
import tempfile
import types
import uuid

import pytest

import consoleclient as cc
import fleet as fleets
from world import wait_for

BIN = pathlib.Path(os.environ["ATALAIA_BIN"])
TOP = pathlib.Path(__file__).resolve().parents[2]
ADDRESSES = ("127.0.61.1", "127.0.61.2", "127.0.61.3")
BIG = {"Content-Length": "99999999"}
CONSOLE = "atalaia://example/console/"


def routes(file):
    """The rows of the C file's route table, their patterns filled in."""
    names = dict(re.findall(r'#define (\w+_PATH) "([^"]*)"', "".join(
        f.read_text() for part in ("common/proto", "agent") for f in (TOP / part).glob("*.h"))))
    rows = re.findall(r'\{ "(GET|POST|PUT|DELETE)", ((?:\w+|"[^"]*")(?: "[^"]*")?),', (TOP / file).read_text())
    found = []
    for method, path in rows:
        path = "".join(x.strip('"') if x[0] == '"' else names[x] for x in re.findall(r'"[^"]*"|\w+_PATH', path))
        path = path.replace("{}", str(uuid.UUID(int=7)), 1).replace("{}", "name").replace("*", "timestamp.json")
        found.append((method, path))
    assert len(found) > 5, file
    return found


TASKS, AGENTS = routes("agent/task_server.c"), routes("roles/console/agent_api.c")
ADMIN, LOCAL = routes("roles/console/admin_api.c"), [*routes("agent/local.c"), ("POST", "/v1/events")]


@pytest.fixture(scope="module")
def world():
    root = pathlib.Path(tempfile.mkdtemp(prefix="atalaia-refused-"))
    f = fleets.Fleet(BIN, root, addresses=ADDRESSES, lines=300)
    s = f.server
    try:
        f.make_feed()
        f.publish()
        f.start_console(admin_port=0, web_port=0, handshakes_per_second=0)
        f.configure_agent(s, 0, more="retry=1h", role=f.origin())
        f.enroll(s)
        f.start_agent(s)
        s.event_port = json.loads((s.dir / "run/ports.json").read_text())["event"]
        f.admin_port = json.loads((s.dir / "console/ports.json").read_text())["admin"]
        wait_for(lambda: json.loads(s.local("/v1/status"))["policy"]["authority"], 20, "authority")
        prepare(f)
        yield f
    finally:
        f.stop()
        shutil.rmtree(root, ignore_errors=True)


def prepare(f):
    """The certificates that knock, and an agent that is revoked."""
    ca = cc.ca_in(f.server.dir / "console")
    agent = "atalaia://example/agent/"
    at = types.SimpleNamespace(address=ADDRESSES[0], port=2225, org="example")
    f.good = cc.Agent(at, cc.Token(f.token()), "pc-good")
    revoked = cc.Agent(at, cc.Token(f.token()), "pc-revoked")
    f.console_run("revoke", revoked.id)
    f.certs = {
        "none": (None, None),
        "console": cc.make_cert(CONSOLE + "main", ca),
        "unlisted": cc.make_cert(CONSOLE + "other", ca),
        "agent": (f.good.cert, f.good.key),
        "expired": cc.make_cert(agent + f.good.id, ca, days=(-40, -1)),
        "unknown": cc.make_cert(agent + str(uuid.uuid4()), ca),
        "revoked": (revoked.cert, revoked.key),
    }


def knock(f, port, source, method, path, cert=None, headers=None, body=None):
    """One request from an address of its own; None when no answer came."""
    at = ADDRESSES[0] if port in (2222, 2225) else "127.0.0.1"
    if cert is None:
        c = http.client.HTTPConnection(at, port, timeout=15, source_address=(source, 0))
    else:
        c = http.client.HTTPSConnection(at, port, timeout=15, source_address=(source, 0),
                                        context=cc.context(*f.certs[cert]))
    try:
        c.putrequest(method, path, skip_host="Host" in (headers or {}))
        sent = {"Content-Type": "application/json", **(headers or {})}
        if body is not None:
            sent["Content-Length"] = str(len(body))
        for name, value in sent.items():
            c.putheader(name, value)
        c.endheaders()
        if body:
            c.send(body)
        r = c.getresponse()
        answer = json.loads(r.read())
        assert r.getheader("Content-Type").startswith("application/problem+json"), (method, path, answer)
        assert answer["status"] == r.status and answer["detail"]
        return answer["code"]
    except (ssl.SSLError, ConnectionError, http.client.BadStatusLine):
        return None
    finally:
        c.close()


ENVELOPE = json.dumps({"signed": {"id": str(uuid.UUID(int=9)), "agent": "x", "type": "status", "args": {},
                                  "not_before": "2026-01-01T00:00:00Z", "expires": "2026-01-02T00:00:00Z",
                                  "issuer": "main"}, "signatures": []}).encode()
ENROL = json.dumps({"token_id": "0" * 16, "csr": cc.make_csr(cc.new_key()).public_bytes(
    cc.serialization.Encoding.PEM).decode(), "proof": "0" * 64, "host": "pc", "machine_id": "m", "task_port": 0,
    "version": "t"}).encode()
BEARER = {"Authorization": "Bearer " + "0" * 64}
TASK = ("POST", "/v1/tasks")
STATE = ("POST", f"/v1/tasks/{uuid.UUID(int=7)}/state")
POST = ("POST", "/v1/events")

# port, reason, routes, what knock needs, expected code (None: no answer; the event then says handshake)
CASES = [
    (2222, "no certificate", TASKS, {"cert": "none"}, None),
    (2222, "an agent's certificate", TASKS, {"cert": "agent"}, None),
    (2222, "a console that is not listed", TASKS, {"cert": "unlisted"}, None),
    (2222, "expired", TASKS, {"cert": "expired"}, None),
    (2222, "oversize", TASKS, {"cert": "console", "headers": BIG}, "body-too-large"),
    (2222, "unsigned", [TASK], {"cert": "console", "body": ENVELOPE}, "malformed"),
    (2222, "no task at all", [TASK], {"cert": "console", "body": b"{"}, "malformed"),
    (2225, "no certificate", [r for r in AGENTS if r[1] != "/v1/enroll"], {"cert": "none"}, "certificate-needed"),
    (2225, "a console's certificate", AGENTS, {"cert": "console"}, None),
    (2225, "revoked", AGENTS, {"cert": "revoked"}, None),
    (2225, "expired", [r for r in AGENTS if r[1] not in ("/v1/enroll", "/v1/renew")], {"cert": "expired"},
     "certificate-expired"),
    (2225, "unknown", [("GET", "/v1/tasks")], {"cert": "unknown"}, "unknown-agent"),
    (2225, "oversize", AGENTS, {"cert": "agent", "headers": BIG}, "body-too-large"),
    (2225, "a made-up token", [("POST", "/v1/enroll")], {"cert": "none", "body": ENROL}, "token-unknown"),
    (2225, "another's task", [STATE], {"cert": "agent", "body": b'{"state":"done"}'}, "unknown-task"),
    (2225, "no batch", [POST], {"cert": "agent", "body": b"{"}, "malformed"),
    (2226, "no token", ADMIN, {}, "unauthorized"),
    (2226, "a wrong token", ADMIN, {"headers": BEARER}, "unauthorized"),
    (2226, "a web page", ADMIN, {"headers": {"Origin": "http://evil"}}, "origin-refused"),
    (2226, "a rebound name", ADMIN, {"headers": {"Host": "evil.example"}}, "host-refused"),
    (2227, "a web page", LOCAL, {"headers": {"Origin": "http://evil"}}, "origin-refused"),
    (2227, "a rebound name", LOCAL, {"headers": {"Host": "evil.example"}}, "host-refused"),
    (2227, "oversize", LOCAL, {"headers": BIG}, "body-too-large"),
    (2227, "no form", [POST], {"headers": {"Content-Type": "text/plain"}, "body": b"x"}, "content-type"),
    (2227, "no event", [POST], {"body": b"{"}, "event-bad"),
]
NAMES = {2222: "tasks", 2225: "agents", 2226: "admin", 2227: "events"}


def log_of(f, port):
    return f.console.err if port in (2225, 2226) else f.server.agent.err


@pytest.mark.parametrize("number", range(len(CASES)), ids=[f"{c[0]}-{c[1].replace(' ', '-')}" for c in CASES])
def test_every_refusal_leaves_who_and_why(world, number):
    port, _, table, how, code = CASES[number]
    source = f"127.0.61.{100 + number}"
    real = {2226: world.admin_port, 2227: world.server.event_port}.get(port, port)
    for method, path in table:
        assert knock(world, real, source, method, path, **how) == code, (method, path)

    def lines():
        mine = [x for x in log_of(world, port) if f"={source} " in x and "why=" in x]
        if code is None:
            return sum(f"event=tls.refused server={NAMES[port]} " in x for x in mine) >= len(table)
        return all(any(f"code={code} " in x and (path in x or "event=refused" in x) for x in mine)
                   for _, path in table)
    wait_for(lines, 10, "a line for each refusal")
    kind = "org.atalaia.local.refused" if port == 2227 else "org.atalaia.console.refused"

    def event():
        return [e["data"] for e in world.events("--type", kind) if e["data"]["address"] == source]
    seen = wait_for(event, 20, "its event")
    assert len(seen) == 1 or "event=refused" in "".join(log_of(world, port)), seen
    assert seen[0]["code"] == (code or "handshake") and seen[0]["why"]
    if port in (2225, 2226):
        assert seen[0]["what"] in (NAMES[port], "enroll", "events", "tasks")


@pytest.mark.parametrize("port", [2226, 2227])
def test_a_flood_of_refusals_leaves_few_traces(world, port):
    source, n = f"127.0.61.{port - 2000}", 1500
    real = world.admin_port if port == 2226 else world.server.event_port
    before = len(log_of(world, port))
    c = http.client.HTTPConnection("127.0.0.1", real, timeout=15, source_address=(source, 0))
    for _ in range(n):
        c.request("GET", "/v1/status", headers={"Origin": "http://evil"})
        assert c.getresponse().read()
    c.close()
    kind = "org.atalaia.local.refused" if port == 2227 else "org.atalaia.console.refused"
    wait_for(lambda: [e for e in world.events("--type", kind) if e["data"]["address"] == source], 20, "its event")
    assert len([e for e in world.events("--type", kind) if e["data"]["address"] == source]) < 5
    assert len(log_of(world, port)) - before < n / 2
    assert world.console_run("status").returncode == 0 and world.server.local("/v1/status")

"""Port 10443: what the console knows of its computers, and live streams (roles/console/web/API.md)."""
import csv
import http.client
import io
import json
import socket
import threading
import uuid

import pytest

from consoleclient import Agent, Console
from webclient import Web, add_user, logged_in

HOSTILE = "<img src=x onerror=alert(1)>\u202e'%00"  # a quote would be escaped at enrolment
KEPT = HOSTILE.replace("\u202e", "\\xe2\\x80\\xae")  # a host's name as enrolment writes it down


@pytest.fixture(scope="module")
def console(tmp_path_factory):
    c = Console(tmp_path_factory.mktemp("fleet") / "c", address="127.0.82.1").start()
    yield c
    assert c.stop() == 0, c.process.err[-20:]


@pytest.fixture(scope="module")
def admin(console):
    return logged_in(console, "ana", "administrator")


@pytest.fixture(scope="module")
def agents(console, admin):
    token, till = console.token("--uses", "3"), console.token("--uses", "2", "--group", "till")
    return [Agent(console, token, "pc-1", "m1"), Agent(console, token, "pc-2", "m2"),
            Agent(console, till, HOSTILE, "m3")]


SEQ = {}


def send(agent, type, data=None, cls="telemetry"):
    key = (agent.id, cls)
    SEQ[key] = SEQ.get(key, 0) + 1
    event = agent.event(SEQ[key], cls, type=f"org.atalaia.{type}", data=data)
    status, answer = agent.call("POST", "/v1/events", [event])
    assert status == 200, answer
    return event


def applied(agent, version, wire=1000, mirror="server", **more):
    return send(agent, "update.applied", {"feed": "signatures", "version": version, "from": version - 1,
                                          "mirror": mirror, "bytes_wire": wire, **more})


def rows(web):
    answer = web.get("/computers").body
    return {r[0]: dict(zip(answer["columns"], r)) for r in answer["rows"]}


def message(text):
    """(event, data, id) of one server-sent event; None for a comment."""
    fields = dict(line.split(": ", 1) for line in text.decode().split("\n"))
    return (fields["event"], json.loads(fields["data"]), fields.get("id")) if "event" in fields else None


class Stream:
    """Server-sent events of /live, read by a thread."""

    def __init__(self, web, query, last=None):
        self.connection = web.connect(timeout=60)
        headers = {"Cookie": f"__Host-atalaia={web.cookie}", **({"Last-Event-ID": str(last)} if last is not None else {})}
        self.connection.request("GET", f"/api/v1/live?{query}", headers=headers)
        self.answer = self.connection.getresponse()
        self.status, self.got, self.ended = self.answer.status, [], False
        self.more = threading.Condition()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        text = b""
        try:
            while piece := self.answer.read1(65536):
                *messages, text = (text + piece).split(b"\n\n")
                with self.more:
                    self.got += filter(None, map(message, messages))
                    self.more.notify_all()
        except (OSError, ValueError, AttributeError, http.client.HTTPException):
            pass
        with self.more:
            self.ended = True
            self.more.notify_all()

    def wait(self, kind, want=lambda data: True, timeout=30):
        found = lambda: next((m for m in self.got if m[0] == kind and want(m[1])), None)  # noqa: E731
        with self.more:
            assert self.more.wait_for(found, timeout), (kind, self.got)
            return found()

    def close(self):
        self.connection.sock and self.connection.sock.close()


def test_states_follow_events(console, admin, agents):
    one, two, three = agents
    for a in agents:
        applied(a, 7, wire=5000, bytes_full=5000)
    assert {r["state"] for r in rows(admin).values()} == {"protected"}
    applied(one, 8, wire=100, bytes_delta=80)
    send(two, "engine.down", {"type": "clamd"})
    send(three, "detection", {"class_uid": 2004}, cls="detection")
    got = rows(admin)
    assert [got[a.id]["state"] for a in agents] == ["protected", "engine-down", "infected"]
    send(two, "engine.up", {})
    send(two, "role.changed", {"role": "update-agent", "state": "on", "mode": "mirror"})
    got = rows(admin)
    assert got[two.id]["state"] == "outdated" and got[two.id]["role"] == "update-agent"
    assert got[one.id]["feeds"][0][:2] == ["signatures", 8] and got[three.id]["host"] == KEPT
    over = admin.get("/overview").body
    assert over["computers"] == {"total": 3, "protected": 1, "outdated": 1, "unreachable": 0, "infected": 1,
                                 "engine_down": 0, "revoked": 0}
    assert over["bytes"]["wire"] == 15100 and over["bytes"]["by_deltas"] == 4900
    assert over["attention"][0]["kind"] == "detection" and over["attention"][0]["hosts"] == [KEPT]
    assert [(v["version"], v["computers"]) for v in over["feeds"][0]["versions"]] == [(8, 1), (7, 2)]
    assert admin.post(f"/computers/{three.id}/clear").status == 204
    assert rows(admin)[three.id]["state"] == "outdated"


def test_one_computer_says_what_is_wrong(admin, agents):
    three = agents[2]
    send(three, "update.rejected", {"feed": "signatures", "what": "set", "why": HOSTILE})
    page = admin.get(f"/computers/{three.id}").body
    assert page["computer"]["host"] == KEPT and page["computer"]["machine"] == "m3"
    assert page["sets"][0]["rejected"] == HOSTILE
    first = next(f for f in page["findings"] if not f["good"])
    assert first["name"] == "rejected" and HOSTILE in first["text"]
    assert page["events"][-1]["event"]["type"] == "org.atalaia.update.rejected"
    assert admin.get(f"/computers/{uuid.uuid4()}").status == 404


def test_a_limited_user_sees_only_his_groups(console, admin, agents):
    web = logged_in(console, "till-op", "operator", ["till"])
    assert list(rows(web)) == [agents[2].id]
    assert web.get("/overview").body["computers"]["total"] == 1
    assert web.get(f"/computers/{agents[0].id}").status == 404
    assert web.post(f"/computers/{agents[0].id}/clear").status == 404
    assert [g["group"] for g in web.get("/groups").body["groups"]] == ["till"]
    seen = {e.get("agent") for e in web.get("/events?limit=1000").body["events"]}
    assert seen == {agents[2].id}
    export = web.get("/events/export?format=ndjson").raw.decode().splitlines()
    assert {json.loads(line)["agent"] for line in export} == {agents[2].id}


def test_events_are_found_and_exported(admin, agents):
    every = admin.get("/events?limit=1000").body["events"]
    assert [e["n"] for e in every] == sorted(e["n"] for e in every)
    newest = admin.get("/events?last=1&limit=2").body["events"]
    assert newest == every[-2:]
    assert admin.get(f"/events?last=1&limit=1&before={newest[0]['n']}").body["events"] == [every[-3]]
    assert {e["event"]["atalaiaclass"] for e in admin.get("/events?class=detection").body["events"]} == {"detection"}
    assert len(admin.get("/events?q=ONERROR&last=1&class=telemetry").body["events"]) == 1
    assert admin.get(f"/events?agent={agents[1].id}&type=org.atalaia.role.*").body["events"][0]["host"] == "pc-2"
    send(agents[0], "test.formula", {"x": "y"})
    text = admin.get("/events/export?format=csv").raw.decode()
    table = list(csv.DictReader(io.StringIO(text)))
    assert len(table) == len(every) + 1
    hostile = [r for r in table if r["agent"] == agents[2].id][0]
    assert hostile["host"] == KEPT and json.loads(hostile["event"])["source"] == agents[2].source
    assert admin.get("/events/export?format=xml").status == 400
    export = admin.get("/events/export?format=ndjson&class=detection")
    assert export.headers["Content-Disposition"] == 'attachment; filename="events.ndjson"'
    assert len(export.raw.splitlines()) == 1


def test_formulas_of_spreadsheets_are_defused(console, admin):
    token = console.token()
    agent = Agent(console, token, "=cmd|' /C calc'!A0", "m9")
    send(agent, "test")
    row = list(csv.DictReader(io.StringIO(admin.get(f"/events/export?format=csv&agent={agent.id}").raw.decode())))[0]
    assert row["host"] == "'=cmd|' /C calc'!A0"


def test_live_events_agents_and_resume(console, admin, agents):
    live = Stream(admin, "topics=agents,tasks,events")
    hello = live.wait("hello")[1]
    assert live.status == 200 and hello["resumed"] is False
    sent = applied(agents[0], 9)
    event = live.wait("event", lambda d: d["event"]["id"] == sent["id"])
    assert int(event[2]) == event[1]["n"] and event[1]["host"] == "pc-1"
    agent = live.wait("agent", lambda d: d["agent"] == agents[0].id and d["feeds"][0][1] == 9)[1]
    assert agent["state"] == "protected"
    task = console.json("task", "send", "--to", "pc-1", "status")
    assert live.wait("task", lambda d: d["id"] == task["id"])[1]["type"] == "status"
    agents[0].pull()
    agents[0].report(task["id"], "done", result={"answer": 42})
    live.wait("task", lambda d: d["id"] == task["id"] and d["state"] == "ended")
    assert admin.get(f"/computers/{agents[0].id}").body["status"] == {"answer": 42}
    live.close()
    missed = [send(agents[1], f"missed.{i}")["id"] for i in range(5)]
    again = Stream(admin, "topics=events", last=event[2])
    assert again.wait("hello")[1]["resumed"] is True
    again.wait("event", lambda d: d["event"]["id"] == missed[-1])
    ids = [m[1]["event"]["id"] for m in again.got if m[0] == "event"]
    assert ids[-5:] == missed and len(ids) == len(set(ids)) and sent["id"] not in ids
    again.close()


def test_live_filters_and_scope(console, admin, agents):
    web = Web(console)
    web.login("till-op")
    limited, filtered = Stream(web, "topics=events,agents"), Stream(admin, "topics=events&type=org.atalaia.wanted.*")
    limited.wait("hello"), filtered.wait("hello")
    send(agents[0], "other")
    wanted = send(agents[0], "wanted.x")
    mine = send(agents[2], "mine")
    limited.wait("event", lambda d: d["event"]["id"] == mine["id"])
    filtered.wait("event", lambda d: d["event"]["id"] == wanted["id"])
    assert {m[1].get("agent") for m in limited.got if m[0] != "hello"} == {agents[2].id}
    assert [m[1]["event"]["id"] for m in filtered.got if m[0] == "event"] == [wanted["id"]]
    limited.close(), filtered.close()


def test_a_stream_ends_with_its_session(console, admin):
    web = logged_in(console, "eve", "auditor")
    live = Stream(web, "topics=events")
    live.wait("hello")
    assert admin.post("/users/eve/logout").status == 204
    assert live.wait("end")[1] == {"why": "session"}
    assert Stream(web, "topics=events").status == 401


def test_a_slow_reader_is_told_what_it_missed(admin, agents):
    """It reads little while more comes than the ring holds; a quick one beside it loses nothing."""
    agent, total, key = agents[0], 12000, (agents[0].id, "telemetry")
    slow = admin.connect(timeout=60)
    slow.connect()
    slow.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 262144)
    slow.request("GET", "/api/v1/live?topics=events&type=org.atalaia.flood",
                 headers={"Cookie": f"__Host-atalaia={admin.cookie}"})
    answer = slow.getresponse()
    got = bytearray(answer.read1(4096))
    quick = Stream(admin, "topics=events&type=org.atalaia.flood")
    quick.wait("hello")
    for start in range(0, total, 100):
        batch = [agent.event(SEQ.get(key, 0) + 1 + i, type="org.atalaia.flood", data={"pad": "x" * 1900})
                 for i in range(100)]
        SEQ[key] = SEQ.get(key, 0) + 100
        assert agent.call("POST", "/v1/events", batch)[0] == 200
        if start % 500 == 0:  # not dead, only slow: enough for TCP to tell the server so
            for _ in range(5):
                got += answer.read1(65536)
    last = SEQ[key]
    quick.wait("event", lambda d: d["event"]["atalaiaseq"] == last, timeout=120)
    kinds = [m[0] for m in quick.got]
    assert kinds.count("event") == total and "dropped" not in kinds
    while f'"atalaiaseq":{last},'.encode() not in got[-24000:]:
        got += answer.read1(65536)
    messages = [m for m in map(message, bytes(got).split(b"\n\n")[:-1]) if m]
    seen = [m[1]["n"] for m in messages if m[0] == "event"]
    lost = [m[1] for m in messages if m[0] == "dropped"]
    assert lost and len(seen) + sum(d["events"] for d in lost) >= total - 1
    assert not set(seen) & {n for d in lost for n in range(d["from"], d["to"] + 1)}
    slow.close()
    quick.close()

"""events.target with collectors of others. Elasticsearch and Splunk are not in Debian: these are strict
doubles, written from the products' documentation of _bulk and of the HTTP Event Collector."""
import json
import re

import pytest

from eventagent import Collector, EventAgent, Keeper, event, in_order, wait_empty
from witness import witness  # noqa: F401
from world import wait_for


def run(tmp_path, target, events, **kw):
    agent = EventAgent(tmp_path / "a", target=target, **kw).start()
    assert agent.post(events)[0] == 202
    wait_empty(agent, 40)
    assert agent.stop() == 0
    return agent


class Elastic:
    """POST /<index>/_bulk: pairs of lines that end with a newline, `create` with an _id, ndjson type.
    A known _id is a version conflict (409); `refuse` is mapped badly (400); the first answer is busy."""

    def __init__(self, refuse=None):
        self.docs, self.order, self.refuse, self.busy = {}, [], refuse, 1

    def take(self, path, headers, body):
        assert path == "/atalaia/_bulk"
        assert headers["Content-Type"] == "application/x-ndjson"
        assert body.endswith(b"\n"), "The bulk request must be terminated by a newline"
        lines = body.decode().split("\n")[:-1]
        assert len(lines) % 2 == 0
        items, errors = [], False
        for action, source in zip(lines[::2], lines[1::2]):
            action = json.loads(action)
            assert list(action) == ["create"] and set(action["create"]) == {"_id"}
            doc, key = json.loads(source), action["create"]["_id"]
            assert doc["id"] == key
            if doc["data"].get("n") == self.refuse:
                status = 400
            elif self.busy and len(items) == 3:
                status, self.busy = 429, self.busy - 1
            elif key in self.docs:
                status = 409
            else:
                status = 201
                self.docs[key] = doc
                self.order.append(doc)
            errors |= status != 201
            items.append({"create": {"_index": "atalaia", "_id": key, "status": status}})
        return 200, {"took": 1, "errors": errors, "items": items}, {}


def test_elasticsearch_bulk(tmp_path):
    e = Elastic(refuse=7)
    c = Collector(e.take)
    run(tmp_path, "elasticsearch " + c.url("/atalaia/_bulk"), [event(n) for n in range(20)])
    c.stop()
    got = [d["data"]["n"] for d in e.order if d["type"] == "test.event"]
    assert sorted(got) == [n for n in range(20) if n != 7]   # the refused one is a dead letter


class Splunk:
    """POST /services/collector/event: `Authorization: Splunk <token>`, JSON objects one after the other,
    each with an `event`; time in seconds. 401/403 by token, 400 with invalid-event-number, 503 code 9."""

    def __init__(self, token):
        self.token, self.events, self.busy = token, [], 1

    def take(self, path, headers, body):
        assert path == "/services/collector/event"
        if headers.get("Authorization") != "Splunk " + self.token:
            return 403, {"text": "Invalid token", "code": 4}, {}
        if self.busy:
            self.busy -= 1
            return 503, {"text": "Server is busy", "code": 9}, {}
        batch, decoder, text, at = [], json.JSONDecoder(), body.decode(), 0
        while at < len(text):
            one, at = decoder.raw_decode(text, at)
            at += len(text[at:]) - len(text[at:].lstrip())
            if "event" not in one:
                return 400, {"text": "Event field is required", "code": 12,
                             "invalid-event-number": len(batch)}, {}
            assert set(one) <= {"time", "host", "source", "sourcetype", "index", "fields", "event"}
            assert isinstance(one["time"], float) and 1.5e9 < one["time"] < 5e9
            batch.append(one["event"])
        self.events += batch
        return 200, {"text": "Success", "code": 0}, {}


def test_splunk_hec(tmp_path):
    (tmp_path / "token").write_text("0a1b-2c3d\n")
    s = Splunk("0a1b-2c3d")
    c = Collector(s.take)
    run(tmp_path, f"splunk {c.url('/services/collector/event')} token_file={tmp_path}/token",
        [event(n) for n in range(10)])
    c.stop()
    assert [e["data"]["n"] for e in s.events if e["type"] == "test.event"] == list(range(10))


@pytest.mark.parametrize("form, kind", [
    ("", "application/cloudevents-batch+json"), ("cloudevents-batch ", "application/cloudevents-batch+json"),
    ("json ", "application/json"), ("ndjson ", "application/x-ndjson")])
def test_plain_forms(tmp_path, form, kind):
    keeper, kinds = Keeper(), set()

    def take(path, headers, body):
        kinds.add(headers["Content-Type"])
        return keeper.take(path, headers, body)

    c = Collector(take)
    run(tmp_path, form + c.url(), [event(n) for n in range(5)])
    c.stop()
    assert kinds == {kind} and in_order(keeper.events) is None
    mine = [e for e in keeper.events if e["type"] == "test.event"]
    assert [e["data"]["n"] for e in mine] == list(range(5))
    for e in keeper.events:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", e["time"])
        assert e["source"].startswith("atalaia://unenrolled/agent/")
        assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", e["id"])
    assert all(e["atalaiaid"] == str(n) and e["atalaiasource"] == "/test" for n, e in enumerate(mine))


def test_gzip_when_offered(tmp_path):
    keeper, coded = Keeper(), []

    def take(path, headers, body):
        coded.append(headers.get("Content-Encoding"))
        status, answer, h = keeper.take(path, headers, body)
        return status, answer, {**h, "Accept-Encoding": "gzip"}

    c = Collector(take)
    agent = EventAgent(tmp_path / "a", target="json " + c.url()).start()
    for i in range(3):
        assert agent.post([event(i * 100 + k) for k in range(100)])[0] == 202
        wait_empty(agent)
    assert agent.stop() == 0
    c.stop()
    assert coded[0] is None and coded[-1] == "gzip"
    assert len([e for e in keeper.events if e["type"] == "test.event"]) == 300


def test_npm_cloudevents_reads_our_batches(tmp_path, witness):  # noqa: F811
    bodies = []

    def take(path, headers, body):
        bodies.append(body)
        return 200, b"", {}

    c = Collector(take)
    run(tmp_path, c.url(), [event(n, subject="s", time="2026-01-02T03:04:05+01:00") for n in range(4)])
    c.stop()
    (tmp_path / "batch").write_bytes(bodies[-1])
    done = witness("cloudevents.mjs", tmp_path / "batch")
    assert done.returncode == 0, done.stderr
    read = [json.loads(line) for line in done.stdout.splitlines()]
    sent = json.loads(bodies[-1])
    assert [r["id"] for r in read] == [s["id"] for s in sent]
    mine = [r for r in read if r["type"] == "test.event"]
    assert mine and all(r["time"] == "2026-01-02T02:04:05.000Z" for r in mine)


def test_a_collector_that_refuses_the_agent_loses_nothing(tmp_path):
    (tmp_path / "token").write_text("right\n")
    s = Splunk("right")
    s.busy, wrong = 0, [3]

    def take(path, headers, body):
        if wrong[0]:
            wrong[0] -= 1
            return 401, {"text": "Token is required", "code": 2}, {}
        return s.take(path, headers, body)

    c = Collector(take)
    agent = EventAgent(tmp_path / "a", target=f"splunk {c.url('/services/collector/event')} "
                       f"token_file={tmp_path}/token").start()
    assert agent.post([event(n) for n in range(10)])[0] == 202
    wait_for(lambda: len([e for e in s.events if e["type"] == "test.event"]) == 10, 30, "10 events")
    assert agent.stop() == 0
    c.stop()

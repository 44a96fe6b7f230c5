"""Event ingestion on 2225 (DESIGN section 9): one transaction, duplicates, conflicts, acks after commit."""
import gzip
import json
import subprocess
import threading
import uuid

import pytest

from consoleclient import Agent, Console, binary
from world import Proc, wait_for

EPOCH = "a" * 32


@pytest.fixture(scope="module")
def console(tmp_path_factory):
    c = Console(tmp_path_factory.mktemp("console") / "c").start()
    yield c
    assert c.stop() == 0, c.process.err[-20:]


@pytest.fixture
def agent(console):
    return Agent(console, console.token(), "pc-" + uuid.uuid4().hex[:6])


def post(agent, events):
    return agent.call("POST", "/v1/events", events)


def stored(console, agent):
    return [e for e in console.events("--agent", agent.id)]


def test_a_batch_is_acknowledged_per_class_and_shown(console, agent):
    batch = [agent.event(1, "detection", EPOCH, "org.atalaia.detection", {"path": "/tmp/e\u00e9"}),
             agent.event(2, "detection", EPOCH), agent.event(7, "telemetry", EPOCH)]
    status, answer = post(agent, batch)
    assert status == 200
    assert answer == {"acks": {"detection": {"epoch": EPOCH, "seq": 2},
                               "telemetry": {"epoch": EPOCH, "seq": 7}}}
    rows = stored(console, agent)
    assert [e["id"] for e in rows] == [e["id"] for e in batch]
    assert rows[0]["data"] == {"path": "/tmp/e\u00e9"} and rows[0]["source"] == agent.source
    line = console.cli("events", "--agent", agent.id, "--type", "org.atalaia.detection").stdout
    assert line.count("\n") == 1 and "/tmp/e" in line


def test_duplicates_are_acknowledged_and_stored_once(console, agent):
    batch = [agent.event(n, "task", EPOCH) for n in range(1, 21)]
    assert post(agent, batch[:15])[0] == 200
    status, answer = post(agent, batch)         # the answer to the first was lost on the way
    assert status == 200 and answer["acks"]["task"]["seq"] == 20
    assert [e["id"] for e in stored(console, agent)] == [e["id"] for e in batch]


def test_another_event_under_a_known_number_is_a_conflict_and_stores_nothing(console, agent):
    assert post(agent, [agent.event(1, epoch=EPOCH)])[0] == 200
    status, answer = post(agent, [agent.event(2, epoch=EPOCH), agent.event(1, epoch=EPOCH)])
    assert status == 409 and answer["code"] == "event-conflict" and answer["index"] == 1
    assert len(stored(console, agent)) == 1
    assert post(agent, [agent.event(1, epoch="b" * 32)])[0] == 200     # a new epoch begins anew


@pytest.mark.parametrize("change", [
    {"id": "x"}, {"id": None}, {"source": "atalaia://example/agent/" + str(uuid.uuid4())},
    {"type": ""}, {"type": 7}, {"atalaiaseq": 0}, {"atalaiaseq": -1}, {"atalaiaseq": "1"},
    {"atalaiaepoch": "short"}, {"atalaiaclass": "mine"}, {"specversion": "0.3"}, {"time": "yesterday"},
    {"Upper": 1}])
def test_one_wrong_event_refuses_the_batch_and_is_named(console, agent, change):
    wrong = {k: v for k, v in {**agent.event(2, epoch=EPOCH), **change}.items() if v is not None}
    status, answer = post(agent, [agent.event(1, epoch=EPOCH), wrong])
    assert status == 400 and answer["index"] == 1 and answer["detail"].startswith("event 1:"), answer
    assert stored(console, agent) == []


def test_form_and_size(console, agent):
    for body, want in ((b"", 400), (b"{}", 400), (b"[1]", 400), (b"[{}]", 400), (b"[" * 100, 400),
                       (json.dumps([agent.event(n) for n in range(1, 502)]), 413),
                       (b"[" + b" " * 300000 + b"]", 413)):
        assert post(agent, body)[0] == want
    assert post(agent, [])[0] == 200
    assert stored(console, agent) == []


def test_compressed_batches_are_offered_and_bounded(console, agent):
    def zipped(data):
        return agent.call("POST", "/v1/events", data, headers={"Content-Encoding": "gzip"})
    batch = json.dumps([agent.event(n, epoch=EPOCH, data={"t": "x" * 300}) for n in range(1, 101)]).encode()
    assert zipped(gzip.compress(batch))[0] == 200
    assert len(stored(console, agent)) == 100
    assert zipped(gzip.compress(b"[" + b" " * 10_000_000 + b"]"))[0] == 413
    for bad in (batch, b"", gzip.compress(batch)[:-4], gzip.compress(batch) + b"x"):
        assert zipped(bad)[0] == 400


def test_batches_of_many_agents_at_once_all_arrive(console):
    token = console.token("--uses", "8")
    agents = [Agent(console, token, f"many-{n}") for n in range(8)]
    failures = []

    def send(a):
        for first in range(1, 201, 50):
            status, answer = post(a, [a.event(n, epoch=EPOCH) for n in range(first, first + 50)])
            if status != 200 or answer["acks"]["telemetry"]["seq"] != first + 49:
                failures.append((status, answer))
    threads = [threading.Thread(target=send, args=(a,)) for a in agents]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failures
    for a in agents:
        assert [e["atalaiaseq"] for e in stored(console, a)] == list(range(1, 201))


def test_following_sees_an_event_when_it_comes(console, agent):
    follow = Proc([binary(), "events", "--follow", "--json", "--agent", agent.id, "--config",
                   str(console.conf)])
    try:
        wait_for(lambda: console.json("status")["waiters"] > 0, 10, "the follower waits")
        event = agent.event(1, epoch=EPOCH)
        assert post(agent, [event])[0] == 200
        line = wait_for(lambda: follow.out and follow.out[0], 5, "the followed event")
        assert json.loads(line)["id"] == event["id"]
    finally:
        follow.process.kill()
        follow.process.wait()


def test_what_was_acknowledged_survives_a_kill(tmp_path):
    console = Console(tmp_path / "c").start()
    agent = Agent(console, console.token())
    events = [agent.event(n, epoch=EPOCH) for n in range(1, 51)]
    assert post(agent, events)[0] == 200
    console.process.process.kill()
    console.process.process.wait()
    console.start()
    assert [e["id"] for e in stored(console, agent)] == [e["id"] for e in events]
    assert console.stop() == 0


def test_names_that_malware_chose_do_nothing_on_a_terminal(console, agent):
    event = agent.event(1, epoch="e" * 32, data={"path": "/tmp/\u009b2J\u202egpj.exe \u00e9"})
    status, answer = agent.call("POST", "/v1/events", [event])
    assert status == 200, answer
    shown = next(x for x in console.cli("events", "--last", "100").stdout.splitlines() if "gpj.exe" in x)
    assert "/tmp/??2J???gpj.exe \u00e9" in shown

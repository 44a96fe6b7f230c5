"""A real agent that delivers to a real console, also after its disk was restored and through cut lines."""
import shutil

import pytest

from consoleclient import Console, binary
from eventagent import CutProxy, EventAgent, event, in_order, wait_empty
from world import run


@pytest.fixture(name="console", scope="module")
def _console(tmp_path_factory):
    c = Console(tmp_path_factory.mktemp("console") / "c", address="127.0.70.20").start()
    yield c
    c.stop()


def enrolled(console, folder):
    agent = EventAgent(folder)
    done = run([binary("atalaia-agent"), "enroll", "--config", agent.conf, console.token().word], timeout=60)
    assert done.returncode == 0, done.stderr
    return agent


def mine(console):
    return [e for e in console.events() if e["type"] == "test.event"]


def test_restored_disk_loses_nothing(console, tmp_path):
    agent = enrolled(console, tmp_path / "a").start()
    assert agent.post([event(n) for n in range(10)])[0] == 202
    wait_empty(agent)
    assert agent.stop() == 0
    state, image = tmp_path / "a" / "state", tmp_path / "image"
    image.mkdir()
    for f in state.glob("spool.db*"):
        shutil.copy(f, image)
    agent.start()
    first_epoch = agent.post([event(n) for n in range(100, 120)])[1]["epoch"]
    wait_empty(agent)
    assert agent.stop() == 0
    for f in image.iterdir():                   # yesterday's disk
        shutil.copy(f, state)
    agent.start()
    status, answer = agent.post([event(n) for n in range(200, 215)])
    assert status == 202 and answer["epoch"] == first_epoch      # it cannot know yet
    wait_empty(agent)
    assert agent.stop() == 0
    seen = [e["data"]["n"] for e in mine(console)]
    for want in (range(10), range(100, 120), range(200, 215)):
        assert [n for n in seen if n in want] == list(want)
    assert len({e["atalaiaepoch"] for e in mine(console)}) == 2


def test_cut_lines_to_the_console(console, tmp_path):
    plan = iter([2000, 9000, 40000, 90000])     # inside the handshake, the head, the first batches
    agent = enrolled(console, tmp_path / "b")
    proxy = CutProxy((console.address, console.port), lambda: next(plan, None))
    identity = tmp_path / "b" / "state" / "identity" / "identity.json"
    text = identity.read_text()
    assert str(console.port) in text and console.address in text
    identity.write_text(text.replace(str(console.port), str(proxy.port)).replace(console.address,
                                                                                 "127.0.70.8"))
    agent.start()
    for i in range(4):                          # the console shows the last 1,000
        assert agent.post([event(5000 + i * 200 + k) for k in range(200)])[0] == 202
    wait_empty(agent, 90)
    assert agent.stop() == 0
    got = [e for e in mine(console) if e["data"]["n"] >= 5000]
    assert [e["data"]["n"] for e in got] == list(range(5000, 5800))
    assert in_order(got) is None
    assert proxy.cuts >= 3
    proxy.stop()

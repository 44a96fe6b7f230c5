"""A real agent that delivers to a real console, also after its disk was restored and through cut lines."""
import json
import random
import shutil
import socket
import sqlite3
import ssl
import threading

import pytest

from consoleclient import Console, binary
from eventagent import CutProxy, EventAgent, event, in_order, wait_empty
from world import run, wait_for


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


def redirect(folder, console, host, port):
    """The agent believes that the console is at another place."""
    path = folder / "state" / "identity" / "identity.json"
    text = path.read_text()
    assert str(console.port) in text and console.address in text
    path.write_text(text.replace(str(console.port), str(port)).replace(console.address, host))
    return lambda: path.write_text(text)


def stored(console, least):
    """Everything that the console holds of the test, in the order in which it came: the CLI shows the last 1,000."""
    with sqlite3.connect(f"file:{console.state / 'console.db'}?mode=ro", uri=True) as db:
        rows = db.execute("SELECT body FROM events WHERE type = 'test.event' ORDER BY n").fetchall()
    return [e for e in map(json.loads, (r[0] for r in rows)) if e["data"]["n"] >= least]


def test_ten_thousand_through_cut_lines_to_the_console(console, tmp_path):
    rng = random.Random(11)
    plan = lambda: rng.choice([2000, 9000, 40000, 90000, 300000, None])  # noqa: E731: handshake, head, batches
    agent = enrolled(console, tmp_path / "b")
    proxy = CutProxy((console.address, console.port), plan)
    redirect(tmp_path / "b", console, "127.0.70.8", proxy.port)
    agent.conf.write_text(agent.conf.read_text() + "[spool]\nquota_telemetry = 16M\n")
    agent.start()
    for i in range(20):
        assert agent.post([event(5000 + i * 500 + k) for k in range(500)])[0] == 202
    wait_empty(agent, 150)
    assert agent.stop() == 0
    got = stored(console, 5000)
    assert [e["data"]["n"] for e in got] == list(range(5000, 15000))
    assert in_order(got) is None
    assert proxy.cuts >= 3
    proxy.stop()


def test_a_console_that_cannot_prove_itself_gets_nothing(console, tmp_path):
    agent = enrolled(console, tmp_path / "c")
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    made = run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
                "2", "-subj", "/CN=console", "-addext", "subjectAltName=URI:atalaia://example/console/main",
                "-keyout", key, "-out", cert])
    assert made.returncode == 0, made.stderr
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    listener, tries, heard = socket.create_server(("127.0.70.8", 0)), [], []

    def serve():
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            tries.append(1)
            try:
                with context.wrap_socket(client, server_side=True) as s:
                    heard.append(s.recv(100))
            except OSError:
                client.close()

    threading.Thread(target=serve, daemon=True).start()
    home = redirect(tmp_path / "c", console, "127.0.70.8", listener.getsockname()[1])
    agent.start()
    assert agent.post([event(20000 + n) for n in range(50)])[0] == 202
    wait_for(lambda: len(tries) >= 3, 30, "attempts")
    assert agent.waiting() >= 50 and not any(heard)
    assert agent.stop() == 0
    listener.close()
    home()
    agent.start()
    wait_empty(agent)
    assert agent.stop() == 0
    assert [e["data"]["n"] for e in stored(console, 20000)] == list(range(20000, 20050))

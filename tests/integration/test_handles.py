"""uv_loop_close() must be 0 at the end of every program that a test runs: the fixtures see a handle that is left."""
import os

import pytest

import fetcher
import world
from consoleclient import Console
from eventagent import EventAgent
from mirror import Mirror


@pytest.fixture
def left(debug_bin, monkeypatch):
    """From now on every program leaves a handle open at its end; call it to begin."""
    return lambda: monkeypatch.setenv("ATALAIA_INJECT", "loop.left")


def seen(call):
    with pytest.raises(AssertionError, match="ended with handles open"):
        call()


def test_update_agent(left, debug_bin, tmp_path):
    for what in (lambda m, p: m.proc.stop(), lambda m, p: p.__exit__()):
        left()
        procs = world.Procs()
        mirror = Mirror(procs, debug_bin, tmp_path)
        seen(lambda: what(mirror, procs))
        assert mirror.proc.process.returncode == 70


def test_agent(left, tmp_path):
    left()
    agent = EventAgent(tmp_path).start()
    seen(agent.stop)
    assert agent.process.process.returncode == 70


def test_console_and_its_verbs(left, tmp_path):
    console = Console(tmp_path, address="127.0.92.2").start()
    left()
    seen(lambda: world.run([os.environ["ATALAIA_BIN"] + "/atalaia-console", "agents", "--config", console.conf]))
    os.environ.pop("ATALAIA_INJECT")
    console.stop()
    left()
    again = Console(tmp_path / "other", address="127.0.92.3").start()
    seen(again.stop)


def test_fetch(left, tmp_path):
    left()
    config = fetcher.set_config(tmp_path, tmp_path / "root.json", [{"name": "m", "url": "http://127.0.0.1:1/signatures"}])
    seen(lambda: fetcher.run(config))


def test_operator(left, debug_bin, tmp_path):
    agent = EventAgent(tmp_path).start()
    left()
    seen(lambda: world.run([debug_bin / "atalaia", "status", "--socket", agent.socket]))
    agent.stop()

"""uv_loop_close() must be 0 at the end of every program that a test runs: the fixtures see a handle that is left."""
import os
import pathlib
import subprocess

import pytest

import fetcher
import publisher
import world
from consoleclient import Console
from eventagent import EventAgent
from mirror import Child, Mirror


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


def test_serve_as_a_child(left, debug_bin, tmp_path):
    def stopped():
        with Child(debug_bin) as c:
            c.message()
            c.send(type="config", options={"root": str(tmp_path), "listen": "127.0.40.31", "ftp_port": "0",
                                           "version_port": "0", "passive_first": "0"})
            c.message()
            c.send(type="stop")
            c.p.wait(15)
    left()
    seen(stopped)


def test_other_verbs_of_the_mirror(left, debug_bin, tmp_path):
    program = debug_bin / "atalaia-update-agent"
    (tmp_path / "root").mkdir()
    conf = tmp_path / "serve.conf"
    conf.write_text(f"[update-agent]\nroot={tmp_path}/root\nftp_port=0\nversion_port=0\npassive_first=0\n")
    repo = publisher.Publisher(debug_bin, tmp_path)
    repo.run("init", "r", "--feed", "signatures")
    repo.write("set", {"a.hdb": b"text\n"})
    repo.json("publish", "r", "set")
    repo.json("export", "r", "--since", 0, "stick")
    left()
    seen(lambda: world.run([program, "serve", "--self-test-confinement", "--config", conf]))
    seen(lambda: world.run([program, "import", tmp_path / "stick", "--state", tmp_path / "site", "--libexec", debug_bin,
                            "--socket", tmp_path / "none", "--disk-floor", "1"]))


def test_scan(left, debug_bin, tmp_path):
    config = '{"type":"config","paths":["%s"],"engine":{"type":"clamd","socket":"%s/none"}}\n'

    def scan():
        done = subprocess.run([debug_bin / "atalaia-scan"], input=config % (tmp_path, tmp_path), capture_output=True,
                              text=True, timeout=60)
        world.check_end(done.args, done.stderr.splitlines())
    left()
    seen(scan)


def test_enrolment(left, debug_bin, tmp_path):
    console = Console(tmp_path / "c", address="127.0.92.4").start()
    conf = tmp_path / "agent.conf"
    conf.write_text(f"[agent]\nstate={tmp_path}/state\nrun={tmp_path}/run\ntask_port=0\nevent_port=0\n")
    word = console.token().word
    left()
    seen(lambda: world.run([debug_bin / "atalaia-agent", "enroll", "--config", conf, word]))
    os.environ.pop("ATALAIA_INJECT")
    console.stop()


VERBS = (["status"], ["token"], ["agents"], ["revoke", "nobody"], ["task", "list"], ["events"],
         ["policy", "show"], ["authority", "show"], ["user", "list"], ["token", "list"])


def test_console_and_its_verbs(left, tmp_path):
    console = Console(tmp_path, address="127.0.92.2").start()
    program = pathlib.Path(os.environ["ATALAIA_BIN"]) / "atalaia-console"
    for verb in VERBS:
        left()
        seen(lambda: world.run([program, *verb, "--config", console.conf]))
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

"""Agent and console tell a (fake) service manager that they are ready and, as often as asked, that they live;
children and restarts do not speak for them."""
import os
import pathlib
import shutil
import signal
import socket
import tempfile
import time

import pytest

from world import Procs, free_port, run

BIN = pathlib.Path(os.environ["ATALAIA_BIN"])
ADDRESS = "127.0.120.21"


class Manager(socket.socket):
    folder = None


@pytest.fixture
def manager():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="atalaia-notify-"))
    s = Manager(socket.AF_UNIX, socket.SOCK_DGRAM)
    s.bind(str(folder / "notify"))
    s.settimeout(15)
    s.folder = folder
    yield s
    s.close()
    shutil.rmtree(folder)


def environment(manager):
    return {**os.environ, "NOTIFY_SOCKET": str(manager.folder / "notify"), "WATCHDOG_USEC": "400000"}


def hear(manager, process):
    """READY once, then three signs of life in about the asked rhythm; after the stop, silence."""
    words = [manager.recv(100)]
    while words.count(b"WATCHDOG=1") < 4:
        if words[-1] == b"WATCHDOG=1" and words.count(b"WATCHDOG=1") == 1:
            begin = time.monotonic()
        words.append(manager.recv(100))
    assert words.count(b"READY=1") == 1 and set(words) == {b"READY=1", b"WATCHDOG=1"}
    assert 0.3 < time.monotonic() - begin < 5
    assert process.stop(signal.SIGTERM) == 0


def test_agent(manager):
    conf = manager.folder / "agent.conf"
    conf.write_text(f"[agent]\nstate={manager.folder}/state\nrun={manager.folder}/run\n"
                    f"libexec={BIN}\nlisten={ADDRESS}\nevent_port=0\n")
    with Procs() as procs:
        hear(manager, procs.start([BIN / "atalaia-agent", "run", "--config", conf], env=environment(manager)))


def test_console(manager):
    conf = manager.folder / "console.conf"
    conf.write_text(f"[console]\nstate={manager.folder}/console\norg=example\nhost={ADDRESS}\nlisten={ADDRESS}\n"
                    f"agent_port=0\nweb_port=0\nadmin_port={free_port()}\n")
    done = run([BIN / "atalaia-console", "init", "--config", conf])
    assert done.returncode == 0, done.stderr
    with Procs() as procs:
        hear(manager, procs.start([BIN / "atalaia-console", "serve", "--config", conf], env=environment(manager)))

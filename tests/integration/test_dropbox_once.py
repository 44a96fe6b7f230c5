"""An upload with a ticket arrives once and whole, whichever side is killed at whichever step; a bad line
costs what it loses and no more."""
import hashlib
import os
import pathlib
import socket
import sys
import threading
import time

import pytest

import fetcher
from mirror import Mirror

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from test_fetch_crash import shim  # noqa: E402,F401

CONTENT = os.urandom(150_000)
NAME = "5" * 32 + hashlib.sha256(CONTENT).hexdigest() + "-mwav.log"


class Box:
    """A drop box that is emptied as a relay does it, at any moment; what was in it is counted."""

    def __init__(self, procs, bin_dir, folder):
        self.procs, self.bin_dir, self.base, self.n = procs, bin_dir, folder, 0
        (folder / "file").write_bytes(CONTENT)
        self.done, self.lock = threading.Event(), threading.Lock()
        self.fresh()
        self.taker = threading.Thread(target=self.take_all, daemon=True)
        self.taker.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.done.set()
        self.taker.join(10)

    def fresh(self):
        with self.lock:
            self.n += 1
            self.folder, self.taken = self.base / f"box{self.n}", []
            self.folder.mkdir()

    def take_all(self):
        while not self.done.wait(0.001):
            self.take()

    def take(self):
        with self.lock:
            for p in self.folder.iterdir():
                if not p.name.startswith("."):
                    self.taken.append(p.read_bytes())
                    p.unlink()

    def serve(self, fault=None, shim=None):
        env = {**os.environ, "ATALAIA_LOG": "error"}
        if fault:
            env |= {"LD_PRELOAD": str(shim), "FAULT": fault}
        folder = self.base / f"m{self.n}"
        folder.mkdir(exist_ok=True)
        return Mirror(self.procs, self.bin_dir, folder, dropbox=self.folder, dropbox_floor=0,
                      dropbox_daily_files=1000, env=env)

    def config(self, url, **more):
        return {"mode": "send", "file": str(self.base / "file"), "name": NAME, "stall_ms": 3000,
                "sources": [{"name": "box", "url": url + "/incoming"}], **more}

    def once(self, what):
        self.take()
        assert self.taken == [CONTENT], (what, [len(x) for x in self.taken])
        assert [p.name for p in self.folder.iterdir()] == [".tickets"], what


@pytest.fixture
def box(procs, bin_dir, tmp_path):
    with Box(procs, bin_dir, tmp_path) as b:
        yield b


def kill_the_box(box, shim, fault):
    """False when it was not reached."""
    box.fresh()
    m = box.serve(fault, shim)
    r = fetcher.run(box.config(m.url().rstrip("/")))
    died = r["outcome"] != "sent"
    if died:
        assert m.proc.process.wait(10) == -9, m.proc.err
        m = box.serve()
        assert fetcher.run(box.config(m.url().rstrip("/")))["outcome"] == "sent", fault
    box.once(fault)
    m.proc.process.kill()
    m.proc.process.wait()
    return died


def dies_before_it_serves(box, shim, fault):
    try:
        box.serve(fault, shim).proc.stop()
    except AssertionError as e:
        assert "ended with -9" in str(e)
        return True
    return False


@pytest.mark.parametrize("kind", ["ftruncate", "write", "fsync", "pwrite", "rename"])
def test_the_box_is_killed_at_every_step(box, shim, kind):  # noqa: F811
    n, step = 1, 3 if kind == "write" else 1       # the loop's own wake-ups are writes too
    while kind == "write" and dies_before_it_serves(box, shim, f"write:{n}:kill"):
        n += step
    first = n
    while kill_the_box(box, shim, f"{kind}:{n}:kill"):
        n += step
    assert n > first
    assert kind == "write" or kill_the_box(box, shim, f"{kind}:{n - 1}:killafter")


@pytest.mark.parametrize("kind", ["recv", "send"])
def test_the_sender_is_killed_at_every_step(box, shim, kind):  # noqa: F811
    for n in range(1, 60, 2):
        box.fresh()
        m = box.serve()
        config = box.config(m.url().rstrip("/"))
        f = fetcher.Fetch(config, env={"LD_PRELOAD": str(shim), "FAULT": f"{kind}:{n}:kill"})
        died = f.process.wait(20) == -9
        assert fetcher.run(config)["outcome"] == "sent"
        box.once((kind, n))
        m.proc.process.kill()
        m.proc.process.wait()
        if not died:
            break
    assert n > 4


class BadLine:
    """Forwards both connections of FTP; a data connection dies without a word after so many bytes."""

    def __init__(self, mirror, lasts):
        self.mirror, self.lasts, self.passed, self.cuts = mirror, lasts, 0, 0
        self.front = socket.create_server((mirror.address, 0))
        self.port = self.front.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                near, _ = self.front.accept()
            except OSError:
                return
            far = socket.create_connection((self.mirror.address, self.mirror.ftp), 10)
            threading.Thread(target=self.pump, args=(near, far), daemon=True).start()
            threading.Thread(target=self.replies, args=(far, near), daemon=True).start()

    def pump(self, near, far):
        try:
            while data := near.recv(65536):
                far.sendall(data)
            far.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def replies(self, far, near):
        """Puts a port of ours into the answer to EPSV."""
        try:
            for line in far.makefile("rb"):
                if line.startswith(b"229 "):
                    port = int(line.split(b"|")[3])
                    s = socket.create_server((self.mirror.address, 0))
                    threading.Thread(target=self.data, args=(s, port, near, far), daemon=True).start()
                    line = b"229 Extended passive mode (|||%d|).\r\n" % s.getsockname()[1]
                near.sendall(line)
        except (OSError, ValueError):
            pass

    def data(self, listener, port, *control):
        try:
            near, _ = listener.accept()
            far = socket.create_connection((self.mirror.address, port), 10, source_address=("127.0.0.1", 0))
            left = self.lasts
            while data := near.recv(min(left, 65536)):
                far.sendall(data)
                self.passed += len(data)
                left -= len(data)
                if left == 0:
                    self.cuts += 1
                    for s in (near, *control):            # far stays open: nobody tells the box
                        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                        s.close()
                    self.open = far
                    return
            far.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def test_on_a_bad_line_only_what_was_lost_is_sent_again(box):
    m = box.serve()
    line = BadLine(m, 40_000)
    config = box.config(f"ftp://{m.address}:{line.port}", stall_ms=1000)
    deadline = time.monotonic() + 60
    while (r := fetcher.run(config))["outcome"] != "sent" or not line.cuts:
        assert time.monotonic() < deadline and r["errors"][0]["rule"] == "send", r
    assert line.cuts == 3 and len(CONTENT) <= line.passed <= len(CONTENT) + line.cuts
    box.once("a bad line")
    line.front.close()

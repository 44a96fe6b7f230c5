"""Attacks on the connections of port 2222: by strangers, who have no certificate, and by a stolen console. Each must
keep its bound: descriptors, memory, and the time in which the true console is answered."""
import os
import pathlib
import shutil
import socket
import ssl
import subprocess
import tempfile
import time

import pytest

import consoleclient as cc
import fleet as fleets
import world as programs
from neighbours import Crowd, bounds, is_closed, push
from world import wait_for

BIN = pathlib.Path(os.environ["ATALAIA_BIN"])
ADDRESSES = ("127.0.63.41", "127.0.63.42", "127.0.63.43")
AT = (ADDRESSES[0], 2222)
PLACES, PER_SOURCE = 32, 16
TLS_KIB = 192           # what a connection of a stranger may cost
HEAD = b"GET /v1/status HTTP/1.1\r\nHost: x\r\n"


class Scene:
    """An agent that is enrolled, and the true console's identity."""

    def __init__(self, root):
        self.f = fleets.Fleet(BIN, root, addresses=ADDRESSES, lines=500)
        s = self.f.server
        self.f.make_feed()
        self.f.start_console(admin_port=0)
        self.f.configure_agent(s, programs.free_port(), more="retry=1h")
        self.f.enroll(s)
        self.f.start_agent(s)
        ca = cc.ca_in(s.dir / "console")
        self.cert, self.key = cc.make_cert("atalaia://example/console/main", ca=ca)
        self.pid = s.agent.process.pid
        wait_for(self.answers, 20, "an answer")
        # Who takes every place that two sources may have, from before the first attack to after the last.
        self.silent = Crowd()
        for source in ("127.0.0.20", "127.0.0.21"):
            self.silent.many(PER_SOURCE, AT, source)

    def console(self, source="127.0.0.30"):
        """A connection of the console, or of who stole its key."""
        s = socket.create_connection(AT, 60, (source, 0))
        try:
            return cc.context(self.cert, self.key).wrap_socket(s)
        except BaseException:
            s.close()
            raise

    def answers(self):
        try:
            self.ask()
            return True
        except OSError:
            return False

    def ask(self):
        time.sleep(0.2)         # eight handshakes a second are a source's own limit
        with self.console() as s:
            s.sendall(HEAD + b"Connection: close\r\n\r\n")
            assert s.recv(65536).startswith(b"HTTP/1.1 200"), "no answer for the console"


@pytest.fixture(scope="module")
def scene():
    root = pathlib.Path(tempfile.mkdtemp(prefix="atalaia-hostile-"))
    s = None
    try:
        s = Scene(root)
        with s.silent:
            yield s
    finally:
        if s is not None:
            s.f.stop()
        shutil.rmtree(root, ignore_errors=True)


def hello():
    """A client's first flight."""
    out = ssl.MemoryBIO()
    context = cc.context()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), out).do_handshake()
    return out.read()


def sources(n):
    return [f"127.0.8.{i + 1}" for i in range(n)]


def half_open(s, c):
    """More than all places, from a few sources, of which each says nothing, or a handshake's first flight."""
    first = hello()
    for source in sources(4):
        c.many(PER_SOURCE, AT, source)
        c.many(PER_SOURCE, AT, source, first=first)
    time.sleep(1)


def loris(s, c):
    """A handshake one byte at a time."""
    first = hello()
    for source in sources(4):
        c.many(PER_SOURCE, AT, source)
    for i in range(15):
        push(c.socks, first[i:i + 1], 0.02)
        time.sleep(0.05)


def flood(s, c):
    """Handshakes without end, and what is none."""
    for first in (hello(), b"GET / HTTP/1.1\r\n\r\n", os.urandom(300)):
        for source in sources(6):
            c.many(30, AT, source, first=first)
        c.__exit__()
        c.socks = []


def resets(s, c):
    first = hello()
    for _ in range(6):
        for source in sources(6):
            c.many(10, AT, source, first=first)
        c.reset()


def big_records(s, c):
    """Records as long as they can be, of a handshake that never ends."""
    for source in sources(4):
        c.many(8, AT, source, first=hello())
    push(c.socks, b"\x16\x03\x03\x40\x00" + b"\x0b\x00\xff\xff" + b"x" * 16380, 1)


def stolen(s, c, n, first):
    for _ in range(n):
        t = s.console("127.0.0.40")
        c.socks.append(t)
        if first:
            t.sendall(first)


def huge_head(s, c):
    stolen(s, c, 8, HEAD + b"X: ")
    push(c.socks, b"x" * 16384, 0.5)


def endless_body(s, c):
    stolen(s, c, 8, b"POST /v1/tasks HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
           b"Transfer-Encoding: chunked\r\n\r\n")
    push(c.socks, b"4000\r\n" + b" " * 16384 + b"\r\n", 0.5)


def pipeline(s, c):
    """Questions without end whose answers are not read."""
    stolen(s, c, 8, b"")
    push(c.socks, (HEAD + b"\r\n" + b"GET /v1/tasks HTTP/1.1\r\nHost: x\r\n\r\n") * 100, 1)


def hoarding(s, c):
    """Connections that stay open with nothing to say, by more than one source may have."""
    turned_away = 0
    for _ in range(PER_SOURCE + 4):
        try:
            stolen(s, c, 1, HEAD + b"\r\n")
        except OSError:
            turned_away += 1
    assert turned_away == 4
    time.sleep(0.3)


STRANGERS = (half_open, loris, flood, resets, big_records)
THIEVES = (huge_head, endless_body, pipeline, hoarding)


@pytest.mark.parametrize("attack", STRANGERS + THIEVES, ids=lambda a: a.__name__)
def test_the_console_is_answered_while(scene, attack):
    kib = PLACES * TLS_KIB if attack in STRANGERS else PLACES * 512
    with bounds(scene.pid, scene.ask, PLACES + 4, kib + 4096), Crowd() as c:
        attack(scene, c)


def test_a_crowd_does_not_push_out_who_is_alone(scene):
    """Half a handshake of a lone source is not what makes room for a crowd."""
    with Crowd() as c:
        lone = c.connect(AT, "127.0.0.50", hello())
        for source in sources(6):
            c.many(PER_SOURCE, AT, source)
        scene.ask()
        lone.settimeout(0.2)
        assert lone.recv(65536), "no answer to the lone one's first flight"
        assert not is_closed(lone)


@pytest.mark.parametrize("version", ["-tls1", "-tls1_1"])
def test_old_versions_of_tls_are_refused(scene, version):
    said = subprocess.run(["openssl", "s_client", "-connect", f"{AT[0]}:2222", version, "-cipher",
                           "DEFAULT:@SECLEVEL=0"], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=60, check=False)
    assert said.returncode != 0 and "protocol version" in said.stderr, said.stderr


def test_no_renegotiation(scene, tmp_path):
    (tmp_path / "cert").write_text(scene.cert)
    (tmp_path / "key").write_text(scene.key)
    p = subprocess.Popen(["openssl", "s_client", "-connect", f"{AT[0]}:2222", "-tls1_2", "-cert", tmp_path / "cert",
                          "-key", tmp_path / "key"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, text=True)
    said = ""
    while "---\n" not in said or "Verify return code" not in said:
        said += p.stdout.readline()
    p.stdin.write("R\n")
    p.stdin.flush()
    p.wait(60)
    assert p.returncode != 0 and "no renegotiation" in p.stderr.read()


def test_who_says_nothing_is_closed(scene):
    """Last in this file: the silent ones of the beginning have had most of their time meanwhile."""
    assert len(scene.silent.socks) == PLACES
    wait_for(lambda: all(map(is_closed, scene.silent.socks)), 60, "all silent connections closed")

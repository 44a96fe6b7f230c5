"""Attacks on the connections of an update agent (FTP, HTTP, version port). Each must keep its bound: descriptors,
memory, and the time in which somebody else is answered."""
import os
import pathlib
import socket
import threading
import time
import urllib.request

import pytest
import world
from mirror import LOGIN, Mirror, Raw, listeners, read_all
from neighbours import Crowd, bounds, descriptors, is_closed, push
from world import wait_for

SHIM = pathlib.Path(__file__).resolve().parent.parent / "torture/faultshim.c"
BIG = bytes(range(256)) * 32768          # 8 MiB
PER_ADDRESS = 20                         # the default cap of FTP sessions and HTTP connections
WAITERS = 32                             # the default on the version port
SESSION_KIB, HTTP_KIB = 256, 512         # what a connection of an attacker may cost
ATTACKER, OTHER = "127.0.0.5", "127.0.0.6"
GET = b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n"
WAIT = b"GET /v1/f/timestamp?have=1&wait=300 HTTP/1.1\r\nHost: x\r\n\r\n"


class Scene:
    def __init__(self, procs, bin_dir, folder):
        (folder / "box").mkdir()
        self.m = Mirror(procs, bin_dir, folder, address="127.0.43.1", accept_timeout="2s", line_timeout="3s",
                        login_timeout="3s", stall_timeout="3s", dropbox=folder / "box", dropbox_floor=0,
                        dropbox_file_size="1M", dropbox_daily="8M", log="error",
                        files={"a.txt": "hello", "big": BIG, **{f"many/{i:04}": "x" for i in range(2000)}})
        self.box = folder / "box"
        self.pid = self.m.proc.process.pid
        self.m.publish("f", 1)
        wait_for(self.version_is_known, 15, "the feed")
        # Who says nothing at all, on each port, from before the first attack to after the last.
        self.silent = Crowd()
        for port in (self.m.ftp, self.m.http, self.m.version):
            self.silent.many(3, (self.m.address, port), "127.0.0.4")
        for _ in range(3):
            self.ask()

    def at(self, port):
        return (self.m.address, getattr(self.m, port))

    def version_is_known(self):
        try:
            return self.get(self.m.version, "v1/f/timestamp")
        except OSError:
            return None

    def get(self, port, path):
        with urllib.request.urlopen(f"http://{self.m.address}:{port}/{path}", timeout=60) as r:
            return r.read()

    def ask(self):
        """What an honest client does, once on each port."""
        assert self.get(self.m.http, "a.txt") == b"hello"
        assert b"timestamp" in self.get(self.m.version, "v1/f/timestamp")
        with self.session(OTHER) as r:
            assert r.fetch("RETR a.txt") == b"hello"

    def session(self, source=ATTACKER):
        r = Raw(self.m.address, self.m.ftp, source)
        r.sock.settimeout(60)
        r.login()
        return r


@pytest.fixture(scope="module")
def scene(bin_dir, tmp_path_factory):
    with world.Procs() as procs:
        s = Scene(procs, bin_dir, tmp_path_factory.mktemp("hostile"))
        with s.silent:
            yield s


def hold(s, c):
    """Many connections of one source that say nothing, or half a line."""
    for port in ("ftp", "http", "version"):
        c.many(60, s.at(port))
        c.many(60, s.at(port), source="127.0.0.7", first=b"GET /a")
    time.sleep(0.3)


def loris(s, c):
    """One byte a time, so that each byte looks like life."""
    for port in ("ftp", "http", "version"):
        c.many(10, s.at(port))
    for _ in range(8):
        push(c.socks, b"x", 0.05)
        time.sleep(0.05)


def connect_flood(s, c):
    for port in ("ftp", "http", "version"):
        for _ in range(300):
            c.many(1, s.at(port))
            c.socks.pop().close()


def reset_storm(s, c):
    """Resets before, within and after requests, and in the middle of transfers."""
    for n in range(12):
        for port, first in (("ftp", b""), ("ftp", LOGIN + b"PASV\r\nRETR big\r\n"), ("http", b""), ("http", GET),
                            ("http", b"GET /b"), ("version", b""), ("version", WAIT)):
            c.many(10, s.at(port), source=f"127.0.9.{n + 1}", first=first)
        c.reset()


def reset_transfers(s, c):
    for _ in range(6):
        sessions = [s.session() for _ in range(8)]
        for r in sessions:
            r.ask("TYPE I")
            c.socks += [r.sock, r.data()]
            assert r.ask("RETR big").startswith("150")
        c.reset()


def huge_lines(s, c):
    push(c.many(10, s.at("ftp"), first=LOGIN), b"x" * 65536, 0.3)
    push(c.many(10, s.at("http"), first=b"GET /"), b"x" * 65536, 0.3)
    push(c.many(10, s.at("version"), first=b"GET / HTTP/1.1\r\nX: "), b"x" * 65536, 0.3)


def pipelines(s, c):
    """Requests without end whose answers are not read."""
    push(c.many(10, s.at("ftp"), first=LOGIN), b"HELP\r\nNOOP\r\nPWD\r\nFEAT\r\n" * 200, 0.5)
    push(c.many(10, s.at("http")), GET * 200, 0.4)
    push(c.many(10, s.at("version")), b"GET /v1/feeds HTTP/1.1\r\nHost: x\r\n\r\n" * 200, 0.3)


def slow_readers(s, c):
    for _ in range(10):
        r = s.session()
        r.ask("TYPE I")
        c.socks += [r.sock, r.data()]
        assert r.ask("RETR big").startswith("150")
    c.many(20, s.at("http"), first=GET)
    time.sleep(0.5)


def listings(s, c):
    """The dearest command, again and again, by every session that one source may have."""
    sessions = [s.session() for _ in range(PER_ADDRESS - 4)]
    c.socks += [r.sock for r in sessions] + [r.data() for r in sessions]
    for r in sessions:
        r.send("MLSD many\r\nSIZE many\r\n" + "MLST many/0001\r\n" * 50)
    time.sleep(0.3)


def passive_hoarding(s, c):
    """Every session holds a passive port, asks for another again and again, and never connects."""
    for _ in range(PER_ADDRESS - 2):
        r = s.session()
        c.socks.append(r.sock)
        r.send("EPSV\r\nPASV\r\n" * 50)
        assert r.codes(100) == ["229", "227"] * 50
    assert len(listeners(s.pid)) <= 3 + PER_ADDRESS


def odd_requests(s, c):
    """Bodies that nobody takes, ranges by the hundred, an upgrade."""
    many = b",".join(b"%d-%d" % (i, i) for i in range(1000))
    for first in (b"POST /a.txt HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
                  b"GET /a.txt HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n",
                  b"GET /big HTTP/1.1\r\nHost: x\r\nRange: bytes=" + many + b"\r\n\r\n",
                  b"GET /a.txt HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n"):
        for port in ("http", "version"):
            push(c.many(4, s.at(port), first=first), b"10000\r\n" + b"x" * 65536 + b"\r\n", 0.1)


def uploads_without_end(s, c):
    for _ in range(PER_ADDRESS - 2):
        r = s.session()
        d = r.data()
        c.socks += [r.sock, d]
        r.send("STOR /incoming/endless\r\n")
    push([x for x in c.socks if x.getpeername()[1] != s.m.ftp], b"x" * 65536, 0.6)
    assert sum(p.stat().st_size for p in s.box.iterdir()) <= 9 << 20


# What an attack may cost at its height: connections, and KiB for each.
FTP_MOST, ALL_MOST = 2 * PER_ADDRESS, 2 * (2 * PER_ADDRESS + WAITERS)
ATTACKS = {
    hold: (ALL_MOST + 8, 32 * ALL_MOST),
    loris: (40, 32 * 40),
    connect_flood: (ALL_MOST, 32 * ALL_MOST),
    reset_storm: (100, HTTP_KIB * 50),
    reset_transfers: (4 * 8 + 8, SESSION_KIB * 8),
    huge_lines: (40, HTTP_KIB * 30),
    pipelines: (60, HTTP_KIB * 30),
    slow_readers: (4 * 10 + 20 * 2 + 8, HTTP_KIB * 30),
    listings: (4 * PER_ADDRESS, 1024 * PER_ADDRESS),
    passive_hoarding: (2 * PER_ADDRESS + 8, SESSION_KIB * PER_ADDRESS),
    odd_requests: (40, HTTP_KIB * 32),
    uploads_without_end: (4 * PER_ADDRESS, SESSION_KIB * PER_ADDRESS),
}


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda a: a.__name__)
def test_others_are_served_while(scene, attack):
    fds, kib = ATTACKS[attack]
    with bounds(scene.pid, scene.ask, fds + 12, kib + 4096), Crowd() as c:      # and what the others have open
        attack(scene, c)


def test_strangers_at_the_passive_port_delay_nobody(scene):
    """More of them than a listen queue holds, all the time."""
    with scene.session(OTHER) as r, Crowd() as c:
        port = r.passive()
        over = threading.Event()

        def storm():
            while not over.is_set():
                c.connect((scene.m.address, port))

        t = threading.Thread(target=storm)
        t.start()
        try:
            time.sleep(0.5)
            with r.data(port) as d:
                assert r.ask("RETR a.txt").startswith("150")
                assert read_all(d) == b"hello"
        finally:
            over.set()
            t.join()
        assert r.reply().startswith("226")


def test_nobody_is_made_to_connect_elsewhere(scene):
    """The bounce: a victim's address in PORT, EPRT, or as the address of a transfer."""
    with socket.socket() as victim, scene.session() as r:
        victim.bind(("127.0.43.9", 0))
        victim.listen()
        port = victim.getsockname()[1]
        assert r.ask(f"PORT 127,0,43,9,{port >> 8},{port & 255}").startswith("502")
        assert r.ask(f"EPRT |1|127.0.43.9|{port}|").startswith("502")
        assert r.ask("RETR a.txt").startswith("425")
        victim.settimeout(0.3)
        with pytest.raises(socket.timeout):
            victim.accept()


LIMIT = 90


def test_without_descriptors_it_hangs_up_and_goes_on(procs, bin_dir, tmp_path):
    """A limit far below the caps, twice: who comes too many is hung up on, who is inside is answered, the program
    does not hang in its accept loop, and everybody is served again as soon as there is room."""
    m = Mirror(procs, bin_dir, tmp_path, address="127.0.43.2", files={"a.txt": "hello"}, max_sessions_per_address=200,
               accept_timeout="1s", log="warn", prefix=["prlimit", f"--nofile={LIMIT}:{LIMIT}", "--"])
    pid = m.proc.process.pid
    with m.raw(source=OTHER) as inside, m.raw(source=OTHER) as unlucky:
        for _ in range(2):
            port = unlucky.passive()
            with Crowd() as c:
                for port, first in ((m.ftp, LOGIN + b"EPSV\r\n"), (m.http, b""), (m.version, b"")):
                    c.many(LIMIT, (m.address, port), first=first)
                wait_for(lambda: sum(map(is_closed, c.socks)) > LIMIT, 15, "hung up on")
                assert LIMIT - 40 < descriptors(pid) < LIMIT - 10, "some are kept for its own files"
                with unlucky.data(port):        # cannot be taken
                    assert unlucky.ask("LIST").startswith("425")
                assert inside.ask("NOOP").startswith("200")
            wait_for(lambda: again(m), 30, "service again")
    assert not [x for x in m.proc.err if "EMFILE" in x]


def again(m):
    try:
        with m.raw(source=OTHER) as r:
            return r.fetch("RETR a.txt") == b"hello"
    except (OSError, EOFError, AssertionError):
        return False


def callocs(path):
    """How many there were in a program's life."""
    return int(dict(x.split("=") for x in path.read_text().split())["calloc"])


def test_a_connection_for_which_there_is_no_memory_does_not_close_a_port(procs, bin_dir, tmp_path):
    """Each of the allocations that taking a connection and a file needs fails once: that client is hung up on or
    waits a moment; nobody after it does."""
    box = tmp_path / "box"                      # the one folder that it may write into
    box.mkdir()
    world.run(["cc", "-shared", "-fPIC", "-O1", "-o", tmp_path / "shim.so", SHIM, "-ldl"])
    env = {**os.environ, "LD_PRELOAD": str(tmp_path / "shim.so"), "FAULT_COUNT": str(box / "count")}

    def start(n):
        m = Mirror(procs, bin_dir, tmp_path, address="127.0.43.3", files={"a.txt": "hello"}, log="error", dropbox=box,
                   env={**env, "FAULT": f"calloc:{n}"})
        m.publish("f", 1)
        return m

    assert start(1_000_000).proc.stop() == 0
    first = callocs(box / "count")
    for n in range(first + 1, first + 11):
        m = start(n)
        for _ in range(2):
            with Crowd() as c:
                for port, words in ((m.ftp, LOGIN + b"EPSV\r\nSIZE a.txt\r\n"), (m.http, GET),
                                    (m.version, b"GET /v1/feeds HTTP/1.1\r\nHost: x\r\n\r\n")):
                    c.connect((m.address, port), first=words)
                wait_for(lambda: again(m), 20, f"service after the allocation {n}")
        for port in (m.http, m.version):
            wait_for(lambda port=port: answers(m.address, port), 20, f"service after the allocation {n}")
        m.proc.stop()


def answers(address, port):
    try:
        with socket.create_connection((address, port), 10) as s:
            s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            return read_all(s).startswith(b"HTTP/1.1 ")
    except OSError:
        return False


def test_who_says_nothing_is_closed(scene):
    """Last in this file: the silent ones of the beginning have had most of their time meanwhile."""
    assert len(scene.silent.socks) == 9
    wait_for(lambda: all(map(is_closed, scene.silent.socks)), 60, "all silent connections closed")

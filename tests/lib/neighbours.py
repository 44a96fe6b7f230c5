"""What attackers on connections do, and the bounds that the attacked program must keep meanwhile: descriptors,
memory, and the time in which others are answered."""
import contextlib
import os
import socket
import struct
import threading
import time

from world import wait_for

# A deadline of a phase is 10 s or longer, so who waits for one behind an attacker is seen.
ANSWER_MOST = 8
# Sanitizers keep what is freed, so that memory says nothing.
SANITIZED = os.path.basename(os.environ.get("ATALAIA_BIN", "").rstrip("/")) in ("asan", "tsan")


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def resident(pid):
    """KiB."""
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return int(next(x for x in f if x.startswith("VmRSS")).split()[1])


class Bystander(threading.Thread):
    """Somebody else, who asks again and again; remembers the longest time and the first failure."""

    def __init__(self, ask):
        super().__init__(daemon=True)
        self.ask, self.ended = ask, threading.Event()
        self.longest, self.answers, self.wrong = 0.0, 0, None

    def run(self):
        while not self.ended.is_set() and self.wrong is None:
            began = time.monotonic()
            try:
                self.ask()
                self.answers += 1
            except Exception as e:      # whatever it is, the test tells it
                self.wrong = f"{e!r} after {time.monotonic() - began:.1f} s"
            self.longest = max(self.longest, time.monotonic() - began)
            time.sleep(0.02)


@contextlib.contextmanager
def bounds(pid, ask, fds, kib, answers=3):
    """The body attacks; `fds` and `kib` are what the attack may cost at its height. Afterwards descriptors are as
    before, and somebody else was answered all the time."""
    before, memory = descriptors(pid), resident(pid)
    seen = {"fds": before, "kib": memory}
    other = Bystander(ask)
    over = threading.Event()

    def look():
        while not over.is_set():
            seen["fds"] = max(seen["fds"], descriptors(pid))
            seen["kib"] = max(seen["kib"], resident(pid))
            time.sleep(0.02)

    watch = threading.Thread(target=look, daemon=True)
    watch.start()
    other.start()
    try:
        yield seen
        wait_for(lambda: other.answers >= answers or other.wrong, 30, "others are answered")
    finally:
        other.ended.set()
        over.set()
        other.join(60)
        watch.join()
    assert other.wrong is None, other.wrong
    assert other.longest < ANSWER_MOST, f"somebody else waited {other.longest:.1f} s"
    assert seen["fds"] - before <= fds, f"{seen['fds'] - before} more descriptors, {fds} are allowed"
    assert SANITIZED or seen["kib"] - memory <= kib, f"{seen['kib'] - memory} KiB more, {kib} are allowed"
    wait_for(lambda: descriptors(pid) <= before, 30, f"no more than {before} descriptors again")


class Crowd:
    """Attackers' sockets, closed at the end however the test goes."""

    def __init__(self):
        self.socks = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for s in self.socks:
            s.close()

    def connect(self, where, source="127.0.0.5", first=b""):
        """Connected, or None when it was turned away meanwhile."""
        s = socket.socket()
        try:
            s.settimeout(10)
            s.bind((source, 0))
            s.connect(where)
            if first:
                s.sendall(first)
        except OSError:
            s.close()
            return None
        self.socks.append(s)
        return s

    def many(self, count, *args, **kw):
        return [s for s in (self.connect(*args, **kw) for _ in range(count)) if s is not None]

    def reset(self):
        """Every connection ends with a reset, unread bytes or not."""
        for s in self.socks:
            with contextlib.suppress(OSError):
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            s.close()
        self.socks = []


def push(socks, data, seconds):
    """Sends as long as somebody takes it, reading nothing."""
    end = time.monotonic() + seconds
    for s in socks:
        s.setblocking(False)
    while time.monotonic() < end:
        moved = False
        for s in socks:
            with contextlib.suppress(OSError):
                moved |= s.send(data) > 0
        if not moved:
            time.sleep(0.02)


def is_closed(s):
    """Whether the other side has closed; what it said before is read away."""
    s.setblocking(False)
    try:
        while True:
            if not s.recv(65536):
                return True
    except BlockingIOError:
        return False
    except OSError:
        return True

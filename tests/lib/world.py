"""Helpers for tests that run real programs: start, wait for a condition with a deadline, stop."""
import os
import random
import signal
import socket
import subprocess
import threading
import time


def wait_for(condition, seconds=15, what="condition"):
    """Returns the first true value of condition(), or fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not seen within {seconds} s: {what}")
        time.sleep(0.02)


def free_port(address="127.0.0.1"):
    """Below what the kernel gives for port 0 and to connections, so that no neighbour gets it before its user."""
    for _ in range(500):
        port = random.randrange(24000, 32000)
        with socket.socket() as s:
            try:
                s.bind((address, port))
            except OSError:
                continue
            return port
    raise AssertionError(f"no free port on {address}")


SANITIZERS = ("ERROR: AddressSanitizer", "WARNING: ThreadSanitizer", ": runtime error: ")


def check_end(argv, lines):
    """Fails when a program, or a child that shares its stderr, ended with handles open (common/net/loop.h), or
    when a sanitizer that it was built with had something to say."""
    left = [x for x in lines if "error=handles-left" in x]
    assert not left, f"{argv[0]} ended with handles open: {left[0]}"
    at = next((i for i, x in enumerate(lines) if any(word in x for word in SANITIZERS)), None)
    assert at is None, f"{argv[0]}:\n" + "\n".join(x.rstrip() for x in lines[at:at + 40])


class Proc:
    """A running program whose stdout and stderr are collected line by line."""

    def __init__(self, argv, **kw):
        self.argv = [str(a) for a in argv]
        self.out, self.err = [], []
        self.log = kw.pop("log", None)
        self.process = subprocess.Popen(
            self.argv, stdin=kw.pop("stdin", subprocess.DEVNULL), stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, **kw)
        self.readers = [
            threading.Thread(target=self._collect, args=(self.process.stdout, self.out), daemon=True),
            threading.Thread(target=self._collect, args=(self.process.stderr, self.err), daemon=True)]
        for r in self.readers:
            r.start()

    def _collect(self, stream, lines):
        for line in stream:
            lines.append(line.rstrip("\n"))
            if self.log is not None:
                self.log.write(line.encode())
                self.log.flush()

    def line(self, prefix, seconds=15, where="out"):
        """The first line of stdout (or stderr) that starts with prefix."""
        def find():
            lines = self.out if where == "out" else self.err
            found = next((x for x in list(lines) if x.startswith(prefix)), None)
            if found is None and self.process.poll() is not None:
                for r in self.readers:
                    r.join(1)
                if not any(x.startswith(prefix) for x in lines):
                    raise AssertionError(f"{self.argv[0]} ended with {self.process.returncode}: "
                                         + "\n".join(self.err[-20:]))
            return found
        return wait_for(find, seconds, f"line '{prefix}' of {self.argv[0]}")

    def stop(self, sig=signal.SIGTERM, seconds=15):
        if self.process.poll() is None:
            self.process.send_signal(sig)
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise AssertionError(f"{self.argv[0]} did not end within {seconds} s of {sig!r}: "
                                     + "\n".join(self.err[-20:]))
        for r in self.readers:
            r.join(5)
        check_end(self.argv, self.err)
        return self.process.returncode


class Procs:
    def __init__(self):
        self.started = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        """Asks, so that each program's end is seen; who does not end at once is killed."""
        running = [p for p in reversed(self.started) if p.process.poll() is None]
        for p in running:
            p.process.terminate()
        deadline = time.monotonic() + 1
        for p in running:
            try:
                p.process.wait(max(0.01, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                p.process.kill()
                p.process.wait()
        for p in self.started:
            for r in p.readers:
                r.join(1)
            check_end(p.argv, p.err)

    def start(self, argv, **kw):
        p = Proc(argv, **kw)
        self.started.append(p)
        return p


def run(argv, timeout=60, **kw):
    """Runs a program to its end; returns the CompletedProcess with text output."""
    done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, timeout=timeout,
                          stdin=kw.pop("stdin", subprocess.DEVNULL), **kw)
    check_end(argv, done.stderr.splitlines())
    return done


def shared_data():
    """../shared/data beside the checkout, or None."""
    here = os.path.dirname(os.path.abspath(__file__))
    path = os.path.join(here, "..", "..", "..", "shared", "data")
    return path if os.path.isdir(path) else None

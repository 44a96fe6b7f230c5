"""Drives atalaia-fetch as the agent does: JSON lines over its stdin and stdout."""
import json
import os
import pathlib
import subprocess
import threading
import time

import world


def program():
    here = pathlib.Path(__file__).parent.parent.parent
    return pathlib.Path(os.environ.get("ATALAIA_BIN", here / "build" / "release")) / "atalaia-fetch"


class Fetch:
    def __init__(self, config, wrap=(), env=None):
        self.messages = []
        self.process = subprocess.Popen(
            [*wrap, str(program())], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, env={**os.environ, "ATALAIA_LOG": "debug", **(env or {})})
        self.log = []
        self.readers = [threading.Thread(target=self._read, daemon=True),
                        threading.Thread(target=self._log, daemon=True)]
        for r in self.readers:
            r.start()
        if config is not None:
            self.send({"type": "config", **config})

    def _read(self):
        for line in self.process.stdout:
            self.messages.append((time.monotonic(), json.loads(line)))

    def _log(self):
        for line in self.process.stderr:
            self.log.append(line.rstrip())

    def send(self, message):
        self.raw(json.dumps(message) + "\n")

    def raw(self, text):
        self.process.stdin.write(text)
        self.process.stdin.flush()

    def of(self, kind):
        return [m for _, m in self.messages if m["type"] == kind]

    def result(self, seconds=30):
        self.process.wait(seconds)
        for r in self.readers:
            r.join(5)
        world.check_end(["atalaia-fetch"], self.log)
        found = self.of("result")
        assert len(found) == 1, "\n".join(self.log[-30:])
        return found[0]

    def wait(self, kind, seconds=15, where=lambda m: True):
        return world.wait_for(lambda: next((m for m in self.of(kind) if where(m)), None), seconds, kind)

    def kill(self):
        self.process.kill()
        self.process.wait()


def sources(*servers, feed="signatures"):
    """Names go by the first part: forms of one source follow each other."""
    return [{"name": n, "url": f"{s.url if hasattr(s, 'url') else s}/{feed}"} for n, s in servers]


def set_config(state, root, srcs, **more):
    return {"mode": "set", "feed": "signatures", "state": str(state), "root_json": str(root),
            "sources": srcs, "delta": "prefer", "stall_ms": 3000, **more}


def mirror_config(base, root, srcs, **more):
    base = pathlib.Path(base)
    return {"mode": "mirror", "feed": "signatures", "root": str(base / "root"),
            "work": str(base / "work" / "signatures"), "root_json": str(root), "sources": srcs,
            "delta": "prefer", "stall_ms": 3000, "disk_floor": 1, **more}


def run(config, seconds=30, **kw):
    f = Fetch(config, **kw)
    r = f.result(seconds)
    r["exit"] = f.process.returncode
    r["log"] = f.log
    return r


def activate(state, version):
    """What the agent does after its gate."""
    state = pathlib.Path(state)
    tmp = state / "current.tmp"
    tmp.unlink(missing_ok=True)
    tmp.symlink_to(f"sets/{version}")
    tmp.rename(state / "current")

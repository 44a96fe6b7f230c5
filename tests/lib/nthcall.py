"""Kill or failure at the n-th system call of a program, its threads counted together (tests/torture/nthcall.c).

A victim runs one life under a wrapper: run(wrap) returns the exit status. It says which folders' files matter
(under, for failing calls) and whether kills are tried at calls that change something only (change_only)."""
import os
import pathlib
import subprocess
import tempfile

from world import wait_for


class Log:
    """What the tracer wrote; it is a process of its own and may be a moment late."""

    def __init__(self):
        fd, self.name = tempfile.mkstemp(prefix="nthcall-")
        os.close(fd)

    def lines(self):
        return [x.split(" ", 2) for x in pathlib.Path(self.name).read_text(errors="replace").splitlines()]

    def close(self):
        os.unlink(self.name)


def wrap(tool, v, how, point, log):
    under = [] if how == "kill" and not v.kill_under else [x for f in v.under() for x in ("-u", str(f))]
    start = ["-s", str(v.start_file)] if v.start_file else []
    kind = ["-k", "change"] if how == "kill" and v.change_only else []
    return [str(tool), *under, *start, *kind, "-o", log.name, point, "--"]


def points(tool, v, how):
    """[name and path] of every call that one clean run makes."""
    log = Log()
    try:
        v.prepare()
        v.run(wrap(tool, v, how, "count", log))
        seen = []

        def settled():
            before = list(seen)
            seen[:] = log.lines()
            return seen and seen == before
        wait_for(settled, 10, "the tracer's list")
        return [" ".join(x[1:]) for x in seen]
    finally:
        log.close()


def run_at(tool, v, how, n):
    """(exit status or why it hung, what was hit or "" when the run did not come so far)"""
    log = Log()
    try:
        try:
            status = v.run(wrap(tool, v, how, f"{n}:{how}", log))
        except (AssertionError, subprocess.TimeoutExpired) as e:
            status = f"it hangs: {e}"[:400]
            v.end()
        hit = log.lines()
        return status, " ".join(hit[0][1:]) if hit else ""
    finally:
        log.close()

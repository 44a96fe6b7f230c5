"""Kill or failure at every system call of a program: strace's injection walks (name, ordinal) pairs.

strace counts `when=N` for each system call name separately, so a clean run is traced first and one
run is made for each pair of name and ordinal in it. Threads are followed."""
import collections
import re
import subprocess
import tempfile

FILE_CALLS = ("write", "pwrite64", "fsync", "fdatasync", "openat", "openat2", "mkdir", "mkdirat",
              "symlink", "symlinkat", "rename", "renameat", "renameat2", "unlink", "unlinkat",
              "link", "linkat", "ftruncate", "close", "getdents64", "copy_file_range")
_CALL = re.compile(r"^(?:\d+ +)?([a-z_0-9]+)\(")
# Event descriptors, pipes and sockets: no disk fails there, and libuv aborts when told that one did.
_NO_FILE = re.compile(r"\(\d+<(?!/)")
_NEVER = ("exit_group", "exit", "execve", "futex", "restart_syscall", "rt_sigreturn")


def _each(kw):
    """Values that a run uses up, such as a pipe, are given as functions that make a fresh one."""
    return {k: v() if callable(v) else v for k, v in kw.items()}


def points(argv, calls=None, files=False, **kw):
    """(name, ordinal) of every system call that one clean run makes; files: of those on files only."""
    kw = _each(kw)
    with tempfile.NamedTemporaryFile("r") as log:
        subprocess.run(["strace", "-f", "-qq", "-y", "-o", log.name, *map(str, argv)], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=120, **kw)
        seen = collections.Counter()
        out = []
        for line in log:
            m = _CALL.match(line)
            if not m or m.group(1) in _NEVER or (calls and m.group(1) not in calls):
                continue
            seen[m.group(1)] += 1
            if not (files and _NO_FILE.search(line[:120])):
                out.append((m.group(1), seen[m.group(1)]))
    return out


def run_at(argv, point, how, timeout=60, **kw):
    """Runs argv with a kill or an error (how: "kill", "ENOSPC", ...) at this point; exit status."""
    name, ordinal = point
    kw = _each(kw)
    inject = "signal=KILL" if how == "kill" else f"error={how}"
    return subprocess.run(
        ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={name}",
         "-e", f"inject={name}:{inject}:when={ordinal}", *map(str, argv)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=timeout, **kw).returncode


def sweep(argv, prepare, check, how="kill", calls=None, step=1, **kw):
    """One run per point. prepare() makes the state before each; check(point, status) looks at what is
    left and returns "" or what is broken. Returns (points tried, list of "point: complaint")."""
    prepare()
    pairs = points(argv, calls if how == "kill" else (calls or FILE_CALLS), how != "kill", **kw)
    broken = []
    for point in pairs[::step]:
        prepare()
        status = run_at(argv, point, how, **kw)
        complaint = check(point, status)
        if complaint:
            broken.append(f"{how} at {point[0]} #{point[1]}: {complaint}")
    return len(pairs[::step]), broken

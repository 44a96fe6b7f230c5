#!/usr/bin/python3
"""torture.py BIN: every victim through kill -9, ENOSPC and EIO at its system calls, failing allocations, and
power cuts. Each sweep ends with a line "N points, 0 broken"; the careless variants must be seen broken."""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests/lib"))
BIN = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build/release").resolve()
os.environ["ATALAIA_BIN"] = str(BIN)
os.environ.setdefault("ATALAIA_LOG", "error")

import powercut  # noqa: E402
import sweep  # noqa: E402
import victims  # noqa: E402

STEP = int(os.environ.get("STEP", "0"))            # 0: about POINTS of each sweep
POINTS = int(os.environ.get("POINTS", "24"))
SHIM = BIN / "tests/torture/faultshim.so"
SYSTEM_CALLS = [victims.SetUpdate, victims.MirrorSync, victims.Publish, victims.Enrolment, victims.Spool]
CARELESS = [victims.Careless, victims.CarelessSpool]


def thin(items):
    return items[::STEP or max(1, len(items) // POINTS)]


def by_system_call(v, how):
    v.prepare()
    pairs = thin(sweep.points(v.argv, None if how == "kill" else sweep.FILE_CALLS,
                              how != "kill", **v.kw))
    broken = []
    for point in pairs:
        for _ in range(3):
            v.prepare()
            status = sweep.run_at(v.argv, point, how, **v.kw)
            # Threads change the order of calls: libuv aborts when its event descriptor was hit instead.
            if status != -6 or how == "kill":
                break
        complaint = v.check(status) if v.status_ok(status) else f"it crashed: {status}"
        if complaint:
            broken.append(f"{how} at {point[0]} #{point[1]}: {complaint}")
    return len(pairs), broken


def run_shimmed(v, fault, count=None):
    env = {**os.environ, "LD_PRELOAD": str(SHIM), "FAULT": fault, **({"FAULT_COUNT": str(count)} if count else {})}
    kw = {k: x() if callable(x) else x for k, x in v.kw.items()}
    return subprocess.run(list(map(str, v.argv)), env=env, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL, timeout=120, **kw).returncode


def by_allocation(v, _):
    """The n-th allocation fails: no crash, nothing torn. Fetch has its own in test_fetch_crash.py."""
    v.prepare()
    count = v.base / "count"
    run_shimmed(v, "malloc:0", count)
    totals = dict(x.split("=") for x in count.read_text().splitlines()[-1].split())
    count.unlink()
    tried = thin([(k, n) for k in ("malloc", "calloc", "realloc") for n in range(1, int(totals[k]) + 1)])
    broken = []
    for kind, n in tried:
        v.prepare()
        status = run_shimmed(v, f"{kind}:{n}")
        complaint = v.check(status) if v.status_ok(status) else f"it crashed: {status}"
        if complaint:
            broken.append(f"{kind} {n}: {complaint}")
    return len(tried), broken


def by_power_cut(v, how):
    return powercut.sweep(BIN / "tests/torture/crashdisk", v, STEP, POINTS // 2,
                          {"LD_PRELOAD": str(SHIM), "FAULT": "fsync:1+:lie,fdatasync:1+:lie"}
                          if how == "lie" else {})


def plan():
    """(victim, how, function, whether something must break)"""
    for make in SYSTEM_CALLS:
        for how in ("kill", "ENOSPC", "EIO", "EINTR"):
            yield make, how, by_system_call, False
    for make in CARELESS:
        yield make, "kill", by_system_call, True
    for make in (victims.Publish, victims.Enrolment, victims.Spool):
        yield make, "allocation", by_allocation, False
    why = powercut.why_not()
    if why:
        print(f"torture: power cuts skipped: {why}", flush=True)
        return
    for make in (victims.SetUpdate, victims.MirrorSync, victims.Publish, victims.Spool):
        yield make, "power cut", by_power_cut, False
    yield victims.Spool, "lie", by_power_cut, True


def one(make, how, function, must_break):
    base = pathlib.Path(tempfile.mkdtemp(prefix="atalaia-torture-"))
    began, v = time.monotonic(), None
    try:
        v = make(BIN, base)
        tried, broken = function(v, how)
    finally:
        if v is not None:
            v.close()
        shutil.rmtree(base, ignore_errors=True)
    what = "power cut without fsync" if how == "lie" else how
    line = f"{make.name}, {what}: {tried} points, {len(broken)} broken ({time.monotonic() - began:.0f} s)"
    right = bool(broken) == must_break
    print(line + ("" if right else "  <-- WRONG") + ("  as it must be: the detector sees" if must_break else ""),
          flush=True)
    if not must_break:
        for b in broken[:5]:
            print("    " + b, flush=True)
    return right


def main():
    only = os.environ.get("ONLY", "")
    results = [one(*row) for row in plan() if only in f"{row[0].name}, {row[1]}"]
    print(f"torture: {len(results)} sweeps, {results.count(False)} wrong")
    return 0 if results and all(results) else 1


if __name__ == "__main__":
    sys.exit(main())

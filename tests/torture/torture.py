#!/usr/bin/python3
"""torture.py BIN: every victim through kill -9, ENOSPC, EIO and EINTR at its system calls, failing allocations,
and power cuts. Each sweep ends with a line "N points, 0 broken"; the careless variants must be seen broken."""
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

import nthcall  # noqa: E402
import powercut  # noqa: E402
import rolevictim  # noqa: E402
import victims  # noqa: E402

STEP = int(os.environ.get("STEP", "0"))            # 0: about POINTS of each sweep
POINTS = int(os.environ.get("POINTS", "16"))
SHIM = BIN / "tests/torture/faultshim.so"
ALLOC = BIN / "tests/torture/allocshim.so"
NTHCALL = BIN / "tests/torture/nthcall"
SYSTEM_CALLS = [victims.SetUpdate, victims.MirrorSync, victims.Publish, victims.Enrolment, victims.Spool,
                rolevictim.RoleSwitch]
CUT = (victims.SetUpdate, victims.MirrorSync, victims.Publish, victims.Spool)


def thin(items):
    return items[::STEP or max(1, len(items) // POINTS)]


def by_system_call(v, how):
    calls = nthcall.points(NTHCALL, v, how)
    tried, broken = 0, []
    for n in thin([i + 1 for i, call in enumerate(calls) if v.only in call]):
        for _ in range(v.repeat):
            v.prepare()
            status, hit = nthcall.run_at(NTHCALL, v, how, n)
            if not hit:                            # this life had fewer calls than the counted one
                continue
            tried += 1
            if isinstance(status, str):
                complaint = status
            else:
                complaint = v.check(status) if v.status_ok(status) else f"it crashed: {status}"
            if complaint:
                broken.append(f"{how} at call {n}, {hit}: {complaint}")
    return tried, broken


def by_allocation(v, _):
    """One allocation fails, and one and every later: no crash, no false success, nothing torn."""
    def run(env):
        return v.run(env={"LD_PRELOAD": str(ALLOC), "MALLOC_PERTURB_": "173", **env,
                          **({"ALLOC_START": str(v.start_file)} if v.start_file else {})})
    v.prepare()
    paths = v.base / "paths"
    paths.touch()
    paths.chmod(0o666)
    run({"ALLOC_PATHS": str(paths)})
    numbers = [int(x) for x in paths.read_text().split()]
    tried, broken = thin(sorted(numbers[1:])), []
    for i, n in enumerate(tried):
        v.prepare()
        later = {"ALLOC_LATER": "1"} if i % 4 == 3 else {}
        status = run({"ALLOC_AT": str(n), **later})
        complaint = v.check(status) if v.status_ok(status) else f"it crashed: {status}"
        if complaint:
            broken.append(f"allocation {n}{' and later' if later else ''}: {complaint}")
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
    for make in (*victims.CARELESS, rolevictim.CarelessRole):
        yield make, "kill", by_system_call, True
    for make in SYSTEM_CALLS:
        yield make, "allocation", by_allocation, False
    why = powercut.why_not()
    if why:
        print(f"torture: power cuts skipped: {why}", flush=True)
        return
    for make in CUT:
        yield make, "power cut", by_power_cut, False
    for make in CUT:
        yield make, "lie", by_power_cut, True


def one(make, how, function, must_break):
    base = pathlib.Path(tempfile.mkdtemp(prefix="atalaia-torture-"))
    began, v = time.monotonic(), None
    try:
        v = make.__new__(make)                     # what a failing make() has started is ended too
        v.__init__(BIN, base)
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

#!/usr/bin/python3
"""allocations.py SHIM PROGRAM...: each unit program once for each of its allocations, which fails. The program
must end: with success, or with an assertion of the test that names what was not achieved. A signal, a sanitizer's
report, a hang or the exit of our own code is broken. Ends with a line "N points, 0 broken".

A program makes up to five million allocations (big numbers of certificates). So with STEP=1 n is each of the first
EACH and then the first of each call path; without STEP about POINTS of the call paths. A program named "careless"
must be found broken."""
import concurrent.futures
import os
import pathlib
import subprocess
import sys
import tempfile
import time

STEP = int(os.environ.get("STEP", "0"))
POINTS = int(os.environ.get("POINTS", "8"))
EACH = int(os.environ.get("EACH", "300"))
SECONDS = int(os.environ.get("SECONDS", "120"))
MOST = int(os.environ.get("MOST", "0"))           # points of one program, 0: no bound
CLEAN = {0: "passed", 76: "test saw it", 77: "library gave up"}
SANITIZERS = ("ERROR: AddressSanitizer", "runtime error:", "ERROR: LeakSanitizer")


class Run:
    """One run in a folder of its own; its end as a word, and its output."""

    def __init__(self, shim, program, env):
        full = {**os.environ, "LD_PRELOAD": str(shim), "CMOCKA_TEST_ABORT": "1", "MALLOC_PERTURB_": "173",
                "ASAN_OPTIONS": "verify_asan_link_order=0:allocator_may_return_null=1:detect_leaks=0",
                "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1", "ATALAIA_LOG": "error", **env}
        try:
            done = subprocess.run([str(program)], env=full, capture_output=True, timeout=SECONDS,
                                  stdin=subprocess.DEVNULL, check=False)
            self.status, self.text = done.returncode, (done.stdout + done.stderr).decode("utf-8", "replace")
        except subprocess.TimeoutExpired as e:
            self.status, self.text = None, ((e.stdout or b"") + (e.stderr or b"")).decode("utf-8", "replace")

    def word(self):
        if any(s in self.text for s in SANITIZERS):
            return "sanitizer"
        if self.status is None:
            return "hang"
        if self.status < 0:
            return f"signal {-self.status}"
        if "Could not run test:" in self.text or "GROUP SETUP" in self.text:     # a setup or teardown said no
            return "test saw it"
        return CLEAN.get(self.status, f"exit {self.status}")


def ordinals(shim, program):
    with tempfile.NamedTemporaryFile("r") as paths:
        for _ in range(3):                         # on a busy machine a second look
            first = Run(shim, program, {"ALLOC_PATHS": paths.name})
            if first.status == 0:
                break
        else:
            raise SystemExit(f"{program}: fails without any injection: {first.word()}\n{first.text[-2000:]}")
        numbers = [int(x) for x in paths.read().split()]
    total, begins = numbers[0], sorted(numbers[1:])
    if STEP == 0:
        return total, begins[::max(1, len(begins) // POINTS)]
    chosen = list(range(1, min(total, EACH) + 1)) + [n for n in begins if n > EACH]
    return total, chosen[::max(STEP, len(chosen) // MOST if MOST else 1)]


def sweep(shim, program, pool):
    total, chosen = ordinals(shim, program)
    words, broken = {}, []
    for n, run in zip(chosen, pool.map(lambda n: Run(shim, program, {"ALLOC_AT": str(n)}), chosen)):
        word = run.word()
        words[word] = words.get(word, 0) + 1
        if word not in CLEAN.values():
            broken.append(f"{program.name}, allocation {n}: {word}: {run.text.strip()[-300:]}")
    return total, len(chosen), words, broken


def main():
    shim, programs = pathlib.Path(sys.argv[1]).resolve(), [pathlib.Path(p) for p in sys.argv[2:]]
    points, broken, blind, began = 0, [], False, time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(int(os.environ.get("JOBS", "2"))) as pool:
        for program in programs:
            total, tried, words, bad = sweep(shim, program, pool)
            told = ", ".join(f"{k} {v}" for k, v in sorted(words.items()))
            if program.name == "careless":
                blind = not bad
                print(f"careless unit, allocation: {tried} points, {len(bad)} broken"
                      + ("  <-- WRONG" if blind else "") + "  as it must be: the detector sees", flush=True)
                continue
            points += tried
            broken += bad
            print(f"    {program.parent.name}/{program.name}: {tried} of {total} allocations: {told}", flush=True)
    print(f"units, allocation: {points} points, {len(broken)} broken ({time.monotonic() - began:.0f} s)")
    for b in broken[:20]:
        print("    " + b)
    return 0 if points and not broken and not blind else 1


if __name__ == "__main__":
    sys.exit(main())

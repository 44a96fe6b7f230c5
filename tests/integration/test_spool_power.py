"""The spool through power cuts: what was acknowledged is there, in order, after each cut of a sample, with none,
half and all of the unflushed writes. `make torture` tries many more."""
import os
import pathlib
import subprocess

import pytest

import powercut
import victims

BIN = pathlib.Path(os.environ["ATALAIA_BIN"]).resolve()
TOP = pathlib.Path(__file__).resolve().parents[2]
SHIM = BIN / "tests/torture/faultshim.so"


@pytest.fixture(scope="module")
def tools():
    why = powercut.why_not()
    if why:
        pytest.skip(why)
    names = [f"build/{BIN.name}/tests/torture/{x}" for x in ("spoolwork", "crashdisk", "faultshim.so")]
    done = subprocess.run(["make", "-s", f"MODE={BIN.name}", *names], cwd=TOP, capture_output=True, text=True,
                          timeout=120, check=False)
    if done.returncode != 0 and "fuse" in done.stderr:
        pytest.skip("libfuse3-dev is not installed")
    assert done.returncode == 0, done.stderr


def sweep(folder, points, env):
    v = victims.Spool(BIN, folder)
    try:
        return powercut.sweep(BIN / "tests/torture/crashdisk", v, 0, points, env)
    finally:
        v.close()


def test_what_was_acknowledged_survives_power_cuts(tools, tmp_path):
    tried, broken = sweep(tmp_path, 6, {})
    assert tried >= 15 and not broken, broken


def test_a_disk_that_lies_about_flushing_is_seen_to_lose_events(tools, tmp_path):
    tried, broken = sweep(tmp_path, 4, {"LD_PRELOAD": str(SHIM), "FAULT": "fsync:1+:lie,fdatasync:1+:lie"})
    assert tried >= 10 and broken

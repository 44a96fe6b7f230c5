"""The lab's short version: three hosts in network namespaces on a bad line. Whole: sudo make lab. Also the
short one takes more than a minute of real time for its slow line; LAB=short has it run with the others."""
import os
import pathlib
import subprocess
import sys

import pytest

import labworld

LAB = pathlib.Path(__file__).resolve().parent.parent / "torture"


def test_three_hosts_on_a_bad_line(bin_dir, tmp_path):
    why = labworld.why_not() if os.environ.get("LAB") == "short" else "it takes minutes: sudo make lab, or LAB=short"
    if why:
        pytest.skip(f"no lab: {why}")
    wanemu = tmp_path / "wanemu"
    subprocess.run(["cc", "-O1", "-D_GNU_SOURCE", "-o", wanemu, LAB / "wanemu.c"], check=True)
    done = subprocess.run([sys.executable, LAB / "lab.py", bin_dir, "--short", f"--wanemu={wanemu}"],
                          capture_output=True, text=True, timeout=400)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr[-6000:]

"""The lab's short version: three hosts in network namespaces on a bad line. Whole: sudo make lab."""
import pathlib
import shutil
import subprocess
import sys

import pytest

import labworld

LAB = pathlib.Path(__file__).resolve().parent.parent / "torture"


def test_three_hosts_on_a_bad_line(bin_dir, tmp_path):
    why = labworld.why_not()
    if why:
        pytest.skip(f"no lab: {why}")
    programs = tmp_path / "bin"
    programs.mkdir(mode=0o755)
    tmp_path.chmod(0o755)
    for p in bin_dir.glob("atalaia*"):
        shutil.copy(p, programs)
    (programs / "tests/torture").mkdir(parents=True)
    subprocess.run(["cc", "-O1", "-D_GNU_SOURCE", "-o", programs / "tests/torture/wanemu", LAB / "wanemu.c"],
                   check=True)
    done = subprocess.run([sys.executable, LAB / "lab.py", programs, "--short"], capture_output=True,
                          text=True, timeout=400)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr[-6000:]

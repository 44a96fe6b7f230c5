"""A crowd of readers and waiters on one update agent while five versions are published; whole: make load."""
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="module")
def crowd(bin_dir):
    """The crowd's program, built as the programs under test were."""
    out = bin_dir.resolve() / "tests/torture/loadcrowd"
    if bin_dir.resolve().parent != ROOT / "build":
        pytest.skip("the programs under test were not built here")
    subprocess.run(["make", "-s", "-C", ROOT, f"MODE={out.parents[2].name}", out.relative_to(ROOT)], check=True)
    return out


def load(bin_dir, crowd, *more):
    done = subprocess.run([sys.executable, ROOT / "tests/torture/load.py", bin_dir, "--short", *more], text=True,
                          capture_output=True, timeout=120, env={**os.environ, "CROWD": str(crowd)}, check=False)
    print(done.stdout + done.stderr[-3000:])
    return done


def test_no_error_no_torn_read_and_the_memory_comes_back(bin_dir, crowd):
    done = load(bin_dir, crowd)
    assert done.returncode == 0 and " 0 errors" in done.stdout


def test_a_careless_publication_is_seen(bin_dir, crowd):
    done = load(bin_dir, crowd, "--careless")
    assert done.returncode == 1 and "errors; the first: signatures/metadata/" in done.stdout

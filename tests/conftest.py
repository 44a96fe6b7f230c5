"""Fixtures that every pytest file shares. ATALAIA_BIN names the folder with the built programs."""
import os
import pathlib
import sys

import pytest

TESTS = pathlib.Path(__file__).parent
sys.path.insert(0, str(TESTS / "lib"))

import world  # noqa: E402


@pytest.fixture(scope="session")
def bin_dir():
    path = pathlib.Path(os.environ.get("ATALAIA_BIN", TESTS.parent / "build" / "release"))
    if not (path / "atalaia-agent").exists():
        pytest.exit(f"{path} holds no programs; run make first, or set ATALAIA_BIN", returncode=2)
    return path


@pytest.fixture
def procs():
    """Starts programs and stops every one of them at the end, whatever the test did."""
    with world.Procs() as p:
        yield p

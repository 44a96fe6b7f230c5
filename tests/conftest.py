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


@pytest.fixture(scope="module")
def debug_bin():
    """Programs with injection points, which release builds leave out: those under test, or the debug
    build beside them. ATALAIA_BIN names them while the module runs."""
    path = pathlib.Path(os.environ.get("ATALAIA_BIN", TESTS.parent / "build" / "release")).resolve()
    if path.name == "release":
        path = path.parent / "debug"
    if not (path / "atalaia-console").exists():
        pytest.skip("no programs with injection points: make MODE=debug")
    before = os.environ.get("ATALAIA_BIN")
    os.environ["ATALAIA_BIN"] = str(path)
    yield path
    if before is None:
        del os.environ["ATALAIA_BIN"]
    else:
        os.environ["ATALAIA_BIN"] = before

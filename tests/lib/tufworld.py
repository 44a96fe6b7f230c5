"""Fixtures for the TUF tests: a repository, its server and a client that was initialised with its root."""
import os
import pathlib

import pytest

import tufsim

ROOT = pathlib.Path(__file__).resolve().parents[2]


def program():
    path = pathlib.Path(os.environ.get("ATALAIA_BIN", ROOT / "build" / "release")) / "tuf-client"
    if not path.exists():
        pytest.exit(f"{path} is missing; run make first, or set ATALAIA_BIN", returncode=2)
    return path


class World:
    def __init__(self, folder):
        self.folder, self.servers = folder, []

    def start(self, init=True, **options):
        repo = tufsim.Repo(**options)
        self.servers.append(tufsim.Server(repo))
        folder = self.folder / str(len(self.servers))
        folder.mkdir()
        client = tufsim.Client(program(), str(folder), self.servers[-1].url)
        if init:
            assert client.init(repo.published["root"]), client.stderr
        return repo, client


@pytest.fixture
def tuf(tmp_path):
    """tuf(...) makes a repository with the options of tufsim.Repo and a client for it."""
    world = World(tmp_path)
    yield world.start
    for s in world.servers:
        s.close()

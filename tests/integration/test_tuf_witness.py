"""tuf-client against repositories that @tufjs/models wrote, good ones and hostile ones."""
import json

import pytest

import tufsim
from tufworld import program
from witness import witness  # noqa: F401  (fixture)


@pytest.fixture(scope="module")
def steps(witness, tmp_path_factory):
    folder = tmp_path_factory.mktemp("repos")
    r = witness("make-repo.mjs", folder)
    assert r.returncode == 0, r.stderr
    return folder


class Site:
    """Shows one step after the other under the same address."""

    def __init__(self, folder):
        self.folder, self.server = folder, tufsim.FolderServer(folder / "first")

    def show(self, step):
        self.server.folder = str(self.folder / step)


@pytest.fixture
def world(steps, tmp_path):
    site = Site(steps)
    c = tufsim.Client(program(), str(tmp_path), site.server.url)
    assert c.init((steps / "initial.json").read_bytes()), c.stderr
    yield site, c
    site.server.close()


def test_the_simulator_is_a_repository_to_tuf_js_too(witness, tmp_path):
    repo = tufsim.Repo()
    repo.delegate("team", paths=["team/*"])
    repo.add("team/notes", b"notes", "team")
    repo.publish("team")
    repo.publish_all("root")
    server = tufsim.Server(repo)
    (tmp_path / "root.json").write_bytes(repo.history["root"][0])
    r = witness("update.mjs", server.url + "/metadata", server.url + "/targets", tmp_path, "team/notes")
    server.close()
    assert r.returncode == 0, r.stderr
    assert json.loads(r.stdout) == {"targets": {"team/notes": tufsim.sha256(b"notes")}, "root": 2,
                                    "timestamp": 2, "snapshot": 2, "targetsVersion": 2}


def test_first_update(world):
    site, c = world
    assert c.download("set/data.hdb", "team/notes"), c.stderr
    assert c.target("set/data.hdb") == b"one\n" and c.target("team/notes") == b"by the team\n"
    assert c.versions() == (1, 1, 1, 1)


def test_updates_with_all_root_keys_changed(world):
    site, c = world
    assert c.refresh(), c.stderr
    site.show("second")
    assert c.download("set/data.hdb", "team/more"), c.stderr
    assert c.target("set/data.hdb") == b"one\ntwo\n"
    assert c.versions() == (2, 2, 2, 2)
    site.show("third")
    assert c.refresh(), c.stderr
    assert c.versions() == (2, 4, 4, 4)


@pytest.mark.parametrize("step,since,kept", [
    ("rollback", "second", (2, 2, 2, 2)),
    ("wrong-hash", "first", (2, 2, 2, 1)),
    ("wrong-length", "first", (2, 2, 2, 1)),
    ("mix-and-match", "first", (2, 2, 1, 1)),
    ("portal", "second", (2, 2, 2, 2)),
    ("brackets", "second", (2, 2, 2, 2)),
    ("key-confusion", "second", (2, 2, 2, 2)),
    ("duplicate-member", "first", (2, 1, 1, 1)),
    ("frozen", "second", (2, 2, 2, 2)),
])
def test_hostile_repositories(world, step, since, kept):
    site, c = world
    site.show(since)
    assert c.refresh(), c.stderr
    site.show(step)
    assert not c.refresh()
    assert c.versions() == kept
    site.show("third")
    assert c.refresh(), c.stderr
    assert c.versions() == (2, 4, 4, 4)


def test_replaced_target_bytes(world):
    site, c = world
    assert c.download("set/data.hdb")
    site.show("target-bytes")
    assert not c.download("set/data.hdb", "team/more")
    assert c.target("set/data.hdb") == b"one\n" and c.target("team/more") is None

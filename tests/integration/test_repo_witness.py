"""A repository that atalaia-repo wrote, read by tuf-js and by tuf-client: two readers that share no code."""
import json

import pytest

import tufsim
import world
from tufworld import program
from witness import witness  # noqa: F401  (fixture)


@pytest.fixture
def site(tmp_path):
    """A published feed, its web address, and a function that runs atalaia-repo."""
    def repo(*argv):
        r = world.run([program().parent / "atalaia-repo", *argv])
        assert r.returncode == 0, r.stderr
        return r.stdout

    repo("init", tmp_path / "r", "--feed", "signatures")
    feed = tmp_path / "r" / "public" / "signatures"
    server = tufsim.FolderServer(feed)
    yield repo, feed, server.url
    server.close()


def publish(repo, tmp_path, files):
    folder = tmp_path / "set"
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    repo("publish", tmp_path / "r", folder)


def test_both_follow_versions_and_a_rotation_of_root(site, witness, tmp_path):
    repo, feed, url = site
    root = (feed / "metadata" / "1.root.json").read_bytes()
    js = tmp_path / "js"
    js.mkdir()
    (js / "root.json").write_bytes(root)
    ours = tufsim.Client(program(), str(tmp_path), url)
    assert ours.init(root), ours.stderr

    big = b"".join(b"%032x:%d:Name.%d\n" % (i * 7919, i, i) for i in range(20000))
    steps = [{"a.hdb": b"one\n", "b.ndb": big}, {"b.ndb": big.replace(b"Name.77\n", b"Other.77\n")},
             {"a.hdb": b"two\n"}]
    want = {}
    for i, files in enumerate(steps):
        want.update(files)
        if i == 2:
            repo("root", "rotate", tmp_path / "r", "--new-key")
            repo("root", "rotate", tmp_path / "r", "--role", "timestamp", "--new-key")
        publish(repo, tmp_path, files)
        r = witness("update.mjs", url + "/metadata", url + "/targets", js, *want)
        assert r.returncode == 0, r.stderr
        seen = json.loads(r.stdout)
        assert seen["targets"] == {n: tufsim.sha256(c) for n, c in want.items()}
        assert ours.download(*want), ours.stderr
        assert {n: ours.target(n) for n in want} == want
        assert ours.versions() == (seen["root"], seen["timestamp"], seen["snapshot"], seen["targetsVersion"])
    assert ours.version("root") == 3

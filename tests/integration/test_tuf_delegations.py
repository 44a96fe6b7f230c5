"""Delegations: order of the search, what a role may sign for, and who must have signed it."""
import json

import pytest

from tufsim import Signer, sha256, when
from tufworld import tuf  # noqa: F401  (fixture)

# delegator, role, options; the roles that a search for "missing" asks for, in order
GRAPHS = {
    "one": ([("targets", "a", {})], "a"),
    "two side by side": ([("targets", "a", {}), ("targets", "b", {})], "ab"),
    "two levels": ([("targets", "a", {}), ("targets", "b", {}), ("b", "c", {})], "abc"),
    "pre-order": ([("targets", "a", {}), ("targets", "b", {}), ("a", "c", {}), ("a", "d", {})], "acdb"),
    "three levels": ([("targets", "a", {}), ("targets", "b", {}), ("a", "c", {}), ("c", "d", {})], "acdb"),
    "terminating": ([("targets", "a", {}), ("targets", "b", {}), ("a", "c", {"terminating": True}),
                     ("a", "d", {})], "ac"),
    "terminating role goes on below": ([("targets", "a", {}), ("targets", "b", {}),
                                        ("a", "c", {"terminating": True}), ("c", "d", {})], "acd"),
    "terminating for other paths": ([("targets", "a", {"terminating": True, "paths": ["x*"]}),
                                     ("targets", "b", {})], "b"),
    "paths that do not match": ([("targets", "a", {"paths": ["*.py"]}), ("targets", "b", {}),
                                 ("a", "c", {})], "b"),
    "paths that do not match below": ([("targets", "a", {}), ("targets", "b", {}),
                                       ("a", "c", {"paths": ["*.py"]}), ("c", "d", {})], "ab"),
    "cycle": ([("targets", "a", {}), ("targets", "b", {}), ("b", "c", {}), ("c", "d", {}), ("d", "b", {})],
              "abcd"),
    "self": ([("targets", "a", {}), ("a", "a", {})], "a"),
    "diamond": ([("targets", "a", {}), ("targets", "b", {}), ("b", "c", {}), ("a", "c", {})], "acb"),
    "diamond by another path": ([("targets", "a", {}), ("targets", "b", {}), ("b", "c", {}),
                                 ("a", "c", {"paths": ["*.py"]})], "abc"),
    "hash prefixes": ([("targets", "a", {"prefixes": [sha256(b"missing")[:3]]}),
                       ("targets", "b", {"prefixes": ["ffff", "0000"]}),
                       ("targets", "c", {"prefixes": ["0", sha256(b"missing")]})], "ac"),
    "no paths at all": ([("targets", "a", {"paths": []}), ("targets", "b", {})], "b"),
}


def publish(repo):
    roles = [r for r in repo.signed if r not in ("root", "timestamp", "snapshot", "targets")]
    repo.publish_all(*roles)


@pytest.mark.parametrize("name", GRAPHS)
def test_search_order(tuf, name):
    edges, order = GRAPHS[name]
    repo, c = tuf()
    for by, role, options in edges:
        repo.delegate(role, by=by, **options)
    publish(repo)
    assert not c.download("missing")
    assert repo.asked()[4:] == [f"1.{r}.json" for r in order]
    assert "no role that may sign for it" in c.stderr


@pytest.mark.parametrize("path,content,order", [
    ("file", b"top", ""), ("README.md", b"by a", "a"), ("releases/x/1", b"by c", "bc"),
    ("releases/y/1.zip", b"by d", "bd"), ("releases/z/1.zip", None, "b"), ("releases/x/y/1", None, "")])
def test_tree(tuf, path, content, order):
    repo, c = tuf()
    repo.delegate("a", paths=["*.doc", "*.md"])
    repo.delegate("b", paths=["releases/*/*"])
    repo.delegate("c", by="b", paths=["releases/x/*"])
    repo.delegate("d", by="b", paths=["releases/y/*.zip"])
    repo.add("file", b"top")
    repo.add("README.md", b"by a", "a")
    repo.add("releases/x/1", b"by c", "c")
    repo.add("releases/y/1.zip", b"by d", "d")
    repo.add("releases/z/1.zip", b"by d", "d")
    repo.add("releases/x/y/1", b"by c", "c")
    publish(repo)
    assert c.download(path) == (content is not None), c.stderr
    assert c.target(path) == content
    assert repo.asked()[4:] == [f"1.{r}.json" for r in order]


def test_the_first_role_in_order_wins(tuf):
    repo, c = tuf()
    repo.delegate("a")
    repo.delegate("b")
    repo.add("f", b"of b", "b")
    repo.add("f", b"of a", "a")
    publish(repo)
    assert c.download("f") and c.target("f") == b"of a"


@pytest.mark.parametrize("role", ["?", "#", "/role", "../role", "..", "a b%41", "\u00e9", "1.root", "x" * 200])
def test_odd_role_names(tuf, role):
    import urllib.parse
    repo, c = tuf()
    repo.delegate(role)
    publish(repo)
    assert not c.download("missing")
    if role == "..":  # would be a file name with a meaning
        assert len(c.json_files()) == 4
        return
    assert f"1.{urllib.parse.quote(role, '')}.json" in repo.asked()
    assert urllib.parse.quote(role, "") + ".json" in c.json_files() and len(c.json_files()) == 5


@pytest.mark.parametrize("role", ["root", "timestamp", "snapshot", "targets", ""])
def test_delegated_roles_cannot_take_top_level_names(tuf, role):
    repo, c = tuf()
    assert c.refresh()
    signer = Signer()
    repo.signed["targets"]["delegations"] = {
        "keys": {signer.keyid: signer.key},
        "roles": [{"name": role, "keyids": [signer.keyid], "threshold": 1, "terminating": False,
                   "paths": ["*"]}]}
    repo.publish_all()
    assert not c.refresh()
    assert c.version("targets") == 1


def test_a_cached_role_is_verified_for_each_delegator(tuf):
    """a and b both delegate c with keys of their own; c is signed with a's only. What was cached through a
    is worth nothing on the way through b."""
    repo, c = tuf()
    mine, theirs = Signer(), Signer()
    repo.delegate("a", paths=["a*"])
    repo.delegate("b", paths=["b*"])
    repo.delegate("c", by="b", signers=[theirs])
    repo.delegate("c", by="a", signers=[mine])
    repo.add("a1", b"a1", "c")
    repo.add("b1", b"b1", "c")
    publish(repo)
    assert c.download("a1"), c.stderr
    assert not c.download("b1")
    assert "signatures" in c.stderr
    assert not c.download("a1", "b1")  # one process: the copy in memory is not trusted either
    assert c.target("b1") is None
    repo.signers["c"] = [mine, theirs]
    repo.signed["c"]["version"] = 1
    publish(repo)
    assert c.download("a1", "b1"), c.stderr


def test_changed_keys_of_a_delegation_count_for_cached_roles(tuf):
    repo, c = tuf()
    repo.delegate("a")
    repo.add("f", b"f", "a")
    publish(repo)
    assert c.download("f")
    other = Signer()
    d = repo.signed["targets"]["delegations"]
    d["keys"] = {other.keyid: other.key}
    d["roles"][0]["keyids"] = [other.keyid]
    repo.publish_all()
    assert not c.download("f")
    repo.signers["a"] = [other]
    publish(repo)
    assert c.download("f"), c.stderr


def test_delegated_thresholds(tuf):
    repo, c = tuf()
    keys = [Signer() for _ in range(3)]
    repo.delegate("authority", signers=keys, threshold=2, paths=["authority.json"])
    repo.add("authority.json", b"{}", "authority")
    repo.signers["authority"] = keys[:1]
    publish(repo)
    assert not c.download("authority.json")
    repo.signers["authority"] = keys[1:]
    publish(repo)
    assert c.download("authority.json"), c.stderr


def test_cached_roles_are_not_fetched_again(tuf):
    repo, c = tuf()
    repo.delegate("a")
    repo.add("f", b"f", "a")
    publish(repo)
    assert c.download("f")
    repo.asked()
    assert c.download("f")
    assert repo.asked() == ["2.root.json", "timestamp.json"]


@pytest.mark.parametrize("case", ["seen expired", "expires later", "renewed"])
def test_expiry_of_delegated_roles(tuf, case):
    repo, c = tuf()
    repo.delegate("a")
    repo.signed["a"]["expires"] = when(-1 if case == "seen expired" else 7)
    repo.add("f", b"f", "a")
    repo.add("g", b"g", "a")
    publish(repo)
    assert c.download("f") == (case != "seen expired")
    if case == "seen expired":
        assert c.json_files() == ["root.json", "snapshot.json", "targets.json", "timestamp.json"]
        return
    if case == "renewed":
        repo.signed["a"]["expires"] = when(21)
        publish(repo)
    assert c.download("g", days=18) == (case == "renewed")


@pytest.mark.parametrize("what", ["not in snapshot", "wrong version", "missing file", "wrong hash"])
def test_broken_delegated_roles(tuf, what):
    repo, c = tuf(hashes=what == "wrong hash")
    repo.delegate("a")
    repo.add("f", b"f", "a")
    publish(repo)
    if what == "not in snapshot":
        del repo.signed["snapshot"]["meta"]["a.json"]
        repo.publish("snapshot", "timestamp")
    if what == "wrong version":
        repo.signed["snapshot"]["meta"]["a.json"]["version"] = 2
        repo.files["metadata/2.a.json"] = repo.files["metadata/1.a.json"]
        repo.publish("snapshot", "timestamp")
    if what == "missing file":
        del repo.files["metadata/1.a.json"]
    if what == "wrong hash":
        repo.files["metadata/1.a.json"] = repo.files["metadata/1.a.json"][:-1] + b"\n"
    assert not c.download("f")
    assert "a.json" not in c.json_files()


def test_a_maze_of_roles_ends(tuf):
    repo, c = tuf()
    signer = Signer()
    by = "targets"
    for i in range(70):
        repo.delegate(f"r{i}", by=by, signers=[signer])
        by = f"r{i}"
    repo.add("deep", b"x", by)
    repo.add("near", b"y", "r5")
    publish(repo)
    assert not c.download("deep")
    assert "roles visited" in c.stderr
    assert len([n for n in repo.asked() if n.startswith("1.r")]) <= 64 + 1
    assert c.download("near"), c.stderr


@pytest.mark.parametrize("spoil", ["both", "neither", "no threshold", "threshold 0", "paths of numbers",
                                   "twice", "terminating string"])
def test_malformed_delegations(tuf, spoil):
    repo, c = tuf()
    d = repo.delegate("a")
    if spoil == "both":
        d["path_hash_prefixes"] = ["00"]
    if spoil == "neither":
        del d["paths"]
    if spoil == "no threshold":
        del d["threshold"]
    if spoil == "threshold 0":
        d["threshold"] = 0
    if spoil == "paths of numbers":
        d["paths"] = [1]
    if spoil == "twice":
        repo.delegate("a")
    if spoil == "terminating string":
        d["terminating"] = "false"
    publish(repo)
    assert not c.refresh()
    assert c.version("targets") is None and c.version("snapshot") == 2


def test_delegations_may_be_empty(tuf):
    repo, c = tuf()
    repo.signed["targets"]["delegations"] = {"keys": {}, "roles": []}
    repo.publish_all()
    assert c.refresh(), c.stderr


def test_delegated_roles_of_another_type_are_refused(tuf):
    repo, c = tuf()
    repo.delegate("a")
    repo.signed["a"]["_type"] = "snapshot"
    publish(repo)
    assert not c.download("f")
    assert "_type" in c.stderr
    assert json.loads(c.bytes("targets"))["signed"]["version"] == 2

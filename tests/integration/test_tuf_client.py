"""tuf-client against a simulated repository: the workflow of the TUF specification, section by section."""
import json
import os
import subprocess
import threading
import urllib.parse

import pytest

from tufsim import Signer, canonical, envelope, sha256, when
from tufworld import program, tuf  # noqa: F401  (fixture)


def refused(client, word):
    """The last command failed for the reason that its sentence names."""
    assert word in client.stderr, client.stderr


# --- the first steps ---

def test_refresh_asks_for_what_it_needs_in_order(tuf):
    repo, c = tuf()
    assert c.refresh(), c.stderr
    assert repo.asked() == ["2.root.json", "timestamp.json", "1.snapshot.json", "1.targets.json"]
    assert c.json_files() == ["root.json", "snapshot.json", "targets.json", "timestamp.json"]
    for role in ("root", "timestamp", "snapshot", "targets"):
        assert c.bytes(role) == repo.published[role]


def test_a_second_refresh_asks_for_root_and_timestamp_only(tuf):
    repo, c = tuf()
    assert c.refresh()
    repo.asked()
    assert c.refresh()
    assert repo.asked() == ["2.root.json", "timestamp.json"]


def test_without_consistent_snapshots_names_have_no_version(tuf):
    repo, c = tuf(consistent=False)
    repo.add("dir/file", b"content")
    repo.publish_all()
    assert c.download("dir/file"), c.stderr
    assert repo.asked() == ["2.root.json", "timestamp.json", "snapshot.json", "targets.json"]
    assert c.target("dir/file") == b"content"


def test_init_asks_nobody_and_keeps_the_bytes(tuf):
    repo, c = tuf(init=False)
    assert c.init(repo.published["root"])
    assert c.bytes("root") == repo.published["root"]
    assert repo.requests == []


@pytest.mark.parametrize("spoil", ["no version", "wrong signature", "no json", "html", "wrong type"])
def test_a_bad_initial_root_is_never_used(tuf, spoil):
    repo, c = tuf(init=False)
    root = json.loads(repo.published["root"])
    if spoil == "no version":
        del root["signed"]["version"]
    if spoil == "wrong signature":
        root["signatures"][0]["sig"] = Signer().sign(b"something else")
    if spoil == "wrong type":
        root["signed"]["_type"] = "targets"
    data = json.dumps(root).encode()
    if spoil == "no json":
        data = data[:-1]
    if spoil == "html":
        data = b"<html>please log in</html>"
    c.init(data)
    assert not c.refresh()
    assert repo.asked() == []


def test_init_again_goes_back_to_the_given_root(tuf):
    repo, c = tuf()
    first = repo.published["root"]
    repo.publish("root")
    assert c.refresh() and c.version("root") == 2
    assert c.init(first) and c.version("root") == 1
    assert c.refresh() and c.version("root") == 2


@pytest.mark.parametrize("argv", [[], ["refresh"], ["--metadata-url", "http://x"], ["--bogus", "refresh"],
                                  ["init"], ["--metadata-url", "http://x", "download"], ["unknown"]])
def test_wrong_command_lines_exit_with_1(tmp_path, argv):
    r = subprocess.run([program(), "--metadata-dir", tmp_path / "m", *argv], capture_output=True, timeout=20)
    assert r.returncode == 1


# --- 5.3 root ---

def test_every_root_is_walked(tuf):
    repo, c = tuf()
    for _ in range(5):
        repo.publish("root")
    assert c.refresh(), c.stderr
    assert repo.asked()[:6] == [f"{n}.root.json" for n in range(2, 8)]
    assert c.bytes("root") == repo.published["root"]


def test_roots_accepted_before_a_bad_one_stay(tuf):
    repo, c = tuf()
    repo.publish("root")
    repo.publish("root")
    repo.signers["root"] = [Signer()]
    repo.publish("root")
    assert not c.refresh()
    refused(c, "signatures")
    assert c.bytes("root") == repo.history["root"][2]
    assert c.version("timestamp") is None


def test_intermediate_roots_may_be_expired_the_last_one_not(tuf):
    repo, c = tuf()
    repo.signed["root"]["expires"] = when(-3)
    repo.publish("root")
    repo.signed["root"]["expires"] = when(3)
    repo.publish("root")
    assert c.refresh(), c.stderr
    repo.signed["root"]["expires"] = when(-1)
    repo.publish("root")
    repo.publish_all()
    assert not c.refresh()
    refused(c, "expired")
    assert c.versions() == (4, 1, 1, 1)


def test_an_expired_initial_root_is_a_start(tuf):
    repo, c = tuf(init=False)
    repo.signed["root"]["expires"] = when(-100)
    repo.publish("root")
    assert c.init(repo.published["root"])
    assert not c.refresh()
    repo.signed["root"]["expires"] = when(10)
    repo.publish("root")
    assert c.refresh(), c.stderr


@pytest.mark.parametrize("version", [2, 4, 1])
def test_a_root_must_have_the_next_version(tuf, version):
    repo, c = tuf()
    repo.publish("root")
    assert c.refresh()
    repo.signed["root"]["version"] = version
    doc = envelope(repo.signed["root"], repo.signers["root"])
    repo.files["metadata/3.root.json"] = json.dumps(doc).encode()
    assert not c.refresh()
    refused(c, "version")
    assert c.version("root") == 2


K = [Signer("ed25519") for _ in range(10)]

# keys, threshold, signatures of each root; whether the last one is accepted
ROTATIONS = {
    "one key for another": ([([1], 1, [1]), ([2], 1, [2, 1]), ([2], 1, [2])], True),
    "unused signatures": ([([1], 1, [3, 1, 4]), ([2], 1, [3, 2, 1, 4]), ([2], 1, [3, 2, 4])], True),
    "3 of 5, other signers each time": ([([0, 1, 2, 3, 4], 3, [0, 2, 4]), ([0, 1, 2, 3, 4], 3, [0, 4, 1]),
                                         ([0, 1, 2, 3, 4], 3, [0, 1, 3])], True),
    "3 of 5, one key changed": ([([0, 1, 2, 3, 4], 3, [0, 2, 4]), ([0, 1, 3, 4, 5], 3, [0, 4, 1])], True),
    "3 of 5, all keys changed": ([([0, 1, 2, 3, 4], 3, [0, 2, 4]),
                                  ([5, 6, 7, 8, 9], 3, [0, 2, 4, 5, 6, 7]),
                                  ([5, 6, 7, 8, 9], 3, [5, 6, 7])], True),
    "threshold raised": ([([1, 2, 3], 1, [1]), ([1, 2, 3], 2, [1, 2])], True),
    "threshold lowered": ([([1, 2, 3], 2, [1, 2]), ([1, 2, 3], 1, [1, 2]), ([1, 2, 3], 1, [1])], True),
    "not signed by the old key": ([([1], 1, [1]), ([2], 1, [2, 3, 4])], False),
    "not signed by the new key": ([([1], 1, [1]), ([2], 1, [1, 3, 4])], False),
    "not by 3 new keys": ([([0, 1, 2, 3, 4], 3, [0, 2, 4]), ([0, 1, 3, 4, 5], 3, [0, 2, 4])], False),
    "not by 3 old keys": ([([0, 1, 2, 3, 4], 3, [0, 2, 4]), ([0, 1, 3, 4, 5], 3, [0, 4, 5])], False),
    "new threshold not reached": ([([1, 2, 3], 1, [1]), ([1, 2, 3], 2, [2])], False),
    "old threshold not reached": ([([1, 2, 3], 2, [1, 2]), ([1, 2, 3], 1, [1])], False),
}


@pytest.mark.parametrize("name", ROTATIONS)
def test_root_rotation(tuf, name):
    versions, good = ROTATIONS[name]
    repo, c = tuf(init=False)
    repo.signed["root"]["version"] = 0
    repo.history["root"].clear()
    for keys, threshold, sigs in versions:
        repo.set_keys("root", [K[i] for i in keys], threshold)
        repo.signers["root"] = [K[i] for i in sigs]
        repo.publish("root")
    assert c.init(repo.history["root"][0]), c.stderr
    assert c.refresh() == good, c.stderr
    assert c.bytes("root") == repo.history["root"][-1 if good else -2]


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
@pytest.mark.parametrize("keys,threshold,sigs,good", [
    ([2], 1, [2], True), ([1], 1, [3, 1, 4], True), ([2], 1, [1, 3, 4], False),
    ([0, 1, 3, 4, 5], 3, [0, 2, 4], False), ([0, 1, 3, 4, 5], 3, [0, 4], False),
    ([0, 1, 2, 3, 4], 3, [2, 3, 4], True)])
def test_thresholds_of_the_other_roles(tuf, role, keys, threshold, sigs, good):
    repo, c = tuf()
    repo.set_keys(role, [K[i] for i in keys], threshold)
    repo.signers[role] = [K[i] for i in sigs]
    repo.publish("root", "targets", "snapshot", "timestamp")
    assert c.refresh() == good, c.stderr
    if good:
        assert c.bytes(role) == repo.published[role]
    else:
        refused(c, "valid signatures")
        assert c.bytes(role) is None


# --- keys ---

@pytest.mark.parametrize("scheme,keytype", [
    ("ecdsa-sha2-nistp256", "ecdsa"), ("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256"),
    ("rsassa-pss-sha256", "rsa"), ("ed25519", "ed25519")])
def test_key_types(tuf, scheme, keytype):
    repo, c = tuf()
    for role in ("root", "targets", "snapshot", "timestamp"):
        repo.signers[role] += [Signer(scheme, keytype)]
        old = repo.signers[role]
        repo.set_keys(role, old[-1:] if role != "root" else old)
    repo.publish("root", "targets", "snapshot", "timestamp")
    assert c.refresh(), c.stderr
    assert c.versions() == (2, 2, 2, 2)


def test_unknown_key_types_are_kept_and_do_not_count(tuf):
    repo, c = tuf()
    odd = Signer("rsa-pkcs1v15-sha256")
    repo.set_keys("snapshot", [*repo.signers["snapshot"], odd])
    repo.publish("root")
    repo.publish_all()
    assert c.refresh(), c.stderr
    repo.signed["root"]["roles"]["snapshot"]["threshold"] = 2
    repo.publish("root")
    repo.publish_all()
    assert not c.refresh()
    assert c.versions() == (3, 3, 2, 2)


def test_a_key_with_an_unreadable_value_spoils_nothing(tuf):
    repo, c = tuf()
    bad = Signer()
    bad.key["keyval"]["public"] = "no PEM at all"
    bad.keyid = sha256(canonical(bad.key).encode())
    repo.set_keys("timestamp", [bad, *repo.signers["timestamp"]])
    repo.publish("root")
    repo.publish_all()
    assert c.refresh(), c.stderr


def test_a_key_id_must_be_the_hash_of_its_key(tuf):
    repo, c = tuf()
    odd = Signer()
    odd.keyid = "ab" * 32
    repo.set_keys("timestamp", [odd])
    repo.publish("root", "timestamp")
    assert not c.refresh()
    refused(c, "is not the hash of its key")
    assert c.version("root") == 1


def test_members_of_their_own_in_keys_and_roles_are_fine(tuf):
    repo, c = tuf()
    root = repo.signed["root"]
    keyid = root["roles"]["root"]["keyids"][0]
    root["custom-field"] = {"b": [1, None, True], "a": "\u00e9\u20ac\\\" \n"}
    root["keys"][keyid]["keyid_hash_algorithms"] = ["md5"]
    root["roles"]["root"]["x"] = "y"
    repo.publish("root")
    # the same, with the id computed over the whole key
    whole = Signer()
    whole.key["x-owner"] = "@somebody"
    whole.keyid = sha256(canonical(whole.key).encode())
    repo.set_keys("timestamp", [whole])
    repo.publish("root", "timestamp")
    assert c.refresh(), c.stderr
    assert c.version("root") == 3


def test_the_same_key_under_two_ids_counts_once(tuf):
    repo, c = tuf()
    one, twin = Signer(), Signer()
    twin.private, twin.key = one.private, {**one.key, "x": 1}
    twin.keyid = sha256(canonical(twin.key).encode())
    pem = one.key["keyval"]["public"]
    third = Signer()
    third.private, third.key = one.private, {**one.key, "keyval": {"public": pem.replace("\n", "\r\n")}}
    third.keyid = sha256(canonical(third.key).encode())
    repo.set_keys("snapshot", [one, twin, third], threshold=2)
    repo.publish("root")
    repo.publish_all()
    assert not c.refresh()
    refused(c, "1 valid signatures")
    repo.set_keys("snapshot", [one, twin, third, Signer()], threshold=2)
    repo.publish("root")
    repo.publish_all()
    assert c.refresh(), c.stderr


def test_the_same_id_twice_in_a_role_is_refused(tuf):
    repo, c = tuf()
    s = repo.signers["snapshot"][0]
    repo.signed["root"]["roles"]["snapshot"] = {"keyids": [s.keyid] * 3, "threshold": 2}
    repo.publish("root")
    repo.publish_all()
    assert not c.refresh()
    assert c.version("snapshot") is None


def test_the_same_id_twice_among_signatures_is_refused(tuf):
    repo, c = tuf()
    repo.publish("timestamp")
    doc = json.loads(repo.published["timestamp"])
    doc["signatures"].append(doc["signatures"][0])
    repo.put("timestamp", doc)
    assert not c.refresh()
    refused(c, "signed twice")
    assert c.version("timestamp") is None


@pytest.mark.parametrize("sig", ["", "00", "zz", "30" * 3000, "A" * 127])
def test_wrong_signatures_do_not_spoil_the_others(tuf, sig):
    repo, c = tuf()
    other = Signer()
    repo.set_keys("timestamp", [other, *repo.signers["timestamp"]])
    repo.publish("root", "timestamp")
    doc = json.loads(repo.published["timestamp"])
    doc["signatures"][0]["sig"] = sig
    doc["signatures"].append({"keyid": "not in root", "sig": sig})
    repo.put("timestamp", doc)
    assert c.refresh(), c.stderr
    assert c.version("timestamp") == 2


def test_key_ids_without_a_key_do_not_count(tuf):
    repo, c = tuf()
    stranger = Signer()
    repo.set_keys("snapshot", [*repo.signers["snapshot"], stranger], threshold=2)
    del repo.signed["root"]["keys"][stranger.keyid]
    repo.publish("root")
    repo.publish_all()
    assert not c.refresh()
    assert c.versions() == (2, 2, None, None)


# --- 5.4 timestamp ---

def test_equal_timestamp_version_keeps_the_stored_one(tuf):
    repo, c = tuf()
    assert c.refresh()
    before = c.bytes("timestamp")
    repo.signed["timestamp"]["meta"]["snapshot.json"]["version"] = 100
    repo.publish("timestamp", bump=False)
    assert c.refresh(), c.stderr
    assert c.bytes("timestamp") == before


def test_timestamp_rollback(tuf):
    repo, c = tuf()
    repo.publish("timestamp")
    assert c.refresh()
    repo.signed["timestamp"]["version"] = 1
    repo.publish("timestamp", bump=False)
    repo.asked()
    assert not c.refresh()
    refused(c, "version: expected 2, got 1")
    assert repo.asked() == ["2.root.json", "timestamp.json"]
    assert c.version("timestamp") == 2


@pytest.mark.parametrize("hashes", [False, True])
def test_snapshot_rollback_in_the_timestamp(tuf, hashes):
    repo, c = tuf(hashes=hashes)
    repo.publish("snapshot", "timestamp")
    assert c.refresh()
    repo.signed["snapshot"]["version"] = 1
    repo.publish("snapshot", bump=False)
    repo.publish("timestamp")
    assert not c.refresh()
    refused(c, "snapshot.json")
    assert c.versions() == (1, 2, 2, 1)


def test_snapshot_rollback_after_a_lost_timestamp(tuf):
    repo, c = tuf()
    repo.publish("snapshot", "timestamp")
    assert c.refresh()
    os.unlink(os.path.join(c.dir, "timestamp.json"))
    repo.signed["snapshot"]["version"] = 1
    repo.publish("snapshot", bump=False)
    repo.publish("timestamp")
    assert not c.refresh()
    assert c.versions() == (1, None, 2, 1)


def test_an_expired_timestamp_is_not_stored(tuf):
    repo, c = tuf()
    assert c.refresh()
    repo.signed["timestamp"]["expires"] = when(-5)
    repo.publish("timestamp")
    assert not c.refresh()
    refused(c, "expired")
    assert c.version("timestamp") == 1


def test_a_frozen_repository_is_noticed(tuf):
    repo, c = tuf()
    repo.signed["timestamp"]["expires"] = when(7)
    repo.publish("timestamp")
    assert c.refresh()
    assert not c.refresh(days=8)
    refused(c, "expired")


def test_expired_local_files_serve_against_rollback_only(tuf):
    repo, c = tuf()
    repo.signed["timestamp"]["expires"] = when(7)
    repo.signed["snapshot"]["expires"] = when(7)
    repo.publish("snapshot", "timestamp")
    assert c.refresh()
    # lower versions with a long life are still a rollback
    repo.signed["timestamp"].update(version=1, expires=when(28))
    repo.publish("timestamp", bump=False)
    assert not c.refresh(days=18)
    refused(c, "version: expected 2, got 1")
    repo.signed["timestamp"]["version"] = 2
    repo.signed["snapshot"]["expires"] = when(28)
    repo.publish_all()
    assert c.refresh(days=18), c.stderr
    assert c.versions() == (1, 3, 3, 2)


# --- 5.5 snapshot ---

def test_an_expired_snapshot_is_not_stored(tuf):
    repo, c = tuf()
    assert c.refresh()
    repo.signed["snapshot"]["expires"] = when(-1)
    repo.publish_all()
    assert not c.refresh()
    assert c.versions() == (1, 2, 1, 1)


def test_snapshot_must_have_the_version_that_the_timestamp_names(tuf):
    repo, c = tuf()
    repo.signed["snapshot"]["version"] = 2
    doc = envelope(repo.signed["snapshot"], repo.signers["snapshot"])
    repo.files["metadata/1.snapshot.json"] = json.dumps(doc).encode()
    assert not c.refresh()
    refused(c, "version: expected 1, got 2")
    assert c.versions() == (1, 1, None, None)


@pytest.mark.parametrize("what", ["content", "length"])
@pytest.mark.parametrize("role", ["snapshot", "targets"])
def test_hashes_and_lengths_are_checked_before_parsing(tuf, role, what):
    repo, c = tuf(hashes=True)
    assert c.refresh(), c.stderr
    repo.publish_all()
    name = repo.file_name(role)
    good = repo.files[name]
    repo.files[name] = good.replace(b'"version"', b'"vErsion"', 1) if what == "content" else good + b" "
    if what == "content":
        repo.files[name] = b"{" * len(good)
    assert not c.refresh()
    refused(c, "sha256" if what == "content" else "bytes")
    assert c.version(role) == 1
    repo.files[name] = good
    assert c.refresh(), c.stderr


def test_a_shorter_file_than_signed_is_refused(tuf):
    repo, c = tuf(hashes=True)
    repo.publish_all()
    name = repo.file_name("snapshot")
    repo.files[name] = repo.files[name][:-1]
    assert not c.refresh()
    refused(c, "length")


@pytest.mark.parametrize("hashes", [False, True])
def test_targets_rollback(tuf, hashes):
    repo, c = tuf(hashes=hashes)
    repo.publish("targets")
    repo.publish_all()
    assert c.refresh()
    repo.signed["targets"]["version"] = 1
    repo.publish_all()
    assert not c.refresh()
    refused(c, "targets.json: expected 3, got 2")
    assert c.versions() == (1, 3, 2, 3)


@pytest.mark.parametrize("how", ["vanish", "lower"])
def test_delegated_roles_may_not_vanish_or_go_down(tuf, how):
    repo, c = tuf()
    repo.delegate("role1")
    repo.publish("role1")
    repo.publish_all("role1")
    assert c.refresh(), c.stderr
    meta = repo.signed["snapshot"]["meta"]
    if how == "vanish":
        del meta["role1.json"]
    else:
        meta["role1.json"]["version"] = 1
    repo.publish("snapshot", "timestamp")
    assert not c.refresh()
    refused(c, "role1.json")
    assert c.version("snapshot") == 2


def test_a_snapshot_that_lost_targets_is_refused(tuf):
    repo, c = tuf()
    del repo.signed["snapshot"]["meta"]["targets.json"]
    repo.publish("snapshot", "timestamp")
    assert not c.refresh()
    assert c.version("snapshot") is None


def test_unknown_hash_algorithms_beside_known_ones(tuf):
    repo, c = tuf(hashes=True)
    repo.publish("targets")
    repo.signed["snapshot"]["meta"]["targets.json"]["hashes"]["blake2b-256"] = "00"
    repo.publish("snapshot", "timestamp")
    assert c.refresh(), c.stderr
    repo.publish("targets")
    repo.signed["snapshot"]["meta"]["targets.json"]["hashes"] = {"blake2b-256": "00"}
    repo.publish("snapshot", "timestamp")
    assert not c.refresh()


# --- fast-forward recovery ---

@pytest.mark.parametrize("role", ["timestamp", "snapshot"])
def test_fast_forward_recovery(tuf, role):
    repo, c = tuf()
    for r in ("targets", "snapshot", "timestamp"):
        repo.signed[r]["version"] = 99999
        repo.publish(r)
    assert c.refresh(), c.stderr
    for r in ("targets", "snapshot", "timestamp"):
        repo.signed[r]["version"] = 0
    repo.rotate(role)
    repo.publish("root")
    repo.publish_all()
    assert c.refresh(), c.stderr
    assert c.versions() == (2, 1, 1, 1)


def test_a_key_that_rotates_away_and_back_is_a_rotation(tuf):
    repo, c = tuf()
    repo.signed["timestamp"]["version"] = 500
    repo.publish("timestamp")
    assert c.refresh()
    key = repo.signers["timestamp"]
    repo.rotate("timestamp")
    repo.publish("root")
    repo.set_keys("timestamp", key)
    repo.publish("root")
    repo.signed["timestamp"]["version"] = 1
    repo.publish("timestamp")
    assert c.refresh(), c.stderr
    assert c.version("timestamp") == 2


def test_a_key_added_is_no_rotation(tuf):
    repo, c = tuf()
    repo.publish("timestamp")
    assert c.refresh()
    repo.set_keys("timestamp", [*repo.signers["timestamp"], Signer()])
    repo.publish("root")
    repo.signed["timestamp"]["version"] = 1
    repo.publish("timestamp", bump=False)
    assert not c.refresh()
    assert c.version("timestamp") == 2


# --- 5.6 targets and 5.7 downloads ---

def test_targets_must_have_the_version_that_the_snapshot_names(tuf):
    repo, c = tuf()
    assert c.refresh()
    repo.publish("targets")
    repo.signed["snapshot"]["meta"]["targets.json"]["version"] = 3
    repo.publish("snapshot", "timestamp")
    repo.files["metadata/3.targets.json"] = repo.files["metadata/2.targets.json"]
    assert not c.refresh()
    refused(c, "version: expected 3, got 2")
    assert c.version("targets") == 1


def test_expired_targets_are_not_stored(tuf):
    repo, c = tuf()
    assert c.refresh()
    repo.signed["targets"]["expires"] = when(-5)
    repo.publish_all()
    assert not c.refresh()
    assert c.versions() == (1, 2, 2, 1)


def test_downloads(tuf):
    repo, c = tuf()
    files = {"file.txt": b"content", "path/to/a/file": b"deep", "empty": b"", "sp ace+%41&?#": b"odd"}
    for path, content in files.items():
        repo.add(path, content)
    repo.publish_all()
    assert c.download(*files), c.stderr
    assert {p: c.target(p) for p in files} == files
    assert c.target_files() == sorted(urllib.parse.quote(p, "") for p in files)


def test_a_missing_target_refreshes_and_fails(tuf):
    repo, c = tuf()
    assert not c.download("nothing here")
    assert repo.asked() == ["2.root.json", "timestamp.json", "1.snapshot.json", "1.targets.json"]
    assert c.versions() == (1, 1, 1, 1)


def test_what_was_downloaded_is_not_downloaded_again(tuf):
    repo, c = tuf()
    repo.add("file", b"one")
    repo.publish_all()
    assert c.download("file")
    repo.requests.clear()
    assert c.download("file")
    assert not [r for r in repo.requests if r.startswith("targets/")]
    repo.add("file", b"two")
    repo.publish_all()
    assert c.download("file") and c.target("file") == b"two"
    assert c.target_files() == ["file"]


@pytest.mark.parametrize("evil", [b"evil content", b"content!", b"conten", b"", b"contenT" + b"x" * 100000])
def test_wrong_target_bytes_are_refused_and_the_old_file_stays(tuf, evil):
    repo, c = tuf()
    repo.add("file", b"old")
    repo.publish_all()
    assert c.download("file")
    repo.add("file", b"content")
    repo.publish_all()
    for name in list(repo.files):
        if name.startswith("targets/"):
            repo.files[name] = evil
    assert not c.download("file")
    assert c.target("file") == b"old" and c.target_files() == ["file"]


def test_one_bad_target_of_several(tuf):
    repo, c = tuf()
    repo.add("good", b"good")
    repo.add("bad", b"bad")
    repo.publish_all()
    repo.files["targets/" + sha256(b"bad") + ".bad"] = b"BAD"
    assert not c.download("bad", "good")
    assert c.target("good") == b"good" and c.target("bad") is None


@pytest.mark.parametrize("path", ["..", "."])
def test_target_paths_cannot_leave_the_folder(tuf, path):
    repo, c = tuf(consistent=False)
    repo.add(path, b"x")
    repo.publish_all()
    assert not c.download(path)


def test_sha512_alone_and_wrong_sha512(tuf):
    import hashlib
    repo, c = tuf(consistent=False)
    repo.add("a", b"aaa")
    repo.add("b", b"bbb")
    repo.signed["targets"]["targets"]["a"]["hashes"] = {"sha512": hashlib.sha512(b"aaa").hexdigest()}
    repo.signed["targets"]["targets"]["b"]["hashes"]["sha512"] = hashlib.sha512(b"other").hexdigest()
    repo.add("c", b"ccc")
    repo.signed["targets"]["targets"]["c"]["hashes"] = {"md5": "00"}
    repo.publish_all()
    assert c.download("a"), c.stderr
    assert not c.download("b")
    assert not c.download("c")


# --- the store ---

@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
@pytest.mark.parametrize("content", [b"", b"\0" * 4096, None])
def test_torn_and_zeroed_files_are_fetched_again(tuf, role, content):
    repo, c = tuf()
    assert c.refresh()
    path = os.path.join(c.dir, role + ".json")
    with open(path, "wb") as f:
        f.write(repo.published[role][:100] if content is None else content)
    assert c.refresh(), c.stderr
    assert c.bytes(role) == repo.published[role]


def test_stored_files_of_another_repository_do_not_count(tuf):
    repo, c = tuf()
    other, d = tuf()
    other.signed["timestamp"]["version"] = 50
    other.publish("timestamp")
    assert d.refresh()
    assert c.refresh()
    with open(os.path.join(c.dir, "timestamp.json"), "wb") as f:
        f.write(d.bytes("timestamp"))
    assert c.refresh(), c.stderr
    assert c.bytes("timestamp") == repo.published["timestamp"]


def test_two_processes_exclude_each_other(tuf):
    repo, c = tuf()
    arrived, go = threading.Event(), threading.Event()

    def hold(handler):
        arrived.set()
        go.wait(20)
        handler.send_error(404)

    repo.override["metadata/2.root.json"] = hold
    first = threading.Thread(target=c.refresh)
    first.start()
    try:
        assert arrived.wait(20)
        r = subprocess.run([program(), "--metadata-dir", c.dir, "--metadata-url", c.url, "refresh"],
                           capture_output=True, text=True, timeout=20)
        assert r.returncode == 1 and "held by another process" in r.stderr
    finally:
        go.set()
        first.join()
    assert c.versions() == (1, 1, 1, 1)


def test_what_a_killed_process_left_is_swept(tuf):
    repo, c = tuf()
    left = os.path.join(c.dir, "snapshot.json.tmp-0123abcd")
    open(left, "w").close()
    assert c.refresh()
    assert not os.path.exists(left)

"""Hostile repositories and networks: nothing that is refused reaches the store, and every case ends."""
import json
import socket
import threading
import time

import pytest

from tufsim import Signer, canonical, envelope, sha256, when
from tufworld import tuf  # noqa: F401  (fixture)


def raw(repo, role, text):
    """Signs the text as it stands, so that only the reader can refuse it."""
    sigs = [{"keyid": s.keyid, "sig": s.sign(text.encode())} for s in repo.signers[role]]
    return ('{"signatures":' + json.dumps(sigs) + ',"signed":' + text + "}").encode()


# what a timestamp with a fault reads like; {} is its correct canonical text
def edit(old, new):
    return lambda t: t.replace(old, new, 1)


TEXTS = {
    "duplicate member": edit('"version":2', '"version":2,"version":2'),
    "duplicate member by escape": edit('"version":2', '"version":2,"v\\u0065rsion":3'),
    "member in another case": edit('"version":2', '"Version":2'),
    "leading zero": edit('"version":2', '"version":02'),
    "fraction": edit('"version":2', '"version":2.0'),
    "exponent": edit('"version":2', '"version":2e0'),
    "negative": edit('"version":2', '"version":-2'),
    "zero": edit('"version":2', '"version":0'),
    "past 2^53": edit('"version":2', '"version":9007199254740993'),
    "past 2^64": edit('"version":2', '"version":18446744073709551618'),
    "version string": edit('"version":2', '"version":"2"'),
    "version true": edit('"version":2', '"version":true'),
    "NUL in string": edit('"1.0.31"', '"1.0.31\\u0000"'),
    "lone surrogate": edit('"version":2', '"x":"\\ud800","version":2'),
    "brackets": edit('"version":2', '"version":2,"x":' + "[" * 200000),
    "deep": edit('"version":2', '"version":2,"x":' + "[" * 33 + "]" * 33),
    "major version 2": edit('"1.0.31"', '"2.0.0"'),
    "spec version text": edit('"1.0.31"', '"1.x"'),
    "spec version number": edit('"1.0.31"', "1"),
    "type of another role": edit('"timestamp"', '"snapshot"'),
    "no type": edit('"_type":"timestamp",', ""),
    "expires with offset": edit('Z"', '+00:00"'),
    "expires with fraction": edit('Z"', '.5Z"'),
    "expires on no day": lambda t: t.replace(t[t.index('"expires":"') + 11:][:10], "2030-02-30"),
    "no expires": lambda t: t.replace(t[t.index('"expires"'):t.index('"meta"')], ""),
    "meta missing": edit('"meta"', '"mEta"'),
    "meta empty": lambda t: t.replace(t[t.index('"snapshot.json"'):t.index("},\"spec")], ""),
    "meta array": lambda t: t.replace(t[t.index('{"snapshot.json"'):t.index(',"spec')], "[]"),
    "meta version 0": edit('{"version":1}', '{"version":0}'),
    "meta length text": edit('{"version":1}', '{"length":"9","version":1}'),
    "meta hash short": edit('{"version":1}', '{"hashes":{"sha256":"00"},"version":1}'),
    "trailing text": lambda t: t + ",1",
    "comment": lambda t: t.replace("{", "{/**/", 1),
    "array": lambda t: "[" + t + "]",
    "null": lambda t: "null",
}


@pytest.mark.parametrize("name", TEXTS)
def test_signed_but_not_as_it_must_be(tuf, name):
    repo, c = tuf()
    assert c.refresh()
    repo.signed["timestamp"]["version"] = 2
    text = canonical(repo.signed["timestamp"])
    changed = TEXTS[name](text)
    assert changed != text
    repo.files["metadata/timestamp.json"] = raw(repo, "timestamp", changed)
    assert not c.refresh()
    assert c.version("timestamp") == 1
    repo.files["metadata/timestamp.json"] = raw(repo, "timestamp", text)
    assert c.refresh(), c.stderr
    assert c.version("timestamp") == 2


BYTES = {
    "captive portal": b"<!DOCTYPE html><html><body>Sign in</body></html>",
    "nothing": b"",
    "byte order mark": lambda d: b"\xef\xbb\xbf" + d,
    "invalid UTF-8": lambda d: d.replace(b'"signed"', b'"x":"\xff","signed"'),
    "cut": lambda d: d[:-20],
    "second document": lambda d: d + d,
    "NUL behind": lambda d: d + b"\0",
    "no signatures": lambda d: json.dumps({"signed": json.loads(d)["signed"]}).encode(),
    "signatures object": lambda d: json.dumps({**json.loads(d), "signatures": {}}).encode(),
    "empty signatures": lambda d: json.dumps({**json.loads(d), "signatures": []}).encode(),
    "signature without keyid": lambda d: json.dumps(
        {**json.loads(d), "signatures": [{"sig": json.loads(d)["signatures"][0]["sig"]}]}).encode(),
    "300 signatures": lambda d: json.dumps(
        {**json.loads(d), "signatures": [{"keyid": str(i), "sig": ""} for i in range(300)]}).encode(),
    "one bit": lambda d: d.replace(b'"version": 2', b'"version": 3'),
}


@pytest.mark.parametrize("role", ["root", "timestamp", "snapshot", "targets"])
@pytest.mark.parametrize("name", BYTES)
def test_wrong_bytes(tuf, role, name):
    repo, c = tuf()
    assert c.refresh()
    repo.publish("root")
    repo.publish_all()
    path = repo.file_name(role)
    good = repo.files[path]
    change = BYTES[name]
    repo.files[path] = change if isinstance(change, bytes) else change(good)
    assert repo.files[path] != good
    assert not c.refresh()
    assert c.version(role) == 1
    repo.files[path] = good
    assert c.refresh(), c.stderr
    assert c.versions() == (2, 2, 2, 2)


def endless(handler):
    """A body without an end; the client must hang up."""
    handler.send_response(200)
    handler.end_headers()
    handler.close_connection = True
    try:
        for _ in range(4000):
            handler.wfile.write(b" " * 65536)
        handler.server.repo.override["all was taken"] = 1
    except OSError:
        pass


@pytest.mark.parametrize("file", ["2.root.json", "timestamp.json", "2.snapshot.json", "2.targets.json"])
def test_endless_data(tuf, file):
    repo, c = tuf()
    assert c.refresh()
    repo.publish_all()
    repo.override["metadata/" + file] = endless
    assert not c.refresh()
    assert "more bytes" in c.stderr
    assert "all was taken" not in repo.override


@pytest.mark.parametrize("role,limit", [("root", 512000), ("timestamp", 16384), ("snapshot", 2000000)])
def test_limits_are_exact(tuf, role, limit):
    repo, c = tuf(scheme="ed25519")  # signatures of one length
    signed = repo.signed[role]
    signed["x"] = ""
    repo.publish(role)
    signed["x"] = "x" * (limit - len(repo.published[role]))
    signed["version"] -= 1
    repo.publish(role)
    assert len(repo.published[role]) == limit
    if role == "snapshot":
        repo.publish("timestamp")
    assert c.refresh(), c.stderr
    signed["x"] += "xx"
    repo.publish(role)
    if role == "snapshot":
        repo.publish("timestamp")
    assert not c.refresh()


def test_a_file_longer_than_its_signed_length(tuf):
    repo, c = tuf(hashes=True)
    repo.publish_all()
    repo.override["metadata/2.targets.json"] = endless
    assert not c.refresh()
    assert str(len(repo.published["targets"])) in c.stderr


@pytest.mark.parametrize("status", [500, 503, 429, 301, 204])
@pytest.mark.parametrize("file", ["2.root.json", "timestamp.json", "2.snapshot.json", "2.targets.json"])
def test_errors_of_the_server_are_not_absence(tuf, status, file):
    repo, c = tuf()
    assert c.refresh()
    repo.publish_all()

    def answer(handler):
        handler.send_response(status)
        handler.send_header("Location", c.url + "/metadata/1.root.json")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    repo.override["metadata/" + file] = answer
    assert not c.refresh()
    del repo.override["metadata/" + file]
    assert c.refresh(), c.stderr


@pytest.mark.parametrize("status", [403, 404, 410])
def test_absence_of_the_next_root_is_the_end_of_the_chain(tuf, status):
    repo, c = tuf()
    repo.override["metadata/2.root.json"] = status
    assert c.refresh(), c.stderr


@pytest.mark.parametrize("location", ["file:///etc/passwd", "gopher://127.0.0.1/", "/metadata/1.root.json"])
def test_redirects_are_not_followed(tuf, location):
    repo, c = tuf()

    def redirect(handler):
        handler.send_response(302)
        handler.send_header("Location", location)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    repo.override["metadata/2.root.json"] = redirect
    assert not c.refresh()


def test_the_connection_breaks_in_the_middle(tuf):
    repo, c = tuf()

    def cut(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "5000")
        handler.end_headers()
        handler.wfile.write(b"{")
        handler.wfile.flush()
        handler.connection.shutdown(socket.SHUT_RDWR)
        handler.close_connection = True

    repo.override["metadata/timestamp.json"] = cut
    assert not c.refresh()
    assert c.version("timestamp") is None


def test_nobody_listens(tuf):
    repo, c = tuf()
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        c.url = f"http://127.0.0.1:{s.getsockname()[1]}"
        assert not c.refresh()
    assert c.json_files() == ["root.json"]


def test_mix_and_match(tuf):
    """Documents of different moments, each properly signed, do not fit together."""
    repo, c = tuf(hashes=True)
    assert c.refresh()
    repo.publish_all()
    repo.publish_all()
    repo.files["metadata/3.snapshot.json"] = repo.history["snapshot"][1]
    assert not c.refresh()
    repo.files["metadata/3.snapshot.json"] = repo.history["snapshot"][2]
    repo.files["metadata/3.targets.json"] = repo.history["targets"][1]
    assert not c.refresh()
    repo.files["metadata/3.targets.json"] = repo.history["targets"][2]
    assert c.refresh(), c.stderr


@pytest.mark.parametrize("role", ["root", "targets", "snapshot", "timestamp"])
def test_keys_of_one_role_do_not_sign_for_another(tuf, role):
    repo, c = tuf()
    everybody = dict(repo.signers)
    for other in (*everybody, None):
        if other != role:
            repo.signers[role] = everybody[other] if other else [Signer()]
            path = repo.file_name(role, 2)
            repo.signed[role]["version"] = 1
            repo.publish(role, *(r for r in ("snapshot", "timestamp") if r != role))
            assert not c.refresh(), other
            assert "valid signatures" in c.stderr
            del repo.files[path]


def test_a_signature_of_another_scheme_under_the_same_key(tuf):
    """An Ed25519 key named as ECDSA, and the reverse, verify nothing."""
    repo, c = tuf()
    odd = Signer("ed25519")
    odd.key = {**odd.key, "scheme": "ecdsa-sha2-nistp256", "keytype": "ecdsa"}
    odd.keyid = sha256(canonical(odd.key).encode())
    repo.set_keys("timestamp", [odd])
    repo.publish("root", "timestamp")
    assert not c.refresh()


def test_a_role_with_40000_targets_is_quick(tuf):
    repo, c = tuf()
    for i in range(30000):
        repo.signed["targets"]["targets"][f"t{i:05}"] = {"length": 1, "hashes": {"sha256": "0" * 64}}
    repo.add("t-last", b"x")
    repo.publish_all()
    begin = time.monotonic()
    assert c.download("t-last"), c.stderr
    assert time.monotonic() - begin < 10


def test_a_server_that_trickles_is_given_up(tuf):
    repo, c = tuf()
    stop = threading.Event()

    def trickle(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "9000")
        handler.end_headers()
        try:
            while not stop.wait(0.5):
                handler.wfile.write(b" ")
                handler.wfile.flush()
        except OSError:
            pass

    repo.override["metadata/timestamp.json"] = trickle
    begin = time.monotonic()
    try:
        assert not c.refresh()
    finally:
        stop.set()
    assert time.monotonic() - begin < 30
    assert c.version("timestamp") is None


def test_the_clock_ten_years_ahead_and_back(tuf):
    repo, c = tuf()
    assert c.refresh()
    before = c.versions()
    assert not c.refresh(days=3650)
    assert "expired" in c.stderr
    assert c.refresh(days=-3650), c.stderr
    assert c.refresh(), c.stderr
    assert c.versions() == before


def test_expired_far_in_the_future_is_fine(tuf):
    repo, c = tuf()
    repo.signed["timestamp"]["expires"] = "9999-12-31T23:59:59Z"
    repo.publish("timestamp")
    assert c.refresh(), c.stderr
    repo.signed["timestamp"]["expires"] = when(1)

"""Enrolment, renewal and revocation on 2225 (DESIGN section 10), against the real program."""
import base64
import concurrent.futures
import hashlib
import json

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from consoleclient import (Agent, Console, Token, enroll_body, https, make_cert, make_csr, new_key,
                           open_answer)


@pytest.fixture(scope="module")
def console(tmp_path_factory):
    c = Console(tmp_path_factory.mktemp("console") / "c").start()
    yield c
    assert c.stop() == 0, c.process.err[-20:]


def enroll(console, token, request=None, **change):
    request = request or make_csr(new_key())
    return https(console, "POST", "/v1/enroll",
                 lambda leaf: enroll_body(token, leaf, request, **change))[:2]


def test_answer_holds_what_an_agent_needs(console):
    root = console.dir / "root.json"
    root.write_text('{"signed":{},"signatures":[]}')
    token = console.token("--group", "till", "--signature-root", f"signatures={root}")
    assert token.host == console.address and token.port == console.port
    assert token.roots == {"signatures": hashlib.sha256(root.read_bytes()).hexdigest()}
    ca, _ = console.ca()
    assert token.spki == hashlib.sha256(
        ca.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()
    agent = Agent(console, token, "till-1")
    d = agent.document
    assert d["org"] == "example" and d["group"] == "till" and d["console"]["port"] == console.port
    feeds = {f["name"]: base64.b64decode(f["root"]) for f in d["feeds"]}
    assert feeds["signatures"] == root.read_bytes()
    assert json.loads(feeds["policies"])["signed"]["_type"] == "root"
    assert d["sources"][0] == {"name": "server", "host": console.address, "ftp": 2021, "http": 2221,
                               "version": 3333}
    cert = x509.load_pem_x509_certificate(d["certificate"].encode())
    san = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert san.get_values_for_type(x509.UniformResourceIdentifier) == [f"atalaia://example/agent/{agent.id}"]
    days = (cert.not_valid_after - cert.not_valid_before).total_seconds() / 86400
    assert 29.9 < days < 30.2
    assert agent.pull()[0] == 204


def test_exactly_one_of_a_hundred_parallel_tries_wins(console):
    token = console.token()
    csrs = [make_csr(new_key()) for _ in range(100)]
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        statuses = [s for s, _ in pool.map(lambda c: enroll(console, token, c), csrs)]
    assert sorted(statuses) == [200] + [403] * 99
    row = next(t for t in console.json("token", "list")["tokens"] if t["id"] == token.id)
    assert row["used"] == 1 and row["attempts"] == 100


def test_the_same_request_again_gets_the_same_answer(console):
    token = console.token()
    csr = make_csr(new_key())
    first, second = enroll(console, token, csr), enroll(console, token, csr)
    assert first[0] == 200 and first == second
    other = enroll(console, token)
    assert other[0] == 403 and other[1]["code"] == "token-unknown"


def test_uses_and_lifetime(console):
    token = console.token("--uses", "2", "--life", "60s")
    assert [enroll(console, token)[0] for _ in range(3)] == [200, 200, 403]


@pytest.mark.parametrize("change, code", [
    ({"proof": "00" * 32}, "token-unknown"),
    ({"token_id": "0" * 16}, "token-unknown"),
    ({"proof": "zz" * 32}, "malformed"),
    ({"proof": "00"}, "malformed"),
    ({"token_id": "x"}, "malformed"),
    ({"csr": "no"}, "csr-refused"),
    ({"host": "h" * 300}, "malformed"),
    ({"host": 7}, "malformed"),
    ({"task_port": 70000}, "malformed"),
])
def test_mangled_requests_are_refused_by_code(console, change, code):
    token = console.token()
    status, answer = enroll(console, token, **change)
    assert status in (400, 403) and answer["code"] == code, answer
    assert enroll(console, token)[0] == 200     # the token is as good as before


def test_a_proof_for_another_server_or_key_is_refused(console):
    token = console.token()
    csr, other = make_csr(new_key()), make_csr(new_key())
    status, answer, _ = https(console, "POST", "/v1/enroll",
                              lambda leaf: enroll_body(token, b"\0" * 32, csr))
    assert status == 403 and answer["code"] == "token-unknown"
    status, answer, _ = https(console, "POST", "/v1/enroll", lambda leaf: enroll_body(
        token, leaf, csr, csr=other.public_bytes(Encoding.PEM).decode()))
    assert status == 403


def test_a_revoked_token_and_a_mangled_body(console):
    token = console.token()
    assert console.cli("token", "revoke", token.id).returncode == 0
    assert enroll(console, token)[0] == 403
    for body in (b"", b"{", b'{"token_id":1}', b"[]", b'{"a":1,"a":2}'):
        status, answer, _ = https(console, "POST", "/v1/enroll", body)
        assert status == 400 and answer["code"] == "malformed"
    assert https(console, "POST", "/v1/enroll", b"x" * 20000)[0] == 413


def test_renewal_keeps_the_agent_and_revocation_ends_it(console):
    agent = Agent(console, console.token(), "renewer")
    key = new_key()
    csr = make_csr(key).public_bytes(Encoding.PEM).decode()
    status, answer = agent.call("POST", "/v1/renew", {"csr": csr})
    assert status == 200
    cert = x509.load_pem_x509_certificate(answer["certificate"].encode())
    assert cert.public_key().public_numbers() == key.public_key().public_numbers()
    assert agent.call("POST", "/v1/renew", {"csr": "no"})[1]["code"] == "csr-refused"
    assert console.cli("revoke", agent.id).returncode == 0
    with pytest.raises(Exception):              # refused inside the handshake
        status, answer = agent.call("POST", "/v1/renew", {"csr": csr})
        assert status == 200
    assert any(e["type"] == "org.atalaia.console.revoked" and e["data"]["agent"] == agent.id
               for e in console.events())


def test_expired_certificates_renew_for_180_days_and_do_nothing_else(console):
    agent = Agent(console, console.token(), "drawer")
    uri = f"atalaia://example/agent/{agent.id}"
    csr = make_csr(new_key()).public_bytes(Encoding.PEM).decode()
    cert, key = make_cert(uri, console.ca(), days=(-120, -90))
    assert https(console, "POST", "/v1/renew", {"csr": csr}, cert, key)[0] == 200
    assert https(console, "GET", "/v1/tasks", None, cert, key)[0] == 403
    cert, key = make_cert(uri, console.ca(), days=(-300, -200))
    with pytest.raises(Exception):
        status, _, _ = https(console, "POST", "/v1/renew", {"csr": csr}, cert, key)
        assert status == 200


def test_the_cli_shows_agents_and_every_refusal_is_an_event(console):
    agents = console.json("agents")["agents"]
    assert {"till-1", "renewer"} <= {a["host"] for a in agents}
    refusals = [e for e in console.events() if e["type"] == "org.atalaia.console.refused"]
    assert {"token-unknown", "csr-refused"} <= {e["data"]["code"] for e in refusals}
    assert all(e["data"]["address"].startswith("127.") for e in refusals)

"""Port 2222 and who may speak on it: eight wrong certificates are refused before a byte of a body is
read; the right one is answered."""
import json
import os
import pathlib
import shutil
import socket
import ssl
import tempfile

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID

import consoleclient as cc
import fleet as fleets
from world import wait_for

BIN = pathlib.Path(os.environ["ATALAIA_BIN"])
ADDRESSES = ("127.0.60.41", "127.0.60.42", "127.0.60.43")
CONSOLE = "atalaia://example/console/main"


@pytest.fixture(scope="module")
def world():
    root = pathlib.Path(tempfile.mkdtemp(prefix="atalaia-ports-"))
    f = fleets.Fleet(BIN, root, addresses=ADDRESSES, lines=1000)
    s = f.server
    try:
        f.make_feed()
        f.publish()
        f.start_console(admin_port=22990)
        f.configure_agent(s, 22991, more="retry=1h", role=f.origin())
        f.enroll(s)
        f.start_agent(s)
        wait_for(lambda: json.loads(s.local("/v1/status"))["policy"]["authority"], 20, "authority")
        yield f
    finally:
        f.stop()
        shutil.rmtree(root, ignore_errors=True)


def ca_of(world):
    return cc.ca_in(world.server.dir / "console")


def another_ca():
    cert, key = cc.make_cert("atalaia://example/console/ca")
    return x509.load_pem_x509_certificate(cert.encode()), load_pem_private_key(key.encode(), None)


def ask(world, cert, key, path="/v1/status"):
    """Status of the answer, or None when the connection was refused before one came."""
    context = cc.context(cert, key)
    with socket.create_connection((ADDRESSES[0], 2222), timeout=10) as raw:
        try:
            with context.wrap_socket(raw) as tls:
                tls.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
                answer = b""
                while True:
                    got = tls.recv(4096)
                    if not got:
                        break
                    answer += got
        except (ssl.SSLError, ConnectionError):
            return None
    return int(answer.split()[1]) if answer else None


def test_a_console_of_the_organisation_is_answered(world):
    cert, key = cc.make_cert(CONSOLE, ca=ca_of(world))
    assert ask(world, cert, key) == 200
    assert ask(world, cert, key, "/v1/inventory") == 200
    assert ask(world, cert, key, "/v1/tasks") == 200
    assert ask(world, cert, key, "/v1/nothing") == 404


WRONG = {
    "none": lambda w: (None, None),
    "self-signed": lambda w: cc.make_cert(CONSOLE),
    "other-ca": lambda w: cc.make_cert(CONSOLE, ca=another_ca()),
    "an-agents-own": lambda w: cc.make_cert(f"atalaia://example/agent/{w.server.agent_id}", ca=ca_of(w)),
    "expired": lambda w: cc.make_cert(CONSOLE, ca=ca_of(w), days=(-30, -1)),
    "not-yet-valid": lambda w: cc.make_cert(CONSOLE, ca=ca_of(w), days=(2, 30)),
    "unlisted-console": lambda w: cc.make_cert("atalaia://example/console/other", ca=ca_of(w)),
    "other-organisation": lambda w: cc.make_cert("atalaia://elsewhere/console/main", ca=ca_of(w)),
    "server-eku": lambda w: cc.make_cert(CONSOLE, ca=ca_of(w), eku=(ExtendedKeyUsageOID.SERVER_AUTH,)),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_certificate_is_refused(world, case):
    assert ask(world, *WRONG[case](world)) is None


def test_a_refusal_becomes_an_event_and_a_flood_of_them_does_not(world):
    for _ in range(5):
        assert ask(world, None, None) is None
    told = world.wait_event("console.refused", world.server)["data"]
    assert told["address"].startswith("127.") and told["why"] and told["count"] >= 1, told
    assert len([e for e in world.events() if e["type"].endswith("console.refused")]) <= 2


def test_a_first_start_where_somebody_has_the_port_names_the_port(world):
    """And not one of the files that a first start does not find."""
    late = fleets.Host(world, "late", ADDRESSES[0], 64131)
    world.configure_agent(late, 0)
    world.enroll(late)
    done = late.run("atalaia-agent", "run", "--config", late.conf, check=False)
    assert done.returncode == 2 and "task_port=2222" in done.stderr and "No such file" not in done.stderr, done.stderr

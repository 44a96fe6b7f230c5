"""A stolen console, with its task key, database, certificate and policy keys, against a real agent: what
it orders is refused by name, what it publishes does not raise its powers, and revocation ends it."""
import base64
import datetime
import hashlib
import http.client
import json
import os
import pathlib
import shutil
import socket
import ssl
import tempfile
import threading
import time
import uuid

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID

import consoleclient as cc
import feedmaker
import fleet as fleets
from world import wait_for

BIN = pathlib.Path(os.environ["ATALAIA_BIN"])
ADDRESSES = ("127.0.100.21", "127.0.100.22", "127.0.100.23")
ROLE = {"role": "update-agent", "on": True, "settings": {"idle_timeout": "6m"}}


@pytest.fixture(scope="module")
def world():
    root = pathlib.Path(tempfile.mkdtemp(prefix="atalaia-theft-"))
    f = fleets.Fleet(BIN, root, addresses=ADDRESSES, lines=500)
    s = f.server
    try:
        f.make_feed()
        f.publish()
        f.start_console(policy={"update": {"interval": "2s", "jitter": "0"}}, init=("--two-signatures",),
                        admin_port=0)
        f.configure_agent(s, 0, more="retry=500ms", role=f.origin(poll_interval="200ms"))
        f.enroll(s)
        f.start_agent(s)
        wait_for(lambda: authority(f), 20, "authority")
        f.loot = s.dir / "loot"                 # the thief's copy
        shutil.copytree(s.dir / "console", f.loot, ignore=shutil.ignore_patterns("offline", "lock"))
        yield f
    finally:
        f.stop()
        shutil.rmtree(root, ignore_errors=True)


def authority(f):
    path = f.server.dir / "state/policy/authority.json"
    return json.loads(path.read_text()) if path.exists() else None


def stamp(hours):
    t = datetime.datetime.utcnow() + datetime.timedelta(hours=hours)
    return t.strftime("%Y-%m-%dT%H:%M:%SZ")


def envelope(f, kind, args=None, **change):
    """Signed with the stolen task key."""
    key = feedmaker.Key()
    key.private = load_pem_private_key((f.loot / "task.key").read_bytes(), None)
    known = authority(f)
    key.id = known["tasks"]["status"]["keyids"][0]
    body = {"id": new_id(), "agent": f.server.agent_id, "type": kind, "args": args or {},
            "not_before": stamp(-0.01), "expires": stamp(1), "issuer": "main", **change}
    return {"signed": body, "signatures": [key.sign(body)]}


def new_id():
    ms = int(time.time() * 1000)
    raw = bytearray(ms.to_bytes(6, "big") + uuid.uuid4().bytes[6:])
    raw[6] = 0x70 | raw[6] & 15
    return str(uuid.UUID(bytes=bytes(raw)))


def ask(f, method, path, body=None, cert=None, source=None):
    """Over 2222 with the stolen certificate: (status, type of content, document)."""
    cert = cert or ((f.loot / "console.pem").read_text(), (f.loot / "console.key").read_text())
    c = http.client.HTTPSConnection(ADDRESSES[0], 2222, timeout=10, context=cc.context(*cert),
                                    source_address=(source, 0) if source else None)
    try:
        c.request(method, path, json.dumps(body) if body is not None else None,
                  {"Content-Type": "application/json"})
        r = c.getresponse()
        return r.status, r.getheader("Content-Type"), cc.load(r.read())
    finally:
        c.close()


def refused(f, document):
    status, kind, answer = ask(f, "POST", "/v1/tasks", document)
    assert status >= 400 and kind.startswith("application/problem+json"), (status, answer)
    assert answer["status"] == status and answer["detail"] and answer["title"]
    return answer["code"]


CASES = {
    "threshold": lambda f: envelope(f, "role.set", ROLE),
    "wrong-agent": lambda f: envelope(f, "status", agent=new_id()),
    "expired": lambda f: envelope(f, "status", not_before=stamp(-2), expires=stamp(-1)),
    "not-yet": lambda f: envelope(f, "status", not_before=stamp(2), expires=stamp(3)),
    "not-allowed": lambda f: envelope(f, "run.command", {"line": "id"}),
    "unknown-argument": lambda f: envelope(f, "update.now", {"what": "x"}),
    "missing-argument": lambda f: envelope(f, "scan.start", {}),
    "wrong-argument": lambda f: envelope(f, "scan.start", {"paths": "/"}),
    "argument-too-big": lambda f: envelope(f, "scan.start", {"paths": ["/" + "x" * 5000]}),
}


@pytest.mark.parametrize("code", CASES)
def test_an_order_is_refused_by_name_with_a_problem_and_an_event(world, code):
    document = CASES[code](world)
    assert refused(world, document) == code
    event = world.wait_event("task.refused", world.server, 20,
                             match=lambda e: e["data"].get("task") == document["signed"]["id"])
    assert event["data"]["error"] == code and event["data"]["who"] == "main" and event["data"]["detail"]


def test_a_task_twice_is_run_once(world):
    document = envelope(world, "status")
    assert ask(world, "POST", "/v1/tasks", document)[0] == 202
    path = "/v1/tasks/" + document["signed"]["id"]
    wait_for(lambda: ask(world, "GET", path)[2]["state"] == "done", 10, "done")
    status, _, answer = ask(world, "POST", "/v1/tasks", document)
    assert status == 200 and answer["state"] == "done"
    begun = [x for x in world.server.agent.err if "task.start" in x and document["signed"]["id"] in x]
    assert len(begun) == 1


def test_a_stolen_agent_certificate_is_no_console(world):
    own = tuple((world.server.dir / "state/identity" / n).read_text() for n in ("cert.pem", "key.pem"))
    with pytest.raises((ssl.SSLError, ConnectionError, http.client.HTTPException)):
        ask(world, "GET", "/v1/status", cert=own)


def test_an_agent_posing_as_2225_enrols_nobody(world):
    s = world.server
    own = s.dir / "state/identity"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    chain = s.dir / "posed.pem"
    chain.write_text((own / "cert.pem").read_text() + (own / "ca.pem").read_text())
    context.load_cert_chain(chain, own / "key.pem")
    got = []
    with socket.create_server(("127.0.100.24", 2225)) as door:
        door.settimeout(15)

        def serve():
            raw, _ = door.accept()
            try:
                with context.wrap_socket(raw, server_side=True) as tls:
                    got.append(tls.recv(65536))
            except (OSError, ssl.SSLError):
                pass
        thread = threading.Thread(target=serve)
        thread.start()
        word = cc.Token(world.token())
        raw = bytearray(base64.urlsafe_b64decode(word.word[4:] + "=" * (-len(word.word[4:]) % 4)))
        raw[4:4 + raw[3]] = b"127.0.100.24"     # same length as the console's address
        raw[-4:] = hashlib.sha256(raw[:-4]).digest()[:4]
        posed = "ATL1" + base64.urlsafe_b64encode(raw).decode().rstrip("=")
        spare = s.write("spare.conf", f"[agent]\nstate={s.dir}/spare\nrun={s.dir}/run\n")
        done = s.run("atalaia-agent", "enroll", "--config", spare, posed, check=False)
        thread.join(20)
    assert done.returncode == 1 and "agent" in done.stderr and not (s.dir / "spare/identity/cert.pem").exists()
    assert not any(got), "not one byte of the request may reach it"


def test_a_token_that_pins_another_ca_enrols_nobody(world):
    s = world.server
    word = cc.Token(world.token())
    raw = bytearray(base64.urlsafe_b64decode(word.word[4:] + "=" * (-len(word.word[4:]) % 4)))
    at = 4 + raw[3]
    assert bytes(raw[at:at + 32]) == word.spki
    raw[at] ^= 1
    raw[-4:] = hashlib.sha256(raw[:-4]).digest()[:4]
    posed = "ATL1" + base64.urlsafe_b64encode(raw).decode().rstrip("=")
    spare = s.write("pinned.conf", f"[agent]\nstate={s.dir}/pinned\nrun={s.dir}/run\n")
    done = s.run("atalaia-agent", "enroll", "--config", spare, posed, check=False)
    assert done.returncode == 1 and "CA" in done.stderr, done.stderr
    assert not (s.dir / "pinned/identity/cert.pem").exists()
    tokens = json.loads(world.console_run("token", "list", "--json").stdout)["tokens"]
    assert next(t for t in tokens if t["id"] == word.id)["attempts"] == 0      # nothing was sent


def test_five_hundred_handshakes_a_second_leave_the_console_answered(world):
    hello = ssl.MemoryBIO()
    tls = cc.context().wrap_bio(ssl.MemoryBIO(), hello)
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    hello, tried, stop = hello.read(), [0], threading.Event()

    def flood():
        began = time.monotonic()
        while not stop.is_set():
            try:
                with socket.socket() as s:
                    s.bind(("127.0.100.29", 0))
                    s.settimeout(1)
                    s.connect((ADDRESSES[0], 2222))
                    s.sendall(hello)
            except OSError:
                pass
            tried[0] += 1
            stop.wait(max(0, began + tried[0] / 520 - time.monotonic()))
    thread = threading.Thread(target=flood)
    thread.start()
    took, began = [], time.monotonic()
    try:
        while time.monotonic() - began < 4:
            at = time.monotonic()
            assert ask(world, "GET", "/v1/status", source="127.0.100.28")[0] == 200
            took.append(time.monotonic() - at)
            stop.wait(0.3)
    finally:
        stop.set()
        thread.join()
    rate = tried[0] / (time.monotonic() - began)
    print(f"handshakes/s={rate:.0f} requests={len(took)} slowest={max(took):.3f} s")
    assert rate > 250 and max(took) < 1.0


def publish_as_thief(f, raised):
    """With the console's own policy keys: authority.json as a target of the console itself."""
    folder = f.server.dir / "forged"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "authority.json").write_text(json.dumps(raised))
    (folder / "default.json").write_text('{"update": {"interval": "2s", "jitter": "0"}}')
    f.server.own(folder)
    f.server.run("atalaia-repo", "publish", f.server.dir / "console/policies", folder, "--out",
                 f.publish_root)


def test_it_cannot_raise_its_powers(world):
    before = authority(world)
    raised = json.loads(json.dumps(before))
    raised["version"] += 5
    for rule in raised["tasks"].values():
        rule["threshold"] = 1
    world.console.stop()                        # the thief works on its keys; the lock is free
    publish_as_thief(world, raised)
    wait_for(lambda: any("authority" in x and "stolen" in x for x in world.server.agent.err) or
             authority(world) != before, 30, "refused authority")
    assert authority(world) == before
    assert refused(world, envelope(world, "role.set", ROLE)) == "threshold"


def test_revocation_ends_it(world):
    """The owners take the forged target away, and their authority revokes certificate and task key."""
    s = world.server
    if world.console.process.poll() is None:    # it holds the folder
        world.console.stop()
    s.run("atalaia-repo", "add", s.dir / "console/policies", "--remove", "authority.json", "--out",
          world.publish_root)
    world.console = s.start("atalaia-console", "serve", "--config", world.console_conf)
    world.console.line("ready")
    new = json.loads(world.console_run("authority", "show").stdout)
    new["version"] += 1
    serial = x509.load_pem_x509_certificate((world.loot / "console.pem").read_bytes()).serial_number
    new["revoked"]["serials"] = [f"{serial:x}".zfill(len(f"{serial:x}") + len(f"{serial:x}") % 2)]
    new["revoked"]["keyids"] = [new["tasks"]["status"]["keyids"][0]]
    staged = s.dir / "staged.json"
    world.console_run("authority", "make", s.write("new.json", json.dumps(new)), "--out", staged)
    for n in (1, 2):
        world.console_run("authority", "sign", staged, "--key", s.dir / f"console/offline/authority-{n}.pem")
    assert "published" in world.console_run("authority", "publish", staged).stdout
    wait_for(lambda: authority(world)["version"] == new["version"], 30, "the new authority")
    with pytest.raises((ssl.SSLError, ConnectionError, http.client.HTTPException)):
        ask(world, "GET", "/v1/status")
    ca = cc.ca_in(s.dir / "console")
    good = cc.make_cert("atalaia://example/console/main", ca, eku=(ExtendedKeyUsageOID.CLIENT_AUTH,))
    status, _, answer = ask(world, "POST", "/v1/tasks", envelope(world, "status"), cert=good)
    assert status == 403 and answer["code"] == "revoked", answer


def test_nor_by_naming_other_keys_for_the_authority(world):
    """The delegation is signed by the console's own key: the thief names a key of its own."""
    s = world.server
    before = authority(world)
    raised = json.loads(json.dumps(before))
    raised["version"] += 5
    raised["revoked"] = {"serials": [], "agents": [], "consoles": [], "keyids": []}
    s.run("atalaia-repo", "key", "new", s.dir / "thief.pem")
    world.console.stop()
    (s.dir / "authority.json").write_text(json.dumps(raised))
    s.agent.err.clear()
    s.run("atalaia-repo", "delegate", s.dir / "console/policies", "authority", "--key", s.dir / "thief.pem",
          "--threshold", "1", "--path", "authority.json", "--file", s.dir / "authority.json")
    s.run("atalaia-repo", "add", s.dir / "console/policies", s.write("default.json", "{}"), "--out",
          world.publish_root)
    wait_for(lambda: any("authority" in x and "stolen" in x for x in s.agent.err) or
             authority(world) != before, 30, "refused authority")
    assert authority(world) == before

"""A new CA cuts nobody off: the console's leaf stays under the old CA until agents have renewed, an
agent takes a CA only when the authority lists it, and no crash parts a key from its certificate."""
import datetime
import hashlib
import json
import os
import pathlib
import shutil
import signal
import tempfile

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID

import consoleclient as cc
import fleet as fleets
from world import wait_for

BIN = pathlib.Path(os.environ["ATALAIA_BIN"])
ADDRESSES = ("127.0.100.11", "127.0.100.12", "127.0.100.13")
BOTH = (ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH)


def certificates(path):
    end = b"-----END CERTIFICATE-----\n"
    parts = pathlib.Path(path).read_bytes().split(end)[:-1]
    return [x509.load_pem_x509_certificate(part + end) for part in parts]


def signed_by(cert, ca):
    try:
        ca.public_key().verify(cert.signature, cert.tbs_certificate_bytes,
                               ec.ECDSA(cert.signature_hash_algorithm))
        return True
    except InvalidSignature:                    # the names of both CAs are equal
        return False


@pytest.fixture(scope="module")
def world():
    root = pathlib.Path(tempfile.mkdtemp(prefix="atalaia-rotate-"))
    f = fleets.Fleet(BIN, root, addresses=ADDRESSES, lines=500)
    s = f.server
    try:
        f.make_feed()
        f.publish()
        f.start_console(policy={"update": {"interval": "1s", "jitter": "0"}}, admin_port=0)
        f.configure_agent(s, 0, more="retry=500ms", role=f.origin(poll_interval="200ms"))
        f.enroll(s)
        f.start_agent(s)
        wait_for(lambda: authority_version(f) == 1, 20, "authority")
        yield f
    finally:
        f.stop()
        shutil.rmtree(root, ignore_errors=True)


def authority_version(f):
    for feed in (f.server.dir / "state/policy/authority.json",):
        if feed.exists():
            return json.loads(feed.read_text())["version"]
    return 0


def with_console_stopped(f, *verb):
    f.console.stop()
    done = f.console_run(*verb)
    f.console = f.server.start("atalaia-console", "serve", "--config", f.console_conf)
    f.console.line("ready")
    return done


def renew(f, ca, days=(-25, 5)):
    """Gives the agent a certificate that is due, under the CA given, and waits for its successor."""
    s, folder = f.server, f.server.dir / "state/identity"
    s.agent.stop()
    key = load_pem_private_key((folder / "key.pem").read_bytes(), None)
    due, _ = cc.make_cert(f"atalaia://example/agent/{s.agent_id}", ca, days=days, eku=BOTH, own=key)
    (folder / "cert.pem").write_text(due)
    before = certificates(folder / "cert.pem")[0].serial_number
    f.start_agent(s)
    wait_for(lambda: certificates(folder / "cert.pem")[0].serial_number != before, 20, "renewal")
    return certificates(folder / "cert.pem")[0], certificates(folder / "ca.pem")


def done_id(f):
    return json.loads(f.console_run("task", "list", "--json").stdout)["tasks"][0]["id"]


def works(f):
    f.wait_task_port(f.server)
    done = f.send_task(f.server, "status")
    assert done["state"] == "done", done
    if done["way"] != "push":                   # a busy machine: the pull was first, and 2222 knew the task then
        wait_for(lambda: "answered 20" in json.loads(f.console_run("task", "show", done_id(f), "--json").stdout)[
            "agents"][0]["push"], 10, "the way by 2222")
    f.wait_event("task.done", f.server, match=lambda e: e["data"]["task"] == done.get("task", e["data"]["task"]))


def next_authority(f, keys, **change):
    """What the console says of an authority of the next version, signed by these keys."""
    s = f.server
    authority = json.loads(f.console_run("authority", "show").stdout)
    authority = {**authority, **change, "version": authority["version"] + 1}
    new = s.write("authority.json", json.dumps(authority))
    staged = s.dir / "staged.json"
    f.console_run("authority", "make", new, "--out", staged)
    for key in keys:
        f.console_run("authority", "sign", staged, "--key", key)
    return authority, f.console_run("authority", "publish", staged).stdout


def first_keys(f):
    return [f.server.dir / f"console/offline/authority-{n}.pem" for n in (1, 2)]


def publish_authority(f, cas):
    authority, said = next_authority(f, first_keys(f), cas=cas)
    assert "published" in said
    f.console.process.send_signal(signal.SIGHUP)  # else it is seen within the hour
    wait_for(lambda: authority_version(f) == authority["version"], 30, "the new authority at the agent")


def test_an_agent_of_before_lives_through_a_rotation(world):
    s, state = world.server, world.server.dir / "console"
    works(world)
    old = (certificates(state / "ca-signing.pem")[0],
           load_pem_private_key((state / "ca-signing.key").read_bytes(), None))
    cas = json.loads(world.console_run("authority", "show").stdout)["cas"]
    with_console_stopped(world, "rotate-ca")
    new = certificates(state / "ca-signing.pem")[0]
    assert not signed_by(certificates(state / "console.pem")[0], new)
    works(world)                                # it trusts the old CA alone
    cert, trusted = renew(world, old)           # the authority does not list the new CA yet
    assert signed_by(cert, old[0]) and len(trusted) == 1
    pin = hashlib.sha256(new.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    publish_authority(world, [*cas, pin.hexdigest()])
    cert, trusted = renew(world, old)
    assert signed_by(cert, new) and len(trusted) == 2
    works(world)
    with_console_stopped(world, "rotate-ca", "--finish")
    assert signed_by(certificates(state / "console.pem")[0], new)
    assert certificates(state / "ca.pem") == [new] and not (state / "ca-old.key").exists()
    works(world)
    key = load_pem_private_key((state / "ca-signing.key").read_bytes(), None)
    cert, trusted = renew(world, (new, key))
    assert signed_by(cert, new) and trusted == [new]
    works(world)
    s.agent.stop()


def test_a_pc_whose_certificate_expired_ninety_days_ago_renews(world):
    signing = world.server.dir / "console/ca-signing"
    ca = cc.load_ca(signing.with_suffix(".pem").read_bytes(), signing.with_suffix(".key").read_bytes())
    cert, _ = renew(world, ca, days=(-120, -90))
    assert cert.not_valid_after > datetime.datetime.utcnow() + datetime.timedelta(days=25)
    works(world)


def test_a_console_that_moved_keeps_its_agents(world):
    """Restored from a backup into another folder, as on another machine that took over the name."""
    s, first = world.server, world.console_conf
    world.console_run("backup", s.dir / "moved.pack")
    world.console.stop()
    world.console_conf = s.write("moved.conf", first.read_text().replace(f"{s.dir}/console", f"{s.dir}/moved"))
    world.console_run("restore", s.dir / "moved.pack")
    world.console = s.start("atalaia-console", "serve", "--config", world.console_conf)
    world.console.line("ready")
    works(world)                                            # it orders, and it is told
    wait_for(lambda: json.loads(world.console_run("agents", "--json").stdout)["agents"][0]["agent"] == s.agent_id,
             10, "the agent in its list")
    renew(world, cc.ca_in(s.dir / "moved"))
    world.console.stop()
    world.console_conf = first
    world.console = s.start("atalaia-console", "serve", "--config", first)
    world.console.line("ready")
    s.agent.stop()


def new_keys(f, *names):
    keys = [f.server.dir / f"{n}.pem" for n in names]
    for key in keys:
        f.server.run("atalaia-repo", "key", "new", key)
    return keys


def stage_rotation(f, keys):
    staged = f.server.dir / "rotate.json"
    f.console_run("authority", "rotate", *(x for k in keys for x in ("--successor", k)), "--out", staged)
    return staged


def sign(f, staged, *keys):
    for key in keys:
        f.console_run("authority", "sign", staged, "--key", key)
    return f.console_run("authority", "publish", staged).stdout


def test_other_keys_take_over_the_authority_and_the_first_ones_lose_it(world):
    world.keys = new_keys(world, "new-1", "new-2", "new-3")
    world.start_agent(world.server)
    staged = stage_rotation(world, world.keys)
    version = json.loads(staged.read_text())["signed"]["version"]
    assert "waits" in sign(world, staged, *first_keys(world))              # the old ones alone hand over to nobody
    assert "1 of 2 signatures: waits" in sign(world, staged, world.keys[0])
    world.set_policy("default.json", {"update": {"interval": "2s", "jitter": "0"}})    # meanwhile life goes on
    assert "published" in sign(world, staged, world.keys[2]), version
    want = json.loads(world.console_run("authority", "show").stdout)["version"]
    wait_for(lambda: authority_version(world) == want, 30, "the rotated authority")
    works(world)
    authority, said = next_authority(world, world.keys[1:])
    assert "published" in said
    wait_for(lambda: authority_version(world) == authority["version"], 30, "an authority by the new keys")
    assert "0 of 2" in next_authority(world, first_keys(world))[1]
    world.server.agent.stop()


def test_a_pc_that_slept_through_three_changes_of_keys_follows_each(world):
    for turn in range(3):
        staged = stage_rotation(world, new := new_keys(world, f"turn-{turn}-a", f"turn-{turn}-b"))
        assert "published" in sign(world, staged, *world.keys[1:3], *new) if turn == 0 else \
            "published" in sign(world, staged, *world.keys, *new)
        world.keys = new
    authority, said = next_authority(world, world.keys)        # signed by nobody whom the PC knows
    assert "published" in said
    world.start_agent(world.server)
    wait_for(lambda: authority_version(world) == authority["version"], 30, "the newest authority")
    assert sum("event=authority.step" in x and "why=" not in x for x in world.server.agent.err) == 3
    works(world)


def test_a_thief_of_the_console_and_of_keys_that_left_changes_nothing(world):
    s, have = world.server, authority_version(world)
    thief = {**json.loads(world.console_run("authority", "show").stdout), "version": have + 5}
    (s.dir / "thief").mkdir()
    (s.dir / "thief/authority.json").write_text(json.dumps(thief))
    world.console.stop()
    s.agent.err.clear()
    s.run("atalaia-repo", "delegate", s.dir / "console/policies", "authority", "--key", first_keys(world)[0],
          "--key", first_keys(world)[1], "--threshold", "2", "--path", "authority.json",
          "--file", s.dir / "thief/authority.json")
    s.run("atalaia-repo", "add", s.dir / "console/policies", s.write("default.json", "{}"), "--out",
          world.publish_root)
    wait_for(lambda: any("stolen" in x for x in s.agent.err) or authority_version(world) == thief["version"],
             30, "a refused authority")
    assert authority_version(world) == have
    s.agent.stop()


POINTS = ["rotate.commit", *(f"rotate.move@{n}" for n in range(1, 7))]


@pytest.mark.parametrize("point", POINTS)
def test_a_crash_between_the_files_leaves_the_old_or_the_new(debug_bin, tmp_path, point):
    console = cc.Console(tmp_path / "c", address="127.0.100.2")
    before = certificates(console.state / "ca-signing.pem")
    done = console.cli("rotate-ca", env={**os.environ, "ATALAIA_INJECT": point})
    assert done.returncode != 0
    console.start()
    try:
        assert cc.Agent(console, console.token()).pull()[0] == 204
    finally:
        assert console.stop() == 0
    rotated = certificates(console.state / "ca-signing.pem") != before
    assert rotated == (point != "rotate.commit") and rotated == (console.state / "ca-old.key").exists()
    assert not (console.state / "rotate").exists()
    assert (console.cli("rotate-ca").returncode == 0) == (not rotated)


def test_the_old_ca_stays_while_the_authority_does_not_list_the_new(tmp_path):
    console = cc.Console(tmp_path / "c", address="127.0.100.3")
    assert console.cli("rotate-ca", "--finish").returncode == 1
    assert console.cli("rotate-ca").returncode == 0
    done = console.cli("rotate-ca", "--finish")
    assert done.returncode == 1 and "authority" in done.stderr


def test_the_console_renews_its_certificate_while_it_runs(tmp_path):
    console = cc.Console(tmp_path / "c", address="127.0.100.4").start()
    agent = cc.Agent(console, console.token())
    own = load_pem_private_key((console.state / "console.key").read_bytes(), None)
    leaf = cc.https(console, "GET", "/v1/tasks", None, agent.cert, agent.key)[2]
    due, _ = cc.make_cert("atalaia://example/console/main", console.ca(), days=(-300, 50), eku=BOTH, own=own)
    (console.state / "console.pem").write_text(due)
    console.process.process.send_signal(signal.SIGHUP)
    wait_for(lambda: cc.https(console, "GET", "/v1/tasks", None, agent.cert, agent.key)[2] != leaf, 10,
             "another leaf")
    now = certificates(console.state / "console.pem")[0]
    left = now.not_valid_after - datetime.datetime.utcnow()
    assert left > datetime.timedelta(days=390)
    assert cc.Agent(console, console.token()).pull()[0] == 204
    assert console.stop() == 0

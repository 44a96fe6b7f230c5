"""Who may speak on 2225 and 2226, and what the policies feed, backups and configuration errors look like."""
import hashlib
import http.client
import json
import os
import pathlib
import resource
import socket
import ssl
import uuid

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from consoleclient import ADDRESS, Agent, Console, binary, context, https, make_cert, new_key
from world import run, wait_for


@pytest.fixture(scope="module")
def console(tmp_path_factory):
    c = Console(tmp_path_factory.mktemp("console") / "c")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 1024), hard))
    c.start()
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    yield c
    assert c.stop() == 0, c.process.err[-20:]


@pytest.fixture(scope="module")
def agent(console):
    return Agent(console, console.token(), "pc")


PATHS = (("POST", "/v1/renew"), ("POST", "/v1/events"), ("GET", "/v1/tasks"),
         ("POST", "/v1/tasks/5b0ce1c4-31f5-4a5b-9a0e-6ad1f0f1a0c7/state"),
         ("GET", "/v1/feeds/policies/metadata/timestamp.json"))


def test_it_may_hold_the_connections_that_it_lets_in(console):
    """Services start with 1,024 descriptors, and every agent of a large site may hold a connection."""
    with open(f"/proc/{console.process.process.pid}/limits", encoding="ascii") as f:
        soft, hard = next(x for x in f if x.startswith("Max open files")).split()[3:5]
    assert int(soft) >= min(12_000, int(hard))


@pytest.mark.parametrize("method, path", PATHS)
def test_without_a_certificate_only_enrolment_is_open(console, method, path):
    status, answer, _ = https(console, method, path, "{}" if method == "POST" else None)
    assert status == 401, answer


WRONG = {
    "self-signed": lambda c, own: make_cert(f"atalaia://example/agent/{own}"),
    "other CA": lambda c, own: make_cert(f"atalaia://example/agent/{own}", OTHER),
    "console role": lambda c, own: make_cert("atalaia://example/console/main", c.ca()),
    "other organisation": lambda c, own: make_cert(f"atalaia://other/agent/{own}", c.ca()),
    "server EKU only": lambda c, own: make_cert(f"atalaia://example/agent/{own}", c.ca(),
                                                eku=(ExtendedKeyUsageOID.SERVER_AUTH,)),
    "no EKU": lambda c, own: make_cert(f"atalaia://example/agent/{own}", c.ca(), eku=()),
    "not yet valid": lambda c, own: make_cert(f"atalaia://example/agent/{own}", c.ca(), days=(5, 9)),
    "no identity": lambda c, own: make_cert("https://example/agent", c.ca()),
}


@pytest.fixture(scope="module", autouse=True)
def other_ca(tmp_path_factory):
    global OTHER
    other = Console(tmp_path_factory.mktemp("other") / "c")
    OTHER = other.ca()


@pytest.mark.parametrize("what", WRONG)
def test_wrong_certificates_end_in_the_handshake(console, agent, what):
    cert, key = WRONG[what](console, agent.id)
    with pytest.raises((ssl.SSLError, ConnectionError, OSError)):
        https(console, "GET", "/v1/tasks", None, cert, key)
    assert agent.pull()[0] == 204               # and the right one still works


def test_an_unknown_agent_of_our_own_ca_is_sent_to_enrolment(console):
    cert, key = make_cert(f"atalaia://example/agent/{uuid.uuid4()}", console.ca())
    status, answer, _ = https(console, "GET", "/v1/tasks", None, cert, key)
    assert status == 403 and answer["code"] == "unknown-agent"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tls_below_1_2_is_refused(console):
    c = context()
    c.minimum_version = ssl.TLSVersion.TLSv1
    c.maximum_version = ssl.TLSVersion.TLSv1_1
    c.set_ciphers("ALL:@SECLEVEL=0")
    with socket.create_connection((console.address, console.port), timeout=10) as s:
        with pytest.raises((ssl.SSLError, OSError)):
            c.wrap_socket(s)


def test_the_policies_feed_is_served_to_agents(console, agent):
    status, timestamp = agent.call("GET", "/v1/feeds/policies/metadata/timestamp.json")
    assert status == 200 and timestamp["signed"]["_type"] == "timestamp"
    version = timestamp["signed"]["meta"]["snapshot.json"]["version"]
    status, snapshot = agent.call("GET", f"/v1/feeds/policies/metadata/{version}.snapshot.json")
    meta = snapshot["signed"]["meta"]
    targets = agent.call("GET", "/v1/feeds/policies/metadata/{}.targets.json".format(
        meta["targets.json"]["version"]))[1]
    sha = targets["signed"]["targets"]["default.json"]["hashes"]["sha256"]
    status, data, _ = https(console, "GET", f"/v1/feeds/policies/targets/{sha}.default.json", None,
                            agent.cert, agent.key, raw=True)
    assert status == 200 and hashlib.sha256(data).hexdigest() == sha
    role = agent.call("GET", "/v1/feeds/policies/metadata/{}.authority.json".format(
        meta["authority.json"]["version"]))[1]
    assert list(role["signed"]["targets"]) == ["authority.json"] and len(role["signatures"]) == 2
    for path in ("metadata", "metadata/../../../keys", "metadata/%2e%2e/x", "nothing.json", ""):
        assert agent.call("GET", "/v1/feeds/policies/" + path)[0] in (400, 404), path
    assert (console.publish / "policies/metadata/timestamp.json").exists()


def test_a_policy_is_checked_published_and_shown(console, agent):
    before = agent.call("GET", "/v1/feeds/policies/metadata/timestamp.json")[1]["signed"]["version"]
    good = console.dir / "till.json"
    good.write_text('{"update":{"interval":"1h","later":1},"sources":{"update_agents":'
                    '[{"name":"b","host":"10.1.0.2","subnets":["10.1.0.0/16"]}]}}')
    done = console.cli("policy", "set", "group/till.json", good)
    assert done.returncode == 0 and "update.later" in done.stdout, done.stderr
    assert agent.call("GET", "/v1/feeds/policies/metadata/timestamp.json")[1]["signed"]["version"] > before
    assert json.loads(console.cli("policy", "show", "till").stdout) == json.loads(good.read_text())
    for bad, word in (('{"update":{"interval":4}}', "update.interval"), ('{"update":[]}', "update"),
                      ('{"update":{"windows":["25:00-26:00"]}}', "update.windows"),
                      ('{"a":1,"a":2}', "a"), ("[]", "object")):
        path = console.dir / "bad.json"
        path.write_text(bad)
        done = console.cli("policy", "set", "till", path)
        assert done.returncode == 1 and word in done.stderr, done.stderr
    assert console.cli("policy", "set", "../x", good).returncode == 1
    assert console.cli("policy", "remove", "till").returncode == 0
    assert console.cli("policy", "show", "till").returncode == 1


def test_metrics_are_openmetrics_behind_the_token(console, agent):
    assert agent.pull()[0] == 204
    status, body = raw_admin(console, "/metrics")
    lines = body.decode().splitlines()
    assert status == 200 and lines[-1] == "# EOF"
    values = dict(x.split() for x in lines if not x.startswith("#"))
    assert int(values["atalaia_console_requests_total"]) > 0
    assert int(values["atalaia_console_resident_memory_bytes"]) > 1000000
    assert raw_admin(console, "/metrics", token="x")[0] == 401


def raw_admin(console, path, token=None):
    c = http.client.HTTPConnection("127.0.0.1", console.admin_port, timeout=10)
    token = token or (console.state / "admin.token").read_text().strip()
    c.request("GET", path, headers={"Authorization": f"Bearer {token}"})
    r = c.getresponse()
    return r.status, r.read()


def test_what_agents_sent_is_kept_for_a_while(tmp_path):
    c = Console(tmp_path / "c").start()
    old, new = (c.state / "collected" / str(uuid.uuid4()) / str(uuid.uuid4()) for _ in range(2))
    assert c.stop() == 0
    for folder in (old, new):
        folder.mkdir(parents=True)
        (folder / "system.json").write_text("{}")
    os.utime(old, (1, 1))
    c.start()
    try:
        wait_for(lambda: not old.exists(), 20, "the end of what is old")
        assert (new / "system.json").exists()
    finally:
        assert c.stop() == 0


def test_the_admin_port_wants_its_token_and_no_web_page(console):
    assert console.admin("GET", "/v1/status")[0] == 200
    assert console.admin("GET", "/v1/status", token="x")[0] == 401
    assert console.admin("GET", "/v1/status", token="0" * 64)[0] == 401
    assert console.admin("GET", "/v1/status", headers={"Origin": "http://evil.example"})[0] == 403
    assert console.admin("GET", "/v1/status", headers={"Host": "evil.example"})[0] in (400, 403, 421)
    assert (console.state / "admin.token").stat().st_mode & 0o777 == 0o600
    for name in ("ca-signing.key", "console.key", "task.key"):
        assert (console.state / name).stat().st_mode & 0o777 == 0o600


def test_an_authority_is_signed_offline_by_two_of_three(console, tmp_path):
    keys = [tmp_path / f"k{n}.pem" for n in (1, 2, 3)]
    for n, k in enumerate(keys, 1):
        k.write_bytes((console.state / f"offline/authority-{n}.pem").read_bytes())
    authority = json.loads(console.cli("authority", "show").stdout)
    authority["version"] += 1
    authority["revoked"]["serials"] = ["0a"]
    new, staged = tmp_path / "authority.json", tmp_path / "staged.json"
    new.write_text(json.dumps(authority))
    done = console.cli("authority", "make", new, "--out", staged)
    assert done.returncode == 0, done.stderr
    assert json.loads(console.cli("authority", "show").stdout)["version"] == authority["version"] - 1
    done = console.cli("authority", "publish", staged)      # nobody has signed
    assert "0 of 2" in done.stdout and "waits" in done.stdout, done.stderr
    assert console.cli("authority", "sign", staged, "--key", keys[0]).returncode == 0
    assert "1 of 2" in console.cli("authority", "publish", staged).stdout
    wrong = tmp_path / "wrong.pem"
    from consoleclient import pem_of
    wrong.write_text(pem_of(new_key()))
    console.cli("authority", "sign", staged, "--key", wrong)
    assert "1 of 2" in console.cli("authority", "publish", staged).stdout
    assert console.cli("authority", "sign", staged, "--key", keys[2]).returncode == 0
    done = console.cli("authority", "publish", staged)
    assert "2 of 2" in done.stdout and "published" in done.stdout, done.stderr
    shown = json.loads(console.cli("authority", "show").stdout)
    assert shown["version"] == authority["version"] and shown["revoked"]["serials"] == ["0a"]
    assert any(e["type"] == "org.atalaia.console.authority" and e["data"]["name"] == "published"
               for e in console.events())
    for bad in ({**authority, "org": "other"}, {**authority, "keys": {}}, {"version": 1}):
        new.write_text(json.dumps(bad))
        assert console.cli("authority", "make", new, "--out", staged).returncode == 1


def test_backup_and_restore_keep_every_agent(tmp_path):
    first = Console(tmp_path / "a").start()
    agent = Agent(first, first.token(), "kept")
    assert agent.call("POST", "/v1/events", [agent.event(1)])[0] == 200
    saved = tmp_path / "backup.pack"
    assert first.cli("backup", saved).returncode == 0        # while it runs
    assert saved.stat().st_mode & 0o777 == 0o600
    assert first.stop() == 0
    assert first.cli("backup", tmp_path / "cold.pack").returncode == 0
    second = Console(tmp_path / "b", init=None)
    assert second.cli("restore", saved).returncode == 0
    assert second.cli("restore", saved).returncode == 1      # not over what is there
    second.start()
    agent.console = second
    assert agent.pull()[0] == 204
    assert agent.call("POST", "/v1/events", [agent.event(1)])[0] == 409      # it remembers number 1
    task = second.json("task", "send", "--to", "kept", "update.now")
    assert agent.pull()[1]["tasks"][0]["signed"]["id"] == task["id"]
    broken = tmp_path / "broken.pack"
    data = bytearray(saved.read_bytes())
    broken.write_bytes(data[:len(data) // 2])
    third = Console(tmp_path / "c", init=None)
    assert third.cli("restore", broken).returncode == 1
    assert not third.state.exists()
    assert second.stop() == 0


def test_a_rotated_ca_cuts_nobody_off(tmp_path):
    console = Console(tmp_path / "c").start()
    old = Agent(console, console.token(), "old")
    assert console.cli("rotate-ca").returncode == 1          # not while it runs
    assert console.stop() == 0
    assert console.cli("rotate-ca").returncode == 0
    console.start()
    assert old.pull()[0] == 204
    new = Agent(console, console.token(), "new")
    assert new.pull()[0] == 204
    assert new.document["ca"].count("BEGIN CERTIFICATE") == 1       # the authority lists the old one
    from consoleclient import make_csr
    from cryptography.hazmat.primitives.serialization import Encoding
    key = new_key()
    status, answer = old.call("POST", "/v1/renew", {"csr": make_csr(key).public_bytes(Encoding.PEM).decode()})
    assert status == 200 and answer["ca"].count("BEGIN CERTIFICATE") == 1
    assert console.stop() == 0


@pytest.mark.parametrize("text, words", [
    ("", ["org"]),
    ("org = example\n", ["host"]),
    ("org = a b\nhost = h\n", ["org", "line 2"]),
    ("org = example\nhost = h\ncolour = red\n", ["colour", "line 4"]),
    ("org = example\nhost = h\nagent_port = 99999\n", ["agent_port", "line 4"]),
    ("org = example\nhost = h\nagent_port = 2226\n", ["admin_port"]),
    ("org = example\nhost = h\ntask_life = 30d\n", ["task_life"]),
    ("org = example\nhost = h\nfeeds = Signatures\n", ["feeds"])])
def test_configuration_errors_name_file_line_and_option(tmp_path, text, words):
    conf = tmp_path / "console.conf"
    conf.write_text("[console]\n" + text)
    done = run([binary(), "serve", "--config", conf])
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert all(w in done.stderr for w in ["console.conf", *words]), done.stderr


def test_state_that_is_missing_or_in_use_is_said(console, tmp_path):
    conf = tmp_path / "console.conf"
    conf.write_text(f"[console]\nstate = {tmp_path}/none\norg = example\nhost = h\n")
    done = run([binary(), "serve", "--config", conf])
    assert done.returncode == 2 and "init" in done.stderr
    assert run([binary(), "serve", "--config", tmp_path / "no.conf"]).returncode == 2
    done = run([binary(), "serve", "--config", console.conf])
    assert done.returncode == 2, done.stderr
    other = Console(tmp_path / "o", agent_port=console.port)
    done = other.cli("serve")
    assert done.returncode == 2 and "agent_port" in done.stderr and "line" in done.stderr
    assert other.cli("init").returncode == 2
    assert other.cli("agents").returncode in (2, 3)


def test_help_and_usage():
    done = run([binary(), "--help"])
    assert done.returncode == 0 and "token" in done.stdout and "agent_port" in done.stdout
    assert run([binary()]).returncode == 2
    assert run([binary(), "dance"]).returncode == 2
    assert run([binary(), "token", "--colour"]).returncode == 2
    assert run([binary(), "task", "--help"]).returncode == 0

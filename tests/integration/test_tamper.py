"""Changes that nobody should make on a PC are told within a heartbeat, and updates go on when a hosts file
hides the mirror."""
import json
import os
import pathlib
import shutil
import tempfile

import jsonschema
import pytest

import fleet as fleets
import world
from eventagent import Collector, EventAgent, Keeper
from test_stolen_mirror import NAME, current, hosts_file, mirrored, own_view
from world import wait_for

TOP = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ["ATALAIA_BIN"]).resolve()
FAKETIME = pathlib.Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")
SERVER, BRANCH, STATION = "127.0.93.11", "127.0.93.12", "127.0.93.21"


class Pc:
    """An agent that follows a mirror by name, with a hosts file and units of its own."""

    def __init__(self, folder):
        self.keeper, self.dir = Keeper(), folder
        self.collector = Collector(self.keeper.take)
        self.hosts, self.unit = folder / "hosts", folder / "units" / "atalaia-agent.service"
        self.hosts.write_text("127.0.0.1 localhost\n")
        (folder / "units" / "multi-user.target.wants").mkdir(parents=True)
        self.unit.write_text("[Service]\nExecStart=/usr/sbin/atalaia-agent\n")
        (folder / "units" / "multi-user.target.wants" / self.unit.name).symlink_to(self.unit)
        self.agent = EventAgent(folder / "a", target="json " + self.collector.url(),
                                tamper={"interval": "200ms", "hosts": self.hosts,
                                        "unit_folders": folder / "units"})
        self.agent.conf.write_text(self.agent.conf.read_text() + f"[update-agent]\nupstream = {NAME}\n")
        self.state = folder / "a" / "state" / "tamper.json"

    def start(self):
        before = self.state.stat().st_mtime_ns if self.state.exists() else 0
        self.agent.start()
        if not before:
            wait_for(self.state.exists, 20, "the first look")
        return self

    def stop(self):
        assert self.agent.stop() == 0

    def told(self, kind, what="found"):
        return [e["data"]["unmapped"] for e in list(self.keeper.events)
                if e["type"] == f"org.atalaia.tamper.{what}" and e["data"]["unmapped"]["kind"] == kind]

    def wait(self, kind, what="found", n=1):
        return wait_for(lambda: len(self.told(kind, what)) >= n and self.told(kind, what)[n - 1], 20,
                        f"tamper.{what} of {kind}")


@pytest.fixture(name="pc")
def _pc(tmp_path):
    p = Pc(tmp_path)
    yield p
    p.collector.stop()


def test_each_change_is_one_event(pc):
    pc.start()
    assert not pc.told("config") and not pc.told("unit") and not pc.told("hosts")
    pc.hosts.write_text(f"127.0.0.1 localhost\n127.0.0.1\t{NAME.upper()}   # nobody will notice\n")
    assert pc.wait("hosts")["name"] == f"{NAME} 127.0.0.1"
    assert [t["kind"] for t in pc.agent.status()["tampering"]] == ["hosts"]
    pc.hosts.write_text("127.0.0.1 localhost\n")
    assert pc.wait("hosts", "gone")["name"] == f"{NAME} 127.0.0.1"
    assert pc.agent.status()["tampering"] == []

    text = pc.agent.conf.read_text()
    pc.agent.conf.write_text(text + "# more\n")
    assert pc.wait("config")["name"] == str(pc.agent.conf)

    unit = pc.unit.read_text()
    pc.unit.write_text(unit.replace("/usr/sbin", "/tmp"))
    assert pc.wait("unit")["now"].startswith("present:")
    pc.unit.unlink()
    assert pc.wait("unit", n=2)["now"] == "missing"
    pc.unit.symlink_to("/dev/null")
    assert pc.wait("unit", n=3)["now"] == "masked"
    pc.unit.unlink()
    pc.unit.write_text(unit)
    assert pc.wait("unit", "gone")["now"].startswith("present:")
    pc.stop()
    schema = json.loads((TOP / "agent" / "tamper.schema.json").read_text())
    for e in pc.keeper.events:
        if ".tamper." in e["type"]:
            jsonschema.validate(e["data"], schema, jsonschema.Draft202012Validator)
    classes = {e["atalaiaclass"] for e in pc.keeper.events if ".tamper." in e["type"]}
    assert classes == {"detection"}                                   # they overtake telemetry
    assert len(pc.told("config")) == 1 and len(pc.told("hosts")) == 1 and len(pc.told("unit")) == 3


def test_what_was_done_while_the_agent_was_away_is_told(pc):
    pc.start()
    pc.stop()
    pc.agent.conf.write_text(pc.agent.conf.read_text() + "# more\n")
    pc.unit.unlink()
    pc.start()
    assert pc.wait("config")["now"] != pc.told("config")[0]["before"]
    assert pc.wait("unit")["now"] == "missing"
    pc.stop()
    pc.start()                                                       # told once, not at each start
    pc.hosts.write_text(f"6.6.6.6 {NAME}\n")
    pc.wait("hosts")
    pc.stop()
    assert len(pc.told("config")) == 1 and len(pc.told("unit")) == 1


@pytest.mark.skipif(not FAKETIME.exists(), reason="libfaketime is not here")
def test_a_clock_that_is_set_back_is_told(pc, monkeypatch):
    offset = pc.dir / "offset"
    offset.write_text("+0\n")
    for name, value in (("LD_PRELOAD", FAKETIME), ("FAKETIME_TIMESTAMP_FILE", offset), ("FAKETIME_NO_CACHE", 1),
                        ("FAKETIME_DONT_FAKE_MONOTONIC", 1)):
        monkeypatch.setenv(name, str(value))
    pc.start()
    offset.write_text("-3600\n")
    told = pc.wait("clock")
    assert told["before"] > told["now"]
    pc.stop()
    offset.write_text("-86400\n")                                    # and while it was away
    pc.start()
    pc.wait("clock", n=2)
    pc.stop()
    assert len(pc.told("clock")) == 2


@pytest.fixture(name="branch")
def _branch():
    if os.geteuid() != 0:
        pytest.skip("a hosts file of one's own needs a mount namespace, and that root")
    root = pathlib.Path(tempfile.mkdtemp(prefix="atalaia-tamper-"))
    hosts = root / "hosts"
    hosts_file(hosts, BRANCH)
    hosts.chmod(0o644)
    if world.run([*own_view(hosts), "true"]).returncode != 0:
        shutil.rmtree(root)
        pytest.skip("no mount namespaces here")
    f = fleets.Fleet(BIN, root, addresses=(SERVER, BRANCH, STATION), lines=2000,
                     prefixes=[(), (), own_view(hosts)])
    f.hosts = hosts
    try:
        yield f
    finally:
        f.stop()
        shutil.rmtree(root, ignore_errors=True)


def policy(**addresses):
    return {"update": {"auto": False, "bypass": "never", "jitter": "0"},
            "sources": {**addresses, "update_agents": [
                {"name": "branch", "host": NAME, "ftp": 2021, "http": 2221, "version": 3333,
                 "subnets": ["127.0.93.0/24"]}]}}


def test_updates_go_on_when_the_hosts_file_hides_the_mirror(branch):
    f = branch
    f.make_feed()
    f.publish()
    f.start_console(policy=policy(), admin_port=0)
    f.configure_agent(f.server, world.free_port(), more="retry=500ms", role=f.origin(poll_interval="200ms"))
    f.start_agent(f.server)
    for host in (f.branch, f.workstation):
        f.configure_agent(host, world.free_port(), more="retry=500ms\n[tamper]\ninterval=300ms\n")
        f.enroll(host)
        f.start_agent(host)
    done = f.send_task(f.branch, "role.set", {"role": "update-agent", "on": True,
                                              "settings": {"listen": BRANCH, "http_port": "2221"}})
    assert done["state"] == "done", done
    mirrored(f)
    assert f.send_task(f.workstation, "update.now", {"feed": "signatures"})["state"] == "done"
    version = f.publish()["version"]
    mirrored(f)
    hosts_file(f.hosts, "127.0.0.1")
    wait_for(lambda: [e for e in f.events() if e["type"] == "org.atalaia.tamper.found"
                      and e["data"]["unmapped"]["name"] == f"{NAME} 127.0.0.1"], 30, "the event")
    failed = f.send_task(f.workstation, "update.now", {"feed": "signatures"})
    assert failed["state"] == "failed"                 # without an address from policy there is no way
    f.set_policy("default.json", policy(addresses={NAME: [BRANCH]}))
    assert f.send_task(f.workstation, "policy.refresh", {})["state"] == "done"
    def detours():
        return json.loads(f.workstation.local("/v1/status")).get("detours")

    wait_for(lambda: detours() == {NAME: BRANCH}, 30, "the detour")
    done = f.send_task(f.workstation, "update.now", {"feed": "signatures"})
    assert done["state"] == "done", done
    assert current(f.workstation).endswith(f"/{version}")
    hosts_file(f.hosts, BRANCH)
    wait_for(lambda: detours() is None, 30, "the end of the detour")
    wait_for(lambda: [e for e in f.events() if e["type"] == "org.atalaia.tamper.gone"], 30, "the end")

"""The agent among its peers: publisher, console, origin, branch mirror and workstation on loopback.
Each test leaves the world as it found it; they run in order because a world is dear."""
import contextlib
import datetime
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error

import pytest

import fleet as fleets
from world import run, wait_for

BIN = pathlib.Path(os.environ["ATALAIA_BIN"])
ADDRESSES = ("127.0.60.11", "127.0.60.12", "127.0.60.13")
PORTS = {"admin_port": 22960}
EVENT = {"server": 22961, "branch": 22962, "workstation": 22963}


def policy(bypass="never", agents=True):
    near = [{"name": "branch", "host": ADDRESSES[1], "ftp": 2021, "http": 2221, "version": 3333,
             "subnets": [ADDRESSES[2] + "/32"]}]
    return {"update": {"interval": "20s", "jitter": "0", "bypass": bypass},
            "sources": {"update_agents": near if agents else []}}


def status(host):
    """Tries for a moment: an agent that has just been enrolled opens its port anew."""
    def ask():
        try:
            return json.loads(host.local("/v1/status"))
        except (urllib.error.URLError, ConnectionError):
            return None
    return wait_for(ask, 5, f"status of {host.name}")


def feed(host, name="signatures"):
    return next(f for f in status(host)["feeds"] if f["feed"] == name)


def version(host, name="signatures"):
    return feed(host, name)["version"]


def cli(host, *args):
    return run([BIN / "atalaia", *args, "--url", f"http://127.0.0.1:{host.event_port}"])


def restart(fleet, host, how=signal.SIGTERM):
    host.agent.process.send_signal(how)
    host.agent.process.wait(20)
    fleet.start_agent(host)


@pytest.fixture(scope="module")
def world():
    root = pathlib.Path(tempfile.mkdtemp(prefix="atalaia-agents-")) # pytest's own is closed to others
    f = fleets.Fleet(BIN, root, addresses=ADDRESSES, lines=3000)
    try:
        f.make_feed()
        f.publish()
        f.start_console(policy=policy(), **PORTS)
        f.configure_agent(f.server, EVENT["server"], more="retry=500ms",
                          role=f.origin(http_port=2221, poll_interval="200ms"))
        f.configure_agent(f.branch, EVENT["branch"], more="retry=500ms")
        f.configure_agent(f.workstation, EVENT["workstation"], more="retry=500ms")
        yield f
    finally:
        f.stop()
        shutil.rmtree(root, ignore_errors=True)


def test_an_agent_that_is_not_enrolled_runs_and_says_what_to_do(world):
    world.start_agent(world.workstation)
    said = status(world.workstation)
    assert said["identity"]["enrolled"] is False
    assert "atalaia-agent enroll" in said["identity"]["remedy"]
    assert said["ports"]["task"] == 0
    done = cli(world.workstation, "status")
    assert done.returncode == 1 and "not enrolled" in done.stdout
    done = cli(world.workstation, "update")
    assert done.returncode == 1 and "not-enrolled" in done.stderr
    done = cli(world.workstation, "why-old")
    assert done.returncode == 1 and "atalaia-agent enroll" in done.stdout


def test_enrolment_while_it_runs_is_noticed(world):
    for host in (world.server, world.branch, world.workstation):
        world.enroll(host)
    assert status(world.workstation)["boot"]
    wait_for(lambda: status(world.workstation)["identity"]["enrolled"], 10, "the new identity")
    world.start_agent(world.server)
    world.start_agent(world.branch)
    key = world.workstation.dir / "state/identity/key.pem"
    assert key.stat().st_mode & 0o777 == 0o600
    again = world.workstation.run("atalaia-agent", "enroll", "--config", world.workstation.conf,
                                  world.token(), check=False)
    assert again.returncode == 1 and "enrolled already" in again.stderr


def test_a_task_sent_right_after_enrolment_waits_for_nothing_but_the_authority(world):
    """An offer that no authority could judge yet comes again after ten seconds; it must not be made."""
    done = world.send_task(world.branch, "status")
    assert done["state"] == "done", done
    ended = datetime.datetime.fromisoformat(done["updated"].replace("Z", "+00:00")).timestamp()
    assert ended - (world.branch.dir / "state/policy/authority.json").stat().st_mtime < 8, done


def test_a_used_token_and_a_mangled_one_are_refused(world):
    token = world.token("--uses", "1")
    spare = world.server.write("spare.conf", f"[agent]\nstate={world.server.dir}/spare\n"
                               f"run={world.server.dir}/run\n")
    first = world.server.run("atalaia-agent", "enroll", "--config", spare, token)
    assert "enrolled agent=" in first.stdout
    shutil.rmtree(world.server.dir / "spare/identity")
    second = world.server.run("atalaia-agent", "enroll", "--config", spare, token, check=False)
    assert second.returncode == 1 and "ask for a new one" in second.stderr
    broken = world.server.run("atalaia-agent", "enroll", "--config", spare, token[:-3], check=False)
    assert broken.returncode == 2


def test_the_server_serves_its_own_set_and_the_branch_follows(world):
    wait_for(lambda: version(world.server) == 2, 20, "set of the server")
    wait_for(lambda: version(world.branch) == 2, 20, "set of the branch")
    assert feed(world.server)["source"] == "own mirror"
    assert feed(world.branch)["source"] == "server"


def test_a_workstation_waits_for_its_branch_when_policy_says_never(world):
    wait_for(lambda: feed(world.workstation).get("last") in ("failed", "waiting"), 20,
             "a run that found no mirror")
    assert version(world.workstation) == 0
    assert version(world.workstation, "policies") > 0
    done = cli(world.workstation, "why-old", "--json")
    broken = [x["link"] for x in json.loads(done.stdout) if x["broken"]]
    assert done.returncode == 1 and broken[0] in ("sources", "transfer")


def test_the_role_is_set_by_a_task_and_serves(world):
    world.wait_task_port(world.branch)
    done = world.send_task(world.branch, "role.set", {"role": "update-agent", "on": True, "settings": {
        "listen": ADDRESSES[1], "http_port": "2221"}})
    assert done["state"] == "done", done
    assert done["way"] == "push"
    assert done["result"]["serving"] is True
    wait_for(lambda: version(world.workstation) == 2, 30, "set of the workstation")
    assert feed(world.workstation)["source"] == "branch"
    world.wait_event("role.changed", world.branch)
    world.wait_event("update.applied", world.workstation)


def test_a_new_version_travels_by_itself_and_as_a_delta(world):
    before = feed(world.workstation)
    report = world.publish()
    # The interval is 20 s: the long-poll carried it.
    wait_for(lambda: version(world.workstation) == report["version"], 15, "the new version")
    after = feed(world.workstation)
    assert after["source"] == "branch"
    assert after["bytes_delta"] > before["bytes_delta"]
    assert after["bytes_full"] - before["bytes_full"] < 1000 # the marker's own line
    event = world.wait_event("update.applied", world.workstation,
                             match=lambda e: e["data"].get("version") == report["version"]
                             and e["data"]["feed"] == "signatures")
    assert event["data"]["mirror"] == "branch" and event["data"]["bytes_delta"] > 0


def test_wrong_settings_of_the_role_are_refused_and_taken_back(world):
    bad = world.send_task(world.branch, "role.set", {"role": "update-agent", "on": True, "settings": {
        "listen": ADDRESSES[1], "passive_count": "no"}})
    assert bad["state"] == "failed" and bad["error"] == "role-failed"
    unknown = world.send_task(world.branch, "role.set", {"role": "update-agent", "on": True,
                                                         "settings": {"shell": "sh"}})
    assert unknown["state"] == "failed" and unknown["error"] == "wrong-setting"
    folder = world.send_task(world.branch, "role.set", {"role": "update-agent", "on": True,
                                                        "settings": {"root": "/etc"}})
    assert folder["state"] == "failed" and folder["error"] == "wrong-setting"
    wait_for(lambda: status(world.branch)["update_agent"]["serving"], 20, "the old settings serve")


def test_the_role_survives_a_restart(world):
    restart(world, world.branch)
    wait_for(lambda: status(world.branch)["update_agent"]["serving"], 20, "role after a restart")
    kept = json.loads((world.branch.dir / "state/role.json").read_text())
    assert kept["on"] is True and kept["settings"]["listen"] == ADDRESSES[1]


def test_the_role_comes_back_after_the_power_was_cut(world):
    """Agent, serve and whatever fetches are killed at once; the new start has nothing but the disk."""
    branch = world.branch
    agent = branch.agent.process.pid

    def open_ports():
        return [p for p in (2021, 2221, 3333) if not nobody_listens(branch.address, p)]

    assert open_ports() == [2021, 2221, 3333]
    os.kill(agent, signal.SIGSTOP)          # it starts no child from here on, and sees none die
    out = subprocess.run(["ps", "-eo", "pid,ppid"], capture_output=True, text=True).stdout
    children = [int(l.split()[0]) for l in out.splitlines() if l.split()[1] == str(agent)]
    for pid in [*children, agent]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert children
    branch.agent.process.wait()
    wait_for(lambda: open_ports() == [], 15, "dead ports")
    report = world.publish()               # while nobody mirrors
    world.start_agent(branch)
    wait_for(lambda: open_ports() == [2021, 2221, 3333], 20, "the ports back")

    def offered():
        got = run(["curl", "-sS", f"ftp://{branch.address}:2021/signatures/metadata/{report['version']}.targets.json"])
        return got.returncode == 0 and json.loads(got.stdout)["signed"]["version"]

    wait_for(lambda: offered() == report["version"], 30, "what was published meanwhile, served")
    wait_for(lambda: version(world.workstation) == report["version"], 40, "the workstation has it from there")


def nobody_listens(address, port):
    with socket.socket() as s:
        return s.connect_ex((address, port)) != 0


def test_a_mirror_that_dies_is_started_again_and_children_die_with_the_agent(world):
    def serve_pids():
        out = subprocess.run(["ps", "-eo", "pid,ppid,args"], capture_output=True, text=True).stdout
        return [int(l.split()[0]) for l in out.splitlines()
                if "atalaia-update-agent serve --child" in l
                and l.split()[1] == str(world.branch.agent.process.pid)]
    pid = wait_for(serve_pids, 10, "the serve child")[0]
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: serve_pids() and serve_pids()[0] != pid, 10, "another serve child")
    pid = serve_pids()[0]
    world.branch.agent.process.kill()
    world.branch.agent.process.wait()
    wait_for(lambda: not pathlib.Path(f"/proc/{pid}").exists(), 15, "its end without the agent")
    world.start_agent(world.branch)
    wait_for(lambda: status(world.branch)["update_agent"]["serving"], 20, "role after a crash")


def test_one_flipped_bit_in_the_mirror_is_refused_and_told(world):
    report = world.publish()
    wait_for(lambda: version(world.branch) == report["version"], 20, "the branch has it")
    wait_for(lambda: version(world.workstation) == report["version"], 20, "the workstation has it")
    held = report["version"]
    world.branch.agent.process.send_signal(signal.SIGSTOP) # the mirror is changed while nobody looks
    targets = world.branch.dir / "state/mirror/root/signatures/targets"
    world.branch.agent.process.send_signal(signal.SIGCONT)
    report = world.publish()
    meta = world.branch.dir / "state/mirror/root/signatures/metadata"
    wait_for(lambda: (meta / f"{report['version']}.targets.json").exists(), 20, "mirror has it")
    wait_for(lambda: version(world.workstation) == report["version"], 20, "the workstation has it")
    world.workstation.agent.process.terminate()
    world.workstation.agent.process.wait(20)
    report = world.publish()
    wait_for(lambda: (meta / f"{report['version']}.targets.json").exists(), 20, "mirror has it")
    for path in targets.rglob("*"):
        if path.is_file():
            data = bytearray(path.read_bytes())
            data[len(data) // 2] ^= 1
            path.chmod(0o644)
            path.write_bytes(data)
    world.start_agent(world.workstation)
    event = world.wait_event("update.rejected", world.workstation)
    assert event["data"]["mirror"] == "branch" and event["data"]["rule"]
    assert version(world.workstation) == report["version"] - 1
    assert version(world.workstation) > held
    done = cli(world.workstation, "why-old")
    assert done.returncode == 1
    # the mirror is mended by taking it away and syncing again; the workstation heals by itself
    off = world.send_task(world.branch, "role.set", {"role": "update-agent", "on": False})
    assert off["state"] == "done", off
    shutil.rmtree(world.branch.dir / "state/mirror/root/signatures")
    on = world.send_task(world.branch, "role.set", {"role": "update-agent", "on": True})
    assert on["state"] == "done", on
    wait_for(lambda: version(world.workstation) == report["version"], 40, "healed by itself")


def test_update_now_and_pin(world):
    now = version(world.workstation)
    done = world.send_task(world.workstation, "update.now")
    assert done["state"] == "done", done
    outcomes = {f["feed"]: f["outcome"] for f in done["result"]["feeds"]}
    assert outcomes == {"policies": "current", "signatures": "current"}
    until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
    pin = world.send_task(world.workstation, "update.pin", {"feed": "signatures", "version": now - 1,
                                                            "until": until})
    assert pin["state"] == "done", pin
    assert version(world.workstation) == now - 1
    held = world.send_task(world.workstation, "update.now", {"feed": "signatures"})
    assert held["state"] == "done", held
    assert held["result"]["feeds"][0]["outcome"] == "pinned"
    forever = world.send_task(world.workstation, "update.pin", {
        "feed": "signatures", "version": now, "until": "2999-01-01T00:00:00Z"})
    assert forever["state"] == "failed" and forever["error"] == "pin-too-long"
    absent = world.send_task(world.workstation, "update.pin", {"feed": "signatures", "version": 9999,
                                                               "until": until})
    assert absent["state"] == "failed" and absent["error"] == "not-found"
    free = world.send_task(world.workstation, "update.pin", {"feed": "signatures", "version": 0,
                                                             "until": until})
    assert free["state"] == "done"
    back = world.send_task(world.workstation, "update.now", {"feed": "signatures"})
    assert back["state"] == "done" and version(world.workstation) == now


def test_arguments_are_refused_by_name(world):
    for kind, args, code in (
            ("update.now", {"feed": "nothing-here"}, "unknown-feed"),
            ("update.now", {"what": "x"}, "unknown-argument"),
            ("update.pin", {"feed": "signatures"}, "missing-argument"),
            ("scan.start", {"paths": ["relative"]}, "wrong-argument")):
        done = world.send_task(world.workstation, kind, args)
        assert (done["state"], done["error"]) in (("refused", code), ("failed", code)), done
    refused = world.wait_event("task.refused", world.workstation)
    assert refused["data"]["who"] == "main" and refused["data"]["detail"]


def test_collect_brings_the_system_document(world):
    done = world.send_task(world.workstation, "collect", {"what": ["system"]})
    assert done["state"] == "done", done
    result = done["result"]
    assert result["system"] in ("sent", "not-taken")
    if "document" in result:
        document = result["document"]
        assert document["kind"] == "atalaia-system" and document["packages"] > 0
        assert document["agent"]["id"] == world.workstation.agent_id


def test_restart_by_task_is_proved_by_a_new_boot(world):
    boot, pid = status(world.workstation)["boot"], world.workstation.agent.process.pid
    done = world.send_task(world.workstation, "agent.restart")
    assert done["state"] == "done", done
    assert done.get("result", done).get("boot") not in (None, boot), json.dumps(done) + "".join(world.workstation.agent.err[-30:])
    assert status(world.workstation)["boot"] == done["result"]["boot"]
    assert world.workstation.agent.process.pid == pid and world.workstation.agent.process.poll() is None


def test_without_2222_a_task_comes_by_2225(world):
    conf = world.workstation.conf.read_text()
    world.workstation.agent.process.terminate()
    world.workstation.agent.process.wait(20)
    world.workstation.conf.write_text(conf.replace("[agent]\n", "[agent]\ntask_port=0\n"))
    world.start_agent(world.workstation)
    began = time.monotonic()
    done = world.send_task(world.workstation, "status")
    assert done["state"] == "done" and time.monotonic() - began < 10
    assert done["result"]["identity"]["agent"] == world.workstation.agent_id
    world.workstation.agent.process.terminate()
    world.workstation.agent.process.wait(20)
    world.workstation.conf.write_text(conf)
    world.start_agent(world.workstation)


def test_local_port_tells_and_refuses(world):
    text = world.workstation.local("/metrics")
    assert text.endswith("# EOF\n")
    assert 'atalaia_set_version{feed="signatures"}' in text
    members = json.loads(world.workstation.local("/v1/policy"))["members"]
    interval = next(m for m in members if m["member"] == "update.interval")
    assert interval["value"] == "20s" and interval["origin"] == "default.json"
    sets = json.loads(world.workstation.local("/v1/sets"))["sets"]
    assert sum(s["active"] for s in sets) == 2
    for verb in ("status", "feeds", "sets", "tasks", "events", "policy", "why-old"):
        assert cli(world.workstation, verb).stdout
        json.loads(cli(world.workstation, verb, "--json").stdout)
    done = cli(world.workstation, "update", "--wait")
    assert done.returncode == 0, done.stdout + done.stderr
    with pytest.raises(urllib.error.HTTPError) as refused:
        world.workstation.local("/v1/update?feed=../x", method="POST")
    assert refused.value.code == 400


def test_a_policy_that_cannot_be_read_leaves_the_old_one(world):
    refused = world.console_run("policy", "set", "default.json",
                                world.server.write("bad.json", '{"update":{"interval":5}}'), check=False)
    assert refused.returncode != 0
    assert any(m["member"] == "update.interval" and m["value"] == "20s" for m in
               json.loads(world.workstation.local("/v1/policy"))["members"])


def test_a_group_overrides_and_is_applied_live(world):
    world.set_policy("group/default.json", {"update": {"delta": "off"}})

    def seen():
        members = json.loads(world.workstation.local("/v1/policy"))["members"]
        m = next(m for m in members if m["member"] == "update.delta")
        return m["value"] == "off" and m["origin"] == "group/default.json"
    wait_for(seen, 60, "the group's value in force")


def test_engine_and_event_classes_of_a_policy_are_applied_live(world):
    host = world.workstation

    def started():
        return len([e for e in world.events("--agent", host.agent_id) if e["type"] == "org.atalaia.agent.started"])

    def restart():
        host.agent.stop()
        world.start_agent(host)

    refused = world.server.write("wrong.json", json.dumps({"events": {"classes": {"detection": False}}}))
    done = world.console_run("policy", "set", "default.json", refused, check=False)
    assert done.returncode == 1 and "events.classes.detection" in done.stderr
    refused = world.server.write("wrong.json", json.dumps({"engine": {"deadline": "soon"}}))
    done = world.console_run("policy", "set", "default.json", refused, check=False)
    assert done.returncode == 1 and "engine.deadline" in done.stderr
    def told():                                 # since this start
        spool = json.loads(host.local("/v1/status"))["spool"]["telemetry"]
        return spool["delivered"] > 0 and spool["waiting"] == 0

    restart()
    wait_for(told, 60, "agent.started and what waited before it")
    before = started()
    world.set_policy("default.json", {**policy(), "events": {"classes": {"telemetry": False}},
                                      "engine": {"deadline": "77s", "command_scan": "/bin/true"}})
    wait_for(lambda: any("engine.options" in x and "deadline_ms=77000" in x for x in host.agent.err), 40,
             "the engine's options")
    assert any("policy.ignored" in x and "command_scan" in x for x in host.agent.err)
    restart()                                   # says nothing of it
    world.set_policy("default.json", policy())
    wait_for(lambda: any("engine.options" in x and "deadline_ms=300000" in x for x in host.agent.err), 40,
             "the engine's own options again")
    restart()
    wait_for(told, 60, "agent.started")
    assert started() == before + 1


FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"


@pytest.mark.parametrize("shift", ["-6y", "+6y"])
def test_a_clock_that_is_off_by_years_is_named_at_enrolment(world, shift):
    spare = world.server.write("clock.conf", f"[agent]\nstate={world.server.dir}/clock\n"
                               f"run={world.server.dir}/run\n")
    done = world.server.run("/usr/bin/env", f"FAKETIME={shift}", f"LD_PRELOAD={FAKETIME}",
                            BIN / "atalaia-agent", "enroll", "--config", spare, world.token(), check=False)
    assert done.returncode == 1 and "check this PC's clock first" in done.stderr, done.stderr
    assert not (world.server.dir / "clock/identity/identity.json").exists()


def test_an_agent_moves_to_another_group_and_its_policy_follows(world):
    host = world.branch
    world.set_policy("group/moved.json", {"update": {"interval": "33m"}})
    moved = json.loads(world.console_run("agents", "move", host.agent_id, "moved", "--wait", "--json").stdout)
    assert moved["state"] == "done" and moved["result"]["group"] == "moved", moved
    agents = json.loads(world.console_run("agents", "--group", "moved", "--json").stdout)["agents"]
    assert [a["agent"] for a in agents] == [host.agent_id]
    wait_for(lambda: "33m" in cli(host, "policy", "--explain").stdout, 30, "the group's policy")
    host.agent.stop()
    world.start_agent(host)
    assert "33m" in cli(host, "policy", "--explain").stdout
    done = json.loads(world.console_run("task", "send", "--to", "group:moved", "status", "--wait", "--json").stdout)
    assert done["state"] == "done"
    bad = world.console_run("agents", "move", host.agent_id, "No Group", "--wait", "--json", check=False)
    assert json.loads(bad.stdout)["error"] == "wrong-argument"
    assert world.console_run("agents", "move", host.agent_id, "default", "--wait").returncode == 0


def test_everything_ends_cleanly(world):
    for host in (world.workstation, world.branch, world.server):
        host.agent.process.terminate()
        assert host.agent.process.wait(20) == 0, host.agent.err[-5:]

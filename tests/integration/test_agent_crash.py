"""Tasks and kill -9: the outcome is always recorded, always true, and a task runs at most once. Children
that never answer stand in for a slow line, so that a task is running for as long as the test needs."""
import json
import os
import pathlib
import shutil
import signal
import tempfile

import pytest

import fleet as fleets
from world import wait_for

ADDRESSES = ("127.0.60.31", "127.0.60.32", "127.0.60.33")
SILENT = """#!/usr/bin/python3
import json, os, sys
print(json.dumps({"type": "hello", "program": "silent", "version": "0", "proto": 1, "pid": os.getpid()}),
      flush=True)
for line in sys.stdin:
    if '"stop"' in line:
        break
"""


def tasks(host):
    try:
        return json.loads(host.local("/v1/tasks"))["tasks"]
    except OSError:
        return []


def task(host, task_id):
    return next((t for t in tasks(host) if t["id"] == task_id), {})


def send(world, kind, args=None):
    done = world.console_run("task", "send", world.server.agent_id, kind, "--args",
                             json.dumps(args or {}), "--json", check=False)
    return json.loads(done.stdout)["id"]


def in_console(world, task_id):
    return json.loads(world.console_run("task", "show", task_id, "--json").stdout)["agents"][0]


def running(world, task_id):
    wait_for(lambda: task(world.server, task_id).get("state") == "running" and
             task(world.server, task_id).get("step"), 15, "the task runs")


def crash(world):
    world.server.agent.process.send_signal(signal.SIGKILL)
    world.server.agent.process.wait()
    world.start_agent(world.server)


@pytest.fixture(scope="module")
def world(debug_bin):
    root = pathlib.Path(tempfile.mkdtemp(prefix="atalaia-crash-"))
    f = fleets.Fleet(debug_bin, root, addresses=ADDRESSES, lines=1000)
    s = f.server
    try:
        f.make_feed()
        f.publish()
        f.start_console(policy={"update": {"interval": "1h", "jitter": "0"}}, admin_port=22980)
        f.configure_agent(s, 22981, more="retry=1h", role=f.origin())
        f.enroll(s)
        f.start_agent(s)
        wait_for(lambda: json.loads(s.local("/v1/status"))["policy"]["authority"], 20, "authority")
        s.agent.process.terminate()
        s.agent.process.wait(20)
        silent = s.dir / "silent"
        silent.mkdir()
        for name in ("atalaia-fetch", "atalaia-update-agent"):
            (silent / name).write_text(SILENT)
            (silent / name).chmod(0o755)
        (silent / "atalaia-scan").symlink_to(debug_bin / "atalaia-scan")
        s.own(silent)
        s.conf.write_text(s.conf.read_text().replace(f"libexec = {f.bin}", f"libexec = {silent}"))
        f.start_agent(s)
        yield f
    finally:
        f.stop()
        shutil.rmtree(root, ignore_errors=True)


def test_a_task_that_was_running_is_interrupted_at_its_step(world):
    task_id = send(world, "update.now", {"feed": "signatures"})
    running(world, task_id)
    crash(world)
    ended = task(world.server, task_id)
    assert ended["state"] == "interrupted" and ended["error"] == "agent-died"
    assert "interrupted at step" in ended["detail"]
    wait_for(lambda: in_console(world, task_id)["state"] == "interrupted", 15, "the console knows")


def test_a_cancel_ends_it_and_is_recorded(world):
    task_id = send(world, "update.now", {"feed": "signatures"})
    running(world, task_id)
    world.console_run("task", "cancel", task_id)
    wait_for(lambda: task(world.server, task_id).get("state") == "canceled", 15, "canceled")
    wait_for(lambda: in_console(world, task_id)["state"] == "canceled", 15, "the console knows")


def test_a_task_that_goes_on_is_fenced_at_the_second_crash(world):
    task_id = send(world, "role.set", {"role": "update-agent", "on": True,
                                       "settings": {"idle_timeout": "7m"}})
    running(world, task_id)
    crash(world)
    running(world, task_id) # it goes on
    crash(world)
    ended = task(world.server, task_id)
    assert ended["state"] == "failed" and ended["error"] == "fenced"
    wait_for(lambda: in_console(world, task_id).get("error") == "fenced", 15, "the console knows")


def test_a_clean_stop_is_no_crash(world):
    task_id = send(world, "role.set", {"role": "update-agent", "on": True,
                                       "settings": {"idle_timeout": "8m"}})
    for _ in range(3):
        running(world, task_id)
        world.server.agent.process.terminate()
        assert world.server.agent.process.wait(20) == 0
        world.start_agent(world.server)
    running(world, task_id)


@pytest.mark.parametrize("kind, args", [
    ("update.now", {"feed": "signatures"}),                                              # stops when told to
    ("role.set", {"role": "update-agent", "on": True, "settings": {"idle_timeout": "9m"}})])    # cannot
def test_a_task_that_takes_too_long_fails_at_its_deadline(world, kind, args):
    s = world.server
    s.agent.process.terminate()
    s.agent.process.wait(20)
    s.agent = s.start("atalaia-agent", "run", "--config", s.conf,
                      env={**os.environ, "ATALAIA_INJECT": "task.deadline"})
    s.agent.line("ready")
    task_id = send(world, kind, args)
    wait_for(lambda: task(s, task_id).get("state") == "failed", 20, "the deadline")
    assert task(s, task_id)["error"] == "deadline"
    wait_for(lambda: in_console(world, task_id).get("error") == "deadline", 15, "the console knows")
    later = send(world, "status")               # and holds up nobody
    wait_for(lambda: task(s, later).get("state") == "done", 15, "the next task runs")


def test_a_lost_journal_repeats_nothing(world):
    before = {t["id"]: t["state"] for t in tasks(world.server)}
    world.server.agent.process.terminate()
    world.server.agent.process.wait(20)
    for path in (world.server.dir / "state").glob("journal.db*"):
        path.unlink()
    world.start_agent(world.server)
    task_id = send(world, "status")
    wait_for(lambda: task(world.server, task_id).get("state") == "done", 15, "a new task runs")
    assert before and not set(before) & {t["id"] for t in tasks(world.server)}

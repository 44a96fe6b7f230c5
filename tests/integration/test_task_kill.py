"""kill -9 of the agent around every commit of its journal, for each type of task that does something: the
console learns an outcome that is true, and what the task does is done at most once. A sample of the types;
STEP=1 (make torture) tries all. Then push and pull, each alone and both at once."""
import base64
import concurrent.futures
import datetime
import hashlib
import json
import os
import pathlib
import shutil
import sqlite3
import tempfile
import time
import uuid

import pytest

import consoleclient as cc
import fleet as fleets
from world import wait_for

ADDRESSES = ("127.0.100.31", "127.0.100.32", "127.0.100.33")
MOST = 6                                        # commits of one task; a bound for the loop


@pytest.fixture(scope="module")
def world(debug_bin):
    root = pathlib.Path(tempfile.mkdtemp(prefix="atalaia-kill-"))
    f = fleets.Fleet(debug_bin, root, addresses=ADDRESSES, lines=500)
    s = f.server
    try:
        f.make_feed()
        f.publish()
        f.start_console(policy={"update": {"interval": "1h", "jitter": "0"}}, admin_port=22870)
        f.configure_agent(s, 22871, more="retry=1h", role=f.origin())
        f.enroll(s)
        f.start_agent(s)
        wait_for(lambda: (s.dir / "state/policy/authority.json").exists(), 20, "authority")
        s.agent.stop()
        s.write("scanned", "clean\n")
        yield f
    finally:
        f.stop()
        shutil.rmtree(root, ignore_errors=True)


def start(f, point=None):
    if f.server.agent.process.poll() is None:   # left by a case that failed
        f.server.agent.stop()
    env = {**os.environ, "ATALAIA_INJECT": point} if point else None
    f.server.agent = f.server.start("atalaia-agent", "run", "--config", f.server.conf, env=env)
    f.server.agent.line("ready")


def forget_offer(f):
    """An offer whose answer was lost comes again after a while; the test has no time."""
    db = sqlite3.connect(f.server.dir / "console/console.db", timeout=10)
    with db:
        db.execute("UPDATE deliveries SET offered = offered - 60000 WHERE final = 0")
    db.close()


def outcome(f, task):
    return json.loads(f.console_run("task", "show", task, "--json").stdout)["agents"][0]


def role_args(_, n):
    return {"role": "update-agent", "on": True, "settings": {"idle_timeout": f"{n + 3}m"}}


def until():
    return (datetime.datetime.utcnow() + datetime.timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")


def vault_args(f, n):
    """An item as the agent makes it, since there is no engine here that would find one."""
    item = str(uuid.uuid4())
    folder, back = f.server.dir / "state/quarantine" / item, f.server.dir / "home" / item
    folder.mkdir(mode=0o700, parents=True)
    (folder / "file").write_text(f"bad {n}")
    (folder / "meta.json").write_text(json.dumps({
        "id": item, "path": str(back), "path_b64": base64.b64encode(str(back).encode()).decode(),
        "signature": "Test", "sha256": hashlib.sha256(f"bad {n}".encode()).hexdigest(), "size": 5, "mode": 0o640,
        "uid": f.server.uid, "gid": f.server.gid, "dev": 1, "ino": 1, "how": "rename"}))
    f.server.own(f.server.dir / "state/quarantine")
    return {"id": item}


# Each type of agent/task_table.c.
ARGS = {
    "role.set": role_args,
    "update.now": lambda f, n: {"feed": "signatures"},
    "update.cancel": lambda f, n: {"feed": "signatures"},
    "scan.start": lambda f, n: {"paths": [str(f.server.dir / "scanned")]},
    "scan.stop": lambda f, n: {},
    "collect": lambda f, n: {"what": ["system"]},
    "update.pin": lambda f, n: {"feed": "signatures", "version": 2, "until": until()},
    "policy.refresh": lambda f, n: {},
    "agent.group": lambda f, n: {"group": f"g{n}"},
    "agent.restart": lambda f, n: {},
    "status": lambda f, n: {},
    "doctor": lambda f, n: {},
    "quarantine.list": lambda f, n: {},
    "quarantine.restore": vault_args,
}
ONCE_ONLY = ("update.now", "update.cancel", "scan.start", "scan.stop", "policy.refresh", "status", "doctor",
             "quarantine.list")


def is_true(f, kind, n, task, args, end):
    """Nothing is claimed that did not happen."""
    state = end["state"]
    if state == "interrupted":
        local = next(
            t for t in json.loads(f.server.local("/v1/tasks"))["tasks"] if t["id"] == task)
        assert "interrupted at step" in local["detail"] and end["error"] == "agent-died", (local, end)
        assert kind in ONCE_ONLY, kind
        return
    if kind == "scan.start":                    # there is no engine here: refused before anything is opened
        assert state in ("done", "failed") and (state == "done" or end["error"]), end
        return
    if kind == "update.pin" and (state, end["error"]) == ("failed", "busy"):
        return                                  # the update that every start begins was still under way
    assert state == "done", (kind, n, end)
    if kind == "role.set":
        kept = json.loads((f.server.dir / "state/role.json").read_text())
        assert kept["settings"]["idle_timeout"] == f"{n + 3}m" and end["result"]["serving"] is True
    if kind == "agent.group":
        assert (f.server.dir / "state/identity/group").read_text() == f"g{n}" == end["result"]["group"]
    if kind == "update.pin":
        assert end["result"]["version"] == 2
    if kind == "quarantine.restore":
        assert (f.server.dir / "home" / args["id"]).read_text() == f"bad {n}"
        assert not (f.server.dir / "state/quarantine" / args["id"]).exists()
    if kind == "collect":
        files = list((f.server.dir / "console/collected" / f.server.agent_id / task).iterdir())
        assert [x.name for x in files] == ["system.json"] and json.loads(files[0].read_text())


CASES = [(kind, where) for kind in ARGS for where in ("before", "after")]
SAMPLE = [("role.set", "before"), ("update.now", "after"), ("collect", "after")]


@pytest.mark.parametrize("kind,where", CASES if os.environ.get("STEP") == "1" else SAMPLE)
def test_the_outcome_is_true(world, kind, where):
    killed = 0
    for n in range(1, MOST):
        start(world, f"journal.kill.{where}@{n}")
        args = ARGS[kind](world, n)
        sent = world.console_run("task", "send", world.server.agent_id, kind, "--args", json.dumps(args),
                                 "--json")
        task = json.loads(sent.stdout)["id"]
        agent = world.server.agent.process
        ended = lambda: outcome(world, task)["state"] in ("done", "failed", "interrupted")
        wait_for(lambda: agent.poll() is not None or ended(), 30, f"an end of {kind} or of the agent at commit {n}")
        died = agent.poll() is not None
        if died:
            killed += 1
            start(world)
            what = f"outcome of {kind} killed {where} commit {n}"
            wait_for(lambda: ended() or forget_offer(world), 30, what)
        is_true(world, kind, n, task, args, outcome(world, task))
        world.server.agent.stop()
        if not died:
            break
    assert killed >= 3, "the points were not reached"
    print(f"{kind}: killed {where} each of {killed} commits")


def test_where_2222_is_not_reached_the_task_comes_by_the_pull_within_two_seconds(world):
    conf = world.server.conf.read_text()
    world.server.conf.write_text(conf.replace(f"\nlisten = {ADDRESSES[0]}\naddresses",
                                              "\nlisten = 127.0.100.34, 127.0.100.35\naddresses"))
    try:
        start(world)
        wait_for(lambda: json.loads(world.console_run("status", "--json").stdout)["waiters"] >= 1, 20,
                 "a held pull")
        began = time.monotonic()
        done = world.send_task(world.server, "status")
        took = time.monotonic() - began
        assert done["state"] == "done" and done["way"] == "pull" and "failed" in done["push"], done
        assert took < 2, took
    finally:
        world.server.agent.stop()
        world.server.conf.write_text(conf)


def test_a_task_that_comes_by_both_ways_at_once_runs_once(world):
    s = world.server
    if s.agent.process.poll() is None:
        s.agent.stop()
    sent = world.console_run("task", "send", s.agent_id, "status", "--json")
    task = json.loads(sent.stdout)["id"]
    db = sqlite3.connect(s.dir / "console/console.db", timeout=10)
    envelope, = db.execute("SELECT envelope FROM tasks WHERE id = ?", (task,)).fetchone()
    db.close()
    cert, key = cc.make_cert("atalaia://example/console/main", ca=cc.ca_in(s.dir / "console"))

    def push(_):
        return cc.https_to(ADDRESSES[0], 2222, "POST", "/v1/tasks", envelope, cert, key)[0]

    start(world)                                # it pulls at once
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(push, range(8)))
    wait_for(lambda: outcome(world, task)["state"] == "done", 30, "the outcome")
    assert set(answers) <= {200, 202} and answers.count(202) <= 1, answers
    begun = [x for x in s.agent.err if "event=task.start" in x and task in x]
    assert len(begun) == 1, begun
    s.agent.stop()

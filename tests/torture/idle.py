#!/usr/bin/env python3
"""The agent's idle hours in minutes, under valgrind: it polls every second; each cycle brings an event, every fifth
a new version of the set with a delta, gate, switch and reload, every tenth a policy. After a few cycles to warm
up, neither heap (what valgrind can still reach) nor descriptors may grow, and nothing may be lost.
idle.py BUILD [CYCLES]"""
import json
import os
import pathlib
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "lib"))
import fleet as fleets  # noqa: E402
from world import free_port, wait_for  # noqa: E402

ADDRESSES = ("127.0.63.11", "127.0.63.12", "127.0.63.13")
WARM = 30           # cycles until caches have their size (seen: no growth from there on)
EVERY = 10          # cycles between two looks
GROWTH = 65536      # bytes: what a poll under way has; it was seen to come and go by 40 KB
FDS = 2
LOOKS = 5
VALGRIND = "valgrind --leak-check=full --errors-for-leak-kinds=definite --error-exitcode=99 --vgdb-poll=500"
ENGINE = """[engine]
type=command
command_reload=/bin/true {set}
command_test=/bin/true {set}
command_scan=/bin/true {set} {file}
"""


class Idle:
    def __init__(self, fleet):
        self.f, self.w = fleet, fleet.workstation

    def pid(self):
        """Of the agent itself: valgrind keeps the number of the shell that became it."""
        return self.w.agent.process.pid

    def policy(self, n):
        return {"update": {"interval": "1s", "jitter": "0"}, "scan": {"paths": [f"/srv/{n % 2}"]}}

    def begin(self, program, events):
        f, w = self.f, self.w
        f.make_feed()
        f.publish()
        f.start_console(policy=self.policy(0), admin_port=free_port())
        f.configure_agent(f.server, events[0], more="retry=500ms", role=f"[update-agent]\nenabled=yes\nmode=origin\n"
                          f"root={f.publish_root}\nlisten={ADDRESSES[0]}\nhttp_port=2221\npoll_interval=200ms\n")
        f.configure_agent(w, events[1], more="retry=500ms", engine=ENGINE)
        f.enroll(f.server)
        f.start_agent(f.server)
        f.enroll(w)
        script = f.root / "agent-under-valgrind"
        script.write_text(f"#!/bin/sh\nexec {VALGRIND} --log-file={w.dir}/run/valgrind.log --vgdb-prefix={w.dir}/run/vgdb "
                          f"{program} \"$@\"\n")
        script.chmod(script.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
        w.agent = w.start(script, "run", "--config", w.conf)
        w.agent.line("ready", 120)

    def feeds(self):
        return {x["feed"]: x["version"] for x in json.loads(self.w.local("/v1/status"))["feeds"]}

    def cycle(self, n):
        event = {"specversion": "1.0", "id": f"idle-{n}", "source": "idle", "type": "org.example.idle", "data": {"n": n}}
        self.w.local("/v1/events", "POST", json.dumps(event).encode(), "application/cloudevents+json")
        if n % 5 == 0:
            version = self.f.publish()["version"]
            wait_for(lambda: self.feeds().get("signatures") == version, 300, f"version {version}")
        if n % 10 == 0:
            before = self.feeds()["policies"]
            self.f.set_policy("default.json", self.policy(n // 10))
            wait_for(lambda: self.feeds()["policies"] > before, 300, "the policy")
        wait_for(lambda: any(e.get("data") == {"n": n} for e in self.f.events("--type", "org.example.idle")), 300,
                 f"event {n} at the console")

    def look(self):
        """Bytes that valgrind still reaches, bytes lost, open descriptors: the least of some looks, as a poll under way
        has its own. Asked by the agent's user: valgrind obeys nobody else."""
        return tuple(min(x) for x in zip(*(self.look_once() for _ in range(LOOKS))))

    def look_once(self):
        done = subprocess.run(self.w.argv("/usr/bin/vgdb", f"--pid={self.pid()}", f"--vgdb-prefix={self.w.dir}/run/vgdb",
                                          "leak_check", "summary", "reachable", "any"),
                              capture_output=True, text=True, timeout=300)
        size = {k: int(v.replace(",", "")) for k, v in re.findall(r"(\w+ \w+): ([\d,]+) (?:\([^)]*\) )?bytes", done.stdout)}
        assert "still reachable" in size, done.stdout + done.stderr
        fds = min(len(os.listdir(f"/proc/{self.pid()}/fd")) for _ in range(20) if time.sleep(0.1) is None)
        return size["still reachable"] + size["possibly lost"], size["definitely lost"], fds


def main(build, cycles):
    root = pathlib.Path(tempfile.mkdtemp(prefix="atalaia-idle-"))
    f = fleets.Fleet(build, root, addresses=ADDRESSES, lines=500)
    idle, looks = Idle(f), []
    try:
        idle.begin(pathlib.Path(build).resolve() / "atalaia-agent", (free_port(), free_port()))
        for n in range(1, WARM + cycles + 1):
            idle.cycle(n)
            if n >= WARM and n % EVERY == 0:
                looks.append(idle.look())
                print("idle: after %d cycles %d bytes reachable, %d lost, %d descriptors" % (n, *looks[-1]), flush=True)
        f.stop()
        status = idle.w.agent.process.returncode
        report = (idle.w.dir / "run/valgrind.log").read_text()
    finally:
        f.stop()
        shutil.rmtree(root, ignore_errors=True)
    half = len(looks) // 2      # what a poll holds comes and goes: the least of each half counts
    first, last = (tuple(map(min, zip(*x))) for x in (looks[:half], looks[half:]))
    bad = [what for what, wrong in (
        (f"the heap grew by {last[0] - first[0]} bytes", last[0] > first[0] + GROWTH),
        (f"{last[1]} bytes are lost", last[1] > 0),
        (f"{last[2] - first[2]} descriptors more", last[2] > first[2] + FDS),
        (f"valgrind ended with {status}:\n{report[-4000:]}", status != 0)) if wrong]
    print("\n".join(bad + [f"idle: {cycles} cycles, {len(bad)} broken"]))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 60))

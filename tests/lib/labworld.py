"""The fleet of fleet.py on the three hosts of netlab.py: the server is con, the branch ua, the workstation ws."""
import json
import os
import shutil
import signal
import subprocess
import time

from fleet import Fleet, FleetError
from netlab import NetLab
from world import wait_for

SERVER, BRANCH, WORKSTATION = "10.77.0.1", "10.77.1.1", "10.77.1.2"
WAN_OF_BRANCH = "10.77.0.2"
ROLE = {"listen": BRANCH, "http_port": "2221", "max_sessions_per_address": "120"}


def why_not():
    """Why there can be no lab here, or ""."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    for tool in ("ip", "ethtool", "nft", "ping", "setpriv", "curl"):
        if shutil.which(tool) is None:
            return f"{tool} is not installed"
    name = f"atlprobe{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True)
    subprocess.run(["ip", "netns", "del", name], capture_output=True)
    return "" if made.returncode == 0 else "no network namespaces here: " + made.stderr.strip()


class LabWorld:
    """Everything up: `with LabWorld(bin, root, wanemu, lines) as w`."""

    def __init__(self, bin_dir, root, wanemu, lines):
        self.net = NetLab(wanemu)
        self.bin_dir, self.root, self.lines = bin_dir, root, lines
        self.fleet = None

    def __enter__(self):
        try:
            self.net.up()
            self.fleet = Fleet(self.bin_dir, self.root, (SERVER, BRANCH, WORKSTATION),
                               prefixes=[self.net.prefix(h) for h in ("con", "ua", "ws")],
                               lines=self.lines)
        except BaseException:
            self.net.down()
            raise
        self.server, self.branch = self.fleet.server, self.fleet.branch
        self.workstation = self.fleet.workstation
        return self

    def __exit__(self, *_):
        try:
            self.fleet.stop()
        finally:
            self.net.down()

    def start_server(self):
        """The publisher's first set, the console, and the server's own agent as origin."""
        f = self.fleet
        f.make_feed()
        first = f.publish()
        f.start_console({
            "update": {"auto": False, "bypass": "never", "delta": "prefer", "jitter": "0"},
            "sources": {"update_agents": [{"name": "branch", "host": BRANCH, "ftp": 2021,
                                           "http": 2221, "version": 3333,
                                           "subnets": [WORKSTATION + "/32"]}]}})
        f.configure_agent(self.server, 2227, role=f.origin(http_port=2221))
        f.start_agent(self.server)
        for host in (self.branch, self.workstation):
            f.configure_agent(host, 2227)
        return first

    def task(self, host, kind, args=None, **kw):
        done = self.fleet.send_task(host, kind, args, **kw)
        if done.get("state") != "done":
            raise FleetError(f"task {kind} on {host.name}: {json.dumps(done)}")
        return done

    def published(self, version, seconds):
        """The branch's mirror serves this version; its event."""
        return self.fleet.wait_event("mirror.published", self.branch, seconds,
                                     lambda e: e["data"]["feed"] == "signatures"
                                     and e["data"]["version"] == version)

    def applied(self, version, seconds):
        return self.fleet.wait_event("update.applied", self.workstation, seconds,
                                     lambda e: e["data"]["feed"] == "signatures"
                                     and e["data"]["version"] == version)

    def quiet(self, seconds=30):
        """Waits until the WAN carries next to nothing, so that the next count is of one thing only."""
        def still():
            before = self.net.wan_bytes()
            time.sleep(0.5)
            return self.net.wan_bytes() - before < 2000
        wait_for(still, seconds, "a quiet WAN")
        return self.net.wan_bytes()

    def wan_down(self):
        if not self.net.is_cut:
            self.net.cut()

    def wan_up(self):
        if self.net.is_cut:
            self.net.cut()

    def firewall(self, host, text):
        """Replaces the host's nft rules; empty text: none."""
        self.net.exec(host, "nft", "flush ruleset")
        if text:
            subprocess.run([*self.net.prefix(host), "nft", "-f", "-"], input=text, text=True,
                           check=True, capture_output=True)

    def fetch_many(self, count, base, version, at_once=8, timeout=120):
        """Simulated workstations in the LAN: `count` runs of atalaia-fetch against the branch, each with a
        store of its own (base: one to start from, or None). Returns the sum of bytes that they took."""
        root = self.fleet.repo / "public/signatures/metadata/1.root.json"
        homes, taken, running, deadline = [], 0, {}, time.monotonic() + timeout
        top = self.workstation.dir / "crowd"
        top.mkdir(exist_ok=True)
        for i in range(count):
            home = top / str(i)
            if base is not None and not home.exists():
                shutil.copytree(base, home, symlinks=True)
            homes.append(home)
        self.workstation.own(top)
        waiting = list(homes)
        try:
            while waiting or running:
                while waiting and len(running) < at_once:
                    home = waiting.pop(0)
                    running[home] = self._fetch(home, root)
                for home, p in list(running.items()):
                    if p.poll() is None:
                        continue
                    result = [json.loads(x) for x in p.stdout.read().splitlines()][-1]
                    p.stdout.close()
                    del running[home]
                    if result.get("outcome") != "updated" or result.get("version") != version:
                        raise FleetError(f"simulated workstation {home.name}: {json.dumps(result)}")
                    taken += result["bytes"]["total_wire"]
                    tmp = home / "current.tmp"
                    tmp.symlink_to(f"sets/{version}")
                    tmp.rename(home / "current")
                if time.monotonic() > deadline:
                    raise FleetError(f"{len(waiting) + len(running)} of {count} simulated "
                                     f"workstations are not done after {timeout} s")
                time.sleep(0.02)
        finally:
            for p in running.values():
                p.send_signal(signal.SIGKILL)
                p.wait()
        return taken

    def _fetch(self, home, root):
        current = os.readlink(home / "current") if (home / "current").is_symlink() else ""
        config = {"type": "config", "mode": "set", "feed": "signatures", "state": str(home),
                  "root_json": str(root), "delta": "prefer", "disk_floor": 1,
                  "sources": [{"name": "branch", "url": f"ftp://{BRANCH}:2021/signatures"}]}
        if current:
            config["current"] = int(current.rsplit("/", 1)[1])
        p = subprocess.Popen(self.workstation.argv("atalaia-fetch"), stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        p.stdin.write(json.dumps(config) + "\n")
        p.stdin.flush()
        return p

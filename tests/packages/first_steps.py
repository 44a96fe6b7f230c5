"""The first steps of README, as they are written there, on three machines: Debian roots (debootstrap) in network
namespaces, with the packages of `make deb`. Then the workstation's package is upgraded and must keep its
identity, sets, spool and journal, and is purged and must keep nothing. Root only; `make deb-test` runs it.

    first_steps.py DEBS BASE"""
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
MACHINES = {"server": "10.1.0.1", "branch-pc": "10.1.0.5", "workstation": "10.1.0.6"}
PLACES = {"**Server**": "server", "**Branch PC**": "branch-pc", "**Workstation**": "workstation"}


def sh(*argv, check=True, **kw):
    done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, **kw)
    if check and done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, argv))}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done


def wait_for(condition, seconds, what):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.3)
    raise SystemExit(f"not seen within {seconds} s: {what}")


def readme():
    """[(machine, command)] and the policy of the section."""
    text = (TOP / "README.md").read_text(encoding="utf-8")
    section = re.search(r"^## First steps on three machines\n(.*?)^## ", text, re.S | re.M)[1]
    machine, steps = None, []
    for line in section.splitlines():
        for mark, name in PLACES.items():
            if mark in line:
                machine = name
        if line.startswith("    "):
            steps.append((machine, line.strip()))
    return steps, re.search(r"`(\{\"sources\".*?\})`", section)[1]


class Machine:
    def __init__(self, world, name, address):
        self.world, self.name, self.address = world, name, address
        self.ns, self.root = f"{world.prefix}-{name[:6]}", world.dir / name
        sh("cp", "-a", "--reflink=auto", world.base, self.root)
        sh("ip", "netns", "add", self.ns)
        sh("mount", "-t", "proc", "proc", self.root / "proc")       # /dev is debootstrap's own
        (self.root / "run/systemd/system").mkdir(parents=True)
        shutil.copy(TOP / "tests/packages/systemctl.sh", self.root / "usr/bin/systemctl")
        (self.root / "etc/hosts").write_text(f"127.0.0.1 localhost\n{MACHINES['server']} server.example\n")
        (self.root / "etc/hostname").write_text(name + "\n")
        for deb in world.debs:
            shutil.copy(deb, self.root / "root")
        host = f"{self.ns}h"
        sh("ip", "link", "add", host, "type", "veth", "peer", "name", "eth0", "netns", self.ns)
        sh("ip", "link", "set", host, "master", world.bridge, "up")
        sh("ip", "-n", self.ns, "addr", "add", f"{address}/16", "dev", "eth0")
        for device in ("eth0", "lo"):
            sh("ip", "-n", self.ns, "link", "set", device, "up")

    def run(self, command, **kw):
        return sh("ip", "netns", "exec", self.ns, "unshare", "-u", "sh", "-c",
                  'hostname "$1"; exec chroot "$2" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root '
                  'DEBIAN_FRONTEND=noninteractive sh -c "cd /root; $3"', "sh", self.name, self.root, command, **kw)

    def file(self, path):
        return self.root / path.lstrip("/")

    def down(self):
        for pid in sh("ip", "netns", "pids", self.ns, check=False).stdout.split():
            os.kill(int(pid), signal.SIGKILL)
        sh("umount", "-l", self.root / "proc", check=False)
        sh("ip", "netns", "del", self.ns, check=False)


class World:
    def __init__(self, debs, base):
        self.debs, self.base = sorted(pathlib.Path(debs).glob("atalaia-*.deb")), base
        self.prefix = f"a{os.getpid() % 100000}"
        self.bridge = f"{self.prefix}br"
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="atalaia-first-"))
        self.dir.chmod(0o755)
        self.machines = {}

    def up(self):
        sh("ip", "link", "add", self.bridge, "type", "bridge")
        sh("ip", "link", "set", self.bridge, "up")
        for name, address in MACHINES.items():
            self.machines[name] = Machine(self, name, address)
        folder = self.machines["server"].file("/srv/signatures")
        folder.mkdir(parents=True)
        self.signatures = folder / "day.hdb"
        self.signatures.write_text("".join(f"{i:032x}:{i + 1}:Test.{i}\n" for i in range(20000)))

    def down(self):
        for m in self.machines.values():
            m.down()
        sh("ip", "link", "del", self.bridge, check=False)
        shutil.rmtree(self.dir, ignore_errors=True)


def first_steps(w):
    steps, policy = readme()
    assert 5 < len(steps) < 10, f"README has {len(steps)} commands"
    w.machines["server"].file("/root/policy.json").write_text(policy)
    token = None
    for machine, command in steps:
        if "ATL1..." in command:
            command = command.replace("ATL1...", token)
        started = time.monotonic()
        done = w.machines[machine].run(command, timeout=300)
        found = re.search(r"\bATL1\S+", done.stdout)
        token = found[0] if found else token
        print(f"  {machine:12} {time.monotonic() - started:5.1f} s  {command[:90]}", flush=True)


def document(machine, verb):
    done = machine.run(f"atalaia {verb} --json", check=False)
    return json.loads(done.stdout) if done.stdout.strip() else None


def feed(machine, name="signatures"):
    return next((f for f in (document(machine, "status") or {}).get("feeds", []) if f["feed"] == name), {})


def protected(w):
    station, branch, server = (w.machines[n] for n in ("workstation", "branch-pc", "server"))
    wait_for(lambda: feed(station).get("version", 0) >= 2, 90, "a signature set on the workstation")
    mirrored = branch.file("/var/lib/atalaia/mirror/root/signatures/metadata/timestamp.json")
    wait_for(mirrored.exists, 90, "the branch's mirror")
    # From now on the workstation has no way to the server's mirror: what comes, comes through the branch.
    sh("ip", "netns", "exec", station.ns, "nft", "-f", "-", input="table inet t {\n chain o {\n  type filter hook output "
       f"priority 0;\n  ip daddr {server.address} tcp dport {{ 2021, 2221, 3333, 3400-3999 }} drop\n }}\n}}\n")
    w.signatures.write_text(w.signatures.read_text() + f"{'f' * 32}:77:Test.new\n")
    server.run("atalaia-repo publish /srv/atalaia/signatures /srv/signatures --engine clamav --out /var/lib/atalaia-feeds")
    wait_for(lambda: feed(station).get("version", 0) >= 3, 120, "the next set, by way of the branch")
    status = station.run("atalaia status", check=False)
    print("  workstation:\n" + "".join(f"    {line}\n" for line in status.stdout.splitlines()), end="")
    assert status.returncode == 0, status.stdout


def newer(w, deb):
    """The same package with a higher version: what an upgrade meets."""
    tree = w.dir / "newer"
    sh("dpkg-deb", "-R", deb, tree)
    control = tree / "DEBIAN/control"
    control.write_text(re.sub(r"^Version: .*", "Version: 0.1.1", control.read_text(), flags=re.M))
    out = w.machines["workstation"].file("/root/newer.deb")
    sh("dpkg-deb", "--root-owner-group", "-b", tree, out)


def kept(station):
    """What an upgrade must not touch, as the machine itself tells it."""
    state = station.file("/var/lib/atalaia")
    spool = document(station, "events")
    return {"identity": json.loads((state / "identity/identity.json").read_text())["agent"],
            "key": (state / "identity/key.pem").read_bytes(),
            "set": os.readlink(state / "feeds/signatures/current"),
            "spool": spool.get("epoch"),
            "tasks": sorted(t["id"] for t in document(station, "tasks"))}


def upgrade_and_purge(w):
    station, server = w.machines["workstation"], w.machines["server"]
    server.run("atalaia-console task send --to workstation status --wait")
    with open(station.file("/etc/atalaia/agent.conf"), "a", encoding="ascii") as f:
        f.write("; ours\n")
    before = kept(station)
    assert before["tasks"] and before["set"]
    newer(w, next(d for d in w.debs if "/atalaia-agent_" in str(d)))
    station.run("apt install -y -o Dpkg::Options::=--force-confold ./newer.deb")
    assert "0.1.1" in station.run("dpkg-query -W atalaia-agent").stdout
    after = wait_for(lambda: document(station, "status") and kept(station), 60, "the agent after the upgrade")
    assert after == before, f"{before} became {after}"
    assert station.file("/etc/atalaia/agent.conf").read_text().endswith("; ours\n"), "the conffile was replaced"
    server.run("atalaia-console task send --to workstation status --wait")
    print("  upgrade: identity, sets, spool, journal and configuration are as before; tasks still come")
    station.run("apt-get remove -y atalaia-agent")
    assert station.file("/var/lib/atalaia/identity/key.pem").exists(), "removal took the identity"
    station.run("apt-get purge -y atalaia-agent")
    left = [str(p) for place in ("/var/lib/atalaia", "/etc/atalaia", "/usr/lib/atalaia") if (p := station.file(place)).exists()]
    assert not left, left
    print("  removal keeps the identity, purge keeps nothing")


def main():
    w = World(sys.argv[1], pathlib.Path(sys.argv[2]).resolve())
    try:
        w.up()
        first_steps(w)
        protected(w)
        upgrade_and_purge(w)
    except BaseException:
        for m in w.machines.values():
            for log in m.file("/var/log").glob("atalaia-*.log"):
                print(f"--- {m.name} {log.name}\n{log.read_text(errors='replace')[-2500:]}")
        raise
    finally:
        w.down()
    print("first steps: three machines from packages to a protected branch, as README says")


if __name__ == "__main__":
    main()

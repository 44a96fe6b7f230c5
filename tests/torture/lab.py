#!/usr/bin/python3
"""lab.py BIN [--short]: server, branch and workstation as three hosts; between server and branch lies a line of
2 Mbit/s, 40 ms each way, 1 % loss. Each scene prints a line with its figures, or ends the lab with status 1.
--short: a small set and fewer scenes, for `make test`."""
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests/lib"))

import labworld  # noqa: E402
import signatures  # noqa: E402
from fleet import FleetError  # noqa: E402
from labworld import BRANCH, ROLE, SERVER, WAN_OF_BRANCH, WORKSTATION, LabWorld  # noqa: E402
from world import wait_for  # noqa: E402

FTP_FROM_OUTSIDE = """
import ftplib, io, sys
f = ftplib.FTP(timeout=10)
f.trust_server_pasv_ipv4_address = True
f.connect(sys.argv[1], 2021)
f.login()
f.af = 2
out = io.BytesIO()
f.retrbinary("RETR signatures/metadata/timestamp.json", out.write)
print(len(out.getvalue()), f.sendcmd("PASV"))
"""


def human(n):
    return f"{n / 1e6:.2f} MB" if n >= 1_000_000 else f"{n / 1e3:.1f} kB"


class Lab:
    def __init__(self, world, short):
        self.w, self.f, self.short = world, world.fleet, short
        self.server, self.branch, self.ws = world.server, world.branch, world.workstation
        self.full_cost = 0
        self.patience = 120 if short else 400

    def say(self, scene, text):
        print(f"lab {time.monotonic() - self.began:5.0f} s  {scene}: {text}", flush=True)

    def need(self, condition, text):
        if not condition:
            raise FleetError(text)

    def run(self):
        self.began = time.monotonic()
        scenes = [self.enrolment, self.role_switch, self.full_update, self.crowd, self.delta,
                  self.cut_of_tasks_and_events, self.firewall]
        scenes += [self.role_off, self.nat] if self.short else [self.cut_in_transfer, self.role_off, self.nat]
        for scene in scenes:
            scene()

    def enrolment(self):
        first = self.w.start_server()
        self.first, self.version = first, first["version"]
        self.say("set", f"version {self.version}, {human(first['bytes'])}, compressed {human(first['full_bytes'])}")
        for host in (self.branch, self.ws):
            at, began = self.w.net.wan_bytes(), time.monotonic()
            self.f.enroll(host)
            self.say("enrolment", f"{host.name} in {time.monotonic() - began:.1f} s, "
                     f"{human(self.w.net.wan_bytes() - at)} on the WAN")
            self.f.start_agent(host)

    def role_switch(self):
        at, began = self.w.quiet(), time.monotonic()
        self.w.task(self.branch, "role.set", {"role": "update-agent", "on": True, "settings": ROLE})
        switched = time.monotonic() - began
        event = self.w.published(self.version, self.patience)
        self.full_cost = self.w.net.wan_bytes() - at
        took = time.monotonic() - began
        self.say("role switch", f"by a signed task in {switched:.1f} s; full copy of the feed after "
                 f"{took:.1f} s over {event['data']['url'].split(':')[0]}, {human(self.full_cost)} on "
                 f"the WAN = {self.full_cost / self.first['full_bytes']:.2f} x the compressed set, "
                 f"{self.full_cost * 8 / took / 1e6:.2f} Mbit/s")
        self.need(self.full_cost < 1.4 * self.first["full_bytes"] + 150_000,
                  "the WAN carried more than the full copy once")

    def full_update(self):
        at, began = self.w.quiet(), time.monotonic()
        self.w.task(self.ws, "update.now", {"feed": "signatures"})
        event = self.w.applied(self.version, 60)
        wan = self.w.net.wan_bytes() - at
        self.say("full update", f"workstation holds it after {time.monotonic() - began:.1f} s "
                 f"from {event['data']['mirror']}, {human(event['data']['bytes_wire'])} in the LAN, "
                 f"{human(wan)} on the WAN")
        self.need(wan < 60_000 + self.full_cost // 50, "the WAN carried the update again")

    def crowd(self):
        """50 more workstations take everything from the branch: the WAN must not notice."""
        at, began = self.w.quiet(), time.monotonic()
        count = 50
        lan = self.w.fetch_many(count, None, self.version, timeout=self.patience)
        wan = self.w.net.wan_bytes() - at
        self.say("crowd, full", f"{count} workstations took {human(lan)} in the LAN in "
                 f"{time.monotonic() - began:.0f} s; {human(wan)} on the WAN")
        self.need(wan < self.full_cost // 50 + 60_000, "the WAN carried the crowd's bytes")

    def delta(self):
        at, began = self.w.quiet(), time.monotonic()
        report = self.f.publish()
        version = report["version"]
        event = self.w.published(version, self.patience)
        hop = time.monotonic() - began
        self.w.task(self.ws, "update.now", {"feed": "signatures"})
        mine = self.w.applied(version, 60)
        lan = self.w.fetch_many(50, None, version, timeout=self.patience)
        wan = self.w.net.wan_bytes() - at
        share = wan / self.full_cost * 100
        self.say("delta", f"a day's delta of {human(report['delta_bytes'])} at the branch after "
                 f"{hop:.1f} s, at the workstation after {time.monotonic() - began:.1f} s, at 50 more; WAN "
                 f"{human(wan)} = {share:.2f} % of the full copy; LAN {human(lan)}")
        for e in (event, mine):
            self.need(e["data"]["bytes_delta"] > 0 and e["data"]["bytes_full"] < 4096,
                      f"version {version} came without its delta: {json.dumps(e['data'])}")
        limit = 25.0 if self.short else 2.0      # a small set's delta is mostly metadata
        self.need(share < limit, f"the delta cost {share:.2f} % of the full copy, over {limit} %")

    def cut_of_tasks_and_events(self):
        """While the WAN is cut a task is sent and events are made; each arrives afterwards, once."""
        self.w.wan_down()
        began = time.monotonic()
        sent = json.loads(self.f.console_run("task", "send", "--to", self.ws.agent_id, "status",
                                             "--json").stdout)
        for i in range(20):
            body = [{"specversion": "1.0", "id": f"cut-{i}-{k}", "source": "/lab", "type": "lab.cut",
                     "data": {"n": i * 10 + k}} for k in range(10)]
            self.ws.local("/v1/events", "POST", json.dumps(body).encode(),
                          "application/cloudevents-batch+json")
        time.sleep(max(0, 8 - (time.monotonic() - began)))
        early = self.f.events("--type", "lab.cut")
        self.need(not early, "events crossed a line that was cut")
        self.w.wan_up()
        mended = time.monotonic()

        def all_there():
            rows = [e["data"]["n"] for e in self.f.events("--type", "lab.cut")]
            return rows if len(rows) >= 200 else None
        rows = wait_for(all_there, 90, "200 events after the cut")
        events_after = time.monotonic() - mended
        done = wait_for(lambda: self.task_ended(sent["id"]), 120, "the task that was sent in the cut")
        self.told_of(sent["id"])
        ends = [e for e in self.f.events() if e["type"] == "org.atalaia.task.done"
                and e["data"]["task"] == sent["id"]]
        self.say("cut", f"8 s without a line: 200 events there {events_after:.1f} s after it, each once; "
                 f"the task {done} after {time.monotonic() - mended:.1f} s, once")
        self.need(sorted(rows) == list(range(200)), "events were lost or came twice")
        self.need(done == "done" and len(ends) == 1, f"the task: {done}, told {len(ends)} times")

    def task_ended(self, task_id):
        task = json.loads(self.f.console_run("task", "show", task_id, "--json").stdout)
        state = task["agents"][0]["state"]
        return state if state in ("done", "failed", "interrupted") else None

    def told_of(self, task_id):
        self.f.wait_event("task.done", self.ws, 60, lambda e: e["data"]["task"] == task_id)

    def firewall(self):
        """The server's FTP ports answer nothing any more: the branch goes on over HTTP 2221."""
        self.w.firewall("con", """table ip lab {
  chain input { type filter hook input priority 0; tcp dport { 2021, 3400-3999 } drop; }
}""")
        began = time.monotonic()
        version = self.f.publish()["version"]
        event = self.w.published(version, self.patience)
        self.w.firewall("con", "")
        self.say("firewall", f"FTP ports dropped: version {version} after "
                 f"{time.monotonic() - began:.1f} s from {event['data']['url']}")
        self.need(event["data"]["url"].startswith("http://"), "it came over FTP through the firewall")

    def cut_in_transfer(self):
        """A set without a usable delta is on its way when the line goes for longer than any patience."""
        self.f.database = signatures.Database(self.w.lines // 2, seed=77)
        at, began = self.w.quiet(), time.monotonic()
        report = self.f.publish()
        size = min(report["full_bytes"], report["delta_bytes"] or report["full_bytes"])
        wait_for(lambda: self.w.net.wan_bytes() - at > size * 0.4, self.patience, "40 % of the transfer")
        self.w.wan_down()
        first = self.w.net.wan_bytes() - at
        time.sleep(45)
        again = self.w.net.wan_bytes()
        self.w.wan_up()
        event = self.w.published(report["version"], self.patience)
        rest = self.w.net.wan_bytes() - again
        self.say("resume", f"{human(first)} of {human(size)} were there at the cut, {human(rest)} came "
                 f"after it = {(first + rest) / size:.2f} x; the run that ended it took "
                 f"{human(event['data']['bytes_wire'])}; {time.monotonic() - began:.0f} s in all")
        self.need(first + rest < 1.35 * size + 150_000, "bytes were fetched again after the cut")

    def role_off(self):
        """The branch gives the role back; its ports are closed at once."""
        def connects(port):
            return self.w.net.exec("ws", "curl", "-s", "-m", "5", "-o", "/dev/null", f"telnet://{BRANCH}:{port}",
                                   check=False, stdin=subprocess.DEVNULL).returncode != 7
        ports = (2021, 2221, 3333)
        self.need(all(map(connects, ports)), "the branch does not serve")
        began = time.monotonic()
        self.w.task(self.branch, "role.set", {"role": "update-agent", "on": False})
        self.say("role off", f"by a signed task in {time.monotonic() - began:.1f} s; nobody answers on its ports")
        self.need(not any(map(connects, ports)), "the branch still serves")

    def nat(self):
        """An update agent behind NAT: con sees only the branch's WAN address."""
        con = self.w.net.exec
        con("con", "ip", "route", "del", "10.77.1.0/24")
        self.w.firewall("ua", f"""table ip lab {{
  chain pre {{ type nat hook prerouting priority -100;
    iif "wan0" ip daddr {WAN_OF_BRANCH} tcp dport {{ 2021, 3400-3409 }} dnat to {WORKSTATION}; }}
  chain post {{ type nat hook postrouting priority 100; oif "wan0" masquerade; }}
}}""")
        plain = self.serve_behind_nat("plain", "")
        self.need("Error" in plain or "unreachable" in plain,
                  f"without passive_address a client outside was served: {plain}")
        good = self.serve_behind_nat("nat", f"passive_address = {WAN_OF_BRANCH}\n"
                                     "local_networks = 10.77.1.0/24\n")
        self.need(f"({WAN_OF_BRANCH.replace('.', ',')}," in good, f"PASV answered: {good}")
        # Born behind the NAT: connections from before it was there would only time out.
        self.ws.agent.stop()
        self.f.start_agent(self.ws)
        sent = json.loads(self.f.console_run("task", "send", "--to", self.ws.agent_id, "status",
                                             "--json").stdout)
        done = wait_for(lambda: self.task_ended(sent["id"]), 90, "a task through the NAT")
        way = json.loads(self.f.console_run("task", "show", sent["id"], "--json").stdout)["agents"][0]["way"]
        self.need((done, way) == ("done", "pull"), f"a task behind the NAT: {done} by {way}")
        self.told_of(sent["id"])
        self.say("NAT", f"FTP passive through it with passive_address ({good.split('227')[-1].strip()}), not "
                 f"without ({plain.splitlines()[-1][:60]}); a task reached the workstation by {way}, its event the console")

    def serve_behind_nat(self, name, more):
        root = self.ws.dir / f"mirror-{name}"
        shutil.copytree(self.f.publish_root, root)
        self.ws.own(root)
        conf = self.ws.write(f"{name}.conf", f"""[update-agent]
root = {root}
listen = {WORKSTATION}
passive_count = 10
{more}""")
        p = self.ws.start("atalaia-update-agent", "serve", "--config", conf)
        p.line("ready")
        done = subprocess.run([*self.server.prefix, sys.executable, "-c", FTP_FROM_OUTSIDE, WAN_OF_BRANCH],
                              capture_output=True, text=True, timeout=60)
        p.stop()
        return (done.stdout + done.stderr).strip()


def last_words(root):
    for log in sorted(root.glob("*/*.log")):
        lines = log.read_text(errors="replace").splitlines()[-8:]
        if lines:
            print(f"--- {log.relative_to(root)}\n" + "\n".join(lines), file=sys.stderr)


def main():
    if len(sys.argv) < 2:
        print("usage: lab.py FOLDER_WITH_PROGRAMS [--short]", file=sys.stderr)
        return 2
    why = labworld.why_not()
    if why:
        print(f"lab: {why}", file=sys.stderr)
        return 2
    bin_dir, short = pathlib.Path(sys.argv[1]), "--short" in sys.argv
    wanemu = next((a[9:] for a in sys.argv if a.startswith("--wanemu=")), bin_dir / "tests/torture/wanemu")
    root = pathlib.Path(tempfile.mkdtemp(prefix="atalaia-lab-"))
    status = 1
    try:
        with LabWorld(bin_dir, root, wanemu, 40_000 if short else 270_000) as world:
            lab = Lab(world, short)
            lab.run()
            print(f"lab: every scene was seen in {time.monotonic() - lab.began:.0f} s", flush=True)
            status = 0
    except (FleetError, AssertionError, KeyError, subprocess.SubprocessError) as e:
        print(f"lab: NOT SEEN: {e}", file=sys.stderr)
        last_words(root)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    return status


if __name__ == "__main__":
    sys.exit(main())

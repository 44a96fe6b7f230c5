#!/usr/bin/python3
"""demo.py BIN: a server, a branch and a workstation on this machine, from the first signature set to a
detection that comes back. Every step says what was seen; one that was not seen ends the demo with
status 1. DEMO_KEEP=1 leaves everything running and says how to look around."""
import http.client
import json
import os
import pathlib
import shutil
import socket
import ssl
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))

import signatures  # noqa: E402
from fleet import Fleet, FleetError  # noqa: E402
from world import wait_for  # noqa: E402

ADDRESSES = ("127.0.1.1", "127.0.1.2", "127.0.1.3")
PORTS = {ADDRESSES[0]: (2021, 2221, 2225, 3333, 10443), ADDRESSES[1]: (2021, 2222, 2221, 3333),
         ADDRESSES[2]: (2222,)}
WAIT = 60
PAGES = pathlib.Path(__file__).resolve().parent.parent.parent / "build" / "web"


class Story:
    """Prints the account: numbered steps, indented facts."""

    def __init__(self):
        self.step_no = 0
        self.started = time.monotonic()

    def step(self, title):
        self.step_no += 1
        print(f"\n{self.step_no}. {title}", flush=True)

    def seen(self, text):
        print(f"   - {text}", flush=True)


def human(n):
    for unit, size in (("MB", 1_000_000), ("kB", 1_000)):
        if n >= size:
            return f"{n / size:.1f} {unit}"
    return f"{n} bytes"


def check_ports():
    for address, ports in PORTS.items():
        for port in (*ports, 2227):
            with socket.socket() as s:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    s.bind((address, port))
                except OSError:
                    raise FleetError(f"port {port} on {address} is taken; stop what listens there "
                                     f"(ss -ltnp 'sport = :{port}') and run the demo again")


def cost(event):
    """What an update cost, by kind; the wire's count has commands and replies too."""
    d = event["data"]
    return (f"{human(d['bytes_metadata'])} metadata, {human(d['bytes_delta'])} deltas, "
            f"{human(d['bytes_full'])} whole files; {human(d['bytes_wire'])} on the wire")


def total(event):
    return event["data"]["bytes_wire"]


class Browser:
    """Just enough of one: a cookie, the origin, and the token that changes carry."""

    def __init__(self, host, port):
        self.host, self.port, self.fields = host, port, {"Origin": f"https://{host}:{port}"}
        # A person compares the fingerprint that the console prints at its start.
        self.tls = ssl._create_unverified_context()

    def call(self, method, path, body=None):
        """The document, the text of a page, or None when the console has no pages."""
        c = http.client.HTTPSConnection(self.host, self.port, timeout=30, context=self.tls)
        c.request(method, path, json.dumps(body) if body else None, self.fields)
        r = c.getresponse()
        text = r.read().decode()
        c.close()
        if r.status == 503 and "no-files" in text:
            return None
        if r.status != 200:
            raise FleetError(f"{method} {path}: {r.status} {text}")
        if r.getheader("Set-Cookie"):
            self.fields["Cookie"] = r.getheader("Set-Cookie").split(";")[0]
        return json.loads(text) if path.startswith("/api/") else text


class Demo:
    def __init__(self, bin_dir, root):
        self.story = Story()
        self.fleet = Fleet(bin_dir, root, ADDRESSES)
        self.server, self.branch = self.fleet.server, self.fleet.branch
        self.workstation = self.fleet.workstation

    def policy(self, auto):
        """The workstation takes signatures from the branch alone; auto: without being told to."""
        return {
            "update": {"auto": auto, "bypass": "never", "delta": "prefer", "jitter": "0"},
            "sources": {"update_agents": [{"name": "branch", "host": self.branch.address, "ftp": 2021,
                                           "http": 2221, "version": 3333,
                                           "subnets": [f"{self.workstation.address}/32"]}]},
        }

    def run(self):
        check_ports()
        self.publisher()
        self.start()
        self.role()
        self.first_update()
        self.second_update()
        self.detection()
        self.http_fallback()
        self.poisoned_mirror()
        self.web_console()
        self.story.seen(f"everything above was seen in {time.monotonic() - self.story.started:.0f} s")

    # 1
    def publisher(self):
        s = self.story
        s.step("The publisher makes a signed feed from a folder of ClamAV signatures")
        self.fleet.make_feed()
        report = self.fleet.publish()
        s.seen(f"signatures version {report['version']}: {report['targets']} targets, "
               f"{human(report['bytes'])}; compressed copies {human(report['full_bytes'])}; "
               f"metadata {human(report['metadata_bytes'])}")

    # 2
    def start(self):
        f, s = self.fleet, self.story
        s.step("Server, branch and workstation start; branch and workstation enrol")
        # Updates of signatures wait for a task at first, so that each step can be seen.
        f.start_console(self.policy(auto=False), web=PAGES)
        s.seen(f"console on {self.server.address}:2225, administrator's API on 127.0.0.1:2226")
        f.configure_agent(self.server, 2227, role=f.origin(http_port=2221))
        f.start_agent(self.server)
        s.seen(f"server's mirror on {self.server.address}: FTP 2021, HTTP 2221, version port 3333")
        f.configure_agent(self.branch, 12227)
        engine = f"""[engine]
type = clamd
clamd_socket = {self.workstation.dir}/run/clamd.sock
"""
        uid = os.geteuid() if os.geteuid() != 0 else self.workstation.uid
        f.configure_agent(self.workstation, 22227, engine=engine,
                          more=f"[events]\ndetection_uids = 0 {uid} {os.getuid()}\n")
        f.start_clamd(self.workstation)
        s.seen("Debian's clamd runs for the workstation, so far with a seed of one signature")
        for host in (self.branch, self.workstation):
            f.enroll(host)
            f.start_agent(host)
            s.seen(f"{host.name} enrolled with one token as {host.agent_id} and listens on "
                   f"{host.address}:2222")
        table = f.console_run("agents").stdout.strip().splitlines()
        s.seen(f"the console lists {len(table) - 1} agents")

    # 3
    def role(self):
        f, s = self.fleet, self.story
        s.step("The console makes the branch an update agent with one signed task")
        began = time.monotonic()
        task = self.task(self.branch, "role.set", {
            "role": "update-agent", "on": True,
            "settings": {"listen": self.branch.address, "http_port": "2221"}})
        s.seen(f"task role.set over mutual TLS on 2222: {task['state']}")
        event = f.wait_event("mirror.published", self.branch, WAIT,
                             lambda e: e["data"]["feed"] == "signatures")
        s.seen(f"the branch pulled signatures version {event['data']['version']} from the server in "
               f"{time.monotonic() - began:.1f} s over {event['data'].get('url', 'ftp')[:4].rstrip(':')}, "
               f"{cost(event)}")
        self.branch_first = event

    # 4
    def first_update(self):
        f, s = self.fleet, self.story
        s.step("The console tells the workstation to update; it takes everything from the branch")
        began = time.monotonic()
        task = self.task(self.workstation, "update.now", {"feed": "signatures"})
        s.seen(f"task update.now: {task['state']}")
        event = f.wait_event("update.applied", self.workstation, WAIT,
                             lambda e: e["data"]["feed"] == "signatures")
        self.first = event
        s.seen(f"version {event['data']['version']} from {event['data'].get('mirror')} "
               f"({event['data'].get('url')}) in {time.monotonic() - began:.1f} s, {cost(event)}")

    # 4, second half
    def second_update(self):
        f, s = self.fleet, self.story
        s.step("A second version is published; it travels server -> branch -> workstation by itself")
        f.set_policy("default.json", self.policy(auto=True))
        wait_for(self.auto_on, WAIT, "the policy that switches automatic updates on")
        s.seen("a new policy reached the workstation: automatic updates are on")
        report = f.publish()
        began = time.monotonic()
        version = report["version"]
        s.seen(f"published version {version}: {human(report['bytes'])} of signatures changed by "
               f"{human(report['delta_bytes'])} of deltas")
        hop1 = f.wait_event("mirror.published", self.branch, WAIT,
                            lambda e: e["data"]["feed"] == "signatures"
                            and e["data"]["version"] == version)
        t1 = time.monotonic() - began
        hop2 = f.wait_event("update.applied", self.workstation, WAIT,
                            lambda e: e["data"]["feed"] == "signatures"
                            and e["data"]["version"] == version)
        t2 = time.monotonic() - began
        print(f"     {'':24} {'full (first)':>14} {'delta (second)':>15}")
        for name, a, b, t in (("server -> branch", self.branch_first, hop1, t1),
                              ("branch -> workstation", self.first, hop2, t2)):
            print(f"     {name:24} {human(total(a)):>14} {human(total(b)):>15} after {t:.1f} s")
            if total(b) * 10 > total(a):
                raise FleetError(f"{name}: the second version was no delta: {cost(b)}")
        s.seen(f"clamd was reloaded and found the marker of version {version}")

    # 5
    def detection(self):
        f, s = self.fleet, self.story
        s.step("The console orders a scan; the detection comes back")
        folder = self.workstation.dir / "home" / "downloads"
        folder.mkdir()
        (folder / "invoice.com").write_bytes(signatures.EICAR)
        (folder / "letter.txt").write_text("nothing to see\n")
        self.workstation.own(folder)
        task = self.task(self.workstation, "scan.start", {"paths": [str(folder)]})
        s.seen(f"task scan.start: {task['state']} {json.dumps(task.get('result', {}))}")
        f.wait_event("detection", self.workstation, WAIT)
        line = next(x for x in f.console_run("events").stdout.splitlines() if "invoice.com" in x)
        s.seen("atalaia-console events: " + " ".join(line.split())[:110] + " ... invoice.com ...")
        body = {"specversion": "1.0", "id": "demo-1", "source": "/demo", "type": "demo.note",
                "data": {"text": "posted on this PC"}}
        answer = self.workstation.local("/v1/events", "POST", json.dumps(body).encode(),
                                        "application/cloudevents+json")
        s.seen(f"a self-event posted to 2227 was accepted: {answer.strip()}")
        wait_for(lambda: [e for e in f.events() if e.get("type") == "demo.note"], WAIT,
                 "the self-event at the console")
        s.seen("and arrived at the console")

    # 6
    def http_fallback(self):
        f, s = self.fleet, self.story
        s.step("FTP of the branch is switched off; the workstation takes the next version over HTTP 2221")
        task = self.task(self.branch, "role.set", {
            "role": "update-agent", "on": True,
            "settings": {"listen": self.branch.address, "http_port": "2221", "ftp_port": "12021"}})
        s.seen(f"the branch's FTP moved away from 2021: {task['state']}")
        version = f.publish()["version"]
        event = f.wait_event("update.applied", self.workstation, WAIT,
                             lambda e: e["data"]["feed"] == "signatures"
                             and e["data"]["version"] == version)
        if not event["data"]["url"].startswith("http://"):
            raise FleetError(f"version {version} came from {event['data']['url']}, not over HTTP")
        s.seen(f"version {version} came from {event['data']['url']}, {cost(event)}")

    # 7
    def poisoned_mirror(self):
        f, s = self.fleet, self.story
        s.step("One bit is flipped in the branch's copy of a new target")
        before = os.readlink(self.workstation.dir / "state/feeds/signatures/current")
        self.task(self.workstation, "update.cancel", {})
        f.set_policy("default.json", self.policy(auto=False))
        wait_for(lambda: not self.auto_on(), WAIT, "the policy that switches automatic updates off")
        version = f.publish()["version"]
        f.wait_event("mirror.published", self.branch, WAIT,
                     lambda e: e["data"]["feed"] == "signatures" and e["data"]["version"] == version)
        flipped = self.flip()
        s.seen(f"flipped one bit in {len(flipped)} files of the branch's mirror")
        self.task(self.workstation, "update.now", {"feed": "signatures"}, expect=("done", "failed"))
        event = f.wait_event("update.rejected", self.workstation, WAIT)
        d = event["data"]
        s.seen(f"the workstation refused {d.get('file')} from {d.get('mirror')}: rule {d.get('rule')}, "
               f"expected {str(d.get('expected'))[:16]}..., got {str(d.get('got'))[:16]}...")
        after = os.readlink(self.workstation.dir / "state/feeds/signatures/current")
        if before != after:
            raise FleetError(f"the set changed from {before} to {after}")
        s.seen(f"its set is still {after}; the console shows update.rejected")

    # 8
    def web_console(self):
        f, s = self.fleet, self.story
        s.step("An administrator logs in at the web console")
        made = json.loads(f.console_run("user", "add", "demo", "--role", "administrator", "--json").stdout)
        self.password, self.address = made["password"], f"https://{self.server.address}:10443/"
        browser = Browser(self.server.address, 10443)
        page = browser.call("GET", "/")
        session = browser.call("POST", "/api/v1/login", {"user": "demo", "password": self.password})
        s.seen(f"{self.address} let in {session['user']}, {session['role']} of {session['org']}")
        overview = browser.call("GET", "/api/v1/overview")
        counts = ", ".join(f"{n} {state}" for state, n in overview["computers"].items() if n)
        s.seen(f"the overview counts computers: {counts}")
        if not overview["computers"]["infected"]:
            raise FleetError(f"the overview knows nothing of the detection: {overview['computers']}")
        worst = overview["attention"][0]
        s.seen(f"and puts first: {worst['text']} ({worst['count']})")
        if page is None:
            s.seen("its pages are not built here (make web needs npm); the interface works without them")
        else:
            s.seen(f"look around with DEMO_KEEP=1 make demo: {self.address} as demo")

    def auto_on(self):
        status = json.loads(self.workstation.local("/v1/policy"))
        for row in status if isinstance(status, list) else status.get("members", []):
            if row.get("member") == "update.auto":
                return row["value"]
        return True

    def flip(self):
        """Flips a bit in the newest targets of the branch's served mirror: what a thief could do."""
        targets = self.branch.dir / "state/mirror/root/signatures/targets"
        files = [p for p in targets.rglob("*") if p.is_file()]
        newest = max(p.stat().st_mtime for p in files)
        out = []
        for path in files:
            if path.stat().st_mtime > newest - 30 and path.stat().st_size > 0:
                data = bytearray(path.read_bytes())
                data[len(data) // 2] ^= 1
                path.write_bytes(data)
                out.append(path)
        return out

    def task(self, host, kind, args, expect=("done",)):
        task = self.fleet.send_task(host, kind, args)
        if task["state"] not in expect:
            raise FleetError(f"task {kind} on {host.name} ended as {task['state']}: "
                             f"{json.dumps(task)}")
        return task


def look_around(demo):
    f, w = demo.fleet, demo.workstation
    print(f"""
Everything still runs (DEMO_KEEP=1). Look around:
  {demo.address}   user demo, password {demo.password}
  {f.bin}/atalaia status --socket {w.dir}/run/events.sock
  {f.bin}/atalaia why-old --socket {w.dir}/run/events.sock
  {f.bin}/atalaia-console events --config {f.console_conf}
  {f.bin}/atalaia-console agents --config {f.console_conf}
  curl -s ftp://{demo.branch.address}:12021/signatures/metadata/
  curl -s http://{demo.branch.address}:3333/v1/feeds
  curl -s http://127.0.0.1:{w.event_port}/metrics
Press Enter (or Ctrl-C) to stop everything and remove {f.root}.""", flush=True)
    try:
        sys.stdin.readline()
    except KeyboardInterrupt:
        pass


def last_words(fleet):
    for log in sorted(fleet.root.glob("*/*.log")):
        lines = log.read_text(errors="replace").splitlines()[-6:]
        if lines:
            print(f"--- {log.relative_to(fleet.root)}\n" + "\n".join(lines), file=sys.stderr)


def main():
    if len(sys.argv) != 2:
        print("usage: demo.py FOLDER_WITH_PROGRAMS", file=sys.stderr)
        return 2
    root = tempfile.mkdtemp(prefix="atalaia-demo-")
    demo, status = None, 1
    try:
        demo = Demo(sys.argv[1], root)
        demo.run()
        status = 0
        if os.environ.get("DEMO_KEEP") == "1":
            look_around(demo)
    except (FleetError, AssertionError) as e:
        print(f"\ndemo: not seen: {e}", file=sys.stderr)
        if demo is not None:
            last_words(demo.fleet)
    finally:
        if demo is not None:
            demo.fleet.stop()
        if status == 0 or os.environ.get("DEMO_KEEP") != "1":
            shutil.rmtree(root, ignore_errors=True)
    print("\ndemo: " + ("every step was seen; nothing is left behind" if status == 0 else "FAILED"))
    return status


if __name__ == "__main__":
    sys.exit(main())

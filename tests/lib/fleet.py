"""A small organisation on one machine: publisher, server, branch and workstation, each with its own
folder, address and (as root) unprivileged user. Used by the demo, the lab and the integration tests."""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import time
import urllib.request

import signatures
from world import Proc, check_end, free_port, wait_for


class FleetError(Exception):
    """What was not seen, with the last words of the program that should have done it."""


class Host:
    """One PC: where its files are, as whom and behind which command prefix its programs run."""

    def __init__(self, fleet, name, address, uid, gid=None, prefix=()):
        self.fleet, self.name, self.address = fleet, name, address
        self.uid, self.gid = uid, gid if gid is not None else uid
        self.prefix = list(prefix)
        self.dir = fleet.root / name
        self.dir.mkdir(mode=0o755)
        for sub in ("state", "run", "home"):
            (self.dir / sub).mkdir(mode=0o755)
        self.own(self.dir)
        self.agent = None

    def own(self, path):
        if os.geteuid() == 0:
            for top, folders, files in os.walk(path):
                for name in [".", *folders, *files]:
                    os.chown(os.path.join(top, name), self.uid, self.gid, follow_symlinks=False)

    def argv(self, program, *args):
        """The whole command line: namespace, then user, then the program."""
        path = self.fleet.bin / program if "/" not in str(program) else program
        user = []
        if os.geteuid() == 0:
            user = ["setpriv", f"--reuid={self.uid}", f"--regid={self.gid}", "--clear-groups", "--"]
        return [*self.prefix, *user, str(path), *map(str, args)]

    def run(self, program, *args, check=True, timeout=120):
        done = subprocess.run(self.argv(program, *args), capture_output=True, text=True,
                              timeout=timeout, stdin=subprocess.DEVNULL, cwd=self.dir)
        check_end([program], done.stderr.splitlines())
        if check and done.returncode != 0:
            raise FleetError(f"{program} {' '.join(map(str, args))} on {self.name} ended with "
                             f"{done.returncode}: {done.stderr.strip() or done.stdout.strip()}")
        return done

    def start(self, program, *args, **kw):
        log = open(self.dir / f"{pathlib.Path(program).name}.log", "ab")
        return self.fleet.keep(Proc(self.argv(program, *args), cwd=self.dir, log=log, **kw))

    def write(self, name, text):
        path = self.dir / name
        path.write_text(text)
        if os.geteuid() == 0:
            os.chown(path, self.uid, self.gid)
        return path

    def local(self, path, method="GET", body=None, content_type="application/json"):
        """A request to this PC's own event port; from inside its namespace when it has one."""
        if self.prefix:
            more = ["-H", f"Content-Type: {content_type}", "--data-binary", "@-"] if body else []
            return subprocess.run(
                [*self.prefix, "curl", "-sSf", "-m", "20", "-X", method, *more,
                 f"http://{self.event_address}:{self.event_port}{path}"],
                input=body or b"", capture_output=True, check=True).stdout.decode()
        request = urllib.request.Request(
            f"http://{self.event_address}:{self.event_port}{path}", method=method, data=body,
            headers={"Content-Type": content_type} if body else {})
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.read().decode()

    event_address = "127.0.0.1"
    event_port = 0


class Fleet:
    ORG = "example"

    def __init__(self, bin_dir, root, addresses=("127.0.1.1", "127.0.1.2", "127.0.1.3"), prefixes=None,
                 lines=500_000):
        self.bin = pathlib.Path(bin_dir).resolve()
        self.root = pathlib.Path(root)
        self.root.chmod(0o755)
        self.processes = []
        prefixes = prefixes or ((), (), ())
        base = 64100
        self.server = Host(self, "server", addresses[0], base, prefix=prefixes[0])
        self.branch = Host(self, "branch", addresses[1], base + 1, prefix=prefixes[1])
        self.workstation = Host(self, "workstation", addresses[2], base + 2, prefix=prefixes[2])
        self.database = signatures.Database(lines)
        self.repo = self.server.dir / "feed"
        self.publish_root = self.server.dir / "publish"
        self.day = 0

    def keep(self, process):
        self.processes.append(process)
        return process

    # --- publisher -----------------------------------------------------------------------------
    def make_feed(self):
        self.publish_root.mkdir(exist_ok=True)
        self.server.own(self.publish_root)
        self.server.run("atalaia-repo", "init", self.repo, "--feed", "signatures")

    def publish(self, folder=None):
        """Publishes the next day's set (or a folder); returns atalaia-repo's own report."""
        if folder is None:
            self.day += 1
            if self.day > 1:
                self.database.next_day()
            folder = self.server.dir / "set"
            shutil.rmtree(folder, ignore_errors=True)
            signatures.write_set(folder, self.database, f"day {self.day}")
            self.server.own(folder)
        done = self.server.run("atalaia-repo", "publish", self.repo, folder, "--engine", "clamav",
                               "--full-level", "9", "--out", self.publish_root, "--json")
        return json.loads(done.stdout)

    # --- console -------------------------------------------------------------------------------
    def start_console(self, policy=None, init=(), **options):
        s = self.server
        extra = "".join(f"{k} = {v}\n" for k, v in options.items())
        self.console_conf = s.write("console.conf", f"""[console]
state = {s.dir}/console
org = {self.ORG}
host = {s.address}
listen = {s.address}
publish = {self.publish_root}
{extra}""")
        s.run("atalaia-console", "init", *init, "--config", self.console_conf)
        if policy:
            self.set_policy("default.json", policy)
        self.console = s.start("atalaia-console", "serve", "--config", self.console_conf)
        self.console.line("ready")

    def console_run(self, *args, **kw):
        return self.server.run("atalaia-console", *args, "--config", self.console_conf, **kw)

    def set_policy(self, name, policy):
        path = self.server.write(name.replace("/", "-"), json.dumps(policy))
        return self.console_run("policy", "set", name, path)

    def token(self, *args):
        root = self.repo / "public" / "signatures" / "metadata" / "1.root.json"
        return self.console_run("token", "--signature-root", f"signatures={root}", *args).stdout.split()[-1]

    def send_task(self, host, kind, args=None, wait=True, timeout=90):
        """Sends a signed task; returns what the console recorded for this PC: state, way, result."""
        done = self.console_run("task", "send", host.agent_id, kind, "--args", json.dumps(args or {}),
                                *(["--wait", "--timeout", f"{timeout}s"] if wait else []), "--json",
                                check=False, timeout=timeout + 10)
        if not done.stdout.strip():
            raise FleetError(f"task {kind} for {host.name}: {done.stderr.strip()}")
        task = json.loads(done.stdout)
        return next((a for a in task.get("agents", []) if a["agent"] == host.agent_id), task)

    def events(self, *args, **kw):
        out = self.console_run("events", "--json", "--last", 1000, *args).stdout
        rows = [json.loads(line) for line in out.splitlines() if line.strip()]
        return [r for r in rows if all(r.get(k) == v for k, v in kw.items())]

    def wait_event(self, kind, host=None, seconds=30, match=lambda e: True):
        def find():
            for event in self.events():
                if event.get("type") == f"org.atalaia.{kind}" and match(event) and (
                        host is None or event.get("source", "").endswith(host.agent_id)):
                    return event
            return None
        return wait_for(find, seconds, f"event {kind} of {host.name if host else 'any agent'}")

    # --- agents --------------------------------------------------------------------------------
    def configure_agent(self, host, event_port, engine="", role="", more=""):
        host.event_port = event_port
        host.conf = host.write("agent.conf", f"""[agent]
state = {host.dir}/state
run = {host.dir}/run
libexec = {self.bin}
listen = {host.address}
addresses = {host.address}
host = {host.name}
event_port = {event_port}
[update]
roots = {host.dir}/roots
{more}
{engine}
{role}
""")

    def origin(self, **options):
        """The role of the server: it serves what is published."""
        more = "".join(f"{k} = {v}\n" for k, v in options.items())
        return f"""[update-agent]
enabled = yes
mode = origin
root = {self.publish_root}
listen = {self.server.address}
{more}"""

    def publish_noise(self, size):
        """A version with so many bytes that no delta can spare."""
        folder = self.server.dir / "big"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        (folder / "blob.bin").write_bytes(os.urandom(size))
        (folder / "own.hdb").write_text(f"{'0' * 31}1:68:Atalaia.Seed\n")
        self.server.own(folder)
        return self.publish(folder)["version"]

    def first_set(self, policy=None, more=""):
        """Server and workstation with a set: the smallest fleet that works."""
        w = self.workstation
        self.make_feed()
        self.publish()
        self.start_console(admin_port=0, **({"policy": policy} if policy else {}))
        self.configure_agent(self.server, free_port(), role=self.origin())
        self.start_agent(self.server)
        self.configure_agent(w, free_port(), more=more)
        self.enroll(w)
        self.start_agent(w)
        wait_for((w.dir / "state/feeds/signatures/current").is_symlink, 60, "the first set")

    def enroll(self, host, *token_args):
        host.run("atalaia-agent", "enroll", "--config", host.conf, self.token(*token_args))
        host.agent_id = json.loads((host.dir / "state/identity/identity.json").read_text())["agent"]

    def start_agent(self, host):
        host.agent = host.start("atalaia-agent", "run", "--config", host.conf)
        host.agent.line("ready")

    def wait_task_port(self, host):
        """Until the console has seen where this PC's task port is: before that a task comes by pull."""
        def known():
            agents = json.loads(self.console_run("agents", "--json").stdout)["agents"]
            return any(a["agent"] == host.agent_id and a["address"] == host.address and a["task_port"]
                       for a in agents)
        wait_for(known, 30, f"{host.name}'s task port at the console")

    def start_clamd(self, host, more=""):
        """Debian's clamd on its own configuration: its database is the workstation's current set. Before
        the first update that is a seed of one line, as clamd does not start without any."""
        current = host.dir / "state/feeds/signatures/current"
        if not current.is_symlink():
            seed = host.dir / "seed"
            seed.mkdir()
            (seed / "seed.hdb").write_text(f"{'0' * 31}1:68:Atalaia.Seed\n")
            current.parent.mkdir(parents=True)
            current.symlink_to(seed)
            host.own(host.dir)
        sock = host.dir / "run" / "clamd.sock"
        conf = host.write("clamd.conf", f"""LocalSocket {sock}
LocalSocketMode 666
DatabaseDirectory {host.dir}/state/feeds/signatures/current
Foreground yes
LogFile {host.dir}/clamd-log
LogTime yes
PidFile {host.dir}/run/clamd.pid
TemporaryDirectory {host.dir}/home
StreamMaxLength 100M
{more}""")
        host.clamd = host.start("/usr/sbin/clamd", "--config-file", conf)
        wait_for(sock.exists, 60, "clamd's socket")

    # --- end -----------------------------------------------------------------------------------
    def stop(self):
        for p in reversed(self.processes):
            if p.process.poll() is None:
                p.process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + 20
        for p in reversed(self.processes):
            try:
                p.process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                p.process.kill()
                p.process.wait()
            check_end(p.argv, p.err)
        self.processes = []

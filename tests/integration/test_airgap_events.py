"""Events and receipts of a site without a line: `atalaia-agent export-events` puts them on a stick,
`atalaia-console import-events` takes them, its acknowledgements go back. Whatever is done twice, cut or killed:
every event is at the console once, and leaves the agent only when it is there."""
import json
import os
import pathlib
import shutil
import signal
import tempfile

import pytest

import fleet as fleets
import world
from world import wait_for

BIN = pathlib.Path(os.environ["ATALAIA_BIN"]).resolve()


class Isolated:
    """A console and an enrolled PC, never both reachable: the console runs only while nobody is at the site."""

    def __init__(self, root):
        self.fleet = f = fleets.Fleet(BIN, root, addresses=("127.0.94.1", "127.0.94.2", "127.0.94.3"), lines=500)
        self.root, self.pc, self.posted = root, f.workstation, 0
        self.stick = root / "stick"
        self.stick.mkdir()
        self.stick.chmod(0o777)
        f.make_feed()
        f.start_console(admin_port=0)
        f.configure_agent(self.pc, world.free_port())
        f.enroll(self.pc)
        self.console(False)
        f.start_agent(self.pc)

    def console(self, on):
        f = self.fleet
        if on:
            f.console = f.server.start("atalaia-console", "serve", "--config", f.console_conf)
            f.console.line("ready")
        else:
            f.console.stop()

    def at_headquarters(self):
        self.pc.agent.stop()
        self.console(True)

    def at_site(self):
        self.console(False)
        self.fleet.start_agent(self.pc)

    def post(self, n):
        batch = [{"specversion": "1.0", "id": f"e{self.posted + i}", "source": "test", "type": "org.example.stick",
                  "data": {"n": self.posted + i, "fill": "x" * 400}} for i in range(n)]
        self.pc.local("/v1/events", "POST", json.dumps(batch).encode(), "application/cloudevents-batch+json")
        self.posted += n

    def waiting(self):
        spool = json.loads(self.pc.local("/v1/status"))["spool"]
        return sum(c["waiting"] for c in spool.values() if isinstance(c, dict))

    def agent(self, verb, name, check=True):
        done = world.run([BIN / "atalaia-agent", verb, "--config", self.pc.conf, self.stick / name])
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def take(self, *names, check=True):
        for name in names:
            (self.stick / name).chmod(0o644)
        done = self.fleet.server.run("atalaia-console", "import-events", "--config", self.fleet.console_conf, "--json",
                                     *[self.stick / name for name in names], check=False)
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def stored(self):
        shown = self.fleet.events("--type", "org.example.stick", "--last", "1000")
        return sorted(e["data"]["n"] for e in shown)


@pytest.fixture
def site():
    root = pathlib.Path(tempfile.mkdtemp(prefix="atalaia-stick-"))
    s = Isolated(root)
    yield s
    s.fleet.stop()
    shutil.rmtree(root, ignore_errors=True)


def test_every_event_is_counted_once_and_goes_only_when_it_is_there(site):
    site.post(300)
    site.agent("export-events", "first")
    site.agent("export-events", "again")             # twice, and more meanwhile: nothing left the spool
    site.post(100)
    site.agent("export-events", "more")
    before = site.waiting()
    assert before >= 400
    site.at_headquarters()
    told = json.loads(site.take("first").stdout.splitlines()[0])
    assert told["whole"] and not told["conflict"] and told["agent"] == site.pc.agent_id
    assert "ack" not in told and {r["feed"] for r in told["receipts"]} >= {"policies"}
    acks = (site.stick / "acks").read_bytes()
    site.take("first", "again", "more")              # the first once more
    assert site.stored() == list(range(400))
    site.at_site()
    (site.stick / "all").write_bytes((site.stick / "acks").read_bytes())
    (site.stick / "acks").write_bytes(acks)          # the acknowledgement of the first only
    assert json.loads(site.agent("import-acks", "acks").stdout)["outcome"] == "taken"
    left = site.waiting()
    assert 100 <= left < 200                         # the agent's own come in between
    assert all(json.loads(x)["outcome"] == "taken" for x in site.agent("import-acks", "all").stdout.splitlines())
    assert site.waiting() < 100
    site.agent("import-acks", "all")                 # once more changes nothing
    site.console(True)                               # a line after all: nothing comes twice
    site.post(1)
    wait_for(lambda: site.stored() == list(range(401)), 60, "the event after the stick")


def test_what_is_not_the_agents_own_is_refused(site):
    """A changed event, a cut bundle, a batch that is missing, another organisation's, a revoked agent's: refused,
    and no acknowledgement lets the agent drop what is not stored."""
    site.post(450)
    site.post(450)                                   # several batches
    site.agent("export-events", "good")
    good = (site.stick / "good").read_bytes()
    lines = good.splitlines(keepends=True)
    at = good.index(b'"n":700')
    with tempfile.TemporaryDirectory(prefix="atalaia-stick-") as other:
        f = fleets.Fleet(BIN, pathlib.Path(other), addresses=("127.0.93.1", "127.0.93.2", "127.0.93.3"), lines=500)
        f.ORG = "thief"
        stranger = Isolated.__new__(Isolated)
        try:
            f.make_feed()
            f.start_console(admin_port=0)
            f.configure_agent(f.workstation, world.free_port())
            f.enroll(f.workstation)
            f.start_agent(f.workstation)
            stranger.fleet, stranger.pc, stranger.stick = f, f.workstation, site.stick
            stranger.agent("export-events", "stranger")
        finally:
            f.stop()
    for name, content in {"changed": good[:at] + b'"n":999' + good[at + 7:], "cut": good[:-1000], "empty": b"",
                          "behind": good + b"[]\n"}.items():
        (site.stick / name).write_bytes(content)
    batch = next(i for i, x in enumerate(lines) if b'"n":700' in x)
    (site.stick / "hole").write_bytes(b"".join(lines[:batch] + lines[batch + 1:]))
    (site.stick / "long").write_bytes(b"[" + b" " * 300000 + b"]\n" + lines[-1])
    site.at_headquarters()
    for name in ("changed", "cut", "empty", "behind", "stranger", "long"):
        done = site.take(name, check=False)
        assert done.returncode == 1 and done.stderr.strip(), (name, done.stdout, done.stderr)
        assert not (site.stick / "acks").exists(), name
    assert not set(site.stored()) & {700, 999}
    told = json.loads(site.take("hole").stdout)
    assert not told["whole"]
    site.at_site()
    site.agent("import-acks", "acks")
    site.agent("export-events", "rest")              # what was missing is still there
    assert b'"n":700' in (site.stick / "rest").read_bytes()
    site.at_headquarters()
    site.take("rest")
    assert site.stored() == list(range(900))
    site.fleet.console_run("revoke", site.pc.agent_id)
    assert "revoked" in site.take("good", check=False).stderr


def test_a_kill_in_between_loses_and_doubles_nothing(site):
    """The agent dies after the export, the console in the middle of the import."""
    site.post(500)
    site.post(500)
    site.agent("export-events", "one")
    site.pc.agent.stop(signal.SIGKILL)
    site.console(True)
    lines = (site.stick / "one").read_bytes().splitlines(keepends=True)
    (site.stick / "half").write_bytes(b"".join(lines[:2] + lines[-1:]))      # as far as it came
    site.take("half")
    f = site.fleet
    f.console.stop(signal.SIGKILL)
    site.console(True)
    site.take("one")
    assert site.stored() == list(range(1000))
    site.at_site()
    assert site.waiting() >= 1000             # it knows of no acknowledgement yet
    site.agent("import-acks", "acks")
    assert site.waiting() < 100
    acks = (site.stick / "acks").read_bytes()
    at = acks.index(b'"upto"')
    (site.stick / "forged").write_bytes(acks[:at] + acks[at:].replace(b"1", b"2", 1))
    assert site.agent("import-acks", "forged", check=False).returncode == 1
    (site.stick / "none").write_bytes(b"")
    assert site.agent("import-acks", "none", check=False).returncode == 1


def test_a_disk_that_ends_within_an_export_is_told_and_nothing_else(site):
    """Files may grow to a size and no further, at several points of a bundle: its batches, its last line, its end.
    The limit's signal is ignored, so that the write fails as on a full disk."""
    site.pc.agent.stop()
    site.pc.agent = site.pc.start("atalaia-agent", "run", "--config", site.pc.conf, restore_signals=False)
    site.pc.agent.line("ready")
    site.post(100)
    site.agent("export-events", "good")
    good = (site.stick / "good").read_bytes()
    last = good.rstrip(b"\n").rindex(b"\n") + 1
    pid = site.pc.agent.process.pid

    def limit(size):
        site.pc.run("/usr/bin/prlimit", f"--pid={pid}", f"--fsize={size}:unlimited")

    for end in (0, last // 2, last - 1, last, last + 20, len(good) - 1):
        limit(end)
        done = site.agent("export-events", "short", check=False)
        limit("unlimited")
        assert done.returncode != 0 and "not exported" in done.stdout + done.stderr, (end, done.stdout, done.stderr)
        assert site.pc.agent.process.poll() is None, site.pc.agent.err[-5:]
    site.agent("export-events", "after")
    assert (site.stick / "after").read_bytes().count(b"org.example.stick") == 100

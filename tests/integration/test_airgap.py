"""A site without a line: `atalaia-repo export --since` puts a feed on a stick, `atalaia-update-agent import`
takes it into the mirror. The stick is believed no more than any mirror."""
import filecmp
import json
import os
import pathlib
import shutil
import tempfile

import pytest

import fleet as fleets
import openmetrics
import publisher
import world
from test_fetch_mirror import verify_tree
from world import wait_for

BIN = pathlib.Path(os.environ["ATALAIA_BIN"]).resolve()


def lines(day):
    rows = [b"%032x:%d:Name.%d\n" % (i * 2654435761, i, i) for i in range(20000)]
    for i in range(day):
        rows[100 * i + 7] = b"changed on day %d\n" % i
    return b"".join(rows)


class Site:
    """The publisher's repository on one side, a mirror's folders on the other."""

    def __init__(self, where):
        self.where, self.repo, self.day = where, publisher.Publisher(BIN, where), 0
        self.repo.run("init", "r", "--feed", "signatures")
        self.root = where / "r/public/signatures/metadata/1.root.json"
        (where / "site").mkdir()
        self.served = where / "site/mirror/root/signatures"

    def publish(self):
        self.day += 1
        self.repo.write("set", {"a.hdb": lines(self.day), "b.ndb": b"same\n" * 1000})
        return self.repo.json("publish", "r", "set", "--full-level", "3")["version"]

    def export(self, since, name="stick"):
        return self.repo.json("export", "r", "--since", since, name)

    def take(self, name="stick", first=True, site="site"):
        more = ["--first-root", self.root] if first else []
        done = world.run([BIN / "atalaia-update-agent", "import", self.where / name, "--state", self.where / site,
                          "--libexec", BIN, "--socket", self.where / "none", "--disk-floor", "1", "--json", *more])
        return json.loads(done.stdout) if done.stdout else {"outcome": "none", "text": done.stderr}, done.returncode

    def names(self):
        return sorted(str(p.relative_to(self.served)) for p in self.served.rglob("*") if p.is_file())


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


def test_a_stick_fills_a_mirror_and_later_sticks_are_small(site, tmp_path):
    first = site.publish()
    whole = site.export(0)
    result, status = site.take()
    assert (status, result["outcome"], result["version"]) == (0, "updated", first), result
    assert verify_tree(site.served) == first
    site.publish()
    last = site.publish()
    small = site.export(first)
    assert small["since"] == first and small["version"] == last and small["bytes"] < whole["bytes"] / 10
    result, status = site.take(first=False)         # the mirror's own root now
    assert (status, result["outcome"], result["errors"]) == (0, "updated", []), result
    assert verify_tree(site.served) == last
    published = tmp_path / "r/public/signatures/metadata"
    for name in os.listdir(site.served / "metadata"):
        assert filecmp.cmp(published / name, site.served / "metadata" / name, shallow=False), name
    assert site.take(first=False)[0]["outcome"] == "current"
    assert not (tmp_path / "site/mirror/work/signatures/bundle").exists()


def test_a_version_that_is_not_known_any_more_makes_a_whole_bundle(site):
    site.publish()
    assert site.export(77)["since"] == 0
    assert site.take()[1] == 0


def test_since_is_known_from_an_earlier_export_when_its_documents_are_gone(site, tmp_path):
    version = site.publish()
    whole = site.export(0)
    site.take()
    site.publish()
    (tmp_path / f"r/public/signatures/metadata/{version}.targets.json").unlink()
    small = site.export(version)
    assert small["since"] == version and small["bytes"] < whole["bytes"] / 10
    assert site.take()[1] == 0


def test_a_published_folder_is_enough_to_export(site, tmp_path):
    site.publish()
    site.repo.run("publish", "r", "set", "--out", "public")
    assert site.repo.json("export", "public/signatures", "--since", 0, "stick")["version"] > 1
    assert not (tmp_path / "public/signatures/exported").exists()
    assert site.take()[1] == 0


def test_what_lies_on_the_stick_does_not_get_in(site, tmp_path):
    """A changed target, a cut, a member of another feed, a repository of somebody else's, an older stick: each
    is refused in words, and the served tree stays as it is, name by name."""
    site.publish()
    site.export(0, "old")
    assert site.take("old")[1] == 0
    site.publish()
    site.export(0, "good")
    good = (tmp_path / "good").read_bytes()
    names = site.names()
    at = good.index(b"signatures/targets/") + 512 + 40
    (tmp_path / "thief").mkdir()
    thief = Site(tmp_path / "thief")
    for _ in range(3):
        thief.publish()
    thief.export(0)
    bad = {
        "changed": good[:at] + bytes([good[at] ^ 1]) + good[at + 1:],
        "cut": good[:len(good) // 2],
        "feed": good.replace(b"signatures/", b"sigmatures/"),
        "empty": b"",
        "another": (tmp_path / "thief/stick").read_bytes(),
    }
    for name, content in bad.items():
        (tmp_path / name).write_bytes(content)
        result, status = site.take(name)
        assert status == 1 and result["outcome"] == "failed" and result["errors"][0]["text"], (name, result)
        assert site.names() == names, name
    assert site.take("good")[0]["outcome"] == "updated"
    newer = site.names()
    assert site.take("old")[1] == 1 and site.names() == newer        # no way back
    assert site.take("nowhere")[1] == 1


def test_a_first_stick_needs_a_root(site):
    site.publish()
    site.export(0)
    result, status = site.take(first=False)
    assert status == 1 and "root" in json.dumps(result), result


def test_workstations_of_the_site_hear_of_a_stick():
    """A branch whose upstream has no signatures: the stick reaches its mirror, and what waits on 3333 updates."""
    root = pathlib.Path(tempfile.mkdtemp(prefix="atalaia-airgap-"))
    f = fleets.Fleet(BIN, root, addresses=("127.0.95.1", "127.0.95.2", "127.0.95.3"), lines=2000)
    try:
        f.make_feed()
        f.start_console(admin_port=0, policy={
            "update": {"bypass": "never", "jitter": "0"},
            "sources": {"update_agents": [{"name": "branch", "host": f.branch.address, "ftp": 2021, "http": 0,
                                           "version": 3333, "subnets": ["127.0.95.0/24"]}]}})
        f.configure_agent(f.server, world.free_port(), role=f.origin())
        f.start_agent(f.server)
        f.configure_agent(f.branch, world.free_port(), role=f"[update-agent]\nenabled = yes\nlisten = {f.branch.address}\n")
        f.configure_agent(f.workstation, world.free_port(), more="retry = 500ms")
        for host in (f.branch, f.workstation):
            f.enroll(host)
            f.start_agent(host)
        stick = root / "stick"
        for since, version in ((0, 2), (2, 3)):
            f.publish_root, keep = root / "elsewhere", f.publish_root
            f.publish_root.mkdir(exist_ok=True)
            f.server.own(f.publish_root)
            assert f.publish()["version"] == version
            f.publish_root = keep
            f.server.run("atalaia-repo", "export", f.repo, "--since", since, f.server.dir / "stick")
            shutil.copy(f.server.dir / "stick", stick)
            stick.chmod(0o644)
            done = world.run([BIN / "atalaia-update-agent", "import", stick, "--state", f.branch.dir / "state",
                              "--libexec", BIN, "--socket", f.branch.dir / "run/events.sock", "--disk-floor", "1"])
            assert done.returncode == 0 and "not told" not in done.stderr, done.stdout + done.stderr
            current = f.workstation.dir / "state/feeds/signatures/current"
            wait_for(lambda: current.is_symlink() and os.readlink(current) == f"sets/{version}", 60,
                     f"the workstation's set {version}")
        families = openmetrics.check(f.branch.local("/metrics"))      # of an agent with everything in it
        assert families["atalaia_update_agent_serving"].samples[0].value == 1 and len(families) > 14
        if os.geteuid() == 0:       # imported by root, written as the agent's user
            owners = {p.stat().st_uid for p in (f.branch.dir / "state/mirror").rglob("*")}
            assert owners == {f.branch.uid}
    finally:
        f.stop()
        shutil.rmtree(root, ignore_errors=True)

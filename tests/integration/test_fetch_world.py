"""The whole way with our own programs: atalaia-repo publishes, atalaia-update-agent serves over FTP, two mirrors
and a workstation follow with atalaia-fetch. Numbers of a real day are printed with -s."""
import os
import pathlib
import random

import pytest

import feedmaker
import fetcher
import liars
import mirror
import world

LINES = int(os.environ.get("FETCH_WORLD_LINES", "60000"))


@pytest.fixture(scope="module")
def bins():
    folder = fetcher.program().parent
    for name in ("atalaia-repo", "atalaia-update-agent"):
        if not (folder / name).exists():
            pytest.skip(f"{name} is not built")
    return folder


class Publisher:
    def __init__(self, bins, base):
        self.bins, self.repo, self.folder = bins, base / "repo", base / "set"
        self.folder.mkdir(parents=True)
        self.do("init", self.repo, "--feed", "signatures")

    def do(self, verb, *args):
        r = world.run([self.bins / "atalaia-repo", verb, *args], timeout=120)
        assert r.returncode == 0, r.stderr
        return r.stdout

    def publish(self, files, *more):
        for name, data in files.items():
            (self.folder / name).write_bytes(data)
        return self.do("publish", self.repo, self.folder, *more)

    @property
    def public(self):
        return self.repo / "public"

    @property
    def root_file(self):
        return self.public / "signatures" / "metadata" / "1.root.json"


def database(lines, changed=()):
    rng = random.Random(7)
    out = [b"%032x:%d:Sig.%d\n" % (rng.getrandbits(128), rng.randrange(10 ** 6), i) for i in range(lines)]
    for i in changed:
        out[i] = b"%032x:%d:New.%d\n" % (rng.getrandbits(128), i, i)
    return b"".join(out)


def mirror_at(bins, procs, folder, address):
    """An update agent that serves <folder>/root; what fetch publishes there."""
    m = mirror.Mirror(procs, bins, folder, address, http_port=0, max_sessions_per_address=200)
    m.url_base = f"ftp://{address}:{m.ftp}"
    return m


def sync(base, root, up, **more):
    return fetcher.run(fetcher.mirror_config(base, root, fetcher.sources(("up", up)), **more), 120)


def test_publisher_two_mirrors_and_a_workstation(bins, procs, tmp_path):
    pub = Publisher(bins, tmp_path)
    rules = {f"r{i}.yar": b"rule r%d { condition: false }\n" % i for i in range(40)}
    pub.publish({"big.hdb": database(LINES), **rules}, "--full-level", "3")
    (tmp_path / "origin").mkdir()
    os.symlink(pub.public, tmp_path / "origin" / "root")
    origin = mirror_at(bins, procs, tmp_path / "origin", "127.0.50.20")
    branch = mirror_at(bins, procs, tmp_path / "branch", "127.0.50.21")
    state = tmp_path / "state"

    r = sync(tmp_path / "branch", pub.root_file, origin.url_base)
    assert (r["outcome"], r["errors"]) == ("updated", [])
    first = r["bytes"]["total_wire"]
    here = fetcher.sources(("branch", branch.url_base))
    r = fetcher.run(fetcher.set_config(state, pub.root_file, here), 120)
    assert (r["outcome"], r["errors"]) == ("updated", [])
    fetcher.activate(state, r["version"])

    changed = range(0, LINES, LINES // 300)  # 0.5 % would be 300 of 60,000
    pub.publish({"big.hdb": database(LINES, changed), "r3.yar": b"rule new { condition: true }\n"})
    r = sync(tmp_path / "branch", pub.root_file, origin.url_base, current=1)
    assert (r["outcome"], r["errors"], r["bytes"]["full"]) == ("updated", [], 0)
    day = r["bytes"]["total_wire"]
    r = fetcher.run(fetcher.set_config(state, pub.root_file, here, current=1), 120)
    assert (r["outcome"], r["errors"], r["bytes"]["full"]) == ("updated", [], 0)
    print(f"\nfirst sync {first} bytes, a day upstream {day}, a day at the workstation "
          f"{r['bytes']['total_wire']} of which metadata {r['bytes']['metadata']}")
    assert r["bytes"]["total_wire"] < first * 0.1
    staged = pathlib.Path(r["set"])
    for name in ("big.hdb", "r3.yar", "r0.yar"):
        found = [p for p in staged.rglob(name)]
        assert found and found[0].read_bytes() == (pub.folder / name).read_bytes()
    check = world.run([bins / "atalaia-repo", "verify", tmp_path / "branch" / "root" / "signatures"])
    assert check.returncode == 0, check.stderr


def test_a_thousand_small_files_from_the_update_agent(bins, procs, tmp_path):
    feed = feedmaker.Feed(tmp_path / "up" / "root" / "signatures")
    feed.publish({f"f{i:04}.ndb": b"%d\n" % i for i in range(1000)})
    up = mirror_at(bins, procs, tmp_path / "up", "127.0.50.22")
    r = fetcher.run(fetcher.set_config(tmp_path / "s", feed.root_file,
                                       fetcher.sources(("m", up.url_base))), 60)
    assert (r["outcome"], r["errors"]) == ("updated", [])
    assert len(list((tmp_path / "s" / "sets" / "1").iterdir())) == 1000
    print(f"\n1000 files of a few bytes over FTP: {r['ms']} ms")


def test_a_delegated_role_passes_through_a_mirror(bins, procs, tmp_path):
    """policies: authority.json is signed by keys of its own, the rest by the feed's."""
    repo, key, doc = tmp_path / "repo", tmp_path / "auth.pem", tmp_path / "authority.json"

    def do(*args):
        r = world.run([bins / "atalaia-repo", *args])
        assert r.returncode == 0, r.stderr
    do("init", repo, "--feed", "policies")
    do("key", "new", key)
    doc.write_text('{"version":1}')
    do("delegate", repo, "authority", "--key", key, "--path", "authority.json", "--file", doc)
    (tmp_path / "default.json").write_text("{}")
    do("add", repo, tmp_path / "default.json")
    (tmp_path / "origin").mkdir()
    os.symlink(repo / "public", tmp_path / "origin" / "root")
    up = mirror_at(bins, procs, tmp_path / "origin", "127.0.50.26")
    root = repo / "public" / "policies" / "metadata" / "1.root.json"

    def follow(current):
        c = fetcher.mirror_config(tmp_path / "m", root, fetcher.sources(("up", up.url_base), feed="policies"))
        r = fetcher.run({**c, "feed": "policies", "work": str(tmp_path / "m" / "work" / "policies")})
        assert (r["outcome"], r["errors"]) == ("updated", [])
        with liars.Http(tmp_path / "m" / "root", "127.0.50.26") as s:
            c = fetcher.set_config(tmp_path / "s", root, fetcher.sources(("m", s), feed="policies"),
                                   current=current)
            r = fetcher.run({**c, "feed": "policies"})
        assert (r["outcome"], r["errors"]) == ("updated", [])
        fetcher.activate(tmp_path / "s", r["version"])
        return r["version"], pathlib.Path(r["set"], "authority.json").read_text()

    version, text = follow(0)
    assert text == '{"version":1}'
    doc.write_text('{"version":2}')
    do("add", repo, doc, "--role", "authority", "--key", key)
    assert follow(version)[1] == '{"version":2}'
    assert (tmp_path / "m" / "root" / "policies" / "metadata" / "2.authority.json").exists()

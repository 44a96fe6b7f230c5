"""atalaia-repo: what it publishes, what it refuses, and that readers never see anything half done."""
import filecmp
import json
import os
import shutil
import stat
import subprocess
import threading

import pytest

import publisher
import sweep


@pytest.fixture
def repo(bin_dir, tmp_path):
    return publisher.Publisher(bin_dir, tmp_path)


def lines(n, salt=""):
    return b"".join(b"%032x:%d:Name.%d%s\n" % (i * 2654435761, i, i, salt.encode()) for i in range(n))


def test_versions_deltas_and_the_whole_set(repo, tmp_path):
    repo.run("init", "r", "--feed", "signatures")
    big = lines(20000)
    repo.write("set", {"a.hdb": big, "sub/b.yar": b"rule b { condition: false }\n"})
    first = repo.json("publish", "r", "set", "--out", "public")
    assert (first["version"], first["targets"], first["deltas"]) == (2, 2, 0)
    repo.write("set", {"a.hdb": big.replace(b"Name.77\n", b"Other\n")})
    second = repo.json("publish", "r", "set", "--out", "public")
    assert (second["changed"], second["removed"], second["deltas"]) == (1, 0, 1)
    assert second["delta_bytes"] < 250
    assert repo.json("publish", "r", "set")["version"] == second["version"]      # nothing changed
    (tmp_path / "set" / "sub" / "b.yar").unlink()
    assert repo.json("publish", "r", "set", "--out", "public")["removed"] == 1
    for feed in ("r", "public/signatures"):
        assert repo.json("verify", feed)["targets"] == 1
    repo.run("checkout", "public/signatures", "pc")
    assert (tmp_path / "pc/current/a.hdb").read_bytes() == (tmp_path / "set/a.hdb").read_bytes()
    assert not (tmp_path / "pc/current/sub").exists()


def test_the_chain_keeps_thirty_deltas(repo):
    repo.run("init", "r", "--keep-deltas", "3")
    for i in range(7):
        repo.write("set", {"a.hdb": lines(500 + 10 * i)})
        repo.run("publish", "r", "set")
    shown = repo.json("show", "r")
    deltas = [t for t in shown["targets"] if t["path"].startswith("delta/")]
    assert len(deltas) == 3
    assert len([t for t in shown["targets"] if t["path"].startswith("full/")]) == 1


def test_741_real_rules_are_one_target_and_a_day_costs_little(repo, tmp_path):
    versions = publisher.real_rules(tmp_path / "data")
    repo.run("init", "r")
    for v in versions[-3:]:
        report = repo.json("publish", "r", v, "--full-level", "3")
    assert report["targets"] == 1
    assert len([p for p in versions[-1].iterdir()]) == 741
    assert report["delta_bytes"] + report["metadata_bytes"] < 20000
    repo.run("checkout", "r", "pc")
    same = filecmp.dircmp(tmp_path / "pc/current", versions[-1])
    assert len(same.same_files) == 741 and not (same.left_only or same.right_only or same.diff_files)


def test_root_with_two_of_three_keys_that_are_elsewhere(repo, tmp_path):
    keys = [f"k{i}.pem" for i in range(3)]
    for i, k in enumerate(keys):      # one with a passphrase: deriving its key takes a second
        repo.run("key", "new", k, env={"ATALAIA_PASSPHRASE": "sésame" if i == 0 else ""})
        assert stat.S_IMODE((tmp_path / k).stat().st_mode) == 0o600
    assert "passphrase" in repo.run("key", "show", keys[0], ok=False).stderr
    named = [x for k in keys for x in ("--root-key", k + ".pub")]
    repo.run("init", "r", *named, "--root-threshold", "2")
    assert repo.json("show", "r")["waiting"] == ["root"]
    repo.write("set", {"a": b"1\n"})
    assert "waits for its signatures" in repo.run("publish", "r", "set", ok=False).stderr
    (tmp_path / "pass").write_text("sésame\n")
    for n, k in enumerate(keys[:2]):
        repo.run("export", "r", "root", f"root{n}.json")
        repo.run("sign", f"root{n}.json", "--key", k, *(["--passphrase-file", "pass"] if n == 0 else []))
        said = repo.out("import", "r", "root", f"root{n}.json")
        assert f"{n + 1} of 2" in said
    assert repo.json("publish", "r", "set")["version"] == 2
    repo.run("verify", "r")
    # a changed document, and one signed by a stranger, give nothing
    repo.run("root", "rotate", "r", "--role", "snapshot", "--new-key", ok=False)
    repo.run("export", "r", "root", "next.json")
    doc = json.loads((tmp_path / "next.json").read_text())
    doc["signed"]["expires"] = "2099-01-01T00:00:00Z"
    (tmp_path / "forged.json").write_text(json.dumps(doc))
    assert "not the document" in repo.run("import", "r", "root", "forged.json", ok=False).stderr
    repo.run("key", "new", "stranger.pem")
    repo.run("sign", "next.json", "--key", "stranger.pem")
    assert "0 of 2" in repo.out("import", "r", "root", "next.json")
    repo.run("root", "sign", "r", "--key", keys[1], "--key", keys[2])
    roles = {r["role"]: r for r in repo.json("show", "r")["roles"]}
    assert roles["root"]["version"] == 2
    repo.run("verify", "r")


def test_a_delegated_role_signed_elsewhere_changes_the_set(repo, tmp_path):
    for i in range(3):
        repo.run("key", "new", f"k{i}.pem")
    repo.run("init", "r", "--feed", "policies")
    repo.write("set", {"default.json": b"{}\n"})
    repo.run("publish", "r", "set")
    (tmp_path / "authority.json").write_text('{"version":1}\n')
    keys = [x for i in range(3) for x in ("--key", f"k{i}.pem.pub")]
    r = repo.run("delegate", "r", "authority", *keys, "--threshold", "2", "--path", "authority.json",
                 "--file", "authority.json", ok=False)
    assert r.returncode == 1 and "signatures of authority are missing" in r.stderr
    assert repo.json("verify", "r")["version"] == 2         # readers see nothing of it yet
    repo.run("export", "r", "authority", "a.json")
    repo.run("sign", "a.json", "--key", "k0.pem", "--key", "k2.pem")
    assert "2 of 2" in repo.out("import", "r", "authority", "a.json")
    assert repo.json("verify", "r")["targets"] == 2
    before = repo.json("verify", "r")["version"]
    (tmp_path / "authority.json").write_text('{"version":2}\n')
    repo.run("add", "r", "authority.json", "--role", "authority", "--key", "k0.pem", "--key", "k1.pem")
    assert repo.json("verify", "r")["version"] == before + 1
    repo.run("checkout", "r", "pc")
    assert (tmp_path / "pc/current/authority.json").read_text() == '{"version":2}\n'


def test_a_clamav_set_carries_the_marker_of_its_version(repo, tmp_path):
    repo.run("init", "r")
    repo.write("db", {"x.hdb": b"d41d8cd98f00b204e9800998ecf8427e:0:Empty\n", "freshclam.dat": b"no",
                      "y.cvd": b"ClamAV-VDB:...", "y.cvd.sign": b"sig"})
    repo.run("import-clamav", "r", "db")
    for version in (2, 3):
        repo.run("checkout", "r", "pc")
        names = sorted(p.name for p in (tmp_path / "pc/current").iterdir())
        assert names == ["atalaia-marker.hsb", "x.hdb", "y.cvd", "y.cvd.sign"]
        line = (tmp_path / "pc/current/atalaia-marker.hsb").read_text()
        assert line.endswith(f":Atalaia.Marker.signatures.{version}\n")
        repo.run("timestamp", "r", "--force")


def test_operator_errors_are_one_sentence(repo, tmp_path):
    repo.run("init", "r")
    (tmp_path / "set").mkdir()
    (tmp_path / "bad name").mkdir()
    (tmp_path / "bad name" / "a b").write_text("x")
    (tmp_path / "link").mkdir()
    (tmp_path / "link" / "l").symlink_to("/etc/passwd")
    for argv, code, words in [
            (("publish", "r", "set"), 2, "empty set"),
            (("publish", "r", "bad name"), 2, "not allowed"),
            (("publish", "r", "link"), 2, "neither a regular file"),
            (("publish", "r", "absent"), 1, "absent"),
            (("publish", "x", "set"), 1, "no repository"),
            (("publish", "r"), 2, "usage"),
            (("publish", "r", "set", "--full-level", "x"), 2, "number"),
            (("publish", "r", "set", "--nonsense"), 2, "not known"),
            (("add", "r", "--remove", "nothing"), 1, "no target"),
            (("init", "r"), 1, "already"),
            (("init", "q", "--feed", "Upper"), 2, "feed"),
            (("frobnicate",), 2, "not known"),
            (("timestamp", "r", "--every", "soon"), 2, "8h")]:
        r = repo.run(*argv, ok=False)
        assert r.returncode == code, (argv, r.stderr)
        assert words in r.stderr, (argv, r.stderr)
        assert r.stderr.startswith("atalaia-repo: ")
    for verb in ("init", "key new", "root rotate", "publish", "timestamp", "delta"):
        assert "usage: atalaia-repo " + verb in repo.out(*verb.split(), "--help")


def test_it_refuses_to_go_backwards(repo, tmp_path):
    repo.run("init", "r")
    repo.write("set", {"a": b"1\n"})
    repo.run("publish", "r", "set", "--out", "public")
    shutil.copytree(tmp_path / "r/public", tmp_path / "old-public")
    shutil.copytree(tmp_path / "r", tmp_path / "old-r")
    repo.write("set", {"a": b"2\n"})
    repo.run("publish", "r", "set", "--out", "public")
    shutil.rmtree(tmp_path / "r/public")
    shutil.copytree(tmp_path / "old-public", tmp_path / "r/public")
    assert "clients refuse to go back" in repo.run("publish", "r", "set", ok=False).stderr
    repo.write("set", {"a": b"3\n"})
    r = repo.run("timestamp", "old-r", "--out", "public", ok=False)     # equal number, other bytes
    assert r.returncode == 1 and "backwards" in r.stderr
    assert repo.json("verify", "public/signatures")["version"] == 3


def test_what_had_its_time_leaves_the_published_folder_too(repo, tmp_path):
    repo.run("init", "r")
    out = tmp_path / "public/signatures"
    for i in range(5):
        repo.write("set", {"a.hdb": lines(300 + i), "sub/b": b"%d\n" % i})
        repo.run("publish", "r", "set", "--out", "public")

    def names(folder):
        return {str(p.relative_to(folder)) for p in folder.rglob("*")}
    old = [p for p in (tmp_path / "r/public/signatures").rglob("*") if p.is_file()]
    for p in old:
        os.utime(p, (1, 1))
    digest = "ab" * 32
    (out / "targets/index.html").write_text("somebody else's")
    (out / "targets" / f"{digest}.x.tmp").write_text("of a killed run")
    (out / "metadata/timestamp.json.tmp").write_text("the same")
    repo.write("set", {"a.hdb": lines(400), "sub/b": b"x\n"})
    repo.run("publish", "r", "set", "--out", "public")
    assert names(out) == names(tmp_path / "r/public/signatures") | {"targets/index.html"}
    assert "metadata/2.targets.json" not in names(out) and "metadata/1.root.json" in names(out)
    assert repo.json("verify", "public/signatures")["version"] == 7


def test_a_terminal_sees_a_progress_bar_and_a_pipe_does_not(repo, tmp_path):
    repo.run("init", "r")
    repo.write("set", {"a.hdb": lines(20000)})
    assert repo.run("publish", "r", "set").stderr == ""
    repo.write("set", {"a.hdb": lines(30000)})
    ours, theirs = os.openpty()
    done = subprocess.run([repo.program, "publish", "r", "set"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=theirs,
                          timeout=60, check=True)
    os.close(theirs)
    seen = os.read(ours, 65536).decode()
    os.close(ours)
    assert "\r" in seen and "a.hdb" in seen and "#" in seen
    assert b"\r" not in done.stdout


def test_the_timestamp_is_signed_again_as_a_service(repo, tmp_path):
    """--every: again and again; a failure is said and tried again; a signal ends it."""
    repo.run("init", "r")
    repo.write("set", {"a": b"1\n"})
    repo.run("publish", "r", "set", "--out", "public")
    began = json.loads((tmp_path / "public/signatures/metadata/timestamp.json").read_text())["signed"]["version"]
    service = subprocess.Popen([repo.program, "timestamp", "r", "--every", "1s", "--out", "public", "--json"],
                               cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        seen = [json.loads(service.stdout.readline())["timestamp"] for _ in range(3)]
        assert seen == [began + 1, began + 2, began + 3]
        keys = tmp_path / "r/keys"
        keys.rename(tmp_path / "away")
        assert "atalaia-repo: " in service.stderr.readline()        # said, and it goes on
        (tmp_path / "away").rename(keys)
        assert json.loads(service.stdout.readline())["timestamp"] >= seen[-1]
        for _ in range(5):
            repo.run("timestamp", "r", "--out", "public")    # beside the service, it waits for its turn
        repo.write("set", {"a": b"2\n"})
        repo.run("publish", "r", "set", "--out", "public")
        assert json.loads(service.stdout.readline())["timestamp"] > seen[-1]
    finally:
        service.terminate()
        service.wait(10)
    assert repo.json("verify", "public/signatures")["version"] == 3
    assert repo.run("timestamp", "r", "--every", "1ms", ok=False).returncode == 2


def test_readers_always_find_a_valid_repository(repo, tmp_path):
    repo.run("init", "r")
    repo.write("set", {"a.hdb": lines(3000)})
    repo.run("publish", "r", "set", "--out", "public")
    done = threading.Event()

    def publish():
        for i in range(8):
            repo.write("set", {"a.hdb": lines(3000 + i)})
            repo.run("publish", "r", "set", "--out", "public", "--full-level", "1")
            if i % 3 == 2:
                repo.run("root", "rotate", "r", "--role", "timestamp", "--new-key")
                repo.run("timestamp", "r", "--out", "public")
        done.set()

    t = threading.Thread(target=publish)
    t.start()
    seen = {"r/public/signatures": [], "public/signatures": []}
    while not done.is_set() and t.is_alive():
        for feed, versions in seen.items():
            versions.append(repo.json("verify", feed)["version"])
    t.join()
    assert done.is_set()
    for versions in seen.values():
        assert versions == sorted(versions) and versions[-1] > versions[0]


# -- killed, or refused a system call, anywhere

STEP = int(os.environ.get("REPO_KILL_STEP", "11"))
CALLS = ("openat", "write", "fsync", "rename", "renameat", "unlink", "unlinkat", "link", "mkdir", "symlink",
         "close", "fchmod")


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not here")
@pytest.mark.parametrize("how", ["kill", "ENOSPC"])
def test_publish_killed_anywhere(repo, tmp_path, how):
    repo.run("init", "r")
    repo.write("set", {"a.hdb": lines(300), "b": b"1\n"})
    repo.run("publish", "r", "set")
    shutil.copytree(tmp_path / "r", tmp_path / "before")
    repo.write("set", {"a.hdb": lines(310), "b": b"1\n", "c": b"new\n"})

    def prepare():
        shutil.rmtree(tmp_path / "r", ignore_errors=True)
        shutil.copytree(tmp_path / "before", tmp_path / "r")

    def check(point, status):
        r = repo.run("verify", "r/public/signatures", ok=False)
        if r.returncode != 0:
            return "readers find no valid repository: " + r.stderr
        r = repo.run("publish", "r", "set", ok=False)
        if r.returncode != 0:
            return "the next publish failed: " + r.stderr
        after = json.loads(repo.run("verify", "r", "--json").stdout)
        if after["targets"] != 3 or after["version"] < 3:
            return f"not healed: {after}"
        left = [p.name for p in (tmp_path / "r/public").rglob("*.tmp*")]
        return f"left behind: {left}" if left and how != "kill" else ""

    argv = [repo.program, "publish", tmp_path / "r", tmp_path / "set"]
    tried, broken = sweep.sweep(argv, prepare, check, how=how, calls=CALLS, step=STEP)
    assert tried > 5
    assert not broken, "\n".join(broken)


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not here")
@pytest.mark.parametrize("how", ["kill", "ENOSPC", "EIO"])
def test_set_built_and_activated_killed_anywhere(repo, tmp_path, how):
    repo.run("init", "r")
    olds = {"a.hdb": lines(300), "sub/b": b"1\n", "same": b"same\n"}
    repo.write("set", olds)
    repo.run("publish", "r", "set")
    repo.run("checkout", "r", "before")
    news = {"a.hdb": lines(310), "sub/b": b"2\n", "same": b"same\n", "new/c": b"c\n"}
    repo.write("set", news)
    repo.run("publish", "r", "set")

    def prepare():
        shutil.rmtree(tmp_path / "pc", ignore_errors=True)
        shutil.copytree(tmp_path / "before", tmp_path / "pc", symlinks=True)

    def content():
        root = (tmp_path / "pc/current").resolve()
        return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}

    def check(point, status):
        if content() not in (olds, news):
            return "the current set is torn"
        if status == 0 and content() != news:
            return "success was said and the old set is current"
        r = repo.run("checkout", "r", "pc", ok=False)
        if r.returncode != 0 or content() != news:
            return "not healed: " + r.stderr
        left = [p.name for p in (tmp_path / "pc").rglob("*") if p.suffix in (".tmp", ".rm")]
        return f"left behind: {left}" if left else ""

    argv = [repo.program, "checkout", tmp_path / "r", tmp_path / "pc"]
    tried, broken = sweep.sweep(argv, prepare, check, how=how, calls=CALLS, step=STEP)
    assert tried > 5
    assert not broken, "\n".join(broken)


def test_what_is_published_is_for_everybody(repo, tmp_path):
    """Another user than the publisher serves the folder, whatever the publisher's umask."""
    before = os.umask(0o077)
    try:
        repo.run("init", "r")
        repo.write("set", {"a.hdb": b"one\n", "sub/b.yar": b"two\n"})
        repo.run("publish", "r", "set", "--out", "public")
        os.chmod(tmp_path / "r/public/signatures/metadata/timestamp.json", 0o600)
        repo.run("timestamp", "r", "--out", "public")
    finally:
        os.umask(before)
    for path in (tmp_path / "public/signatures").rglob("*"):
        assert path.stat().st_mode & 0o777 == (0o755 if path.is_dir() else 0o644), path

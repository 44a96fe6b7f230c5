"""atalaia-scan over its pipe, with the real clamd."""
import base64
import json
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import threading

import pytest

from clam import EICAR, Clamd, write_set
from world import check_end, wait_for

BIN = os.environ["ATALAIA_BIN"]
pytestmark = pytest.mark.skipif(not os.path.exists("/usr/sbin/clamd"), reason="needs clamd")


@pytest.fixture(name="clamd", scope="module")
def _clamd(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clamd")
    write_set(folder / "db")
    c = Clamd(folder, folder / "db")
    yield c
    c.stop()


class Scan:
    def __init__(self, config, user=None, env=None, folder=BIN):
        argv = [os.path.join(folder, "atalaia-scan")]
        kw = {"user": user, "group": user, "extra_groups": []} if user else {}
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True,
                                        env={**os.environ, **(env or {})}, **kw)
        self.messages, self.log = [], []
        threading.Thread(target=self._read, daemon=True).start()
        self.reader = threading.Thread(target=self._read_log, daemon=True)
        self.reader.start()
        self.send({"type": "config", **config})

    def _read(self):
        for line in self.process.stdout:
            self.messages.append(json.loads(line))

    def _read_log(self):
        for line in self.process.stderr:
            self.log.append(line)

    def send(self, message):
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()

    def of(self, kind):
        return [m for m in list(self.messages) if m["type"] == kind]

    def result(self, seconds=30):
        wait_for(lambda: self.of("result") or self.process.poll() is not None, seconds, "result")
        self.process.wait(10)
        self.reader.join(5)
        check_end(self.process.args, self.log)
        wait_for(lambda: self.of("result"), 2, "result: " + "".join(self.log))
        return self.of("result")[0]


def scan(clamd, *paths, **more):
    engine = {"type": "clamd", "socket": clamd.socket}
    user = more.pop("user", None)
    env = more.pop("env", None)
    return Scan({"paths": [str(p) for p in paths], "engine": engine, **more}, user, env)


@pytest.fixture(name="tree")
def _tree(tmp_path):
    t = tmp_path / "tree"
    (t / "deep" / "er").mkdir(parents=True)
    for i in range(30):
        (t / f"clean{i}.txt").write_text(f"clean {i}\n")
    (t / "empty").touch()
    (t / "deep" / "er" / "bad.com").write_bytes(EICAR)
    os.mkfifo(t / "pipe")
    os.symlink("/etc", t / "link-to-etc")
    os.symlink(t / "deep" / "er" / "bad.com", t / "link-to-bad")
    return t


def test_finds_and_counts(clamd, tree):
    s = scan(clamd, tree)
    r = s.result()
    assert r["outcome"] == "done" and r["files"] == 32 and r["found"] == 1 and r["unreadable"] == 0
    (d,) = s.of("detection")
    assert d["path"] == str(tree / "deep" / "er" / "bad.com")
    assert d["signature"] == "Test.Eicar.UNOFFICIAL"
    st = os.stat(d["path"])
    assert (d["size"], d["ino"], d["dev"]) == (len(EICAR), st.st_ino, st.st_dev)
    assert d["sha256"] == "275a021bbfb6489e54d471899f7db9d1663fc695ec2fe2a2c4538aabf651fd0f"
    assert s.process.returncode == 0
    assert any("scan.confined" in x and "landlock=" in x for x in s.log)


@pytest.mark.parametrize("method", ["scan", "contscan", "multiscan"])
def test_clamd_may_open_files_itself(clamd, tree, method):
    (tree / "deep" / "a: b.com").write_bytes(EICAR)
    (tree / "mine").mkdir()
    (tree / "mine" / "kept.com").write_bytes(EICAR)
    os.chmod(tree, 0o755)
    s = Scan({"paths": [str(tree), str(tree / "clean1.txt")], "exclude": [str(tree / "mine")],
              "engine": {"type": "clamd", "socket": clamd.socket, "method": method}})
    r = s.result()
    assert r["outcome"] == "done" and r["found"] == 2, (r, s.log)
    found = {d["path"]: d for d in s.of("detection")}
    assert set(found) == {str(tree / "deep" / "a: b.com"), str(tree / "deep" / "er" / "bad.com")}
    d = found[str(tree / "deep" / "a: b.com")]
    assert d["signature"] == "Test.Eicar.UNOFFICIAL" and d["ino"] == os.stat(d["path"]).st_ino
    assert d["sha256"] == "275a021bbfb6489e54d471899f7db9d1663fc695ec2fe2a2c4538aabf651fd0f"
    assert method != "scan" or r["files"] >= 33
    s = Scan({"paths": [str(tree / "absent")],
              "engine": {"type": "clamd", "socket": clamd.socket, "method": method}})
    assert s.result()["unreadable"] == 1


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to run clamd as somebody else")
def test_by_descriptor_clamd_needs_no_permission_to_read():
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        os.chmod(folder, 0o711)
        (folder / "clamd").mkdir()
        write_set(folder / "clamd" / "db")
        os.chown(folder / "clamd", 65534, 65534)
        (folder / "tree").mkdir(mode=0o700)
        (folder / "tree" / "bad.com").write_bytes(EICAR)
        c = Clamd(folder / "clamd", folder / "clamd" / "db", user=65534)
        try:
            for method, found in (("fildes", 1), ("scan", 0)):
                r = Scan({"paths": [str(folder / "tree")], "engine": {
                    "type": "clamd", "socket": c.socket, "method": method}}).result()
                assert (r["found"], r["unreadable"]) == (found, 1 - found), (method, r)
        finally:
            c.stop()


def test_single_files_excludes_and_limits(clamd, tree):
    assert scan(clamd, tree / "deep" / "er" / "bad.com").result()["found"] == 1
    assert scan(clamd, tree, exclude=[str(tree / "deep")]).result()["found"] == 0
    r = scan(clamd, tree, exclude=["*/clean*.txt"]).result()
    assert r["files"] == 2
    s = scan(clamd, tree, limits={"file_bytes": 20})
    assert s.result()["found"] == 0
    assert [m["error"] for m in s.of("unreadable")] == ["larger than the limit"]
    s = scan(clamd, tree / "link-to-bad", tree / "absent")
    assert s.result()["files"] == 0
    assert sorted(m["error"] for m in s.of("unreadable")) == ["link", "vanished"]


def test_names_that_are_no_text(clamd, tree):
    name = os.fsencode(str(tree)) + b"/\xff\xfe\n.com"
    with open(name, "wb") as f:
        f.write(EICAR)
    s = scan(clamd, tree)
    assert s.result()["found"] == 2, s.messages
    d = next(m for m in s.of("detection") if "path_b64" in m)
    assert base64.b64decode(d["path_b64"]) == name
    assert "\n" not in d["path"]


@pytest.fixture(name="closed_tree")
def _closed_tree(clamd, tmp_path):
    """Files that user 65534 may not read but for one, and a copy of the program that it may run."""
    if os.getuid() != 0:
        pytest.skip("needs root to become somebody else")
    t = tmp_path / "mine"
    (t / "closed").mkdir(parents=True)
    for name, mode in (("closed/bad.com", 0o644), ("secret", 0o600), ("open.com", 0o644)):
        (t / name).write_bytes(EICAR)
        os.chmod(t / name, mode)
    for p in [tmp_path] + list(tmp_path.parents)[:-1]:
        if str(p) != "/tmp":
            os.chmod(p, 0o755)
    os.chmod(t, 0o755)
    os.chmod(t / "closed", 0o700)
    os.chmod(clamd.socket, 0o666)
    os.chmod(clamd.folder, 0o755)
    shutil.copy(os.path.join(BIN, "atalaia-scan"), tmp_path)
    return t


def test_says_what_it_may_not_read(clamd, closed_tree):
    s = Scan({"paths": [str(closed_tree)], "engine": {"type": "clamd", "socket": clamd.socket}}, 65534,
             folder=closed_tree.parent)
    r = s.result()
    assert r["outcome"] == "done" and r["found"] == 1 and r["unreadable"] == 2
    assert sorted((os.path.basename(m["path"]), m["error"]) for m in s.of("unreadable")) == [
        ("closed", "denied"), ("secret", "denied")]


def test_with_the_capability_it_reads_what_others_may_not_and_stays_confined(clamd, closed_tree):
    program = closed_tree.parent / "atalaia-scan"
    if shutil.which("setcap", path="/usr/sbin:/sbin:/usr/bin") is None or subprocess.run(
            ["/usr/sbin/setcap", "cap_dac_read_search=ep", program], check=False, capture_output=True).returncode != 0:
        pytest.skip("no file capabilities here")
    s = Scan({"paths": [str(closed_tree)], "engine": {"type": "clamd", "socket": clamd.socket}}, 65534,
             env={"ATALAIA_SCAN_PROBE": "1"}, folder=closed_tree.parent)
    r = s.result()
    assert r["outcome"] == "done" and r["found"] == 3 and r["unreadable"] == 0, (r, s.log)
    assert any("broken=none thread=pool" in x for x in s.log), s.log


def test_stays_on_its_mount(clamd, tree):
    if os.getuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "none", tree / "deep"],
                                          check=False, capture_output=True).returncode != 0:
        pytest.skip("cannot mount")
    try:
        (tree / "deep" / "other.com").write_bytes(EICAR)
        assert scan(clamd, tree).result()["found"] == 0
        assert scan(clamd, tree, cross_mounts=True).result()["found"] == 1
    finally:
        subprocess.run(["umount", tree / "deep"], check=True)


def test_stops_when_told_and_when_left_alone(clamd, tmp_path):
    for i in range(3000):
        (tmp_path / f"{i}.txt").write_text(f"clean {i}\n" * 50)
    s = scan(clamd, tmp_path)
    wait_for(lambda: s.of("hello"), 10, "hello")
    s.send({"type": "stop"})
    r = s.result(5)
    assert r["outcome"] == "canceled" and s.process.returncode == 1
    s = scan(clamd, tmp_path)
    s.process.stdin.close()
    s.process.wait(5)
    assert s.process.returncode == 1


def test_is_confined_in_its_pool(clamd, tree):
    s = scan(clamd, tree, env={"ATALAIA_SCAN_PROBE": "1"})
    assert s.result()["found"] == 1
    assert any("broken=none thread=pool" in x for x in s.log), s.log


def test_bad_configuration_ends_with_two(clamd):
    for config, says in [({"paths": []}, "no path"), ({"paths": ["relative"]}, "absolute"),
                         ({"paths": ["/tmp"], "engine": {"type": "x"}}, "cannot scan")]:
        s = Scan({"engine": {"type": "clamd", "socket": clamd.socket}, **config})
        s.process.wait(10)
        wait_for(lambda s=s, says=says: says in "".join(s.log), 2, says)
        assert s.process.returncode == 2


class BrokenClamd(threading.Thread):
    """Answers FILDES, but hangs up on files whose content holds `poison`."""

    def __init__(self, path, poison):
        super().__init__(daemon=True)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(5)
        self.poison, self.sessions = poison, 0
        self.start()

    def run(self):
        while True:
            c, _ = self.listener.accept()
            self.sessions += 1
            with c:
                self.session(c)

    def session(self, c):
        data, number = b"", 0
        while True:
            chunk, fds, _, _ = socket.recv_fds(c, 4096, 8)
            if not chunk:
                return
            data += chunk
            for fd in fds:
                number += 1
                content = os.pread(fd, 4096, 0)
                os.close(fd)
                if self.poison in content:
                    return
                c.sendall(b"%d: fd[9]: OK\0" % number)


def test_a_file_that_breaks_the_engine_is_left_behind(tmp_path):
    t = tmp_path / "t"
    t.mkdir()
    for i in range(20):
        (t / f"{i:02}").write_text("good\n")
    (t / "10").write_text("poison\n")
    server = BrokenClamd(str(tmp_path / "s"), b"poison")
    s = Scan({"paths": [str(t)], "engine": {"type": "clamd", "socket": str(tmp_path / "s")}})
    r = s.result()
    assert r["outcome"] == "done" and r["files"] == 19 and r["unreadable"] == 1
    assert s.of("unreadable")[0]["path"] == str(t / "10")
    assert server.sessions >= 3


def test_the_command_engine_scans_too(tmp_path):
    t = tmp_path / "t"
    t.mkdir()
    (t / "good").write_text("good\n")
    (t / "evil").write_text("something evil\n")
    script = tmp_path / "scan.sh"
    script.write_text("#!/bin/sh\ngrep -q evil \"$1\" && echo Rule.Evil \"$1\"\nexit 0\n")
    s = Scan({"paths": [str(t)], "engine": {"type": "command", "scan": f"/bin/sh {script} {{file}}"}})
    r = s.result()
    assert r["outcome"] == "done" and r["found"] == 1 and r["files"] == 2, s.log
    assert s.of("detection")[0]["signature"] == "Rule.Evil"

"""A refresh that is killed, or refused a system call, at any point: the folder holds only whole, trusted
documents, root is never lost, and the next refresh heals. TUF_KILL_STEP=1 tries every point (minutes)."""
import os
import re
import shutil
import subprocess

import pytest

import sweep
import tufsim
from tufworld import program, tuf  # noqa: F401  (fixture)

STEP = int(os.environ.get("TUF_KILL_STEP", "7"))


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not here")
@pytest.mark.parametrize("how", ["kill", "ENOSPC", "EIO"])
def test_refresh_at_every_system_call(tuf, tmp_path, how):
    repo, c = tuf()
    assert c.refresh()
    before = tmp_path / "before"
    shutil.copytree(c.dir, before)
    old = {r: c.bytes(r) for r in tufsim.TOP}
    repo.rotate("timestamp")
    repo.publish("root")
    repo.publish("root")
    repo.publish_all()
    whole = {r: {old[r], *repo.history[r]} for r in tufsim.TOP}

    def prepare():
        shutil.rmtree(c.dir, ignore_errors=True)
        shutil.copytree(before, c.dir)

    def check(point, status):
        for name in c.json_files():
            role = name[:-len(".json")]
            with open(os.path.join(c.dir, name), "rb") as f:
                if f.read() not in whole.get(role, ()):
                    return f"{name} is torn"
        if not c.bytes("root"):
            return "root is lost"
        if not c.refresh():
            return "the next refresh failed: " + c.stderr
        if c.versions() != (3, 2, 2, 2):
            return f"not healed: {c.versions()}"
        left = [f for f in os.listdir(c.dir) if ".tmp-" in f]
        return f"left behind: {left}" if left else ""

    calls = ("openat", "write", "fsync", "rename", "renameat", "unlinkat", "close", "flock", "mkdir")
    argv = [program(), "--metadata-dir", c.dir, "--metadata-url", c.url + "/metadata", "refresh"]
    tried, broken = sweep.sweep(argv, prepare, check, how=how, calls=calls, step=STEP)
    assert tried > 5
    assert not broken, "\n".join(broken)


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not here")
def test_every_document_is_on_disk_before_the_next_is_asked_for(tuf, tmp_path):
    """Power cut: content is synced before its name, the name before the client goes on, and each root before
    the next one."""
    repo, c = tuf()
    repo.publish("root")
    repo.publish("root")
    log = tmp_path / "trace"
    subprocess.run(["strace", "-f", "-y", "-s", "80", "-o", log, "-e", "trace=fsync,rename,renameat,sendto,unlinkat",
                    program(), "--metadata-dir", c.dir, "--metadata-url", c.url + "/metadata", "refresh"],
                   check=True, timeout=60, stderr=subprocess.DEVNULL)
    synced, unsynced_names, stored = set(), [], []
    for line in log.read_text().splitlines():
        call = line.split(None, 1)[1]
        if call.startswith("fsync("):
            path = re.match(r"fsync\(\d+<([^>]*)>", call).group(1)
            synced.add(os.path.basename(path))
            if path == c.dir:
                unsynced_names = []
        elif call.startswith("rename"):
            old, new = re.findall(r'"([^"]*)"', call)[:2]
            assert os.path.basename(old) in synced, f"{new} got its name before its content was synced"
            unsynced_names.append(new)
            stored.append(os.path.basename(new))
        elif call.startswith("sendto(") and "GET " in call:
            assert not unsynced_names, f"{unsynced_names} may be lost, and the client goes on"
    assert not unsynced_names
    assert stored == ["root.json", "root.json", "timestamp.json", "snapshot.json", "targets.json"]

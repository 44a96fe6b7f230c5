"""Every allocation of a refresh fails once: the client ends with 1 or gets through, never crashes, and never
gives up what it trusts for it. TUF_MEMORY_POINTS=1000000 tries every allocation (minutes)."""
import os
import pathlib
import shutil
import subprocess

import pytest

import tufsim
from tufworld import program, tuf  # noqa: F401  (fixture)

POINTS = int(os.environ.get("TUF_MEMORY_POINTS", "25"))


@pytest.fixture(scope="module")
def shim(tmp_path_factory):
    out = tmp_path_factory.mktemp("shim") / "faultshim.so"
    source = pathlib.Path(__file__).parent.parent / "torture" / "faultshim.c"
    subprocess.run([os.environ.get("CC", "cc"), "-shared", "-fPIC", "-O1", "-o", out, source, "-ldl"], check=True)
    return out


@pytest.mark.parametrize("kind", ["malloc", "calloc", "realloc"])
def test_refresh_short_of_memory(tuf, shim, tmp_path, kind):
    repo, c = tuf()
    repo.delegate("a")
    repo.add("f", b"content", "a")
    repo.publish("a")
    repo.publish_all()
    assert c.download("f")
    before = tmp_path / "before"
    shutil.copytree(c.dir, before)
    repo.publish("root")
    repo.publish_all("a")
    argv = [program(), "--metadata-dir", c.dir, "--metadata-url", c.url + "/metadata", "--target-name", "f",
            "--target-dir", c.out, "--target-base-url", c.url + "/targets", "download"]

    def run(**env):
        shutil.rmtree(c.dir)
        shutil.copytree(before, c.dir)
        shutil.rmtree(c.out, ignore_errors=True)
        return subprocess.run(argv, env={**os.environ, "LD_PRELOAD": str(shim), **env}, timeout=60,
                              capture_output=True, text=True)

    r = run(FAULT_COUNT=str(tmp_path / "count"))
    assert r.returncode == 0, r.stderr
    total = int(dict(w.split("=") for w in (tmp_path / "count").read_text().split())[kind])
    old = {r: (before / (r + ".json")).read_bytes() for r in (*tufsim.TOP, "a")}
    for n in range(1, total + 1, max(1, total // POINTS)):
        r = run(FAULT=f"{kind}:{n}")
        assert r.returncode in (0, 1), f"{kind} #{n}: {r}"
        for name in c.json_files():
            role = name[:-len(".json")]
            with open(os.path.join(c.dir, name), "rb") as f:
                assert f.read() in (old[role], repo.published[role]), f"{kind} #{n}: {name}"
        assert len(c.json_files()) == 5, f"{kind} #{n}: {r.stderr}"
        if r.returncode == 0:
            assert c.target("f") == b"content"
            assert c.versions() == (2, 3, 3, 3), f"{kind} #{n} ended with 0 and old metadata"

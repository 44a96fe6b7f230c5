"""YARA as the command engine: the script that is shipped, on a rule of our own and, where they are at
hand (../shared), on some 700 real rule files."""
import os
import pathlib
import shutil
import subprocess

import pytest

from test_scan import Scan

TOP = pathlib.Path(__file__).resolve().parents[2]
SCRIPT = TOP / "packaging" / "engines" / "yara.sh"
REAL = [p / "data" / "yara-signature-base" / "v1.tar.zst" for p in (TOP.parent / "shared",
                                                                      TOP.parents[1] / "shared")]
RULE = 'rule Own_Marker { strings: $a = "own-marker-of-a-test" condition: $a }\n'
pytestmark = pytest.mark.skipif(shutil.which("yarac") is None, reason="needs the package yara")


def make_set(folder, version, real):
    s = folder / "sets" / str(version)
    s.mkdir(parents=True)
    if real:
        archive = next((p for p in REAL if p.exists()), None)
        if archive is None:
            pytest.skip("the real rules are not at hand")
        subprocess.run(["tar", "--zstd", "-xf", archive, "-C", s, "--strip-components=1",
                        "--wildcards", "*.yar"], check=True)
        assert len(list(s.glob("*.yar"))) > 600
    (s / "own.yar").write_text(RULE)
    return s


def run(*argv):
    return subprocess.run([SCRIPT, *map(str, argv)], capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("real", [False, True], ids=["own", "real"])
def test_gate_reload_and_scan(tmp_path, real):
    s = make_set(tmp_path, 1, real)
    assert run("scan", s, "/etc/hostname").returncode == 2          # nothing is compiled yet
    done = run("test", s)
    assert done.returncode == 0, done.stderr[-300:]
    os.symlink(s, tmp_path / "current")
    assert run("reload", tmp_path / "current").returncode == 0
    files = tmp_path / "files"
    files.mkdir()
    (files / "clean").write_text("nothing of interest\n")
    (files / "bad").write_text("here is the own-marker-of-a-test\n")
    scan = Scan({"paths": [str(files)], "engine": {
        "type": "command", "set": str(tmp_path / "current"),
        "scan": f"{SCRIPT} scan {{set}} {{file}}"}})
    r = scan.result(60)
    assert r["outcome"] == "done" and r["files"] == 2 and r["found"] == 1, (r, scan.log)
    assert scan.of("detection")[0]["signature"] == "Own_Marker"


def test_a_broken_set_fails_and_old_rules_go(tmp_path):
    good, bad = make_set(tmp_path, 1, False), make_set(tmp_path, 2, False)
    (bad / "broken.yar").write_text("rule x { condition: }\n")
    assert run("test", good).returncode == 0 and run("test", bad).returncode == 2
    assert not (tmp_path / "compiled" / "2").exists()
    shutil.rmtree(good)
    third = make_set(tmp_path, 3, False)
    assert run("reload", third).returncode == 0
    assert sorted(os.listdir(tmp_path / "compiled")) == ["3"]

"""Real clients take files from the update agent over FTP."""
import ftplib
import hashlib
import os
import shutil
import subprocess

import pytest
from mirror import Mirror
from witness import witness  # noqa: F401  (fixture)
from world import run

BIG = os.urandom(3_000_000)
FILES = {
    "signatures/metadata/timestamp.json": '{"signatures":[],"signed":{"version":1}}',
    "signatures/targets/big.bin": BIG,
    "signatures/targets/empty": b"",
    "signatures/targets/small.txt": "one\ntwo\n",
    "signatures/targets/with space & \u00fc.txt": "x",
    "policies/metadata/1.root.json": "{}",
}


@pytest.fixture
def mirror(procs, bin_dir, tmp_path):
    return Mirror(procs, bin_dir, tmp_path, files=FILES)


def need(program):
    if not shutil.which(program):
        pytest.skip(f"{program} is not installed")


def same_tree(left, right):
    found = {str(p.relative_to(left)): p.read_bytes() for p in left.rglob("*") if p.is_file()}
    wanted = {str(p.relative_to(right)): p.read_bytes() for p in right.rglob("*") if p.is_file()}
    assert found == wanted


def test_curl(mirror, tmp_path):
    got = subprocess.run(["curl", "-sS", mirror.url("signatures/targets/big.bin")],
                         capture_output=True, timeout=30)
    assert got.stdout == BIG, got.stderr
    part = tmp_path / "part"
    part.write_bytes(BIG[:1_000_000])
    done = run(["curl", "-sS", "-C", "-", "-o", part, mirror.url("signatures/targets/big.bin")])
    assert done.returncode == 0, done.stderr
    assert part.read_bytes() == BIG
    names = run(["curl", "-sS", "-l", mirror.url("signatures/targets/")]).stdout.split("\n")
    assert "big.bin" in names and "empty" in names
    assert run(["curl", "-sS", mirror.url("signatures/targets/none")]).returncode == 78
    small = mirror.url("signatures/targets/small.txt")
    assert run(["curl", "-sS", "--disable-epsv", small]).stdout == "one\ntwo\n"
    ascii_form = subprocess.run(["curl", "-sS", "-B", small], capture_output=True, timeout=30).stdout
    assert ascii_form.replace(b"\r\n", b"\n") == b"one\ntwo\n"


def test_curl_over_ipv6(procs, bin_dir, tmp_path):
    m = Mirror(procs, bin_dir, tmp_path, address="::1", files=FILES)
    got = subprocess.run(["curl", "-gsS", m.url("signatures/targets/big.bin")],
                         capture_output=True, timeout=30)
    assert got.stdout == BIG, got.stderr


def test_lftp_mirror_and_pget(mirror, tmp_path):
    need("lftp")
    copy = tmp_path / "copy"
    done = run(["lftp", "-c", f"set net:max-retries 1; open {mirror.url()};"
                f" mirror --parallel=4 / {copy}"])
    assert done.returncode == 0, done.stderr
    same_tree(copy, mirror.root)
    out = tmp_path / "big.bin"
    done = run(["lftp", "-c", f"set net:max-retries 1; open {mirror.url()};"
                f" lcd {tmp_path}; pget -n 4 signatures/targets/big.bin"])
    assert done.returncode == 0, done.stderr
    assert out.read_bytes() == BIG


def test_ncftpget(mirror, tmp_path):
    need("ncftpget")
    done = run(["ncftpget", "-R", "-t", "10", "-P", mirror.ftp, mirror.address, tmp_path,
                "/signatures"])
    assert done.returncode == 0, done.stderr
    same_tree(tmp_path / "signatures", mirror.root / "signatures")


def test_tnftp(mirror, tmp_path):
    need("tnftp")
    out = tmp_path / "out"
    done = run(["tnftp", "-o", out, mirror.url("signatures/targets/big.bin")])
    assert done.returncode == 0, done.stderr
    assert out.read_bytes() == BIG


def test_wget_recursive(mirror, tmp_path):
    need("wget")
    done = run(["wget", "-q", "-r", "-nH", "-P", tmp_path / "w", mirror.url()], timeout=60)
    assert done.returncode == 0, done.stderr
    same_tree(tmp_path / "w", mirror.root)


def test_busybox(mirror, tmp_path):
    need("busybox")
    out = tmp_path / "out"
    done = run(["busybox", "ftpget", "-P", mirror.ftp, mirror.address, out,
                "signatures/targets/big.bin"])
    assert done.returncode == 0, done.stderr
    assert out.read_bytes() == BIG


@pytest.mark.parametrize("address", [None, "::1"])
def test_ftplib(procs, bin_dir, tmp_path, address):
    m = Mirror(procs, bin_dir, tmp_path, address=address, files=FILES)
    with ftplib.FTP() as ftp:
        ftp.connect(m.address, m.ftp, timeout=10)
        ftp.login()
        ftp.cwd("signatures/targets")
        assert ftp.pwd() == "/signatures/targets"
        facts = dict(ftp.mlsd(facts=["type", "size"]))
        assert facts["big.bin"] == {"type": "file", "size": str(len(BIG))}
        assert sorted(ftp.nlst()) == sorted(facts)
        assert ftp.nlst("/signatures/metadata") == ["/signatures/metadata/timestamp.json"]
        ftp.voidcmd("TYPE I")
        assert ftp.size("with space & \u00fc.txt") == 1
        got = []
        ftp.retrbinary("RETR big.bin", got.append, rest=2_000_000)
        assert b"".join(got) == BIG[2_000_000:]
        lines = []
        ftp.retrlines("RETR small.txt", lines.append)
        assert lines == ["one", "two"]


def test_basic_ftp(witness, mirror, tmp_path):
    done = witness("basic-ftp.mjs", mirror.address, mirror.ftp, tmp_path / "b")
    assert done.returncode == 0, done.stderr
    same_tree(tmp_path / "b", mirror.root / "signatures")


def test_many_small_files_on_one_session(procs, bin_dir, tmp_path):
    files = {f"f/{i}": hashlib.sha256(str(i).encode()).digest() * 40 for i in range(300)}
    m = Mirror(procs, bin_dir, tmp_path, files=files)
    with ftplib.FTP() as ftp:
        ftp.connect(m.address, m.ftp, timeout=10)
        ftp.login()
        for name, content in files.items():
            got = []
            ftp.retrbinary(f"RETR {name}", got.append)
            assert b"".join(got) == content

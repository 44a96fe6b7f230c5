"""The drop box takes files and gives nothing back."""
import os
import re
import socket
import time

import pytest
from mirror import Mirror
from world import run, wait_for


@pytest.fixture
def box(tmp_path):
    folder = tmp_path / "box"
    folder.mkdir()
    return folder


def start(procs, bin_dir, tmp_path, box, **options):
    return Mirror(procs, bin_dir, tmp_path, files={"a": "a"}, dropbox=box, dropbox_floor=0,
                  accept_timeout="1s", **options)


def store(r, name, content):
    with r.data() as d:
        answer = r.ask("STOR " + name)
        if not answer.startswith("150"):
            return answer
        try:
            d.sendall(content)
            d.shutdown(socket.SHUT_WR)
        except OSError:
            pass        # refused in the middle
        return r.reply()


def stored(box):
    return sorted(p for p in box.iterdir() if not p.name.startswith(".part-"))


def test_curl_uploads_and_cannot_read_back(procs, bin_dir, tmp_path, box):
    m = start(procs, bin_dir, tmp_path, box)
    content = os.urandom(500_000)
    (tmp_path / "mwav.log").write_bytes(content)
    done = run(["curl", "-sS", "-T", tmp_path / "mwav.log", m.url("incoming/")])
    assert done.returncode == 0, done.stderr
    file, = stored(box)
    assert file.read_bytes() == content
    assert re.fullmatch(r"\d{8}T\d{6}Z_7f000001_[0-9a-f]{16}_mwav.log", file.name)
    assert file.stat().st_mode & 0o777 == 0o640
    with m.raw() as r:
        r.ask("TYPE I")
        for name in ("/incoming/mwav.log", "/incoming/" + file.name, "incoming/../incoming/" + file.name):
            for verb in ("SIZE", "MDTM", "MLST", "CWD", "NLST"):
                assert r.ask(f"{verb} {name}").startswith("550"), (verb, name)
            r.passive()
            assert r.ask(f"RETR {name}").startswith("550")
        assert r.fetch("LIST /incoming") == b"" == r.fetch("MLSD incoming")
        assert b"incoming" in r.fetch("NLST")
        for verb in ("DELE", "RNFR", "APPE", "MKD"):
            assert r.ask(f"{verb} /incoming/x").startswith("502")


def test_http_does_not_show_it_inside_the_root(procs, bin_dir, tmp_path):
    inside = tmp_path / "root" / "incoming"
    inside.mkdir(parents=True)
    m = start(procs, bin_dir, tmp_path, inside)
    with m.raw() as r:
        assert store(r, "/incoming/x", b"x").startswith("226")
        assert r.fetch("NLST").count(b"incoming") == 1
    name = stored(inside)[0].name
    for path in ("incoming/", f"incoming/{name}", f"incoming//{name}", f"%69ncoming/{name}"):
        got = run(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", m.http_url(path)])
        assert got.stdout == "404", path


def test_same_answer_for_names_that_exist_and_not(procs, bin_dir, tmp_path, box):
    m = start(procs, bin_dir, tmp_path, box)
    with m.raw() as r:
        answers = {store(r, "/incoming/same", b"one"), store(r, "/incoming/same", b"two"),
                   store(r, "/incoming/other", b"three")}
        assert answers == {"226 Transfer complete."}
        for name in ("../x", "/x", "/incoming/d/x", "/incoming", "/incoming/.."):
            assert store(r, name, b"x")[:3] in ("553", "550"), name
        assert store(r, "/incoming/$(id) ;rm", b"x").startswith("226")
    names = [p.name for p in stored(box)]
    assert len(names) == 4 and all(re.fullmatch(r"[0-9A-Za-z_.-]+", n) for n in names)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["box", "root", "serve.conf"]


def test_quotas(procs, bin_dir, tmp_path, box):
    m = start(procs, bin_dir, tmp_path, box, dropbox_file_size="64k", dropbox_daily="100k",
              dropbox_daily_files=5, dropbox_total="170k", dropbox_files=6)
    with m.raw(source="127.0.0.3") as big:
        assert store(big, "/incoming/big", b"x" * 65537).startswith("552")
    with m.raw() as r, m.raw(source="127.0.0.2") as other:
        assert store(r, "/incoming/a", b"x" * 30000).startswith("226")
        assert store(r, "/incoming/a", b"x" * 60000).startswith("226")
        assert store(r, "/incoming/b", b"x" * 20000).startswith("552")   # 100k of the day
        assert store(other, "/incoming/c", b"x" * 60000).startswith("226")
        for _ in range(4):
            last = store(r, "/incoming/d", b"x")
        assert last.startswith("552")                                    # five files of the day
        for _ in range(4):
            last = store(other, "/incoming/e", b"")
        assert last.startswith("552")                                    # six files in the box
    sizes = sorted(p.stat().st_size for p in stored(box))
    assert sizes[-3:] == [30000, 60000, 60000] and len(sizes) <= 6
    wait_for(lambda: len(list(box.iterdir())) == len(sizes), 5, "no temporary file left")


def test_floor(procs, bin_dir, tmp_path, box):
    m = Mirror(procs, bin_dir, tmp_path, dropbox=box, dropbox_floor="1000000G")
    with m.raw() as r:
        assert store(r, "/incoming/x", b"x").startswith("552")
    wait_for(lambda: list(box.iterdir()) == [], 5, "nothing stored")


def test_vanishing_and_aborting_senders_leave_nothing(procs, bin_dir, tmp_path, box):
    m = start(procs, bin_dir, tmp_path, box, stall_timeout="1s")
    with m.raw() as r:
        with r.data() as d:
            assert r.ask("STOR /incoming/x").startswith("150")
            d.sendall(b"x" * 100000)
            r.send("ABOR\r\n")
            assert r.codes(2) == ["426", "226"]
        d = r.data()
        assert r.ask("STOR /incoming/x").startswith("150")
        d.sendall(b"x" * 1000)
        begin = time.monotonic()
        assert r.reply().startswith("426")           # a slow writer
        assert time.monotonic() - begin < 4
        d = r.data()
        assert r.ask("STOR /incoming/x").startswith("150")
        d.sendall(b"x" * 1000)
    d.close()
    wait_for(lambda: list(box.iterdir()) == [], 5, "nothing left")


def test_an_announced_upload_that_is_cut_is_not_kept(procs, bin_dir, tmp_path, box):
    """The end of a connection is the end of a file, unless ALLO said how long it is."""
    m = start(procs, bin_dir, tmp_path, box)
    with m.raw() as r:
        assert r.ask("ALLO 1000").startswith("200")
        assert store(r, "/incoming/x", b"x" * 999).startswith("426")
        assert store(r, "/incoming/x", b"x" * 999).startswith("226")     # it was for one upload
        assert r.ask("ALLO 1000 R 10").startswith("200")
        assert store(r, "/incoming/y", b"y" * 1000).startswith("226")
        assert r.ask("ALLO many").startswith("501")
    wait_for(lambda: sorted(p.stat().st_size for p in box.iterdir()) == [999, 1000], 5, "two whole ones")


def test_a_stored_name_is_never_longer_than_a_console_takes(procs, bin_dir, tmp_path, box):
    m = Mirror(procs, bin_dir, tmp_path, address="::1", files={"a": "a"}, dropbox=box, dropbox_floor=0)
    with m.raw() as r:
        assert store(r, "/incoming/" + "n" * 200, b"x").startswith("226")
    name, = [p.name for p in box.iterdir()]
    assert len(name) < 128 and name.endswith("_" + "n" * 56)


def test_leftovers_of_an_earlier_run_go(procs, bin_dir, tmp_path, box):
    (box / ".part-0123456789abcdef").write_text("cut")
    (box / "kept").write_text("kept")
    start(procs, bin_dir, tmp_path, box)
    assert [p.name for p in box.iterdir()] == ["kept"]


def test_off_unless_configured(procs, bin_dir, tmp_path):
    m = Mirror(procs, bin_dir, tmp_path, files={"incoming/x": "x"})
    with m.raw() as r:
        assert store(r, "/incoming/y", b"y").startswith("550")
        assert r.ask("CWD incoming").startswith("550")
        r.passive()
        assert r.ask("RETR incoming/x").startswith("550")
        assert b"incoming" not in r.fetch("NLST")

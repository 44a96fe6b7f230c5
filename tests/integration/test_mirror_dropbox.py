"""The drop box takes files and gives nothing back."""
import hashlib
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
    return sorted(p for p in box.iterdir() if not p.name.startswith("."))


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


def ticket(content, own=None):
    return (own or os.urandom(16).hex()) + hashlib.sha256(content).hexdigest()


def begin(r, name, content, command="STOR"):
    """A transfer of which only this much comes; the data connection is the caller's."""
    d = r.data()
    assert r.ask(f"{command} /incoming/{name}").startswith("150")
    d.sendall(content)
    return d


def unfinished(box):
    return [p.stat().st_size for p in box.glob(".open-*")]


def have(r, name):
    r.ask("TYPE I")
    answer = r.ask("SIZE /incoming/" + name)
    return int(answer[4:]) if answer.startswith("213 ") else answer


def test_a_cut_upload_with_a_ticket_goes_on(procs, bin_dir, tmp_path, box):
    m = start(procs, bin_dir, tmp_path, box)
    content = os.urandom(300_000)
    name = ticket(content) + "-mwav.log"
    with m.raw() as r:
        assert have(r, name) == "550 No such file or folder."
        d = begin(r, name, content[:100_000])
        wait_for(lambda: unfinished(box) == [100_000], 5, "the bytes")
    d.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    d.close()                                              # the line is cut
    with m.raw(source="127.0.0.2") as r:                   # and gives another address
        assert have(r, name) == 99_999                     # the last byte is asked for again
        assert r.ask("REST 300001").startswith("350")
        r.passive()
        assert r.ask("STOR /incoming/" + name).startswith("554")
        assert r.ask("REST 99999").startswith("350")
        assert store(r, "/incoming/" + name, content[99_999:150_000]).startswith("426")   # not the whole
        assert have(r, name) == 149_999
        with r.data() as d:
            assert r.ask("APPE /incoming/" + name).startswith("150")
            d.sendall(content[149_999:])
        assert r.reply().startswith("226")
        assert have(r, name) == 300_000
    file, = stored(box)
    assert file.read_bytes() == content
    assert re.fullmatch(r"\d{8}T\d{6}Z_7f000002_[0-9a-f]{16}_mwav.log", file.name)
    file.unlink()                                          # the relay takes it away
    with m.raw() as r:                                     # it is known all the same
        assert store(r, "/incoming/" + name, content).startswith("226")
        assert have(r, name) == 300_000
    assert stored(box) == [] == unfinished(box)


def test_a_ticket_is_a_secret_and_its_hash_is_kept(procs, bin_dir, tmp_path, box):
    m = start(procs, bin_dir, tmp_path, box)
    content, other = os.urandom(50_000), os.urandom(50_000)
    own = os.urandom(16).hex()
    name = ticket(content, own) + "-a"
    with m.raw() as r, m.raw() as q:
        d = begin(r, name, content[:20_000])
        wait_for(lambda: unfinished(box) == [20_000], 5, "the bytes")
        for guess in (ticket(content) + "-a", ticket(other, own) + "-a", name[1:], name.upper(), "a", "." + name,
                      ".open-" + name[:96]):
            assert have(q, guess) == "550 No such file or folder.", guess
            for verb in ("RETR", "MDTM", "MLST"):
                q.passive()
                assert q.ask(f"{verb} /incoming/{guess}").startswith("550")
        for verb in ("RETR", "MDTM", "MLST"):              # the ticket reads nothing either
            q.passive()
            assert q.ask(f"{verb} /incoming/{name}").startswith("550")
        assert q.fetch("LIST /incoming") == b""
        for plain in ("a", name[1:], "/" + name, "d/" + name):
            assert q.ask("APPE /incoming/" + plain if plain[0] != "/" else "APPE " + plain).startswith("502")
        assert q.ask("REST 5").startswith("350")
        q.passive()
        assert q.ask("STOR /incoming/plain").startswith("554")
        d.close()
        assert r.reply().startswith("426")
        assert store(q, "/incoming/" + name, other).startswith("426")      # other bytes, and maybe more to come
        assert q.ask("ALLO 50000").startswith("200")
        assert store(q, "/incoming/" + name, other).startswith("451")      # all of them: wrong
        assert have(q, name).startswith("550")
        assert store(q, "/incoming/" + name, content).startswith("226")
    assert [p.read_bytes() for p in stored(box)] == [content]


def test_who_comes_again_ends_the_dead_line(procs, bin_dir, tmp_path, box):
    """A line that dies without a word leaves a transfer that looks alive for stall_timeout."""
    m = start(procs, bin_dir, tmp_path, box)
    content = os.urandom(200_000)
    name = ticket(content) + "-x"
    with m.raw() as dead, m.raw() as r:
        d = begin(dead, name, content[:80_000])
        wait_for(lambda: unfinished(box) == [80_000], 5, "the bytes")
        assert have(r, name) == 79_999
        d.sendall(b"late")                                 # out of a buffer on the way
        assert dead.reply().startswith("426")
        assert have(r, name) == 79_999
        assert r.ask("REST 79999").startswith("350")
        assert store(r, "/incoming/" + name, content[79_999:]).startswith("226")
        d.close()
    assert [p.read_bytes() for p in stored(box)] == [content]


def test_clients_of_every_day_resume(procs, bin_dir, tmp_path, box):
    """curl asks SIZE and sends APPE, lftp REST and STOR."""
    m = start(procs, bin_dir, tmp_path, box)
    for client in ("curl", "lftp"):
        content = os.urandom(400_000)
        file = tmp_path / client
        file.write_bytes(content)
        name = ticket(content) + "-" + client
        with m.raw() as r:
            begin(r, name, content[:150_000]).close()
            assert r.reply().startswith("426")
        before = m.proc.process.pid and unfinished(box)
        assert before == [150_000]
        argv = {"curl": ["curl", "-sS", "-C", "-", "-T", file, m.url("incoming/" + name)],
                "lftp": ["lftp", "-e", f"set net:max-retries 2; put -c {file} -o incoming/{name}; quit", m.url()]}
        for _ in range(2):                                 # the second time there is nothing to do
            done = run(argv[client], timeout=30)
            assert done.returncode == 0, done.stderr
        last = stored(box)
        assert [p.read_bytes() for p in last] == [content], client
        last[0].unlink()


def test_a_restart_keeps_what_waits_for_its_rest_for_a_day(procs, bin_dir, tmp_path, box):
    m = start(procs, bin_dir, tmp_path, box)
    content = os.urandom(60_000)
    name, old = ticket(content) + "-x", ticket(b"") + "-y"
    with m.raw() as r:
        begin(r, old, b"old").close()
        assert r.reply().startswith("426")
        d = begin(r, name, content[:30_000])
        wait_for(lambda: 30_000 in unfinished(box), 5, "the bytes")
        m.proc.process.kill()
        m.proc.process.wait()
        d.close()
    yesterday = time.time() - 86500
    os.utime(box / f".open-{old[:96]}", (yesterday, yesterday))
    m = start(procs, bin_dir, tmp_path, box)
    assert unfinished(box) == [30_000]
    with m.raw() as r:
        assert have(r, old).startswith("550") and have(r, name) == 29_999
        assert store(r, "/incoming/" + name, content).startswith("226")    # from the start is fine too
    assert [p.read_bytes() for p in stored(box)] == [content]


def test_quotas_hold_for_tickets(procs, bin_dir, tmp_path, box):
    m = start(procs, bin_dir, tmp_path, box, dropbox_file_size="64k", dropbox_daily_files=3)
    content = os.urandom(60_000)
    name = ticket(content) + "-x"
    with m.raw() as r:
        assert store(r, f"/incoming/{ticket(b'')}-big", b"x" * 65537).startswith("552")
        for i in range(5):                                 # a bad line does not use up the day
            at = max(i * 10_000 - 1, 0)
            assert r.ask(f"REST {at}").startswith("350")
            assert store(r, "/incoming/" + name, content[at:(i + 1) * 10_000]).startswith("426"), i
        assert r.ask("REST 49999").startswith("350")
        assert store(r, "/incoming/" + name, content[49_999:]).startswith("226")
        assert store(r, "/incoming/plain", b"x").startswith("226")
        assert store(r, "/incoming/plain", b"x").startswith("552")

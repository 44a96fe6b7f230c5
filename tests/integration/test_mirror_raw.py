"""What FTP clients never send, and what they must not be able to do."""
import os
import random
import re
import socket
import threading
import time

import pytest
from mirror import LOGIN, Mirror, elapsed, listeners, read_all
from world import Procs, wait_for

BIG = os.urandom(1 << 20) * 40
FILES = {"a.txt": "hello", "big": BIG, "d/b": "b"}


@pytest.fixture(scope="module")
def servers(bin_dir, tmp_path_factory):
    """One server for each protocol, for all tests that need nothing special."""
    with Procs() as procs:
        yield {name: Mirror(procs, bin_dir, tmp_path_factory.mktemp(name), address=address, files=FILES,
                            accept_timeout="1s", max_sessions=400, max_sessions_per_address=400)
               for name, address in (("ipv4", None), ("ipv6", "::1"))}


@pytest.fixture(params=["ipv4", "ipv6"])
def mirror(request, servers):
    return servers[request.param]


def only(protocol):
    """For a test that the protocol below FTP cannot change."""
    return pytest.mark.parametrize("mirror", [protocol], indirect=True)


def is_ipv6(mirror):
    return ":" in mirror.address


def strangers(mirror):
    """Other addresses of this machine, as far as it has any."""
    if not is_ipv6(mirror):
        return [f"127.0.0.{i}" for i in range(9, 14)]
    with open("/proc/net/if_inet6") as f:
        found = [cells[0] for cells in map(str.split, f) if cells[3] == "00" and cells[5] != "lo"]
    if not found:
        pytest.skip("this machine has no second IPv6 address")
    return [":".join(found[0][i:i + 4] for i in range(0, 32, 4))] * 5


def until_closed(raw):
    return raw.pending + read_all(raw.sock)


def test_every_command_cut_at_every_byte(mirror):
    script = LOGIN + (b"TYPE I\r\nSIZE a.txt\r\nMDTM d/b\r\nCWD d\r\nPWD\r\nREST 4\r\nMLST b\r\nFEAT\r\n"
                      b"STAT b\r\nRETR b\r\nOPTS UTF8 ON\r\nABOR\r\nNOPE\r\nQUIT\r\n")
    with mirror.raw(login=False) as r:
        r.send(script)
        whole = until_closed(r)
    assert whole.endswith(b"221 Goodbye.\r\n")
    for cut in range(1, len(script)):
        with mirror.raw(login=False) as r:
            r.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            r.send(script[:cut])
            r.send(script[cut:])
            assert until_closed(r) == whole, cut


def test_pipelined_replies_keep_their_order(mirror):
    with mirror.raw() as r:
        r.send("TYPE I\r\n" + "SIZE a.txt\r\nNOOP\r\nPWD\r\nFOO\r\nSIZE none\r\n" * 300)
        assert r.reply().startswith("200")
        assert r.codes(1500) == ["213", "200", "257", "500", "550"] * 300
        port = r.passive()
        r.send("RETR a.txt\r\nPWD\r\nNOOP\r\n")
        with r.data(port) as d:
            assert read_all(d) == b"hello"
        assert r.codes(4) == ["150", "226", "257", "200"]


def test_long_lines_are_answered_once(mirror):
    with mirror.raw() as r:
        for size in (4097, 65536, 1 << 20):
            r.send(b"x" * size + b"\r\nNOOP\r\n")
            assert r.codes(2) == ["500", "200"]


def test_nul_and_telnet(mirror):
    with mirror.raw() as r:
        r.send(b"NOOP\0\r\nCWD a\0b\r\nCWD \x1b[31m\r\n\xff\xfb\x01NO\xff\xf1OP\r\n")
        lines = [r.reply() for _ in range(4)]
        assert [x[:3] for x in lines] == ["500", "501", "501", "200"]
        assert not re.search(r"[\x00-\x1f\x7f]", "".join(lines))


def test_quit_in_mid_transfer_waits_for_its_end(mirror):
    with mirror.raw() as r:
        r.ask("TYPE I")
        with r.data() as d:
            r.send("RETR big\r\nQUIT\r\n")
            assert r.reply().startswith("150")
            assert len(read_all(d)) == len(BIG)
        assert r.codes(2) == ["226", "221"]
        assert r.closed()


def test_abor_with_urgent_data(mirror):
    with mirror.raw() as r:
        r.ask("TYPE I")
        with r.data() as d:
            assert r.ask("RETR big").startswith("150")
            d.recv(1000)
            assert r.ask("STAT").startswith("211 Transfer is running")
            r.sock.send(b"\xff\xf4\xff", socket.MSG_OOB)
            r.send(b"\xf2ABOR\r\n")
            assert r.codes(2) == ["426", "226"]
            with pytest.raises(ConnectionResetError):
                read_all(d)
        assert r.fetch("RETR a.txt") == b"hello"


def test_abor_behind_other_commands_stops_the_transfer(mirror):
    with mirror.raw() as r:
        r.ask("TYPE I")
        with r.data() as d:
            r.send("RETR big\r\n")
            assert r.reply().startswith("150")
            r.send("NOOP\r\nABOR\r\n")
            assert r.codes(3) == ["426", "200", "226"]
            d.close()


def test_rest_size_epsv(mirror):
    with mirror.raw() as r:
        assert r.ask("SIZE a.txt").startswith("550")
        r.ask("TYPE I")
        assert r.ask("SIZE a.txt") == "213 5"
        for bad in ("REST", "REST x", "REST -1", "REST 1 2", "REST 18446744073709551616"):
            assert r.ask(bad).startswith("501"), bad
        r.ask("REST 6")
        r.passive()
        assert r.ask("RETR a.txt").startswith("554")
        r.ask("REST 2")
        assert r.fetch("RETR a.txt") == b"llo"
        assert r.fetch("RETR a.txt") == b"hello"
        ours, other = ("2", "1") if is_ipv6(mirror) else ("1", "2")
        assert r.ask("EPSV " + ours).startswith("229")
        assert r.ask("EPSV " + other) == f"522 Wrong protocol, use ({ours})."
        assert r.ask("EPSV 3").startswith("501")
        assert r.ask("PASV").startswith("425" if is_ipv6(mirror) else "227")
        assert r.ask("EPSV ALL").startswith("200")
        assert r.ask("PASV").startswith("503")
        assert r.ask("PORT 127,0,0,1,4,4").startswith("502")
        assert r.ask("EPRT |2|::1|4000|").startswith("502")
        assert r.fetch("RETR a.txt") == b"hello"


def strangers_bytes(r, port, source):
    """What somebody else gets from the passive port; a reset, in connect or later, is nothing."""
    try:
        with r.data(port, source=source) as s:
            return read_all(s)
    except ConnectionResetError:
        return b""


def test_stranger_gets_nothing_and_the_client_is_served(mirror):
    others = strangers(mirror)
    with mirror.raw() as r:
        port = r.passive()
        for other in others:
            assert strangers_bytes(r, port, other) == b""
        r.send("RETR a.txt\r\n")
        assert strangers_bytes(r, port, others[0]) == b""
        with r.data(port) as d:
            assert r.reply().startswith("150")
            assert read_all(d) == b"hello"
        assert r.reply().startswith("226")


def test_data_peer_subnet_serves_downloads_only(procs, bin_dir, tmp_path):
    box = tmp_path / "box"
    box.mkdir()
    m = Mirror(procs, bin_dir, tmp_path, files=FILES, data_peer="subnet", dropbox=box,
               dropbox_floor=0, accept_timeout="1s")
    with m.raw() as r:
        with r.data(source="127.0.0.9") as d:
            assert r.ask("RETR a.txt").startswith("150")
            assert read_all(d) == b"hello"
        assert r.reply().startswith("226")
        assert strangers_bytes(r, r.passive(), "127.1.0.9") == b""
        assert r.ask("RETR a.txt").startswith("425")
        with r.data(source="127.0.0.9") as d:
            d.sendall(b"x")
            assert r.ask("STOR /incoming/x")[:3] in ("425", "426")
    wait_for(lambda: list(box.iterdir()) == [], 5, "the temporary file to go")


def test_a_hundred_pasv_leave_one_listener(mirror):
    with mirror.raw() as r:
        before = len(listeners(mirror.proc.process.pid))
        ask, code = ("EPSV 2", "229") if is_ipv6(mirror) else ("PASV", "227")
        for _ in range(50):
            assert r.ask(ask).startswith(code)
        r.send("EPSV\r\n" * 50)
        assert r.codes(50) == ["229"] * 50
        wait_for(lambda: len(listeners(mirror.proc.process.pid)) == before + 1, 5, "one listener")
    wait_for(lambda: len(listeners(mirror.proc.process.pid)) == before, 5, "no listener")


def test_no_data_connection_is_425_in_time(mirror):
    with mirror.raw() as r:
        assert r.ask("RETR a.txt").startswith("425")
        assert r.ask("LIST").startswith("425")
        r.passive()
        seconds, answer = elapsed(lambda: r.ask("RETR a.txt"))
        assert answer.startswith("425") and 0.7 < seconds < 3
        assert r.fetch("RETR a.txt") == b"hello"


SPELLINGS = [
    "../secret", "../../secret", "/../secret", "/../../secret", "d/../../secret", "./../secret",
    "d/./../../secret", "//../secret", "/d/../../secret", "..//secret", "../d/../secret", ".././secret",
    "..\\secret", "..\\..\\secret", "d\\..\\..\\secret", "%2e%2e/secret", "%2e%2e%2fsecret",
    "..%2fsecret", "..%5csecret", "%252e%252e/secret", "\xc0\xae\xc0\xae/secret", "..;/secret",
    "....//secret", "~/secret", "~root/secret", "{OUT}/secret", "/{OUT}/secret", "file:{OUT}/secret",
    "/proc/self/cwd/secret", "link", "linkdir/secret", "d/up/secret", "linkdir/../secret",
]


def test_traversal_in_every_spelling(mirror):
    outside = mirror.root.parent
    (outside / "secret").write_text("SECRET")
    (mirror.root / "link").symlink_to(outside / "secret")
    (mirror.root / "linkdir").symlink_to(outside)
    (mirror.root / "d" / "up").symlink_to("../..")
    with mirror.raw() as r:
        r.ask("TYPE I")
        for spelling in SPELLINGS:
            name = spelling.replace("{OUT}", str(outside)).encode("latin-1")
            for verb in (b"RETR ", b"SIZE ", b"MDTM ", b"MLST "):
                r.passive()
                r.send(verb + name.replace(b"\xff", b"\xff\xff") + b"\r\n")
                answer = r.reply()
                assert answer.startswith("550"), (verb, name, answer)
        for folder in ("linkdir", "/..", "d/up", "../.."):
            r.ask("CWD " + folder)
            assert r.ask("RETR secret")[:3] in ("425", "550")
            assert r.ask("PWD") == '257 "/" is the current folder.'
        assert b"link" not in r.fetch("NLST") and b"up" not in r.fetch("MLSD d")


def test_a_folder_that_turns_into_a_link_meanwhile(mirror, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "b").write_text("SECRET")
    link, real = mirror.root / "d", mirror.root / "real"
    stop = threading.Event()

    def swap():
        os.rename(link, real)
        while not stop.is_set():
            os.symlink(outside, link)
            os.unlink(link)
            os.rename(real, link)
            os.rename(link, real)

    t = threading.Thread(target=swap)
    t.start()
    try:
        seen = set()
        with mirror.raw() as r:
            r.ask("TYPE I")
            for _ in range(300):
                with r.data() as d:
                    answer = r.ask("RETR d/b")
                    seen.add(answer[:3])
                    if answer.startswith("150"):
                        assert read_all(d) == b"b"
                        assert r.reply().startswith("226")
        assert "550" in seen
    finally:
        stop.set()
        t.join()
        os.rename(real, link)


def test_stopped_reader_is_cut_and_a_slow_one_is_not(procs, bin_dir, tmp_path):
    m = Mirror(procs, bin_dir, tmp_path, files=FILES, stall_timeout="1s", idle_timeout="1s")
    slow, stopped = m.raw(), m.raw(source="127.0.0.2")
    for r in (slow, stopped):
        r.ask("TYPE I")
    s = slow.data()
    assert slow.ask("RETR big").startswith("150")
    d = stopped.data()
    assert stopped.ask("RETR big").startswith("150")
    begin = time.monotonic()
    got = 0
    while time.monotonic() < begin + 3:  # about 3 MB/s
        got += len(s.recv(65536))
        time.sleep(0.02)
    assert stopped.reply().startswith("426")
    with pytest.raises(ConnectionResetError):
        read_all(d)
    got += len(read_all(s))
    assert got == len(BIG)
    assert slow.reply().startswith("226")


def test_deadlines(procs, bin_dir, tmp_path):
    m = Mirror(procs, bin_dir, tmp_path, files=FILES, line_timeout="1s", login_timeout="2s",
               idle_timeout="2s")
    typist, silent, idle = m.raw(), m.raw(login=False), m.raw()
    typist.send("NO")
    for r, least, most in ((typist, 0.6, 1.9), (silent, 1.4, 3.5), (idle, 1.4, 4)):
        seconds, closed = elapsed(lambda: r.closed(5))
        assert closed and b"421 " in r.pending, r.pending
    # one byte a time does not push the deadline away
    with m.raw() as r:
        begin = time.monotonic()
        with pytest.raises((ConnectionError, EOFError)):
            for _ in range(100):
                r.send("x")
                time.sleep(0.1)
                if r.closed(0.001):
                    raise EOFError
        assert time.monotonic() - begin < 3


@only("ipv4")
def test_flood_without_reading_replies(mirror):
    def rss():
        with open(f"/proc/{mirror.proc.process.pid}/status") as f:
            return int(next(x for x in f if x.startswith("VmRSS")).split()[1])

    before = rss()
    floods = [mirror.raw() for _ in range(20)]
    for r in floods:
        r.sock.setblocking(False)
        r.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        for r in floods:
            try:
                r.sock.send(b"HELP\r\n" * 1000)
            except BlockingIOError:
                pass
    with mirror.raw() as r:
        seconds, answer = elapsed(lambda: r.fetch("RETR a.txt"))
        assert answer == b"hello" and seconds < 2
    assert rss() - before < 20 * 500
    for r in floods:
        r.sock.close()


def test_caps_answer_421_before_anything_else(procs, bin_dir, tmp_path):
    m = Mirror(procs, bin_dir, tmp_path, files=FILES, max_sessions=5, max_sessions_per_address=2,
               nat_addresses="127.0.0.7", max_sessions_per_nat=3)
    kept = [m.raw(), m.raw()]
    with m.raw(login=False) as r:
        assert r.reply().startswith("421 ") and r.closed()
    kept += [m.raw(source="127.0.0.7") for _ in range(3)]
    with m.raw(login=False, source="127.0.0.8") as r:
        assert r.reply().startswith("421 ") and r.closed()
    kept.pop(0).sock.close()
    wait_for(lambda: try_login(m), 5, "room for one more")
    for r in kept:
        assert r.ask("NOOP").startswith("200")


def try_login(m):
    with m.raw(login=False, source="127.0.0.8") as r:
        return r.reply().startswith("220 ")


def test_caps_and_passive_range_over_ipv6(procs, bin_dir, tmp_path):
    """One host has a whole /64: it counts as one address. And a range of two ports holds two."""
    low = random.randint(20000, 24000)      # the only address: neighbours have it too
    m = Mirror(procs, bin_dir, tmp_path, address="::1", files=FILES, max_sessions_per_address=3,
               passive_first=low, passive_count=2)
    first, second, third = m.raw(), m.raw(), m.raw()
    with m.raw(login=False) as r:
        assert r.reply().startswith("421 ") and r.closed()
    assert {first.passive(), second.passive()} == {low, low + 1}
    assert third.ask("EPSV").startswith("425")
    for r in (first, second, third):
        r.sock.close()


def test_passive_range_and_address(procs, bin_dir, tmp_path):
    m = Mirror(procs, bin_dir, tmp_path, files=FILES, passive_first=24710, passive_count=2,
               passive_address="203.0.113.9", local_networks="127.0.0.0/30", accept_timeout="1s")
    first, second, third = m.raw(), m.raw(source="127.0.0.9"), m.raw()
    inside, outside = first.ask("PASV"), second.ask("PASV")
    assert f"({m.address.replace('.', ',')},96," in inside and "(203,0,113,9,96," in outside
    assert {re.search(r",(\d+)\)", x).group(1) for x in (inside, outside)} == {"134", "135"}
    assert third.ask("PASV").startswith("425")
    first.sock.close()
    wait_for(lambda: third.ask("EPSV").startswith("229"), 5, "a free port")


def test_listing_of_odd_names(mirror):
    (mirror.root / "o").mkdir()
    for name in (b"-la", b"a b", b'q"q', "\u00fc".encode(), b"bad\nname", b"esc\x1b[0m", b"* glob ?"):
        with open(os.path.join(os.fsencode(mirror.root), b"o", name), "wb") as f:
            f.write(b"x")
    with mirror.raw() as r:
        r.ask("CWD o")
        names = r.fetch("NLST -la").decode().split("\r\n")
        assert sorted(names) == sorted(["", "-la", "a b", 'q"q', "\u00fc", "* glob ?"])
        assert r.fetch("RETR -la") == b"x" and r.fetch("RETR * glob ?") == b"x"
        r.passive()
        assert r.ask("RETR *").startswith("550")
        assert r.ask('MLST q"q').startswith("250")
        assert b"q\"q" in r.fetch("MLSD")


def test_ascii_downloads_have_crlf(mirror):
    mirror.write("t", b"a\nb\r\nc\n" + b"line\n" * 20000 + b"\rend")
    with mirror.raw() as r:
        assert r.fetch("RETR t") == b"a\r\nb\r\nc\r\n" + b"line\r\n" * 20000 + b"\rend"

"""atalaia-fetch on lines that cut, crawl and hang, and on FTP servers that misbehave."""
import socket
import time

import pytest

import feedmaker
import fetcher
import liars
import world

HOST = "127.0.50.3"
BIG = b"".join(b"%064x:%d:Sig.%d\n" % (i * 15485863, i, i) for i in range(8000))


@pytest.fixture
def feed(tmp_path):
    f = feedmaker.Feed(tmp_path / "pub" / "signatures")
    f.publish({"a.hdb": BIG, "b.ndb": b"b"})
    return f


@pytest.fixture
def ftp(feed):
    with liars.Ftp(feed.folder.parent, HOST) as s:
        yield s


@pytest.fixture
def http(feed):
    with liars.Http(feed.folder.parent, HOST) as s:
        yield s


def config(feed, tmp_path, *named, **more):
    return fetcher.set_config(tmp_path / "state", feed.root_file, fetcher.sources(*named), **more)


def once(how, match=".a.hdb", times=1):
    """A hook that misbehaves `times` times for paths that hold `match`."""
    left = [times]

    def hook(path):
        if match in path and left[0] > 0:
            left[0] -= 1
            return how
        return None
    return hook


@pytest.mark.parametrize("form", ["ftp", "http"])
def test_a_cut_download_is_resumed(feed, tmp_path, form, request):
    server = request.getfixturevalue(form)
    server.hook = once({"cut": 200000}, times=2)
    r = fetcher.run(config(feed, tmp_path, ("m", server)))
    assert (r["outcome"], r["errors"]) == ("updated", [])
    assert r["bytes"]["full"] == len(BIG) + 1  # nothing came twice


def test_a_killed_download_is_resumed_by_the_next_run(feed, tmp_path, ftp):
    ftp.hook = lambda p: {"piece": 20000, "delay": 0.05} if ".a.hdb" in p else None
    f = fetcher.Fetch(config(feed, tmp_path, ("m", ftp)))
    part = tmp_path / "state" / "work" / "parts" / feedmaker.sha(BIG)
    world.wait_for(lambda: part.exists() and part.stat().st_size > 100000, what="part of the file")
    f.kill()
    have = part.stat().st_size
    ftp.hook, ftp.sent = None, 0
    r = fetcher.run(config(feed, tmp_path, ("m", ftp)))
    assert r["outcome"] == "updated" and r["bytes"]["full"] <= len(BIG) + 1 - have
    assert list((tmp_path / "state" / "work" / "parts").iterdir()) == []


def test_servers_that_cannot_resume(feed, tmp_path, http, ftp):
    def hook(path):
        return {"norange": True, "norest": True, **(once_more(path) or {})}
    once_more = once({"cut": 100000})
    http.hook = hook
    assert fetcher.run(config(feed, tmp_path, ("m", http)))["outcome"] == "updated"
    once_more = once({"cut": 100000})
    ftp.hook = hook
    r = fetcher.run(fetcher.set_config(tmp_path / "s2", feed.root_file, fetcher.sources(("m", ftp))))
    assert (r["outcome"], r["errors"]) == ("updated", [])


def test_a_poisoned_part_does_not_blame_the_next_source(feed, tmp_path, http, ftp):
    ftp.hook = lambda p: {"body": b"evil" + BIG[4:], "cut": 150000} if ".a.hdb" in p else None
    r = fetcher.run(config(feed, tmp_path, ("liar", ftp), ("m", http)))
    assert r["outcome"] == "updated"
    assert {e["source"] for e in r["errors"]} <= {"liar"}


@pytest.mark.parametrize("how", [{"status": 421}, {"after": "421 closing"}, {"status": 425},
                                 {"status": 550}, {"hang": True}, {"body": b""}],
                         ids=lambda h: "-".join(map(str, h.items())))
def test_ftp_that_breaks_off_falls_back_to_http(feed, tmp_path, ftp, http, how):
    ftp.hook = lambda p: how if ".a.hdb" in p else None
    r = fetcher.run(config(feed, tmp_path, ("m", ftp), ("m", http), stall_ms=1000))
    assert r["outcome"] == "updated"
    if how != {"after": "421 closing"}:
        assert r["errors"] and all(e["url"].startswith("ftp:") for e in r["errors"])


def test_a_227_with_a_foreign_address_is_not_followed(feed, tmp_path):
    with liars.Ftp(feed.folder.parent, HOST, epsv=False, pasv_address="192.0.2.7") as s:
        r = fetcher.run(config(feed, tmp_path, ("m", s)))
    assert (r["outcome"], r["errors"]) == ("updated", [])


def test_a_trickle_is_given_up(feed, tmp_path, ftp, http):
    ftp.hook = lambda p: {"piece": 1, "delay": 0.1} if ".a.hdb" in p else None
    start = time.monotonic()
    r = fetcher.run(config(feed, tmp_path, ("slow", ftp), ("m", http), stall_ms=1000))
    assert r["outcome"] == "updated" and time.monotonic() - start < 25
    assert r["errors"][0]["error"] == "timeout"


@pytest.mark.parametrize("way", ["trickle", "hang", "deaf-quit", "blackhole", "limited"])
def test_stop_ends_it_within_a_second(feed, tmp_path, ftp, way):
    more = {"stall_ms": 30000}
    if way == "trickle":
        ftp.hook = lambda p: {"piece": 1000, "delay": 0.2} if ".a.hdb" in p else None
    elif way == "hang":
        ftp.hook = lambda p: {"hang": True} if ".a.hdb" in p else None
    elif way == "deaf-quit":
        ftp.deaf_quit = True
    elif way == "limited":
        more["rate_limit"] = 2000
    full = socket.socket()  # its queue is full: a connection is neither made nor refused
    full.bind((HOST, 0))
    full.listen(0)
    fillers = [socket.socket() for _ in range(4)]
    for s in fillers:
        s.setblocking(False)
        s.connect_ex(full.getsockname())
    black = f"ftp://{HOST}:{full.getsockname()[1]}"
    named = ("m", ftp) if way != "blackhole" else ("m", black)
    f = fetcher.Fetch(config(feed, tmp_path, named, **more))
    if way == "blackhole":
        f.wait("progress")
    else:
        phase = "metadata" if way == "deaf-quit" else "download"
        f.wait("progress", where=lambda m: m["phase"] == phase)
        world.wait_for(lambda: ftp.requests or way == "deaf-quit", what="a request")
    start = time.monotonic()
    f.send({"type": "stop"})
    r = f.result(10)
    assert time.monotonic() - start < 1.0
    assert r["outcome"] == "canceled" and f.process.returncode == 1


def test_the_rate_is_kept_over_ten_seconds(feed, tmp_path, http):
    """Four files at once, so that the limit is seen to be one for all; timed at the sender."""
    noise = {f"n{i}": bytes([i]) * 400000 for i in range(4)}
    feed.publish(noise)
    rate, stamps = 60000, []
    f = fetcher.Fetch(config(feed, tmp_path, ("m", http), rate_limit=rate))
    f.wait("progress", where=lambda m: m["phase"] == "download")
    start = time.monotonic()
    world.wait_for(lambda: time.monotonic() - start > 11.5, 15, "twelve seconds")
    f.send({"type": "stop"})
    f.result(10)
    stamps = [(t, m["done"]) for t, m in f.messages
              if m["type"] == "progress" and m["phase"] == "download" and m["done"]]
    windows = [(b[0] - a[0], b[1] - a[1]) for a in stamps for b in stamps if 9.5 < b[0] - a[0] <= 10.5]
    assert windows
    for seconds, amount in windows:
        assert 0.9 * rate < amount / seconds < 1.1 * rate


def test_progress_is_not_a_flood(feed, tmp_path, http):
    http.hook = lambda p: {"piece": 5000, "delay": 0.01}
    f = fetcher.Fetch(config(feed, tmp_path, ("m", http)))
    f.result()
    times = [t for t, m in f.messages if m["type"] == "progress"]
    assert len(times) >= 3
    shown = [(m["done"], m["total"]) for m in f.of("progress") if m["phase"] == "download"]
    assert shown and all(0 <= a <= b == len(BIG) + 1 for a, b in shown if b)
    assert shown[-1][0] > len(BIG) / 3
    assert all(b - a > 0.2 for a, b in zip(times, times[1:]))

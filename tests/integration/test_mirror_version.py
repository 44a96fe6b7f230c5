"""Port 3333: answers at once or when there is something new, to everybody, cheaply."""
import http.client
import json
import resource
import selectors
import socket
import threading
import time

import pytest
from mirror import Mirror, elapsed
from world import wait_for


@pytest.fixture
def mirror(procs, bin_dir, tmp_path):
    m = Mirror(procs, bin_dir, tmp_path)
    m.publish("signatures", 7)
    m.publish("policies", 3)
    wait_for(lambda: len(json.loads(get(m, "/v1/feeds")[1])["feeds"]) == 2, 5, "both feeds")
    return m


def get(m, path, timeout=10, source="127.0.0.1", **headers):
    c = http.client.HTTPConnection(m.address, m.version, timeout=timeout,
                                   source_address=(source, 0))
    c.request("GET", path, headers={k.replace("_", "-"): v for k, v in headers.items()})
    r = c.getresponse()
    body = r.read()
    c.close()
    return r, body


def version(body):
    return json.loads(body)["signed"]["version"]


def test_answers_at_once(mirror):
    r, body = get(mirror, "/v1/signatures/timestamp")
    assert r.status == 200 and version(body) == 7
    assert r.getheader("Content-Type") == "application/json"
    etag = r.getheader("ETag")
    assert get(mirror, "/v1/signatures/timestamp", If_None_Match=etag)[0].status == 304
    assert version(get(mirror, "/v1/signatures/timestamp?have=6&wait=60")[1]) == 7
    assert get(mirror, "/v1/signatures/timestamp?have=7")[0].status == 204
    feeds = json.loads(get(mirror, "/v1/feeds")[1])["feeds"]
    assert sorted((f["name"], f["version"]) for f in feeds) == [("policies", 3), ("signatures", 7)]
    for path in ("/v1/none/timestamp", "/v1/timestamp", "/", "/v1/incoming/timestamp"):
        assert get(mirror, path)[0].status == 404, path
    for query in ("have=x", "have=-1", "have=1&wait=x", "have=99999999999999999"):
        assert get(mirror, "/v1/signatures/timestamp?" + query)[0].status == 400, query


def test_waits_and_gives_up(mirror):
    seconds, (r, _) = elapsed(lambda: get(mirror, "/v1/signatures/timestamp?have=7&wait=1"))
    assert r.status == 204 and 0.8 < seconds < 2.5


def test_publication_wakes_the_waiters_of_that_feed(mirror):
    answers = {}

    def wait(feed, have, key):
        answers[key] = get(mirror, f"/v1/{feed}/timestamp?have={have}&wait=3")

    threads = [threading.Thread(target=wait, args=("signatures", 7, i)) for i in range(10)]
    threads += [threading.Thread(target=wait, args=("policies", 3, "p"))]
    threads += [threading.Thread(target=wait, args=("signatures", 8, "ahead"))]
    for t in threads:
        t.start()
    time.sleep(0.3)
    begin = time.monotonic()
    mirror.publish("signatures", 8)
    wait_for(lambda: sum(i in answers for i in range(10)) == 10, 3, "ten answers")
    assert time.monotonic() - begin < 2 and "p" not in answers and "ahead" not in answers
    assert all(version(answers[i][1]) == 8 for i in range(10))
    for t in threads:
        t.join()
    assert answers["p"][0].status == 204 and answers["ahead"][0].status == 204


def test_a_broken_timestamp_keeps_the_last_good_answer(mirror):
    path = mirror.root / "signatures" / "metadata" / "timestamp.json"
    path.write_text("{ torn")
    mirror.proc.line("time=", where="err")
    wait_for(lambda: any("feeds.unreadable" in x for x in list(mirror.proc.err)), 5, "a warning")
    r, body = get(mirror, "/v1/signatures/timestamp")
    assert r.status == 200 and version(body) == 7
    mirror.publish("signatures", 9)
    wait_for(lambda: get(mirror, "/v1/signatures/timestamp?have=8")[0].status == 200, 5, "version 9")


def test_retry_after_spreads_over_the_budget(procs, bin_dir, tmp_path):
    m = Mirror(procs, bin_dir, tmp_path, outgoing_budget="100k", expected_download="200k",
               waiters_per_address=100)
    m.publish("signatures", 1)
    wait_for(lambda: get(m, "/v1/signatures/timestamp")[0].status == 200, 5, "a feed")
    answers = []

    def wait():
        answers.append(get(m, "/v1/signatures/timestamp?have=1&wait=10")[0])

    threads = [threading.Thread(target=wait) for _ in range(20)]
    for t in threads:
        t.start()
    time.sleep(0.3)
    m.publish("signatures", 2)
    for t in threads:
        t.join()
    after = sorted(int(r.getheader("Retry-After")) for r in answers)
    assert after[0] == 0 and 35 <= after[-1] <= 39            # 20 clients, 2 s each
    assert all(0 <= b - a <= 3 for a, b in zip(after, after[1:]))
    assert get(m, "/v1/signatures/timestamp")[0].getheader("Retry-After") is None


def held(sock):
    """True while the server neither answers nor closes."""
    try:
        sock.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return True
    except ConnectionError:
        pass
    return False


def test_waiters_per_address(procs, bin_dir, tmp_path):
    m = Mirror(procs, bin_dir, tmp_path, waiters_per_address=3, nat_addresses="127.0.0.7",
               waiters_per_nat=6)
    m.publish("f", 1)
    wait_for(lambda: get(m, "/v1/f/timestamp")[0].status == 200, 5, "a feed")

    def hold(source, n):
        socks = []
        for _ in range(n):
            s = socket.create_connection((m.address, m.version), 5, source_address=(source, 0))
            s.sendall(b"GET /v1/f/timestamp?have=1&wait=30 HTTP/1.1\r\nHost: x\r\n\r\n")
            s.setblocking(False)
            socks.append(s)
        return socks

    few, many = hold("127.0.0.5", 5), hold("127.0.0.7", 8)
    wait_for(lambda: sum(map(held, few)) == 3, 5, "three held")
    wait_for(lambda: sum(map(held, many)) == 6, 5, "six held")
    assert get(m, "/v1/f/timestamp", source="127.0.0.9")[0].status == 200
    for s in few + many:
        s.close()


def test_ten_thousand_waiters(procs, bin_dir, tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 10500:
        pytest.skip("needs 10,500 descriptors")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    m = Mirror(procs, bin_dir, tmp_path, waiters_per_address=5000)
    m.publish("f", 1)
    wait_for(lambda: get(m, "/v1/f/timestamp")[0].status == 200, 5, "a feed")
    request = b"GET /v1/f/timestamp?have=1&wait=300 HTTP/1.1\r\nHost: x\r\n\r\n"
    socks = []
    before = rss(m)
    for i in range(10000):
        s = socket.create_connection((m.address, m.version), 10,
                                     source_address=(f"127.0.41.{i // 2000 + 1}", 0))
        s.sendall(request)
        socks.append(s)
    seconds, (r, _) = elapsed(lambda: get(m, "/v1/f/timestamp"))
    assert r.status == 200 and seconds < 1
    assert rss(m) - before < 10000 * 8
    for s in socks[:1000]:     # vanished waiters cost the others nothing
        s.close()
    m.publish("f", 2)
    begin = time.monotonic()
    sel = selectors.DefaultSelector()
    for s in socks[1000:]:
        s.setblocking(False)
        sel.register(s, selectors.EVENT_READ)
    answered = 0
    while answered < 9000 and time.monotonic() < begin + 20:
        for key, _ in sel.select(1):
            assert key.fileobj.recv(4096).startswith(b"HTTP/1.1 200")
            sel.unregister(key.fileobj)
            answered += 1
    assert answered == 9000
    for s in socks:
        s.close()


def rss(m):
    with open(f"/proc/{m.proc.process.pid}/status") as f:
        return int(next(x for x in f if x.startswith("VmRSS")).split()[1])

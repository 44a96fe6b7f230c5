"""The HTTP port of the update agent: files, ranges, conditions, and nothing else."""
import http.client
import os
import socket
import subprocess

import pytest
from mirror import Mirror, read_all

BIG = os.urandom(5_000_000)
FILES = {"signatures/metadata/timestamp.json": '{"signed":{"version":1}}',
         "signatures/targets/big.bin": BIG, "signatures/targets/empty": b"",
         "signatures/targets/a b.txt": "hello"}


@pytest.fixture
def mirror(procs, bin_dir, tmp_path):
    return Mirror(procs, bin_dir, tmp_path, files=FILES)


def get(m, path, method="GET", **headers):
    c = http.client.HTTPConnection(m.address, m.http, timeout=10)
    c.request(method, path, headers={k.replace("_", "-"): v for k, v in headers.items()})
    r = c.getresponse()
    body = r.read()
    c.close()
    return r, body


def test_get_and_head(mirror):
    r, body = get(mirror, "/signatures/targets/big.bin")
    assert r.status == 200 and body == BIG and r.getheader("Accept-Ranges") == "bytes"
    r, body = get(mirror, "/signatures/targets/big.bin", "HEAD")
    assert r.status == 200 and body == b"" and r.getheader("Content-Length") == str(len(BIG))
    r, body = get(mirror, "/signatures/metadata/timestamp.json")
    assert r.getheader("Content-Type") == "application/json"
    assert get(mirror, "/signatures/targets/a%20b.txt")[1] == b"hello"
    assert get(mirror, "/signatures/targets/empty")[0].status == 200
    for path in ("/", "/signatures", "/signatures/", "/none", "/../etc/passwd", "/%2e%2e/x"):
        assert get(mirror, path)[0].status in (400, 404), path
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "PROPFIND"):
        assert get(mirror, "/signatures/targets/empty", method)[0].status in (405, 501), method


def test_ranges(mirror):
    path, n = "/signatures/targets/big.bin", len(BIG)
    for spec, first, last in (("0-0", 0, 0), ("5-9", 5, 9), (f"{n - 5}-", n - 5, n - 1),
                              ("-5", n - 5, n - 1), (f"10-{n * 2}", 10, n - 1), (f"-{n * 2}", 0, n - 1)):
        r, body = get(mirror, path, Range="bytes=" + spec)
        assert r.status == 206 and body == BIG[first:last + 1], spec
        assert r.getheader("Content-Range") == f"bytes {first}-{last}/{n}"
    for spec in ("bytes=0-1,5-6", "bytes=x", "bytes=5-4", "lines=0-1", "bytes=", "bytes=--1", "0-1"):
        r, body = get(mirror, path, Range=spec)
        assert r.status == 200 and len(body) == n, spec
    for spec in (f"bytes={n}-", "bytes=-0"):
        r, body = get(mirror, path, Range=spec)
        assert r.status == 416 and r.getheader("Content-Range") == f"bytes */{n}", spec


def test_conditions(mirror):
    path = "/signatures/targets/big.bin"
    r, _ = get(mirror, path, "HEAD")
    etag, date = r.getheader("ETag"), r.getheader("Last-Modified")
    for tag in (etag, f'"x", {etag}', "*", "W/" + etag):
        assert get(mirror, path, If_None_Match=tag)[0].status == 304
    assert get(mirror, path, If_None_Match='"x"', If_Modified_Since=date)[0].status == 200
    assert get(mirror, path, If_Modified_Since=date)[0].status == 304
    assert get(mirror, path, If_Modified_Since="Thu, 01 Jan 1970 00:00:00 GMT")[0].status == 200
    assert get(mirror, path, If_Modified_Since="yesterday")[0].status == 200
    assert get(mirror, path, If_Range=etag, Range="bytes=0-1")[0].status == 206
    assert get(mirror, path, If_Range=date, Range="bytes=0-1")[0].status == 206
    assert get(mirror, path, If_Range='"x"', Range="bytes=0-1")[0].status == 200
    mirror.write("new", b"other")
    os.rename(mirror.root / "new", mirror.root / "signatures/targets/big.bin")
    assert get(mirror, path, If_None_Match=etag)[1] == b"other"


def test_links_and_devices_are_absent(mirror, tmp_path):
    (tmp_path / "secret").write_text("SECRET")
    (mirror.root / "link").symlink_to(tmp_path / "secret")
    (mirror.root / "dir").symlink_to(tmp_path)
    os.mkfifo(mirror.root / "fifo")
    for path in ("/link", "/dir/secret", "/fifo"):
        assert get(mirror, path)[0].status == 404, path


def test_keep_alive_and_pipelining(mirror):
    with socket.create_connection((mirror.address, mirror.http), 10) as s:
        one = b"GET /signatures/targets/a%20b.txt HTTP/1.1\r\nHost: x\r\n\r\n"
        s.sendall(one * 20 + one.replace(b"Host", b"Connection: close\r\nHost"))
        answer = read_all(s)
    assert answer.count(b"HTTP/1.1 200 OK") == 21 and answer.count(b"\r\n\r\nhello") == 21


def test_curl_resumes(mirror, tmp_path):
    part = tmp_path / "part"
    part.write_bytes(BIG[:2_000_000])
    subprocess.run(["curl", "-sS", "-C", "-", "-o", part,
                    mirror.http_url("signatures/targets/big.bin")], check=True, timeout=30)
    assert part.read_bytes() == BIG


@pytest.mark.parametrize("head", [
    b"GET /x HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"GET /x HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    b"GET /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    b"GET /x HTTP/1.1\r\nHost : x\r\n\r\n",
    b"GET /x HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n",
    b"GET /x HTTP/1.1\nHost: x\n\n",
    b"GET /x\0y HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /a/../x HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /x HTTP/1.1\r\n\r\n",
    b"GET /x HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 20000 + b"\r\n\r\n",
])
def test_smuggling_ends_the_connection(mirror, head):
    with socket.create_connection((mirror.address, mirror.http), 10) as s:
        s.sendall(head + b"GET /signatures/targets/empty HTTP/1.1\r\nHost: x\r\n\r\n")
        try:
            answer = read_all(s)
        except ConnectionResetError:
            return
    assert answer[9:10] in (b"4", b"5") and b" 200 " not in answer, answer

"""make bench-mirror: the update agent beside FTP servers and nginx from Debian, same machine, same run, as ratios.

usage: mirror.py PROGRAM [--quick] [--out FILE.md] [--json FILE]
The tables show one round each. What is compared is measured again in turns, ours and the peer's, and the medians count: on a busy machine a
single figure says little. FILE of --json: {"machine", "quick", "ftp": {server: {...}}, "http": {...}, "targets": [{"what", "ours", "theirs",
"ratio", "low", "reached"}]}.
Clients are threads of this process; the CPU of a server is what the kernel charges to its control group."""
import argparse
import json
import os
import pathlib
import platform
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import peers  # noqa: E402

MB = 1_000_000


class Session:
    """The least an FTP client does."""

    def __init__(self, server):
        self.host = server.address
        self.sock = socket.create_connection((server.address, server.port), 20)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.pending = b""
        self.expect(b"220")
        if self.ask(b"USER anonymous", (b"331", b"230")).startswith(b"331"):
            self.ask(b"PASS x@", b"230")

    def expect(self, code):
        while True:
            while b"\n" not in self.pending:
                more = self.sock.recv(4096)
                if not more:
                    raise EOFError(self.pending)
                self.pending += more
            line, self.pending = self.pending.split(b"\n", 1)
            if line[3:4] == b" " and line[:3].isdigit():
                if not line.startswith(code):
                    raise RuntimeError(line)
                return line

    def ask(self, command, code):
        self.sock.sendall(command + b"\r\n")
        return self.expect(code)

    def passive(self):
        n = re.search(rb"(\d+),(\d+)\)?\.?\s*$", self.ask(b"PASV", b"227")).groups()
        return socket.create_connection((self.host, int(n[0]) * 256 + int(n[1])), 20)

    def fetch(self, name, buffer):
        data = self.passive()
        self.sock.sendall(b"RETR " + name + b"\r\n")
        self.expect((b"150", b"125"))
        total = drain(data, buffer)
        data.close()
        self.expect(b"226")
        return total

    def quit(self):
        self.ask(b"QUIT", b"221")
        self.sock.close()


def drain(sock, buffer):
    total = 0
    while True:
        n = sock.recv_into(buffer)
        if n == 0:
            return total
        total += n


def in_threads(n, work):
    errors = []

    def guarded(i):
        try:
            work(i)
        except Exception as e:  # noqa: BLE001
            errors.append(e)

    threads = [threading.Thread(target=guarded, args=(i,)) for i in range(n)]
    begin = time.monotonic()
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if errors:
        raise errors[0]
    return time.monotonic() - begin


def ftp_download(server, clients):
    def one(_):
        s = Session(server)
        s.ask(b"TYPE I", b"200")
        assert s.fetch(b"big", bytearray(1 << 18)) == server.big
        s.quit()

    return in_threads(clients, one)


def http_download(server, clients, port):
    def one(_):
        s = socket.create_connection((server.address, port), 20)
        s.sendall(b"GET /big HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert drain(s, bytearray(1 << 18)) > server.big

    return in_threads(clients, one)


def large(server, clients, download):
    """MB/s and CPU seconds per GB."""
    download(1)                       # warm
    before = server.cpu()
    seconds = download(clients)
    cpu = server.cpu() - before
    size = clients * server.big
    return size / MB / seconds, cpu / (size / 1e9)


def sessions_per_second(server, seconds):
    counts = [0] * 4
    end = time.monotonic() + seconds

    def one(i):
        while time.monotonic() < end:
            Session(server).quit()
            counts[i] += 1

    before = server.cpu()
    took = in_threads(4, one)
    return sum(counts) / took, (server.cpu() - before) / sum(counts) * 1e6


def small_files(server, n):
    s = Session(server)
    s.ask(b"TYPE I", b"200")
    buffer = bytearray(4096)
    before = server.cpu()
    begin = time.monotonic()
    for i in range(n):
        assert s.fetch(b"small/%d" % (i % 100), buffer) == 1500
    took = time.monotonic() - begin
    micros = (server.cpu() - before) / n * 1e6
    s.quit()
    return n / took, micros


def idle_memory(server, n):
    warm = [Session(server) for _ in range(5)]
    before = server.pss()
    held = [Session(server) for _ in range(n)]
    time.sleep(1)
    each = (server.pss() - before) / n
    for s in held + warm:
        s.sock.close()
    return each


def wrk(server, port, path, connections, seconds, tree, env):
    before = server.cpu()
    done = subprocess.run([tree / "usr/bin/wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency",
                           f"http://{server.address}:{port}{path}"], capture_output=True, text=True, env=env)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)", done.stdout)
    if not rate or "Non-2xx" in done.stdout:
        raise RuntimeError(done.stdout + done.stderr)
    unit = {"us": 0.001, "ms": 1, "s": 1000}[p99.group(2)]
    micros = (server.cpu() - before) / (float(rate.group(1)) * seconds) * 1e6
    return float(rate.group(1)), float(p99.group(1)) * unit, micros


def hold(server, n):
    """n long-polls."""
    socks = []
    for i in range(n):
        s = socket.create_connection((server.address, server.version), 20,
                                     source_address=(f"127.0.42.{i // 2000 + 1}", 0))
        s.sendall(b"GET /v1/f/timestamp?have=1&wait=300 HTTP/1.1\r\nHost: x\r\n\r\n")
        socks.append(s)
    time.sleep(1)
    return socks


def make_root(folder, quick):
    root = folder / "root"
    (root / "small").mkdir(parents=True)
    (root / "f/metadata").mkdir(parents=True)
    size = (50 if quick else 200) * MB
    with open(root / "big", "wb") as f:
        for _ in range(size // MB):
            f.write(os.urandom(MB))
    for i in range(100):
        (root / "small" / str(i)).write_bytes(os.urandom(1500))
    stamp = '{"signatures":[{"keyid":"' + "a" * 64 + '","sig":"' + "b" * 140 + '"}],"signed":{"version":1,' \
        '"x":"' + "c" * 300 + '"}}'
    (root / "f/metadata/timestamp.json").write_text(stamp)
    for p in [folder, root, *root.rglob("*")]:
        os.chmod(p, 0o755 if p.is_dir() else 0o644)
    return root, size


def ftp_table(servers, quick, say):
    say("| FTP server | MB/s 1 | 8 | 50 clients | CPU s/GB 1 | 8 | 50 clients | sessions/s | CPU us/session"
        " | 1.5 KB files/s | CPU us/file | idle B/session |")
    say("|---|---|---|---|---|---|---|---|---|---|---|---|")
    rows = {}
    for make in servers:
        server = make()
        why = peers.usable(server)
        if why:
            say(f"| {server.name}: {why} |")
            continue
        try:
            server.start()
            server.big = BIG
            got = [large(server, n, lambda c: ftp_download(server, c)) for n in (1, 8, 50)]
            rate, micros = sessions_per_second(server, 2 if quick else 5)
            files, each = small_files(server, 500 if quick else 3000)
            server.stop()
            idle = idle_memory(server.start(), 100 if quick else 500)
        except Exception as e:  # noqa: BLE001
            say(f"| {server.name}: {type(e).__name__} {str(e)[:120]} |")
            continue
        finally:
            server.stop()
        rows[server.name] = {"mb_per_s": [x[0] for x in got], "cpu_s_per_gb": [x[1] for x in got], "sessions_per_s": rate,
                             "cpu_us_per_session": micros, "small_files_per_s": files, "cpu_us_per_file": each,
                             "idle_bytes_per_session": idle}
        say(f"| {server.name} | " + " | ".join(f"{x[0]:.0f}" for x in got) + " | "
            + " | ".join(f"{x[1]:.3f}" for x in got)
            + f" | {rate:.0f} | {micros:.0f} | {files:.0f} | {each:.0f} | {idle:.0f} |")
    return rows


def http_table(atalaia, nginx, tree, quick, say):
    say("\n| HTTP server | file MB/s 1 | 8 | 50 clients | CPU s/GB 50 | requests/s (p99 ms, CPU us) 1 | 64 |"
        " 500 connections | 64 with 10,000 waiters |")
    say("|---|---|---|---|---|---|---|---|---|")
    rows, seconds = {}, 2 if quick else 5
    for make in (atalaia, nginx):
        server = make()
        try:
            server.start()
            server.big = BIG
            ours = server.name == "atalaia"
            file_port = server.http if ours else server.port
            port, path = (server.version, "/v1/f/timestamp") if ours else (server.port, "/f/metadata/timestamp.json")
            env = peers.Server.environment(server)
            got = [large(server, n, lambda c: http_download(server, c, file_port)) for n in (1, 8, 50)]
            rates = [wrk(server, port, path, c, seconds, tree, env) for c in (1, 64, 500)]
            held = "-"
            if ours:
                before = server.pss()
                socks = hold(server, 1000 if quick else 10000)
                each = (server.pss() - before) / len(socks)
                r = wrk(server, port, path, 64, seconds, tree, env)
                held = f"{r[0]:.0f} ({r[1]:.2f}, {r[2]:.1f}), {each:.0f} B/waiter"
                for s in socks:
                    s.close()
        finally:
            server.stop()
        rows[server.name] = {"mb_per_s": [x[0] for x in got], "cpu_s_per_gb": [x[1] for x in got],
                             "requests_per_s": [r[0] for r in rates], "p99_ms": [r[1] for r in rates],
                             "cpu_us_per_request": [r[2] for r in rates]}
        say(f"| {server.name} | " + " | ".join(f"{x[0]:.0f}" for x in got) + f" | {got[2][1]:.3f} | "
            + " | ".join(f"{r[0]:.0f} ({r[1]:.2f}, {r[2]:.1f})" for r in rates) + f" | {held} |")
    return rows


class Verdicts:
    def __init__(self, say):
        self.say, self.targets = say, []

    def add(self, what, ours, theirs, low):
        """ours / theirs; low: less is better."""
        if not theirs:
            self.say(f"- {what}: {ours:.4g}, no peer to compare with")
            return
        ratio = ours / theirs
        reached = ratio <= 1 if low else ratio >= 1
        self.say(f"- {what}: {ours:.4g} against {theirs:.4g}, ratio {ratio:.2f}: {'reached' if reached else 'NOT reached'}")
        self.targets.append({"what": what, "ours": ours, "theirs": theirs, "ratio": ratio, "low": low, "reached": reached})


def duel(ours, theirs, rounds, measure):
    """measure(server) of both in turns; the medians, one for each figure that it returns."""
    servers = [ours(), theirs()]
    got = [[], []]
    try:
        for server in servers:
            server.start()
            server.big = BIG
            measure(server)               # warm
        for _ in range(rounds):
            for list_, server in zip(got, servers):
                list_.append(measure(server))
    finally:
        for server in servers:
            server.stop()
    return [[statistics.median(x) for x in zip(*rows)] for rows in got]


def big_at_fifty(server):
    """CPU seconds per GB of the server, and of server and clients together."""
    before, mine = server.cpu(), time.process_time()
    ftp_download(server, 50)
    cpu = server.cpu() - before
    size = 50 * server.big / 1e9
    return cpu / size, (cpu + time.process_time() - mine) / size


def compare(ours, tree, ftp, nginx, run, root, quick, say):
    """The targets, each in turns with the peer that it names."""
    peer = {c.name: (lambda c=c: c(run, tree, root)) for c in peers.PEERS}
    v = Verdicts(say)
    rounds = 3 if quick else 5
    say(f"\nTo reach, medians of {rounds} rounds in turns with that peer:")
    best = min((n for n in ftp if n != "atalaia"), key=lambda n: ftp[n]["cpu_s_per_gb"][2], default=None)
    if best:
        a, b = duel(ours, peer[best], rounds, big_at_fifty)
        v.add(f"CPU seconds per GB at 50 clients, the best FTP peer ({best})", a[0], b[0], True)
        v.add(f"the same with the clients' CPU, {best}", a[1], b[1], True)
    v.add("idle bytes per session, 4 kB", ftp["atalaia"]["idle_bytes_per_session"], 4096, True)
    if "pyftpdlib" in ftp:
        a, b = duel(ours, peer["pyftpdlib"], rounds, lambda s: sessions_per_second(s, 2))
        v.add("sessions/s, pyftpdlib", a[0], b[0], False)
        v.add("CPU us/session, pyftpdlib", a[1], b[1], True)
    if "pure-ftpd" in ftp:
        a, b = duel(ours, peer["pure-ftpd"], rounds, lambda s: small_files(s, 1000))
        v.add("small files/s, pure-ftpd", a[0], b[0], False)
        v.add("CPU us/small file, pure-ftpd", a[1], b[1], True)

    def versions(server, n):
        own = server.name == "atalaia"
        return wrk(server, server.version if own else server.port, "/v1/f/timestamp" if own else "/f/metadata/timestamp.json",
                   n, 2, tree, peers.Server.environment(server))

    for n in (1, 64, 500):
        a, b = duel(ours, nginx, rounds, lambda s, n=n: versions(s, n))
        v.add(f"3333 requests/s at {n} connections, nginx", a[0], b[0], False)
        v.add(f"3333 CPU us/request at {n} connections, nginx", a[2], b[2], True)
    return v.targets


def main():
    global BIG
    p = argparse.ArgumentParser()
    p.add_argument("program")
    p.add_argument("--quick", action="store_true")
    p.add_argument("--out")
    p.add_argument("--json")
    p.add_argument("--scratch")
    a = p.parse_args()
    lines = []

    def say(text):
        print(text, flush=True)
        lines.append(text)

    resource_limit()
    scratch = pathlib.Path(a.scratch or tempfile.mkdtemp(prefix="bench-mirror-"))
    scratch.mkdir(exist_ok=True)
    tree = peers.unpack(scratch)
    run = pathlib.Path(tempfile.mkdtemp(dir=scratch))
    root, BIG = make_root(run, a.quick)
    os.chmod(scratch, 0o755)
    cpu = next((x.split(":")[1].strip() for x in open("/proc/cpuinfo") if x.startswith("model name")), "?")
    machine = (f"{time.strftime('%Y-%m-%d')}, Linux {platform.release()}, {os.cpu_count()} x {cpu}, load"
               f" {os.getloadavg()[0]:.1f}, {BIG // MB} MB file, loopback, clients on the same cores")
    say(machine + "\n")
    group = peers.cpu_group()
    if group:
        group.remove()
    else:
        say("No control groups: the CPU of processes that ended is known in part only, and servers that make processes look better than they are.\n")

    def ours():
        return peers.Atalaia(run, tree, root, pathlib.Path(a.program).resolve())

    ftp = ftp_table([ours] + [lambda c=c: c(run, tree, root) for c in peers.PEERS], a.quick, say)
    def nginx():
        return peers.Nginx(run, tree, root)

    http = http_table(ours, nginx, tree, a.quick, say)
    targets = compare(ours, tree, ftp, nginx, run, root, a.quick, say)
    if a.json:
        report = {"machine": machine, "quick": a.quick, "ftp": ftp, "http": http, "targets": targets,
                  "peers": peers.versions(scratch)}
        pathlib.Path(a.json).write_text(json.dumps(report, indent=1) + "\n")
    if a.out:
        pathlib.Path(a.out).write_text("\n".join(lines) + "\n")


def resource_limit():
    import resource
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Deltas side by side: bytes, CPU to make and to apply, peak memory, for ours and for what else there is.
usage: delta.py BIN [--quick]        BIN holds atalaia-repo; --quick takes a tenth of the generated database.
Sets: real rule files (../shared/data when it is there), packed; and a generated hash database of 200 MB with 0.5 %
change a day, in order of appearance and sorted. Tools that are not installed are left out and said."""
import hashlib
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile

TOP = pathlib.Path(__file__).resolve().parents[2]
QUICK = "--quick" in sys.argv
REPO = pathlib.Path(sys.argv[1]).resolve() / "atalaia-repo"
SMALL = 12 << 20            # larger sets take bsdiff and zstd -19 --patch-from minutes each


def run(argv, cwd, stdout=None, ok=(0,)):
    """Runs a program; (CPU seconds, peak KiB). GNU time forks it from a small process: from this one it would be
    charged with our own memory."""
    out = open(cwd / stdout, "wb") if stdout else subprocess.DEVNULL
    (cwd / "out").unlink(missing_ok=True)       # freeing an old result would be charged to who replaces it
    argv = ["/usr/bin/time", "-q", "-o", "usage", "-f", "%U %S %M", *(str(a) for a in argv)]
    status = subprocess.run(argv, cwd=cwd, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.DEVNULL).returncode
    if status not in ok:
        raise RuntimeError(f"{argv[6]} ended with {status}")
    user, system, peak = (cwd / "usage").read_text().split()
    return float(user) + float(system), int(peak)


def add(*steps):
    return sum(s[0] for s in steps), max(s[1] for s in steps)


def size(d, *names):
    return sum((d / n).stat().st_size for n in names)


def check(d, new, out):
    if subprocess.run(["cmp", "-s", d / new, d / out]).returncode != 0:
        raise RuntimeError(f"{out} is not {new}")


# -- each tool: (bytes, make, apply); apply None when the tool cannot

def ours(d, chain):
    deltas, made = [], []
    for i, (a, b) in enumerate(zip(chain, chain[1:])):
        deltas.append(f"ours{i}.d")
        made.append(run([REPO, "delta", a, b, deltas[-1]], d))
    digest = hashlib.sha256((d / chain[-1]).read_bytes()).hexdigest()
    applied = run([REPO, "patch", chain[0], "out", *deltas, "--sha256", digest, "--length", size(d, chain[-1])], d)
    check(d, chain[-1], "out")
    return size(d, *deltas), add(*made), applied


def ours_direct(d, chain):
    return ours(d, [chain[0], chain[-1]])


def diff_zstd(d, chain):
    a = run(["diff", "-a", "-n", chain[0], chain[-1]], d, stdout="dn", ok=(0, 1))
    b = run(["zstd", "-19", "-q", "-f", "dn", "-o", "dn.zst"], d)
    return size(d, "dn.zst"), add(a, b), None


def patch_from(level):
    def tool(d, chain):
        wide = ["--long=31"] if size(d, chain[0]) > 100 << 20 else ["--long=27"]
        m = run(["zstd", f"-{level}", *wide, "-q", "-f", f"--patch-from={chain[0]}", chain[-1], "-o", "pf.zst"], d)
        a = run(["zstd", "-d", *wide, "-q", "-f", f"--patch-from={chain[0]}", "pf.zst", "-o", "out"], d)
        check(d, chain[-1], "out")
        return size(d, "pf.zst"), m, a
    return tool


def xdelta(d, chain):
    m = run(["xdelta3", "-e", "-9", "-S", "lzma", "-f", "-s", chain[0], chain[-1], "xd"], d)
    a = run(["xdelta3", "-d", "-f", "-s", chain[0], "xd", "out"], d)
    check(d, chain[-1], "out")
    return size(d, "xd"), m, a


def bsdiff(d, chain):
    m = run(["bsdiff", chain[0], chain[-1], "bs"], d)
    a = run(["bspatch", chain[0], "out", "bs"], d)
    check(d, chain[-1], "out")
    return size(d, "bs"), m, a


def zsync(d, chain):
    """Over HTTP from a server that counts what it sends."""
    import http.server
    import threading
    sent = []

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            data = (d / self.path.lstrip("/")).read_bytes()
            ranges = self.headers.get("Range")
            parts = [(0, len(data) - 1)]
            if ranges:
                parts = [tuple(int(x) for x in r.split("-")) for r in ranges.split("=")[1].split(",")]
            if len(parts) == 1:
                a, b = parts[0]
                body, kind = data[a:b + 1], "application/octet-stream"
            else:
                body = b"".join(b"\r\n--zz\r\nContent-Range: bytes %d-%d/%d\r\n\r\n" % (a, b, len(data)) +
                                data[a:b + 1] for a, b in parts) + b"\r\n--zz--\r\n"
                kind = "multipart/byteranges; boundary=zz"
            self.send_response(206 if ranges else 200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            if ranges and len(parts) == 1:
                self.send_header("Content-Range", f"bytes {parts[0][0]}-{parts[0][1]}/{len(data)}")
            self.end_headers()
            self.wfile.write(body)
            sent.append(len(body))

        def log_message(self, *a):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        url = f"http://127.0.0.1:{server.server_port}"
        m = run(["zsyncmake", "-C", "-u", f"{url}/{chain[-1]}", "-o", "zs.zsync", chain[-1]], d)
        a = run(["timeout", "300", "zsync", "-q", "-i", chain[0], "-o", "zs.out", f"{url}/zs.zsync"], d)
        check(d, chain[-1], "zs.out")
    finally:
        server.shutdown()
        for n in d.glob("zs.out*"):
            n.unlink()
    return sum(sent), m, a


def casync(d, chain):
    shutil.rmtree(d / "store", ignore_errors=True)
    (d / "ca.out").unlink(missing_ok=True)      # it fails on a file that is there
    run(["casync", "make", "--store=store", "old.caibx", chain[0]], d)
    before = {p for p in (d / "store").rglob("*.cacnk")}
    m = run(["casync", "make", "--store=store", "new.caibx", chain[-1]], d)
    new = [p for p in (d / "store").rglob("*.cacnk") if p not in before]
    a = run(["casync", "extract", "--store=store", f"--seed={chain[0]}", "new.caibx", "ca.out"], d)
    check(d, chain[-1], "ca.out")
    return sum(p.stat().st_size for p in new) + size(d, "new.caibx"), m, a


def sigtool(d, chain):
    """ClamAV's own line format, as freshclam applies it: CPU is what counts here. It appends what is new, so that the
    order of lines may differ from the new file's."""
    old = (d / chain[0]).read_bytes().split(b"\n")
    text = subprocess.run(["diff", "-a", "-n", chain[0], chain[-1]], cwd=d, capture_output=True).stdout.split(b"\n")
    dels, adds, i = [], [], 0
    while i < len(text):
        head, i = text[i], i + 1
        if head[:1] in (b"a", b"d"):
            at, n = (int(x) for x in head[1:].split())
            if head[:1] == b"d":
                dels += [b"DEL %d %s" % (k, old[k - 1][:16]) for k in range(at, at + n)]
            else:
                adds += [b"ADD " + x for x in text[i:i + n]]
                i += n
    (d / "day.script").write_bytes(b"\n".join([b"OPEN db.hdb", *dels, *adds, b"CLOSE", b""]))
    shutil.copy(d / chain[0], d / "db.hdb")
    a = run(["sigtool", "--run-cdiff=day.script"], d, ok=(0, 1))    # 1: the name is no cdiff's, said after applying
    if size(d, "db.hdb") != size(d, chain[-1]):
        raise RuntimeError("sigtool did not apply the script")
    m = run(["gzip", "-9", "-k", "-f", "day.script"], d)
    return size(d, "day.script.gz"), m, a


TOOLS = [
    ("ours (chain)", ours, None, 0), ("ours (direct)", ours_direct, None, 0),
    ("diff -n | zstd -19", diff_zstd, "diff", 0),
    ("zstd --patch-from -3", patch_from(3), "zstd", 0), ("zstd --patch-from -19", patch_from(19), "zstd", SMALL),
    ("xdelta3 -9 lzma", xdelta, "xdelta3", 0), ("bsdiff", bsdiff, "bsdiff", SMALL),
    ("zsync", zsync, "zsync", 0), ("casync", casync, "casync", 0),
    ("sigtool --run-cdiff", sigtool, "sigtool", 0)]


def compare(title, d, chain, database):
    print(f"\n{title}: {size(d, chain[0]) / 1e6:.1f} MB -> {size(d, chain[-1]) / 1e6:.1f} MB, "
          f"{len(chain) - 1} step(s)")
    print(f"  {'':22} {'bytes':>10} {'ratio':>7}   {'make CPU':>8} {'MiB':>6}   {'apply CPU':>9} {'MiB':>6}")
    base, seen = None, {}
    for name, tool, program, limit in TOOLS:
        if (program and not shutil.which(program)) or (limit and size(d, chain[0]) > limit):
            why = "is not installed" if program and not shutil.which(program) else "takes too long at this size"
            print(f"  {name:22} {why}")
            continue
        if (name == "ours (direct)" and len(chain) == 2) or (name.startswith("sigtool") and not database):
            continue
        try:
            n, make, apply = tool(d, chain)
        except (RuntimeError, OSError) as e:
            print(f"  {name:22} failed: {e}")
            continue
        base = base or n
        seen[name] = (n, make, apply)
        a = f"{apply[0]:9.2f} {apply[1] / 1024:6.1f}" if apply else f"{'-':>9} {'-':>6}"
        print(f"  {name:22} {n:10} {n / base:7.2f}   {make[0]:8.2f} {make[1] / 1024:6.0f}   {a}", flush=True)
    return seen


def verdict(results):
    """The four aims; True when all are met."""
    good = True

    def aim(ok, text):
        nonlocal good
        good &= ok
        print(f"  {'met ' if ok else 'MISSED'}  {text}")

    print("\naims")
    for title, days, seen in results:
        n, _, apply = seen["ours (chain)"]
        rivals = {k: seen[k][0] for k in ("diff -n | zstd -19", "xdelta3 -9 lzma") if k in seen}
        if rivals:
            best = min(rivals.values())
            factor = 1 if days == 1 else 1.15
            aim(n <= best * factor, f"{title}: {n} bytes <= {factor} x {best}, the best of {', '.join(rivals)}")
        aim(apply[1] <= 16384, f"{title}: applied in {apply[1] / 1024:.1f} MiB <= 16")
        if days == 1 and "sigtool --run-cdiff" in seen:
            other = seen["sigtool --run-cdiff"][2][0]
            aim(apply[0] <= other, f"{title}: applied in {apply[0]:.2f} s of CPU <= {other:.2f}, sigtool --run-cdiff")
    return good


# -- sets

def database(d, lines, days):
    """Versions of a hash database: every day 0.4 % new lines at the end and 0.1 % gone."""
    rnd = random.Random(42)
    kinds = ["Win.Trojan", "Win.Malware", "Doc.Dropper", "Unix.Malware", "Html.Exploit", "Andr.Adware"]
    families = ["".join(rnd.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(rnd.randint(5, 9))).title()
                for _ in range(2500)]
    number = [6000000]

    def line():
        number[0] += rnd.randint(1, 3)
        return (f"{rnd.getrandbits(128):032x}:{int(rnd.lognormvariate(12, 1.6))}:{rnd.choice(kinds)}."
                f"{families[int(2500 * rnd.random() ** 3)]}-{number[0]}-0\n")

    now = [line() for _ in range(lines)]
    for day in range(days + 1):
        (d / f"db{day}").write_text("".join(now))
        (d / f"sorted{day}").write_text("".join(sorted(now)))
        gone = set(rnd.sample(range(len(now)), len(now) // 1000))
        now = [x for i, x in enumerate(now) if i not in gone] + [line() for _ in range(len(now) * 4 // 1000)]


def rules(d):
    """Packs of the real versions, as publish makes them; [] when they are not here."""
    script = TOP / ".." / "shared" / "data" / "unpack.sh"
    if not script.exists():
        return []
    subprocess.run(["bash", script, d / "data"], check=True)
    subprocess.run([REPO, "init", d / "r"], check=True, stdout=subprocess.DEVNULL)
    for k in range(1, 9):
        subprocess.run([REPO, "publish", d / "r", d / "data/yara" / f"v{k}", "--full-level", "0"], check=True,
                       stdout=subprocess.DEVNULL)
        pack = max((d / "r/public/signatures/targets").glob("*.pack"), key=lambda p: p.stat().st_mtime_ns)
        shutil.copy(pack, d / f"rules{k}")
    return [f"rules{k}" for k in range(1, 9)]


def main():
    results = []
    with tempfile.TemporaryDirectory(prefix="atalaia-bench-", dir=os.environ.get("TMPDIR", "/tmp")) as tmp:
        d = pathlib.Path(tmp)
        packs = rules(d)
        if packs:
            results.append(("rules, one version back", 1, compare("real rules, one version back", d, packs[-2:],
                                                                    False)))
            results.append(("rules, seven versions back", 7, compare("real rules, seven versions back", d, packs,
                                                                       False)))
        else:
            print("real rules: ../shared/data is not here")
        database(d, 260000 if QUICK else 2600000, 7)
        for kind in ("db", "sorted"):
            name = "database in order of appearance" if kind == "db" else "database sorted"
            results.append((f"{name}, 1 day", 1, compare(f"{name}, 1 day", d, [f"{kind}6", f"{kind}7"], kind == "db")))
            results.append((f"{name}, 7 days", 7, compare(f"{name}, 7 days", d, [f"{kind}{i}" for i in range(8)],
                                                           False)))
        return 0 if verdict(results) else 1


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/python3
"""What ClamAV needs to load a set: peak memory of clamscan (the gate's load test), of a clamd at rest and of its two
kinds of reload, beside the bytes of the set. The factors in agent/engine_memory.c come from here.
usage: engine_memory.py [--quick]        needs clamav and clamav-daemon"""
import os
import pathlib
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time

MIB = 1 << 20
SIZES = (4, 16) if "--quick" in sys.argv else (8, 32, 128)


def word(rnd):
    return "".join(rnd.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(8)).title()


def hashes(rnd, i):
    return f"{rnd.getrandbits(128):032x}:{int(rnd.lognormvariate(12, 1.6))}:Win.Trojan.{word(rnd)}-{i}-0\n"


def sha(rnd, i):
    return f"{rnd.getrandbits(256):064x}:{int(rnd.lognormvariate(12, 1.6))}:Win.Trojan.{word(rnd)}-{i}-0\n"


def body(rnd, i):
    return f"Win.Trojan.{word(rnd)}-{i}:0:*:{rnd.getrandbits(8 * 40):080x}\n"


def logical(rnd, i):
    return (f"Win.Trojan.{word(rnd)}-{i};Engine:51-255,Target:1;0&1;{rnd.getrandbits(160):040x};"
            f"{rnd.getrandbits(160):040x}\n")


def rules(rnd, i):
    return (f"rule r{i} {{ strings: $a = \"{word(rnd)}{word(rnd)}\" $b = {{ {rnd.getrandbits(160):040x} }} "
            "condition: $a and $b }\n")


KINDS = {"db.hdb": hashes, "db.hsb": sha, "db.ndb": body, "db.ldb": logical, "db.yar": rules}
LARGEST = {"db.ndb": 32, "db.ldb": 32, "db.yar": 8}


def make(folder, name, mib):
    rnd, size, i = random.Random(7), 0, 0
    folder.mkdir()
    with open(folder / name, "w") as f:
        while size < mib * MIB:
            line = KINDS[name](rnd, i)
            f.write(line)
            size, i = size + len(line), i + 1
    return size


def packed(folder, out):
    """The same as an unsigned container, compressed: what daily.cvd is."""
    out.mkdir()
    (folder / "COPYING").write_text("none\n")
    subprocess.run(["sigtool", "--build=db.cud", "--unsigned", f"--datadir={folder}"], cwd=folder, input="1\nbench\n",
                   text=True, capture_output=True, check=False)
    (folder / "COPYING").unlink()
    if (folder / "db.cud").exists():
        (folder / "db.cud").rename(out / "db.cud")
    return (out / "db.cud").stat().st_size if (out / "db.cud").exists() else 0


def clamscan(folder, scratch):
    done = subprocess.run(["/usr/bin/time", "-f", "%M", "-o", scratch / "usage", "clamscan", f"--database={folder}",
                           "--no-summary", "/etc/hostname"], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(done.stderr[-300:])
    return int((scratch / "usage").read_text()) * 1024


def anonymous(pid, field="RssAnon"):
    for line in open(f"/proc/{pid}/status"):
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    return 0


class Clamd:
    def __init__(self, folder, scratch, concurrent):
        self.socket, conf = scratch / "s", scratch / "clamd.conf"
        self.log = scratch / "log"
        self.socket.unlink(missing_ok=True)
        self.log.write_text("")
        conf.write_text(f"LocalSocket {self.socket}\nDatabaseDirectory {folder}\nForeground yes\nSelfCheck 0\n"
                        f"ConcurrentDatabaseReload {'yes' if concurrent else 'no'}\nLogFile {self.log}\n"
                        f"IdleTimeout 1\nTemporaryDirectory {scratch}\nLogFileMaxSize 0\n")
        self.process = subprocess.Popen(["clamd", f"--config-file={conf}"], stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        while self.ask(b"zPING\0") != b"PONG\0":
            time.sleep(0.1)
        time.sleep(0.5)

    def ask(self, request):
        with socket.socket(socket.AF_UNIX) as s:
            try:
                s.connect(str(self.socket))
                s.sendall(request)
                return s.recv(4096)
            except OSError:
                return b""

    def reload(self):
        """Rest before, peak while it reloads, rest after."""
        rest, peak = anonymous(self.process.pid), 0
        ended = self.log.read_text().count("Database correctly reloaded")
        self.ask(b"zRELOAD\0")
        while self.log.read_text().count("Database correctly reloaded") == ended:
            peak = max(peak, anonymous(self.process.pid))
            time.sleep(0.005)
        time.sleep(0.5)
        return rest, peak, anonymous(self.process.pid)

    def stop(self):
        self.process.kill()
        self.process.wait()


def measure(title, folder, size, scratch):
    test = clamscan(folder, scratch)
    row = [test]
    for concurrent in (True, False):
        c = Clamd(folder, scratch, concurrent)
        try:
            (folder / "touch.hdb").write_text("0" * 32 + ":7:Touch\n")      # else nothing changed
            rest, peak, after = c.reload()
        finally:
            c.stop()
            (folder / "touch.hdb").unlink()
        row += [rest, peak, after]
    m = [x / MIB for x in row]
    print(f"{title:22} {size / MIB:7.1f} {m[0]:9.1f} {m[0] / (size / MIB):6.2f} {m[1]:9.1f} {m[2]:9.1f} {m[2] - m[1]:9.1f}"
          f" {m[3]:9.1f} {m[5]:9.1f} {m[6]:9.1f}", flush=True)


def main():
    base = pathlib.Path(tempfile.mkdtemp(prefix="atalaia-memory-"))
    version = subprocess.run(["clamscan", "--version"], capture_output=True, text=True).stdout.split("/")[0].strip()
    print(f"{version}; MiB. load: clamscan's peak, x: for each byte of the set. concurrent and blocking: clamd's peak in a reload.")
    print(f"{'set':22} {'bytes':>7} {'load':>9} {'x':>6} {'at rest':>9} {'concurr.':>9} {'more':>9} {'after':>9}"
          f" {'blocking':>9} {'after':>9}")
    try:
        (base / "empty").mkdir()
        (base / "empty/e.hdb").write_text("0" * 31 + "1:7:One\n")
        measure("one line", base / "empty", 40, base)
        for name in KINDS:
            for mib in SIZES:
                if mib > LARGEST.get(name, 1 << 20):
                    continue
                folder = base / "set"
                size = make(folder, name, mib)
                measure(f"{name} {mib}", folder, size, base)
                if mib == SIZES[0] and name != "db.yar":
                    n = packed(folder, base / "packed")
                    if n:
                        measure(f"{name} {mib} as cud", base / "packed", n, base)
                    shutil.rmtree(base / "packed", ignore_errors=True)
                shutil.rmtree(folder)
    finally:
        shutil.rmtree(base, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())

"""What an idle agent costs a PC, beside freshclam's daemon in the same run: proportional memory, wake-ups a second
(strace), and what the package installs.
usage: footprint.py PROGRAMS [--json FILE] [--seconds N]      PROGRAMS: build/release; root, strace, freshclam"""
import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests/lib"))

import fleet as fleets  # noqa: E402
import world  # noqa: E402


def pss_kib(pid):
    rollup = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    return int(re.search(r"^Pss:\s+(\d+)", rollup, re.M)[1])


def private_kib(pid):
    """What ends with the process, whoever else has the same libraries in memory."""
    rollup = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    return sum(int(x) for x in re.findall(r"^Private_(?:Clean|Dirty):\s+(\d+)", rollup, re.M))


def real_pid(pid):
    """setpriv has become the program; only a prefix would leave a child."""
    children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    return int(children[0]) if "setpriv" in os.readlink(f"/proc/{pid}/exe") and children else pid


def wakeups(pid, seconds):
    """Returns from waiting, of every thread of the process."""
    with tempfile.NamedTemporaryFile("r") as out:
        trace = subprocess.Popen(["strace", "-f", "-o", out.name, "-e",
                                  "trace=epoll_wait,epoll_pwait,poll,ppoll,select,pselect6,nanosleep,clock_nanosleep",
                                  "-p", str(pid)], stderr=subprocess.PIPE, text=True)
        trace.stderr.readline()             # attached
        time.sleep(seconds)
        trace.terminate()
        trace.wait()
        lines = out.read().splitlines()
    ended = [x for x in lines if re.search(r"= -?\d", x) and "strace" not in x and "SIGTERM" not in x]
    return len(ended) / seconds


def freshclam(folder, procs):
    """Debian's daemon, as its service runs it, with a mirror that does not answer: it waits for its next check."""
    conf = folder / "freshclam.conf"
    database = folder / "clamav"
    database.mkdir()
    conf.write_text(f"DatabaseDirectory {database}\nDatabaseOwner root\nPrivateMirror http://127.0.0.1:1\n"
                    "Checks 24\nMaxAttempts 1\nConnectTimeout 2\nForeground yes\n")
    p = procs.start(["/usr/bin/freshclam", "-d", "--foreground=true", f"--config-file={conf}"])
    time.sleep(10)
    assert p.process.poll() is None, "freshclam did not stay"
    return p.process.pid


def installed_kib(programs, folder):
    """(KiB, how it was found): what the Debian package installs, built ones first."""
    debs = sorted((TOP / "build/deb").glob("atalaia-agent_*.deb"))
    if debs:
        shown = subprocess.run(["dpkg-deb", "-x", debs[-1], folder / "deb"], check=True)
        assert shown.returncode == 0
        files = [p for p in (folder / "deb").rglob("*") if p.is_file() and not p.is_symlink()]
        return sum(p.stat().st_size for p in files) / 1024, "files of the Debian package"
    total = 0
    for name in ("atalaia-agent", "atalaia-fetch", "atalaia-scan", "atalaia"):
        shutil.copy(programs / name, folder / name)
        subprocess.run(["strip", folder / name], check=True)
        total += (folder / name).stat().st_size
    return total / 1024, "stripped programs, no package is built"


def main():
    p = argparse.ArgumentParser()
    p.add_argument("programs")
    p.add_argument("--json")
    p.add_argument("--seconds", type=int, default=30)
    a = p.parse_args()
    programs = pathlib.Path(a.programs).resolve()
    root = pathlib.Path(tempfile.mkdtemp(prefix="atalaia-footprint-"))
    f = fleets.Fleet(programs, root, addresses=("127.0.96.1", "127.0.96.2", "127.0.96.3"), lines=1000)
    try:
        f.first_set()
        w = f.workstation
        with world.Procs() as procs:
            other = freshclam(root, procs)
            time.sleep(25)                  # idle: what the start took has been given back
            pid = real_pid(w.agent.process.pid)
            figures = {"pss_kib": pss_kib(pid), "freshclam_pss_kib": pss_kib(other),
                       "private_kib": private_kib(pid), "freshclam_private_kib": private_kib(other),
                       "wakeups_per_s": round(wakeups(pid, a.seconds), 2),
                       "freshclam_wakeups_per_s": round(wakeups(other, a.seconds), 2)}
        size, how = installed_kib(programs, root)
        figures.update(installed_kib=round(size), installed=how,
                       freshclam=subprocess.run(["freshclam", "--version"], capture_output=True, text=True).stdout.strip())
    finally:
        f.stop()
        shutil.rmtree(root, ignore_errors=True)
    aims = [("memory below freshclam's daemon", figures["pss_kib"] < figures["freshclam_pss_kib"]),
            ("no wake-up more often than once a second", figures["wakeups_per_s"] <= 1),
            ("installed size under 1 MiB", figures["installed_kib"] < 1024)]
    print(f"idle agent, enrolled, no engine: {figures['pss_kib']} KiB PSS, {figures['private_kib']} private, "
          f"{figures['wakeups_per_s']} wake-ups/s\n"
          f"freshclam's daemon:              {figures['freshclam_pss_kib']} KiB PSS, {figures['freshclam_private_kib']} private, "
          f"{figures['freshclam_wakeups_per_s']} wake-ups/s\n"
          f"installed: {figures['installed_kib']} KiB ({how})")
    for what, met in aims:
        print(f"  {'met ' if met else 'MISSED'}  {what}")
    if a.json:
        pathlib.Path(a.json).write_text(json.dumps(figures, indent=1) + "\n")
    return 0 if all(met for _, met in aims) else 1


if __name__ == "__main__":
    sys.exit(main())

"""All benchmarks as one page: build/bench/page.md and SVG plots (gnuplot). Each benchmark is a program of its own and
says what it measures; here are only their order, their output and the machine.
usage: page.py [--quick] [NAME...]      names: mirror delta console events engine footprint"""
import datetime
import json
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
HERE, PROGRAMS, OUT = TOP / "tests/bench", TOP / "build/release", TOP / "build/bench"
PEERS = ("vsftpd pure-ftpd proftpd-core python3-pyftpdlib nginx-light nginx xdelta3 bsdiff zsync casync zstd clamav "
         "clamav-freshclam libcurl4 libuv1 libmbedtls14 libsqlite3-0").split()

# name: title, command, quick options, file for --json or None
BENCHES = {
    "footprint": ("Footprint of an idle agent", ["footprint.py", PROGRAMS], ["--seconds", "15"], True),
    "events": ("Events: 10,000 a second into 2227", ["events.py"], ["4"], False),
    "console": ("A fleet of agents on one console", ["console_fleet.py"], ["--agents", "200"], True),
    "delta": ("Deltas beside diff, zstd, xdelta3, bsdiff, zsync, casync", ["delta.py", PROGRAMS], ["--quick"], False),
    "engine": ("Memory of ClamAV's reloads", ["engine_memory.py"], ["--quick"], False),
    "mirror": ("The update agent beside FTP and HTTP servers", ["mirror.py", PROGRAMS / "atalaia-update-agent"],
               ["--quick"], True),
}


def versions():
    shown = subprocess.run(["dpkg-query", "-W", "-f", "${db:Status-Abbrev}|${Package}|${Version}\n", *PEERS],
                           capture_output=True, text=True).stdout
    rows = [line.split("|")[1:] for line in shown.splitlines() if line.startswith("ii")]
    if (OUT / "mirror.json").exists():          # peers that were unpacked for it only
        rows += json.loads((OUT / "mirror.json").read_text(encoding="utf-8")).get("peers", {}).items()
    rows.sort()
    return "\n".join(f"| {name} | {version} |" for name, version in rows)


def machine():
    cpu = next((x.split(":")[1].strip() for x in open("/proc/cpuinfo", encoding="utf-8") if x.startswith("model name")), "?")
    memory = re.search(r"MemTotal:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text(encoding="ascii"))
    revision = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=TOP, capture_output=True, text=True).stdout.strip()
    distribution = re.search(r'PRETTY_NAME="(.*)"', pathlib.Path("/etc/os-release").read_text(encoding="utf-8"))
    return (f"{datetime.date.today()}, revision {revision}, {distribution[1]}, Linux {platform.release()}, "
            f"{os.cpu_count()} x {cpu}, {int(memory[1]) // (1 << 20)} GiB of memory, load {os.getloadavg()[0]:.1f} at the start.")


def plot(name, title, unit, rows):
    """A bar for each (label, value); the picture's name, or None without gnuplot."""
    if shutil.which("gnuplot") is None or not rows:
        return None
    data = "".join(f'"{label}" {value}\n' for label, value in rows)
    script = f"""set terminal svg size 760,{110 + 34 * len(rows)} font "sans,13" background "white"
set output "{OUT / name}.svg"
set title "{title}" noenhanced
set xlabel "{unit}" noenhanced
set xrange [0:{1.15 * max(value for _, value in rows):g}]
set format x "{"%.0s%c" if max(value for _, value in rows) >= 1000 else "%g"}"
set yrange [{len(rows) - 0.4}:-0.6]
set style fill solid 0.8 noborder
set grid xtics
unset key
$rows << EOD
{data}EOD
set ytics noenhanced
plot $rows using ($2/2):0:($2/2):(0.35):ytic(1) with boxxyerror lc rgb "#2b6cb0", \\
     $rows using 2:0:(sprintf(" %.15g", $2)) with labels left offset 0.5,0 noenhanced
"""
    done = subprocess.run(["gnuplot"], input=script, text=True, capture_output=True)
    if done.returncode != 0:
        print(f"plot {name}: {done.stderr.strip()}", file=sys.stderr)
        return None
    return f"{name}.svg"


def plots_of(name, text, figures):
    if name == "footprint":
        yield plot("footprint", "Proportional memory, idle", "KiB", [("atalaia-agent", figures["pss_kib"]),
                                                                 ("freshclam -d", figures["freshclam_pss_kib"])])
    if name == "mirror":
        yield plot("mirror-cpu", "CPU of the server per GB over FTP, 50 clients", "seconds",
                   [(n, round(v["cpu_s_per_gb"][2], 3)) for n, v in figures["ftp"].items() if v.get("cpu_s_per_gb")])
        yield plot("mirror-idle", "Memory of one idle FTP session", "bytes",
                   [(n, round(v["idle_bytes_per_session"])) for n, v in figures["ftp"].items()
                    if v.get("idle_bytes_per_session")])
    if name == "delta":
        blocks = re.findall(r"^(\S.*?): [\d.]+ MB -> .*\n\s+bytes .*\n((?:  \S.*\n)+)", text, re.M)
        for i, (title, block) in enumerate(blocks):
            rows = re.findall(r"^  (.{22}) +(\d+) ", block, re.M)
            yield plot(f"delta-{i + 1}", f"Bytes of the change: {title}", "bytes", [(n.strip(), int(v)) for n, v in rows])
    if name == "events":
        rate = re.search(r"events/s (\d+)", text)
        late = re.search(r"median ([\d.]+) p99 ([\d.]+) max ([\d.]+)", text)
        if rate and late:
            yield plot("events", f"Time to a durable answer at {rate[1]} events/s", "ms",
                       list(zip(("median", "99 %", "longest"), map(float, late.groups()))))


def run(name, quick):
    title, command, hasty, has_json = BENCHES[name]
    report = OUT / f"{name}.json"
    report.unlink(missing_ok=True)
    argv = [sys.executable, HERE / command[0], *command[1:], *(hasty if quick else []),
            *(["--json", report] if has_json else [])]
    print(f"== {title}", flush=True)
    start = time.monotonic()
    done = subprocess.run([str(a) for a in argv], cwd=TOP, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          env={**os.environ, "ATALAIA_BIN": str(PROGRAMS)})
    print(done.stdout, flush=True)
    figures = json.loads(report.read_text(encoding="utf-8")) if report.exists() else {}
    whole = bool(figures) or not has_json
    pictures = [p for p in plots_of(name, done.stdout, figures) if p] if whole else []
    verdict = {0: ""}.get(done.returncode, f"\n**Not every aim was met, or it did not end well (status {done.returncode}).**\n")
    page = f"## {title}\n{verdict}\n```\n{done.stdout.strip()}\n```\n\n"
    page += "".join(f"![{title}]({p})\n\n" for p in pictures)
    page += f"`tests/bench/{command[0]}`, {time.monotonic() - start:.0f} s.\n\n"
    return page, done.returncode == 0


def main():
    quick = "--quick" in sys.argv
    names = [a for a in sys.argv[1:] if not a.startswith("--")] or list(BENCHES)
    OUT.mkdir(parents=True, exist_ok=True)
    head = (f"# Benchmarks{' (quick: small sizes, few rounds)' if quick else ''}\n\n{machine()}\n\nFigures of one machine say "
            "little; beside those of peers in the same run they say more.\n\n")
    bodies, good = [], True
    for name in names:
        body, fine = run(name, quick)
        bodies.append(body)
        good &= fine
        peers = f"## Versions\n\n| package | version |\n|---|---|\n{versions()}\n"
        (OUT / "page.md").write_text(head + "".join(bodies) + peers, encoding="utf-8")      # also when the next one dies
    print(f"{OUT / 'page.md'}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())

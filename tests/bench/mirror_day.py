"""What one day's change of a 200 MB signature set costs a branch's line, metadata counted, as a share of the full copy.

usage: mirror_day.py BUILD [--lines N] [--json FILE]
Publisher, the update agent as origin on loopback, and atalaia-fetch mirror, as they are installed; bytes are those that the fetcher counted on its
connections (content, FTP commands and replies). Target: under 0.6 %."""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lib"))
LIMIT = 0.6


def main():
    p = argparse.ArgumentParser()
    p.add_argument("build")
    p.add_argument("--lines", type=int, default=2_600_000)
    p.add_argument("--json")
    a = p.parse_args()
    build = pathlib.Path(a.build).resolve()
    os.environ["ATALAIA_BIN"] = str(build)
    import fetcher
    import signatures
    from mirror import Mirror
    from world import Procs

    with tempfile.TemporaryDirectory(prefix="mirror-day-") as t, Procs() as procs:
        t = pathlib.Path(t)
        database = signatures.Database(a.lines)

        def publish(day):
            signatures.write_set(t / "set", database, f"day {day}")
            subprocess.run([build / "atalaia-repo", "publish", t / "feed", t / "set", "--engine", "clamav",
                            "--out", t / "root"], check=True, capture_output=True)
            return sum(f.stat().st_size for f in (t / "set").iterdir())

        subprocess.run([build / "atalaia-repo", "init", t / "feed", "--feed", "signatures"], check=True, capture_output=True)
        publish(1)
        origin = Mirror(procs, build, t, address="127.0.40.6")

        def sync(current):
            source = [{"name": "origin", "url": origin.url("signatures")}]
            config = fetcher.mirror_config(t / "branch", t / "root/signatures/metadata/1.root.json", source, current=current)
            return fetcher.run({**config, "stall_ms": 30000}, seconds=600)

        first = sync(0)
        database.next_day()
        size = publish(2)
        day = sync(first["version"])
        assert (first["outcome"], day["outcome"]) == ("updated", "updated"), day["errors"]
        share = day["bytes"]["total_wire"] / size * 100
        out = {"set_bytes": size, "wire_bytes": day["bytes"]["total_wire"], "metadata_bytes": day["bytes"]["metadata"],
               "delta_bytes": day["bytes"]["delta"], "full_bytes": day["bytes"]["full"], "share_percent": share, "ms": day["ms"]}
        print(f"set {size / 1e6:.0f} MB; the day cost {out['wire_bytes']} bytes on the line ({out['metadata_bytes']} metadata, "
              f"{out['delta_bytes']} delta, {out['full_bytes']} full) = {share:.3f} % of a full copy, {day['ms']} ms: "
              + ("reached" if share < LIMIT else "NOT reached"))
        if a.json:
            pathlib.Path(a.json).write_text(json.dumps(out) + "\n")
        return 0 if share < LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())

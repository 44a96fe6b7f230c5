"""10,000 events a second into 2227 for ten seconds from 20 connections in batches of 25, with delivery to a
collector that is down. Prints the rate, the latency of answers, commits, memory at the start and the end.
   ATALAIA_BIN=build/release python3 tests/bench/events.py [seconds] [rate]"""
import asyncio
import json
import os
import pathlib
import statistics
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))

from eventagent import EventAgent, event  # noqa: E402

SECONDS = float(sys.argv[1]) if len(sys.argv) > 1 else 10
RATE = float(sys.argv[2]) if len(sys.argv) > 2 else 10000
CONNECTIONS, BATCH = 20, 25


def memory_kib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))


async def sender(port, number, start, answers):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    body = json.dumps([event(f"{number}-{i}", data={"text": "x" * 120}) for i in range(BATCH)]).encode()
    request = (f"POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
               f"application/cloudevents-batch+json\r\nContent-Length: {len(body)}\r\n\r\n").encode() + body
    due, step = start, CONNECTIONS * BATCH / RATE
    while due < start + SECONDS:
        await asyncio.sleep(max(0, due - time.monotonic()))
        sent = time.monotonic()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(int(h.split(b":")[1]) for h in head.split(b"\r\n") if h.lower().startswith(b"content-length"))
        answer = await reader.readexactly(length)
        answers.append((head[9:12] == b"202", time.monotonic() - sent,
                        [e["seq"] for e in json.loads(answer)["events"]] if head[9:12] == b"202" else []))
        due += step
    writer.close()


async def main():
    with tempfile.TemporaryDirectory() as folder:
        agent = EventAgent(folder, target="json http://127.0.70.9:1/off",
                           spool={"quota_telemetry": "96M"}).start()
        spool = pathlib.Path(folder) / "state" / "spool.db"
        while not spool.exists() or spool.stat().st_size < (96 + 16 + 8) * 5 // 4 << 20:
            await asyncio.sleep(0.1)               # the agent takes its disk room once, at its first start
        await asyncio.sleep(1)
        pid = agent.process.process.pid
        before, answers, start = memory_kib(pid), [], time.monotonic() + 0.2
        warm = []

        async def look():
            await asyncio.sleep(SECONDS / 3)
            warm.append(memory_kib(pid))

        await asyncio.gather(look(), *(sender(agent.port, i, start, answers) for i in range(CONNECTIONS)))
        took = time.monotonic() - start
        after = memory_kib(pid)
        spool = agent.status()["spool"]["telemetry"]
        with open(f"/proc/{pid}/stat", encoding="ascii") as f:
            cpu = sum(map(int, f.read().split()[13:15])) / os.sysconf("SC_CLK_TCK")
        agent.stop()
    ok = [a for a in answers if a[0]]
    seqs = sorted(s for a in ok for s in a[2])
    latency = sorted(a[1] for a in ok)
    stored = len(ok) * BATCH
    print(f"events/s {stored / took:.0f} for {took:.1f} s, refused requests {len(answers) - len(ok)}, "
          f"lost {stored - len(set(seqs))}, waiting {spool['waiting']}, dropped {spool['dropped']}")
    print(f"answer ms median {statistics.median(latency) * 1000:.1f} "
          f"p99 {latency[int(len(latency) * 0.99)] * 1000:.1f} max {latency[-1] * 1000:.1f}; "
          f"agent CPU s {cpu:.1f}; memory KiB {before}, {warm[0]} after a third, {after} at the end")


asyncio.run(main())

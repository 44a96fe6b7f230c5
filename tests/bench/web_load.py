#!/usr/bin/python3
"""The web console under load: ten thousand computers in the store, fifty browsers that tail 500 events a second.

    ATALAIA_BIN=build/release tests/bench/web_load.py [--agents 10000] [--browsers 50] [--rate 500] [--seconds 20]

Prints what the lists take at the server, and what the streams cost and lose."""
import argparse
import asyncio
import pathlib
import sqlite3
import statistics
import sys
import tempfile
import time
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import consoleclient as cc  # noqa: E402
import webclient  # noqa: E402
from console_fleet import cpu_and_memory  # noqa: E402

LIMIT_MS = 100


def fill(path, n):
    """Agents with facts and sets, as enrolment and events would leave them."""
    now = int(time.time() * 1000)
    db = sqlite3.connect(path)
    ids = sorted(str(uuid.uuid4()) for _ in range(n))
    db.executemany("INSERT INTO agents VALUES(?,?,?,?,?,?,?,?,?,?,?,NULL,NULL)", (
        (a, f"pc-{i:05}", f"group-{i % 40}", f"machine-{i}", "0.1.0", f"10.{i >> 16}.{i >> 8 & 255}.{i & 255}",
         2222, now, now, f"{i:040x}", now + 10**9) for i, a in enumerate(ids)))
    db.executemany("INSERT INTO facts(agent, rev, engine, policy) VALUES(?,?,'up',?)",
                   ((a, i + 1, now) for i, a in enumerate(ids)))
    db.executemany("INSERT INTO sets(agent, feed, version, applied, mirror) VALUES(?,?,?,?,'server')", (
        (a, feed, 40 + i % 3, now) for i, a in enumerate(ids) for feed in ("policies", "signatures")))
    db.commit()
    db.close()


def measure(web, path, pid, runs=20):
    """Milliseconds of whole requests on one kept connection, and of the server's CPU for one."""
    c = web.connect()
    times, cpu = [], cpu_and_memory(pid)[0]
    for _ in range(runs):
        start = time.perf_counter()
        c.request("GET", f"/api/v1{path}", headers={"Cookie": f"__Host-atalaia={web.cookie}"})
        size = len(c.getresponse().read())
        times.append((time.perf_counter() - start) * 1000)
    c.close()
    return sorted(times), (cpu_and_memory(pid)[0] - cpu) * 1000 / runs, size


class Browser:
    def __init__(self):
        self.events = self.dropped = 0

    async def run(self, web):
        reader, self.writer = await asyncio.open_connection(web.console.address, web.port, ssl=cc.context(),
                                                            limit=1 << 20)
        self.writer.write(f"GET /api/v1/live?topics=events HTTP/1.1\r\nHost: x\r\n"
                          f"Cookie: __Host-atalaia={web.cookie}\r\n\r\n".encode())
        rest = b""
        while piece := await reader.read(1 << 17):
            text = rest + piece
            self.events += text.count(b"\nevent: event\n") - rest.count(b"\nevent: event\n")
            self.dropped += text.count(b"event: dropped") - rest.count(b"event: dropped")
            rest = text[-32:]


async def tail(console, webs, agent, rate, seconds, browsers, pid):
    everybody = [Browser() for _ in range(browsers)]
    tasks = [asyncio.create_task(b.run(webs[i % len(webs)])) for i, b in enumerate(everybody)]
    await asyncio.sleep(2)
    cpu, _ = cpu_and_memory(pid)
    begin, seq, loop = time.perf_counter(), 0, asyncio.get_running_loop()
    per_tick = rate // 10
    for tick in range(seconds * 10):
        batch = [agent.event(seq + 1 + i, type="org.atalaia.load", data={"path": "/home/user/file", "n": seq + i})
                 for i in range(per_tick)]
        seq += per_tick
        status, _ = await loop.run_in_executor(None, agent.call, "POST", "/v1/events", batch)
        assert status == 200
        await asyncio.sleep(max(0, begin + (tick + 1) / 10 - time.perf_counter()))
    took = time.perf_counter() - begin
    deadline = time.perf_counter() + 30
    while any(b.events < seq for b in everybody) and time.perf_counter() < deadline:
        await asyncio.sleep(0.2)
    after, memory = cpu_and_memory(pid)
    for t in tasks:
        t.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return everybody, seq, took, after - cpu, memory


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--agents", type=int, default=10000)
    p.add_argument("--browsers", type=int, default=50)
    p.add_argument("--rate", type=int, default=500)
    p.add_argument("--seconds", type=int, default=20)
    a = p.parse_args()
    with tempfile.TemporaryDirectory(prefix="atalaia-web-") as folder:
        console = cc.Console(pathlib.Path(folder) / "c", address="127.0.84.1").start()
        console.stop()
        fill(console.state / "console.db", a.agents)
        console.start()
        try:
            webs = [webclient.logged_in(console, "load-0", "auditor")]
            for i in range(1, (a.browsers + 7) // 8):
                webs.append(webclient.logged_in(console, f"load-{i}", "auditor"))
            slow = False
            for path in ("/computers", "/overview", "/cascade", "/groups", "/events?last=1&limit=200"):
                times, cpu, size = measure(webs[0], path, console.process.process.pid)
                middle = statistics.median(times)
                slow |= path == "/computers" and cpu > LIMIT_MS  # other work on the machine is not ours
                print(f"{path:28} server's CPU {cpu:6.1f} ms  until read here: median {middle:6.1f} ms, "
                      f"worst {times[-1]:6.1f} ms  {size / 1024:6.0f} KiB")
            agent = cc.Agent(console, console.token(), "sender", "m1")
            everybody, sent, took, cpu, memory = asyncio.run(
                tail(console, webs, agent, a.rate, a.seconds, a.browsers, console.process.process.pid))
            got = [b.events for b in everybody]
            print(f"{a.browsers} browsers, {sent} events in {took:.1f} s ({sent / took:.0f}/s): each got "
                  f"{min(got)} to {max(got)}, {sum(b.dropped for b in everybody)} notes of loss, "
                  f"{cpu / took * 100:.0f} % of one core, {memory:.0f} MiB")
            lost = any(b.events < sent and not b.dropped for b in everybody)
            return 1 if slow or lost or cpu > took else 0
        finally:
            console.stop()


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/python3
"""A thousand agents on one console: enrol, hold long-polls, get a group task, report its end, post events.

    ATALAIA_BIN=build/release tests/bench/console_fleet.py [--agents 1000] [--json FILE]

Prints seconds for each step and what the console needed (CPU seconds, resident memory)."""
import argparse
import asyncio
import json
import os
import pathlib
import resource
import ssl
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))

import consoleclient as cc  # noqa: E402


class Connection:
    """HTTP/1.1 over one TLS connection, by hand: cheap enough for thousands in one process."""

    async def open(self, console, cert=None, key=None):
        self.reader, self.writer = await asyncio.open_connection(
            console.address, console.port, ssl=cc.context(cert, key))
        peer = self.writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        self.leaf = cc.hashlib.sha256(peer).digest()
        return self

    async def call(self, method, path, body=None):
        data = json.dumps(body).encode() if body is not None else b""
        self.writer.write(f"{method} {path} HTTP/1.1\r\nHost: console\r\nContent-Type: application/json\r\n"
                          f"Content-Length: {len(data)}\r\n\r\n".encode() + data)
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        status = int(head[0].split()[1])
        length = next((int(x.split(":")[1]) for x in head if x.lower().startswith("content-length")), 0)
        answer = await self.reader.readexactly(length) if length else b""
        return status, json.loads(answer) if answer else None

    def close(self):
        self.writer.close()


def cpu_and_memory(pid):
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    ticks = os.sysconf("SC_CLK_TCK")
    with open(f"/proc/{pid}/status") as f:
        rss = next(int(x.split()[1]) for x in f if x.startswith("VmRSS"))
    return (int(fields[11]) + int(fields[12])) / ticks, rss / 1024


async def enrol(console, token, n, gate):
    async with gate:
        key = cc.new_key()
        csr = cc.make_csr(key)
        c = await Connection().open(console)
        body = cc.enroll_body(token, c.leaf, csr, f"pc-{n:05}", f"machine-{n}")
        status, answer = await c.call("POST", "/v1/enroll", body)
        c.close()
        assert status == 200, answer
        document = cc.open_answer(token, body, answer)
        return document["agent"], f"machine-{n}", document["certificate"], cc.pem_of(key)


async def fleet(console, count):
    gate = asyncio.Semaphore(64)
    seconds, steps = {}, time.monotonic()

    def lap(name):
        nonlocal steps
        now = time.monotonic()
        seconds[name] = round(now - steps, 2)
        steps = now
        print(f"{name:<34} {seconds[name]:8.2f} s", flush=True)
    token = console.token("--uses", str(count), "--group", "fleet")
    agents = await asyncio.gather(*(enrol(console, token, n, gate) for n in range(count)))
    lap(f"{count} enrolments")

    async def life(agent):
        async with gate:
            c = await Connection().open(console, agent[2], agent[3])
        status, answer = await c.call("GET", f"/v1/tasks?wait=240&machine={agent[1]}")
        assert status == 200, (status, answer)
        heard = time.monotonic()
        task = answer["tasks"][0]["signed"]["id"]
        source = f"atalaia://example/agent/{agent[0]}"
        events = [{"specversion": "1.0", "id": str(cc.uuid.uuid4()), "source": source,
                   "type": "org.atalaia.bench", "time": "2026-01-01T00:00:00.000Z",
                   "datacontenttype": "application/json", "atalaiaclass": "telemetry", "atalaiaepoch": "0" * 32,
                   "atalaiaseq": n, "data": {"n": n}} for n in range(1, 11)]
        status, _ = await c.call("POST", f"/v1/tasks/{task}/state", {"state": "done"})
        assert status == 204
        status, answer = await c.call("POST", "/v1/events", events)
        assert status == 200, answer
        c.close()
        return heard
    lives = [asyncio.create_task(life(a)) for a in agents]
    loop = asyncio.get_running_loop()
    while (await loop.run_in_executor(None, console.json, "status"))["waiters"] < count:
        for one in lives:
            if one.done():
                one.result()                    # ended too early: say why
        await asyncio.sleep(0.05)
    lap(f"{count} handshakes, pulls held")
    idle_cpu, idle_rss = cpu_and_memory(console.process.process.pid)
    sent = time.monotonic()
    task = await loop.run_in_executor(None, console.json, "task", "send", "--to", "group:fleet", "status")
    assert task["agents"] == count
    heard = await asyncio.gather(*lives)
    lap("group task, reports, 10 events each")
    shown = await loop.run_in_executor(None, console.json, "task", "show", task["id"])
    assert shown["ended"] and shown["agents_done"] == count, shown
    cpu, rss = cpu_and_memory(console.process.process.pid)
    return {"agents": count, "seconds": seconds, "last_agent_heard_s": round(max(heard) - sent, 2),
            "console_cpu_s": round(cpu, 2), "console_rss_mib": round(rss, 1),
            "console_rss_waiting_mib": round(idle_rss, 1)}


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--agents", type=int, default=1000)
    p.add_argument("--json")
    a = p.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with tempfile.TemporaryDirectory() as folder:
        console = cc.Console(pathlib.Path(folder) / "c", log="warn").start()
        started = time.monotonic()
        try:
            result = asyncio.run(fleet(console, a.agents))
        finally:
            code = console.stop()
        result["total_s"] = round(time.monotonic() - started, 2)
        assert code == 0
    print(json.dumps(result))
    if a.json:
        pathlib.Path(a.json).write_text(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()

"""An agent that is not enrolled and sends to a collector, and collectors that check what they get."""
import gzip
import http.client
import http.server
import json
import os
import pathlib
import signal
import socket
import threading

from world import Proc, wait_for


class EventAgent:
    def __init__(self, folder, target="console", **sections):
        self.dir = pathlib.Path(folder)
        for sub in ("state", "run"):
            (self.dir / sub).mkdir(parents=True, exist_ok=True)
        conf = {"agent": {"state": self.dir / "state", "run": self.dir / "run",
                          "listen": "127.0.70.5", "task_port": 0, "event_port": 0},
                "events": {"target": target}}
        for name, options in sections.items():
            conf.setdefault(name, {}).update(options)
        self.conf = self.dir / "agent.conf"
        self.conf.write_text("".join(f"[{s}]\n" + "".join(f"{k} = {v}\n" for k, v in o.items())
                                     for s, o in conf.items()))
        self.socket = str(self.dir / "run" / "events.sock")
        self.process, self.port = None, 0

    def start(self):
        program = pathlib.Path(os.environ["ATALAIA_BIN"]).resolve() / "atalaia-agent"
        self.process = Proc([program, "run", "--config", self.conf])
        ready = dict(w.split("=") for w in self.process.line("ready").split()[1:])
        self.port = int(ready["event"])
        return self

    def kill(self):
        self.process.process.send_signal(signal.SIGKILL)
        self.process.process.wait()

    def stop(self):
        return self.process.stop()

    def request(self, method, path, body=None, headers=None, timeout=20):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            c.request(method, path, body, headers or {})
            r = c.getresponse()
            return r.status, r.read()
        finally:
            c.close()

    def post(self, events, kind="application/cloudevents-batch+json", **kw):
        status, body = self.request("POST", "/v1/events", json.dumps(events),
                                    {"Content-Type": kind}, **kw)
        return status, json.loads(body) if body else None

    def status(self):
        return json.loads(self.request("GET", "/v1/status")[1])

    def waiting(self):
        return sum(c["waiting"] for c in self.status()["spool"].values() if isinstance(c, dict))


def event(n, **more):
    return {"specversion": "1.0", "id": str(n), "source": "/test", "type": "test.event",
            "data": {"n": n}, **more}


class Collector:
    """An HTTP receiver; `take(headers, body)` returns (status, answer, headers) for each POST."""

    def __init__(self, take, address="127.0.70.9", port=0):
        self.take, self.requests = take, 0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                outer.requests += 1
                status, answer, headers = outer.take(self.path, self.headers, body)
                answer = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(status)
                for k, v in headers.items():
                    self.send_header(k, v)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *args):
                pass

        class Server(http.server.ThreadingHTTPServer):
            allow_reuse_address = True
            daemon_threads = True

        self.server = Server((address, port), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def url(self, path="/"):
        return f"http://{self.server.server_address[0]}:{self.port}{path}"

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class Keeper:
    """Takes batches of CloudEvents and keeps them by id, in order of arrival."""

    def __init__(self):
        self.events, self.ids, self.again = [], set(), 0
        self.lock = threading.Lock()

    def keep(self, events):
        with self.lock:
            for e in events:
                if e["id"] in self.ids:
                    self.again += 1
                    continue
                self.ids.add(e["id"])
                self.events.append(e)

    def take(self, path, headers, body):
        kind = headers["Content-Type"]
        if kind == "application/x-ndjson":
            self.keep([json.loads(line) for line in body.splitlines() if line])
        else:
            self.keep(json.loads(body))
        return 200, b"", {}


def in_order(events):
    """Within each epoch and class the numbers ascend without a gap."""
    last = {}
    for e in events:
        key = (e["atalaiaepoch"], e["atalaiaclass"])
        if key in last and e["atalaiaseq"] != last[key] + 1:
            return f"{key}: {e['atalaiaseq']} after {last[key]}"
        last[key] = e["atalaiaseq"]
    return None


class CutProxy:
    """A TCP proxy that cuts connections after some bytes, by a seeded plan."""

    def __init__(self, to, plan, address="127.0.70.8"):
        self.to, self.plan, self.cuts = to, plan, 0
        self.listener = socket.create_server((address, 0), backlog=50)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        try:
            server = socket.create_connection(self.to, 10)
        except OSError:
            client.close()
            return
        budget = [self.plan()]

        def pump(a, b):
            try:
                while True:
                    data = a.recv(4096)
                    if not data:
                        break
                    if budget[0] is not None:
                        budget[0] -= len(data)
                        if budget[0] <= 0:
                            self.cuts += 1
                            break
                    b.sendall(data)
            except OSError:
                pass
            for s in (a, b):
                try:
                    s.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

        t = threading.Thread(target=pump, args=(server, client), daemon=True)
        t.start()
        pump(client, server)
        t.join(5)
        client.close()
        server.close()

    def stop(self):
        self.listener.close()


def wait_empty(agent, seconds=60):
    wait_for(lambda: agent.waiting() == 0, seconds, "an empty spool")

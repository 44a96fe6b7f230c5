"""An update agent that serves a folder, without an agent, and a raw FTP client that sends what no client ever would."""
import json
import random
import re
import socket
import subprocess
import time

import world

LOGIN = b"USER anonymous\r\nPASS x@\r\n"


def own_address():
    """An address of loopback that no neighbour has: fixed ports on it are free."""
    return f"127.{random.randint(128, 254)}.{random.randint(0, 255)}.{random.randint(1, 254)}"


class Mirror:
    """Writes a configuration, starts `serve --config`, knows the ports."""

    def __init__(self, procs, bin_dir, folder, address=None, files=None, env=None, prefix=(), **options):
        self.address = address = address or own_address()
        self.root = folder / "root"
        self.root.mkdir(parents=True, exist_ok=True)
        for name, content in (files or {}).items():
            self.write(name, content)
        values = {"root": self.root, "listen": address, "ftp_port": 0, "version_port": 0,
                  "http_port": 0, "passive_first": 0, "poll_interval": "100ms"}
        values.update(options)
        self.conf = folder / "serve.conf"
        self.conf.write_text("[update-agent]\n" + "".join(f"{k}={v}\n" for k, v in values.items()))
        self.proc = procs.start([*prefix, bin_dir / "atalaia-update-agent", "serve", "--config", self.conf],
                                env=env)
        line = self.proc.line("ready ")
        ports = dict(x.split("=") for x in line.split()[1:])
        self.ftp, self.version = int(ports["ftp"]), int(ports["version"])
        self.http = None if ports["http"] == "off" else int(ports["http"])

    def write(self, name, content):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())

    def publish(self, feed, version):
        """Replaces timestamp.json by rename, as the publisher does."""
        path = self.root / feed / "metadata" / "timestamp.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_suffix(".new")
        new.write_text('{"signatures":[],"signed":{"_type":"timestamp","version":%d}}' % version)
        new.rename(path)

    def url(self, path=""):
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"ftp://{host}:{self.ftp}/{path}"

    def http_url(self, path=""):
        return f"http://{self.address}:{self.http}/{path}"

    def raw(self, source="127.0.0.1", login=True):
        raw = Raw(self.address, self.ftp, source)
        if login:
            raw.login()
        return raw


class Child:
    """serve --child with us as the agent."""

    def __init__(self, bin_dir):
        self.p = subprocess.Popen([bin_dir / "atalaia-update-agent", "serve", "--child"],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.p.kill()
        self.p.wait()
        log = self.p.stderr.read().splitlines()
        for stream in (self.p.stdin, self.p.stdout, self.p.stderr):
            stream.close()
        world.check_end(self.p.args, log)

    def send(self, **message):
        self.p.stdin.write(json.dumps(message) + "\n")
        self.p.stdin.flush()

    def message(self):
        return json.loads(self.p.stdout.readline())


class Raw:
    """One control connection, line by line, with deadlines."""

    def __init__(self, host, port, source="127.0.0.1"):
        self.host = host
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.source = source if (":" in source) == (":" in host) else "::1"
        self.sock = socket.socket(family)
        self.sock.settimeout(15)
        self.sock.bind((self.source, 0))
        self.sock.connect((host, port))
        self.pending = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data if isinstance(data, bytes) else data.encode())

    def line(self):
        while b"\n" not in self.pending:
            more = self.sock.recv(65536)
            if not more:
                raise EOFError(self.pending)
            self.pending += more
        line, self.pending = self.pending.split(b"\n", 1)
        assert line.endswith(b"\r"), line
        return line[:-1].decode("latin-1")

    def reply(self):
        """The whole reply, multi-line ones too; its last line."""
        first = self.line()
        if first[3:4] == "-":
            while True:
                last = self.line()
                if last.startswith(first[:3] + " "):
                    return last
        return first

    def ask(self, command):
        self.send(command + "\r\n")
        return self.reply()

    def login(self):
        assert self.reply().startswith("220 ")
        assert self.ask("USER anonymous").startswith("331 ")
        assert self.ask("PASS x@").startswith("230 ")

    def codes(self, n):
        return [self.reply()[:3] for _ in range(n)]

    def closed(self, seconds=10):
        """True when the server closes within that time; what it said is in pending."""
        self.sock.settimeout(seconds)
        try:
            while True:
                more = self.sock.recv(65536)
                if not more:
                    return True
                self.pending += more
        except ConnectionResetError:
            return True
        except socket.timeout:
            return False

    def passive(self):
        """Asks for EPSV; returns the port."""
        answer = self.ask("EPSV")
        found = re.match(r"229 .*\(\|\|\|(\d+)\|\)", answer)
        assert found, answer
        return int(found.group(1))

    def data(self, port=None, source=None):
        port = port or self.passive()
        s = socket.socket(self.sock.family)
        s.settimeout(15)
        s.bind((source or self.source, 0))
        s.connect((self.host, port))
        return s

    def fetch(self, command):
        """EPSV, command, all bytes, 226."""
        with self.data() as d:
            assert self.ask(command).startswith("150 ")
            content = read_all(d)
        assert self.reply().startswith("226 ")
        return content


def read_all(sock):
    pieces = []
    while True:
        piece = sock.recv(1 << 20)
        if not piece:
            return b"".join(pieces)
        pieces.append(piece)


def listeners(pid):
    """Ports on which this process listens, from /proc."""
    import os
    inodes = set()
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            target = os.readlink(f"/proc/{pid}/fd/{fd}")
        except OSError:
            continue
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    ports = []
    for table in ("tcp", "tcp6"):
        with open(f"/proc/net/{table}") as f:
            for row in list(f)[1:]:
                cells = row.split()
                if cells[3] == "0A" and cells[9] in inodes:
                    ports.append(int(cells[1].rsplit(":", 1)[1], 16))
    return ports


def elapsed(call):
    begin = time.monotonic()
    result = call()
    return time.monotonic() - begin, result


__all__ = ["Mirror", "Raw", "own_address", "read_all", "listeners", "elapsed", "world", "LOGIN"]

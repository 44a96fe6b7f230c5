"""HTTP and FTP servers of a folder that can be told to misbehave. Each runs in threads, counts what
it sent, and asks `hook(request)` first: None = serve properly, or a dict that says how to lie:
  status=N           HTTP: this status;  FTP: this reply to RETR (421 also ends the session)
  body=bytes         these bytes instead of the file
  cut=N              end the connection after N bytes of content
  delay=S            S seconds before each piece
  piece=N            bytes of one piece
  headers={}         more HTTP headers (a redirect)
  hang=True          never answer
"""
import http.server
import pathlib
import socket
import socketserver
import threading
import time


class Base:
    def __init__(self, folder, address, hook=None):
        self.folder, self.address, self.hook = pathlib.Path(folder), address, hook
        self.requests, self.sent, self.lock = [], 0, threading.Lock()
        self.closing = threading.Event()
        self.logins = 0

    def ask(self, path):
        with self.lock:
            self.requests.append(path)
        return (self.hook(path) if self.hook else None) or {}

    def read(self, path):
        file = (self.folder / path.lstrip("/")).resolve()
        if not str(file).startswith(str(self.folder.resolve())) or not file.is_file():
            return None
        return file.read_bytes()

    def pieces(self, data, how, write):
        """Writes data as told; False when it was cut."""
        cut = how.get("cut", 1 << 62)
        step = how.get("piece", 65536)
        for at in range(0, len(data), step):
            part = data[at:min(at + step, cut)]
            if how.get("delay"):
                self.closing.wait(how["delay"])
            write(part)
            with self.lock:
                self.sent += len(part)
            if at + step >= cut:
                return False
        return True

    def close(self):
        self.closing.set()
        self.server.shutdown()
        self.server.server_close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def start(self, handler):
        outer = self

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True
            request_queue_size = 64

            def handle_error(self, request, client_address):
                pass

        handler.outer = outer
        self.server = Server((self.address, 0), handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()


class Http(Base):
    def __init__(self, folder, address="127.0.50.1", hook=None):
        super().__init__(folder, address, hook)
        self.start(type("H", (HttpHandler,), {}))
        self.url = f"http://{address}:{self.port}"


class HttpHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    outer = None

    def log_message(self, *_):
        pass

    def do_GET(self):
        o = self.outer
        how = o.ask(self.path)
        if how.get("hang"):
            o.closing.wait(60)
            self.close_connection = True
            return
        data = how.get("body", o.read(self.path))
        status = how.get("status", 404 if data is None else 200)
        data = data if data is not None and (status < 400 or "body" in how) else b"no\n"
        start = 0
        asked = self.headers.get("Range", "")
        if asked.startswith("bytes=") and status == 200 and not how.get("norange"):
            start = int(asked[6:].split("-")[0])
            status = 206 if start < len(data) else 416
        self.send_response(status)
        if status == 206:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        if status == 416:
            data, start = b"", 0
        self.send_header("Content-Length", str(how.get("length", len(data) - start)))
        for k, v in how.get("headers", {}).items():
            self.send_header(k, v)
        self.end_headers()
        if not o.pieces(data[start:], how, self.wfile.write):
            self.close_connection = True


class Ftp(Base):
    def __init__(self, folder, address="127.0.50.1", hook=None, epsv=True, pasv_address=None):
        super().__init__(folder, address, hook)
        self.epsv, self.pasv_address = epsv, pasv_address
        self.start(type("F", (FtpHandler,), {}))
        self.url = f"ftp://{address}:{self.port}"


class FtpHandler(socketserver.StreamRequestHandler):
    outer = None
    disable_nagle_algorithm = True

    def say(self, text):
        self.wfile.write((text + "\r\n").encode())

    def handle(self):
        self.listener, self.rest = None, 0
        with self.outer.lock:
            self.outer.logins += 1
        self.say("220 ready")
        while True:
            line = self.rfile.readline(4096)
            if not line:
                break
            verb, _, arg = line.decode().strip().partition(" ")
            method = getattr(self, "ftp_" + verb.lower(), None)
            if method is None:
                self.say("502 no")
            elif method(arg) is False:
                break
        if self.listener:
            self.listener.close()

    def ftp_user(self, _):
        self.say("331 password")

    def ftp_pass(self, _):
        self.say("230 in")

    def ftp_pwd(self, _):
        self.say('257 "/"')

    def ftp_type(self, _):
        self.say("200 ok")

    def listen(self):
        if self.listener:
            self.listener.close()
        self.listener = socket.create_server((self.outer.address, 0))
        self.listener.settimeout(5)
        return self.listener.getsockname()[1]

    def ftp_epsv(self, _):
        if not self.outer.epsv:
            return self.say("502 no")
        self.say(f"229 Entering (|||{self.listen()}|)")

    def ftp_pasv(self, _):
        port = self.listen()
        host = (self.outer.pasv_address or self.outer.address).replace(".", ",")
        self.say(f"227 Entering ({host},{port >> 8},{port & 255})")

    def ftp_size(self, path):
        data = self.outer.read(path)
        self.say("550 absent" if data is None else f"213 {len(data)}")

    def ftp_rest(self, arg):
        self.rest = int(arg)
        self.say("350 ok")

    def ftp_quit(self, _):
        if getattr(self.outer, "deaf_quit", False):
            self.outer.closing.wait(60)
            return False
        self.say("221 bye")
        return False

    def ftp_retr(self, path):
        o = self.outer
        how = o.ask(path if path.startswith("/") else "/" + path)
        if how.get("hang"):
            o.closing.wait(60)
            return False
        data = how.get("body", o.read(path))
        status = how.get("status", 550 if data is None else 150)
        if status >= 400:
            self.say(f"{status} no")
            return status != 421
        rest, self.rest = self.rest, 0
        self.say("150 here")
        peer, _ = self.listener.accept()
        whole = o.pieces(data[0 if how.get("norest") else rest:], how, peer.sendall)
        peer.close()
        if how.get("after"):          # a reply instead of 226, 421 ends the session
            self.say(how["after"])
            return not how["after"].startswith("421")
        self.say("226 done" if whole else "426 cut")
        return None

"""A browser's side of port 10443 in plain Python: cookie, CSRF token, one-time codes."""
import base64
import hashlib
import hmac
import http.client
import json
import struct
import time

import consoleclient as cc

PASSWORD = "correct horse battery"


def code_of(secret, at=None):
    """RFC 6238: the six digits of a base32 secret."""
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    step = int(time.time() if at is None else at) // 30
    mac = hmac.new(key, struct.pack(">Q", step), hashlib.sha1).digest()
    at = mac[-1] & 15
    return f"{(int.from_bytes(mac[at:at + 4], 'big') & 0x7fffffff) % 1000000:06}"


class Answer:
    def __init__(self, r):
        self.status, self.headers, self.raw = r.status, r.headers, r.read()
        self.body = cc.load(self.raw)

    @property
    def code(self):
        return self.body.get("code") if isinstance(self.body, dict) else None


class Web:
    """One browser. `get`, `post` and so on answer an Answer; the cookie is kept."""

    def __init__(self, console, port=None):
        self.console, self.port = console, port or console.web_port
        self.cookie = self.csrf = None
        self.origin = f"https://{console.address}:{self.port}"

    def connect(self, timeout=30):
        return http.client.HTTPSConnection(self.console.address, self.port, timeout=timeout,
                                           context=cc.context())

    def call(self, method, path, body=None, headers=None, timeout=30, api=True):
        c = self.connect(timeout)
        send = {"Content-Type": "application/json"}
        if self.cookie:
            send["Cookie"] = f"__Host-atalaia={self.cookie}"
        if method != "GET":
            send["Origin"] = self.origin
            if self.csrf:
                send["X-Atalaia-CSRF"] = self.csrf
        send.update(headers or {})
        send = {k: v for k, v in send.items() if v is not None}
        data = json.dumps(body) if body is not None and not isinstance(body, (str, bytes)) else body
        try:
            c.request(method, ("/api/v1" if api else "") + path, data, send)
            answer = Answer(c.getresponse())
        finally:
            c.close()
        set_cookie = answer.headers.get("Set-Cookie")
        if set_cookie:
            self.cookie = set_cookie.split(";")[0].split("=", 1)[1] or None
        return answer

    def get(self, path, **kw):
        return self.call("GET", path, **kw)

    def post(self, path, body=None, **kw):
        return self.call("POST", path, {} if body is None else body, **kw)

    def login(self, user, password=PASSWORD, code=None):
        answer = self.post("/login", {"user": user, "password": password,
                                      **({"code": code} if code else {})})
        if answer.status == 200:
            self.csrf = answer.body["csrf"]
        return answer


def add_user(console, name, role, groups=()):
    """Through 2226, as `atalaia-console user add` does."""
    status, answer = console.admin("POST", "/v1/users", {"name": name, "role": role, "password": PASSWORD,
                                                         "groups": list(groups)})
    assert status == 201, answer


def logged_in(console, name, role, groups=()):
    add_user(console, name, role, groups)
    web = Web(console)
    answer = web.login(name)
    assert answer.status == 200, answer.body
    return web

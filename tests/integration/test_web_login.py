"""Port 10443: who gets in, and what a session is worth (roles/console/web/API.md)."""
import collections
import concurrent.futures
import re
import sqlite3
import ssl
import time

import pytest

from consoleclient import Console
from webclient import PASSWORD, Web, add_user, code_of, logged_in


@pytest.fixture(scope="module")
def console(tmp_path_factory):
    folder = tmp_path_factory.mktemp("web")
    files = folder / "files"
    (files / "assets").mkdir(parents=True)
    (files / "index.html").write_text("<!doctype html><title>x</title>")
    (files / "assets" / "app-1234.js").write_text("1;")
    (files / "assets" / "app-1234.js.gz").write_bytes(b"gz")
    (files / "assets" / "app-1234.js.br").write_bytes(b"br")
    (folder / "secret.txt").write_text("secret")
    (files / "link.txt").symlink_to(folder / "secret.txt")
    c = Console(folder / "c", address="127.0.81.1", web=files).start()
    yield c
    assert c.stop() == 0, c.process.err[-20:]


@pytest.fixture(scope="module")
def admin(console):
    return logged_in(console, "ana", "administrator")


def test_the_first_administrator_is_made_on_the_command_line(console):
    done = console.cli("user", "add", "first", "--role", "administrator")
    assert done.returncode == 0, done.stderr
    password = re.fullmatch(r"password of first: (\S{24})\n", done.stdout)[1]
    web = Web(console)
    answer = web.login("first", password)
    assert answer.status == 200 and answer.body["role"] == "administrator"
    assert console.cli("user", "add", "first", "--role", "auditor").returncode == 1


def test_the_cookie_and_the_fields_of_every_answer(console, admin):
    answer = Web(console).login("ana")
    field = answer.headers["Set-Cookie"]
    assert re.fullmatch(r"__Host-atalaia=[A-Za-z0-9_-]{43}; Path=/; Secure; HttpOnly; SameSite=Strict; "
                        r"Max-Age=43200", field)
    for path, api in (("/session", True), ("/nothing", True), ("/", False), ("/none.js", False)):
        headers = admin.get(path, api=api).headers
        assert headers["Strict-Transport-Security"] == "max-age=31536000"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert "unsafe" not in headers["Content-Security-Policy"]
        if api:
            assert headers["Cache-Control"] == "no-store"


def test_the_word_of_a_session_is_not_stored(console, admin):
    with sqlite3.connect(f"file:{console.state}/console.db?mode=ro", uri=True) as db:
        text = repr(db.execute("SELECT * FROM sessions").fetchall()) + \
            repr(db.execute("SELECT * FROM users").fetchall()) + repr(db.execute("SELECT * FROM trail").fetchall())
    assert admin.cookie not in text and PASSWORD not in text and "$argon2id$" in text


def test_without_a_session_there_is_nothing(console):
    web = Web(console)
    for path in ("/session", "/users", "/audit", "/status", "/nothing"):
        assert (web.get(path).status, web.get(path).code) == (401, "unauthorized"), path
    web.cookie = "A" * 43
    assert web.get("/session").status == 401
    assert web.post("/users", {}).status == 401


@pytest.mark.parametrize("headers", [
    {"X-Atalaia-CSRF": None}, {"X-Atalaia-CSRF": "0" * 64}, {"Origin": None}, {"Origin": "null"},
    {"Origin": "https://evil.example"}, {"Origin": "http://127.0.81.1"},
    {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}])
def test_a_change_that_another_page_asks_for_is_refused(admin, headers):
    answer = admin.post("/users", {"name": "x", "role": "auditor", "password": PASSWORD}, headers=headers)
    assert (answer.status, answer.code) == (403, "csrf")
    assert "x" not in [u["name"] for u in admin.get("/users").body["users"]]


def test_log_in_of_another_origin_is_refused(console):
    answer = Web(console).post("/login", {"user": "ana", "password": PASSWORD}, headers={"Origin": "https://e.example"})
    assert (answer.status, answer.code) == (403, "csrf")


def test_two_cookies_are_an_attack(admin):
    answer = admin.get("/session", headers={
        "Cookie": f"__Host-atalaia={'B' * 43}; __Host-atalaia={admin.cookie}"})
    assert answer.status == 401


def test_logging_out_ends_the_session_for_good(console, admin):
    web = Web(console)
    web.login("ana")
    cookie = web.cookie
    assert web.post("/logout").status == 204 and web.cookie is None
    web.cookie = cookie
    assert web.get("/session").status == 401


def test_parallel_tries_do_not_beat_the_lock(console):
    add_user(console, "locked", "operator")
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        tries = list(pool.map(lambda i: Web(console).login("locked", f"wrong password {i}"), range(40)))
    assert collections.Counter(a.code for a in tries) == {"wrong-login": 5, "locked": 35}
    right = Web(console).login("locked")
    assert (right.status, right.code) == (429, "locked") and int(right.headers["Retry-After"]) > 800
    assert console.cli("user", "unlock", "locked").returncode == 0
    assert Web(console).login("locked").status == 200


def test_wrong_logins_look_alike(console, admin):
    answers = [Web(console).login(user, password) for user, password in (
        ("nobody-here", PASSWORD), ("ana", "not the password"), ("Robert'); --", PASSWORD))]
    assert {(a.status, a.raw) for a in answers} == {(401, answers[0].raw)}


def test_one_time_codes(console):
    web = logged_in(console, "tot", "operator")
    assert web.post("/me/totp/start", {"password": "wrong wrong wrong"}).code == "wrong-password"
    start = web.post("/me/totp/start", {"password": PASSWORD}).body
    assert start["uri"].startswith("otpauth://totp/example:tot?secret=" + start["secret"])
    assert Web(console).login("tot").status == 200  # not yet in force
    assert web.post("/me/totp", {"code": "000000"}).code == "wrong-code"
    while time.time() % 30 > 20:
        time.sleep(0.5)  # the next three codes are of one step
    assert web.post("/me/totp", {"code": code_of(start["secret"])}).status == 204
    assert Web(console).login("tot").code == "code-needed"
    # the code that switched it on is spent, the next one works once
    assert Web(console).login("tot", code=code_of(start["secret"])).code == "wrong-login"
    after = code_of(start["secret"], time.time() + 30)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        codes = [a.status for a in pool.map(lambda _: Web(console).login("tot", code=after), range(4))]
    assert sorted(codes) == [200, 401, 401, 401]


def test_a_changed_user_is_logged_out(console, admin):
    web = logged_in(console, "bob", "operator")
    other = Web(console)
    other.login("bob")
    new = "another long password"
    assert web.post("/me/password", {"old": "wrong wrong wrong", "new": new}).code == "wrong-password"
    assert web.post("/me/password", {"old": PASSWORD, "new": "short"}).code == "weak-password"
    assert web.post("/me/password", {"old": PASSWORD, "new": new}).status == 204
    assert web.get("/session").status == 200 and other.get("/session").status == 401
    assert admin.post("/users/bob", {"role": "auditor"}).status == 204
    assert web.get("/session").status == 401
    assert web.login("bob", new).body["role"] == "auditor"
    assert admin.post("/users/bob", {"disabled": True}).status == 204
    assert web.get("/session").status == 401 and web.login("bob", new).code == "wrong-login"
    assert admin.call("DELETE", "/users/bob").status == 204
    assert admin.post("/users/bob", {}).status == 404


def test_sessions_can_be_seen_and_revoked(console):
    web = logged_in(console, "sue", "operator")
    other = Web(console)
    other.login("sue")
    listed = web.get("/me/sessions").body["sessions"]
    assert [s["current"] for s in listed].count(True) == 1 and len(listed) == 2
    theirs = next(s["id"] for s in listed if not s["current"])
    assert web.post(f"/me/sessions/{theirs}/revoke").status == 204
    assert other.get("/session").status == 401 and web.get("/session").status == 200
    assert web.post(f"/me/sessions/{theirs}/revoke").status == 404


def test_roles(console, admin):
    auditor, operator = logged_in(console, "aud", "auditor"), logged_in(console, "ope", "operator")
    limited = logged_in(console, "lim", "administrator", ["till"])
    changes = [("POST", "/users"), ("POST", "/users/ana"), ("POST", "/users/ana/unlock"), ("DELETE", "/users/ana"),
               ("PUT", "/authority"), ("POST", "/agents/x/revoke")]
    for method, path in changes:
        for web in (auditor, operator):
            answer = web.call(method, path, None if method == "DELETE" else {})
            assert (answer.status, answer.code) == (403, "forbidden"), (method, path)
    assert auditor.get("/users").status == 200 and operator.get("/users").status == 403
    assert limited.get("/users").status == 403 and limited.get("/audit").status == 403


def test_the_last_administrator_stays(console, tmp_path):
    c = Console(tmp_path / "c", address="127.0.81.2").start()
    try:
        web = logged_in(c, "only", "administrator")
        for change in ({"role": "operator"}, {"disabled": True}, {"groups": ["a"]}):
            assert web.post("/users/only", change).code == "last-administrator", change
        assert web.call("DELETE", "/users/only").code == "last-administrator"
        assert web.get("/session").status == 200
    finally:
        assert c.stop() == 0


def test_sessions_end_by_themselves_and_survive_a_restart(tmp_path):
    c = Console(tmp_path / "c", address="127.0.81.3", web_idle="3s", web_life="60s").start()
    try:
        web = logged_in(c, "ida", "operator")
        assert web.get("/session").status == 200
        assert c.stop() == 0
        c.start()
        web.port, web.origin = c.web_port, f"https://{c.address}:{c.web_port}"
        first = web.get("/session").status  # a slow start may have taken the three seconds
        deadline = time.monotonic() + 60
        time.sleep(3.1)
        while web.get("/session").status != 401:
            assert time.monotonic() < deadline
            time.sleep(3.1)
        assert first in (200, 401)
    finally:
        assert c.stop() == 0


def test_the_trail_only_grows_and_shows_tampering(console, admin):
    admin.post("/users", {"name": "trace", "role": "auditor", "password": PASSWORD})
    entries = admin.get("/audit?limit=1000").body["entries"]
    made = next(e for e in entries if e["action"] == "POST /v1/users" and '"trace"' in e["detail"])
    assert made["user"] == "ana" and made["status"] == 201 and made["address"].startswith("127.")
    assert PASSWORD not in str(entries)
    assert {e["action"] for e in entries} >= {"login", "POST /v1/users", "POST /v1/logout"}
    assert admin.get("/audit/verify").body["good"] is True
    db = sqlite3.connect(console.state / "console.db", timeout=10)
    for change in ("DELETE FROM trail", "UPDATE trail SET user = 'x'"):
        with pytest.raises(sqlite3.IntegrityError, match="only grows"):
            db.execute(change)
    db.rollback()
    db.executescript("DROP TRIGGER trail_no_update; UPDATE trail SET user = 'x' WHERE n = 2;")
    db.close()
    verdict = admin.get("/audit/verify").body
    assert verdict["good"] is False and verdict["broken_at"] == 2


def test_static_files(console):
    web = Web(console)
    page = web.get("/", api=False)
    assert page.status == 200 and page.headers["Content-Type"].startswith("text/html")
    assert page.headers["Cache-Control"] == "no-cache"
    again = web.get("/", api=False, headers={"If-None-Match": page.headers["ETag"]})
    assert again.status == 304 and again.raw == b""
    assert web.get("/computers/abc", api=False).raw == page.raw
    asset = "/assets/app-1234.js"
    plain = web.get(asset, api=False)
    assert plain.raw == b"1;" and "immutable" in plain.headers["Cache-Control"]
    for accept, coding, body in (("gzip, br", "br", b"br"), ("gzip", "gzip", b"gz"), ("br;q=0", None, b"1;")):
        answer = web.get(asset, api=False, headers={"Accept-Encoding": accept})
        assert (answer.headers["Content-Encoding"], answer.raw) == (coding, body)
    for path in ("/link.txt", "/../secret.txt", "/%2e%2e/secret.txt", "/assets/none.js", "/a.exe", "/assets//x.js"):
        assert web.get(path, api=False).status in (400, 404), path


def leaf(console):
    return ssl.get_server_certificate((console.address, console.web_port))


def test_a_given_certificate_is_taken_and_changed_without_restart(tmp_path):
    from consoleclient import make_cert
    from cryptography.x509.oid import ExtendedKeyUsageOID
    pair = [make_cert("https://console.example", eku=(ExtendedKeyUsageOID.SERVER_AUTH,)) for _ in range(2)]
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    cert.write_text(pair[0][0])
    key.write_text(pair[0][1])
    c = Console(tmp_path / "c", address="127.0.81.4", web_certificate=cert, web_key=key).start()
    try:
        assert leaf(c).strip() == pair[0][0].strip()
        web = logged_in(c, "ida", "operator")
        cert.write_text("broken")
        time.sleep(0.1)
        assert leaf(c).strip() == pair[0][0].strip()
        key.write_text(pair[1][1])
        cert.write_text(pair[1][0])
        deadline = time.monotonic() + 60
        while leaf(c).strip() != pair[1][0].strip():
            assert time.monotonic() < deadline
            time.sleep(0.2)
        assert web.get("/session").status == 200
    finally:
        assert c.stop() == 0


def test_the_own_certificate_is_under_the_own_ca(console):
    from cryptography import x509
    cert = x509.load_pem_x509_certificate(leaf(console).encode())
    ca, _ = console.ca()
    assert cert.issuer == ca.subject
    names = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "localhost" in names.get_values_for_type(x509.DNSName)
    assert console.address in map(str, names.get_values_for_type(x509.IPAddress))
    shown = next(line for line in console.process.out if line.startswith("web "))
    import hashlib
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(leaf(console))).hexdigest().upper()
    assert ":".join(digest[i:i + 2] for i in range(0, 64, 2)) in shown

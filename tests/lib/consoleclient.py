"""A console for one test, and an agent's side of port 2225 in plain Python (ssl + cryptography)."""
import base64
import datetime
import hashlib
import hmac
import http.client
import json
import os
import pathlib
import ssl
import tempfile
import uuid

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from world import Proc, run

ADDRESS = "127.0.80.1"


def binary(name="atalaia-console"):
    return pathlib.Path(os.environ["ATALAIA_BIN"]).resolve() / name


class Console:
    """`atalaia-console` in a folder of its own, on free ports of a loopback address."""

    def __init__(self, folder, address=ADDRESS, org="example", init=(), **options):
        self.dir, self.address, self.org = pathlib.Path(folder), address, org
        self.publish = self.dir / "publish"
        self.publish.mkdir(parents=True)
        lines = {"state": self.dir / "state", "listen": address, "agent_port": 0, "admin_port": 0, "web_port": 0,
                 "org": org, "host": address, "publish": self.publish,
                 "handshakes_per_second": 0, **options}
        self.conf = self.dir / "console.conf"
        self.conf.write_text("[console]\n" + "".join(f"{k} = {v}\n" for k, v in lines.items()))
        self.state = pathlib.Path(lines["state"])
        self.process = None
        if init is not None:
            done = self.cli("init", *init)
            assert done.returncode == 0, done.stderr

    def cli(self, *args, **kw):
        return run([binary(), *args, "--config", self.conf], **kw)

    def json(self, *args):
        done = self.cli(*args, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def start(self):
        self.process = Proc([binary(), "serve", "--config", str(self.conf)])
        ready = dict(w.split("=") for w in self.process.line("ready").split()[1:])
        self.port, self.admin_port = int(ready["agents"]), int(ready["admin"])
        self.web_port = int(ready["web"])
        return self

    def stop(self):
        return self.process.stop() if self.process else None

    def token(self, *args):
        done = self.cli("token", *args)
        assert done.returncode == 0, done.stderr
        return Token(done.stdout.strip())

    def admin(self, method, path, body=None, token=None, headers=None):
        c = http.client.HTTPConnection("127.0.0.1", self.admin_port, timeout=30)
        token = token if token is not None else (self.state / "admin.token").read_text().strip()
        c.request(method, path, json.dumps(body) if body is not None else None,
                  {"Authorization": f"Bearer {token}", "Content-Type": "application/json",
                   **(headers or {})})
        r = c.getresponse()
        return r.status, load(r.read())

    def ca(self):
        """The organisation's CA: certificate and key, for making wrong certificates."""
        return ca_in(self.state)

    def events(self, *args):
        out = self.cli("events", "--json", "--last", "1000", *args).stdout
        return [json.loads(line) for line in out.splitlines()]


def load(data):
    try:
        return json.loads(data)
    except ValueError:
        return data


class Token:
    """The word taken apart as proto/token.h says."""

    def __init__(self, word):
        self.word = word
        assert word.startswith("ATL1")
        raw = base64.urlsafe_b64decode(word[4:] + "=" * (-len(word[4:]) % 4))
        assert hashlib.sha256(raw[:-4]).digest()[:4] == raw[-4:]
        self.port = int.from_bytes(raw[1:3], "big")
        n = raw[3]
        self.host = raw[4:4 + n].decode()
        at = 4 + n
        self.spki, self.id, self.secret = raw[at:at + 32], raw[at + 32:at + 40].hex(), raw[at + 40:at + 56]
        self.roots = {}
        at += 57
        for _ in range(raw[at - 1]):
            length = raw[at]
            name = raw[at + 1:at + 1 + length].decode()
            self.roots[name] = raw[at + 1 + length:at + 33 + length].hex()
            at += 33 + length

    @property
    def key(self):
        return hashlib.sha256(self.secret).digest()


def load_ca(cert_pem, key_pem):
    return (x509.load_pem_x509_certificate(cert_pem),
            serialization.load_pem_private_key(key_pem, None))


def ca_in(folder):
    """The CA that the console with this folder signs by."""
    return load_ca(*((folder / f"ca-signing.{x}").read_bytes() for x in ("pem", "key")))


def new_key():
    return ec.generate_private_key(ec.SECP256R1())


def pem_of(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                             serialization.NoEncryption()).decode()


def make_csr(key):
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "agent")])
    return x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())


def make_cert(uri, ca=None, key=None, days=(-1, 30), eku=(ExtendedKeyUsageOID.CLIENT_AUTH,), own=None):
    """Any certificate; ca = (certificate, key), None = self-signed."""
    own = own or new_key()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    now = datetime.datetime.utcnow()
    b = (x509.CertificateBuilder().subject_name(name).public_key(own.public_key())
         .issuer_name(ca[0].subject if ca else name).serial_number(x509.random_serial_number())
         .not_valid_before(now + datetime.timedelta(days=days[0]))
         .not_valid_after(now + datetime.timedelta(days=days[1]))
         .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)]), False)
         .add_extension(x509.BasicConstraints(False, None), True))
    if eku:
        b = b.add_extension(x509.ExtendedKeyUsage(eku), False)
    cert = b.sign(ca[1] if ca else own, hashes.SHA256())
    return cert.public_bytes(serialization.Encoding.PEM).decode(), pem_of(own)


def context(cert=None, key=None):
    """A client that sends a certificate and accepts any server: the pin is the agent's business."""
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    c.check_hostname, c.verify_mode = False, ssl.CERT_NONE
    if cert:
        with tempfile.NamedTemporaryFile("w", suffix=".pem") as f:
            f.write(cert + key)
            f.flush()
            c.load_cert_chain(f.name)
    return c


def https(console, method, path, body=None, cert=None, key=None, headers=None, timeout=30, raw=False):
    """One request to the console's agent port: (status, document, SHA-256 of the server's leaf)."""
    return https_to(console.address, console.port, method, path, body, cert, key, headers, timeout, raw)


def https_to(address, port, method, path, body=None, cert=None, key=None, headers=None, timeout=30,
             raw=False):
    """The same to any address, on a connection of its own."""
    c = http.client.HTTPSConnection(address, port, timeout=timeout, context=context(cert, key))
    try:
        c.connect()
        leaf = hashlib.sha256(c.sock.getpeercert(binary_form=True)).digest()
        if callable(body):
            body = body(leaf)
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
        c.request(method, path, body, {"Content-Type": "application/json", **(headers or {})})
        r = c.getresponse()
        data = r.read()
        return r.status, data if raw else load(data), leaf
    finally:
        c.close()


def proof(token, leaf, csr_der):
    text = (b"atalaia enroll proof 1\0" + token.id.encode() + b"\0" + leaf
            + hashlib.sha256(csr_der).digest())
    return hmac.new(token.key, text, hashlib.sha256).digest()


def enroll_body(token, leaf, request, host="pc", machine="m1", port=0, **change):
    der = request.public_bytes(serialization.Encoding.DER)
    body = {"token_id": token.id, "csr": request.public_bytes(serialization.Encoding.PEM).decode(),
            "proof": proof(token, leaf, der).hex(), "host": host, "machine_id": machine,
            "task_port": port, "version": "test"}
    body.update(change)
    return body


class Agent:
    """An enrolled agent."""

    def __init__(self, console, token, host="pc", machine="m1", port=0):
        self.console, self.host, self.machine, self.port = console, host, machine, port
        self.private = new_key()
        self.csr = make_csr(self.private)
        self.sent = {}

        def body(leaf):
            self.sent = enroll_body(token, leaf, self.csr, host, machine, port)
            return self.sent
        status, answer, _ = https(console, "POST", "/v1/enroll", body)
        assert status == 200, (status, answer)
        self.document = open_answer(token, self.sent, answer)
        self.id = self.document["agent"]
        self.cert, self.key = self.document["certificate"], pem_of(self.private)

    @property
    def source(self):
        return f"atalaia://{self.console.org}/agent/{self.id}"

    def call(self, method, path, body=None, **kw):
        status, answer, _ = https(self.console, method, path, body, self.cert, self.key, **kw)
        return status, answer

    def pull(self, wait=0, **kw):
        query = f"?wait={wait}&task_port={kw.pop('port', self.port)}&machine={kw.pop('machine', self.machine)}"
        return self.call("GET", "/v1/tasks" + query, timeout=wait + 20, **kw)

    def report(self, task, state, **more):
        return self.call("POST", f"/v1/tasks/{task}/state", {"state": state, **more})

    def event(self, seq, cls="telemetry", epoch="0" * 32, type="org.atalaia.test", data=None, id=None):
        return {"specversion": "1.0", "id": id or str(uuid.uuid4()), "source": self.source, "type": type,
                "time": "2026-01-01T00:00:00.000Z", "datacontenttype": "application/json",
                "atalaiaclass": cls, "atalaiaepoch": epoch, "atalaiaseq": seq, "data": data or {}}


def open_answer(token, sent, answer):
    """Checks the MAC over the exact bytes, then reads the document."""
    document = base64.b64decode(answer["answer"])
    text = b"atalaia enroll answer 1\0" + bytes.fromhex(sent["proof"]) + hashlib.sha256(document).digest()
    assert hmac.new(token.key, text, hashlib.sha256).hexdigest() == answer["mac"]
    return json.loads(document)

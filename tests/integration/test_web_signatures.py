"""Two operators, two browsers, two keys that never leave them: a destructive task waits for the second one."""
import base64
import json

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from consoleclient import new_key, pem_of
from webpages import Site, settled
from world import wait_for

NAMES = ("rui", "sara")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    s = Site(tmp_path_factory.mktemp("signatures"), "127.0.83.2", push_timeout="1s")
    for name in NAMES:
        s.user(name, "operator")
    yield s
    assert s.close() == 0, s.console.process.err[-20:]


@pytest.fixture(scope="module")
def pages(site):
    """Each operator with a key of the browser's own; the authority asks both for agent.restart."""
    made = [site.log_in(name, "/account") for name in NAMES]
    for page, name in zip(made, NAMES):
        page.getByLabel("Name of a new key").fill(f"key of {name}")
        page.getByRole("button", name="Make a key in this browser").click()
        page.getByText("in this browser", exact=True).waitFor()
    return made


def read_key(page):
    """The registered key, as the authority will name it."""
    return page.evaluate("fetch('/api/v1/me/keys').then(r => r.json())")["keys"][0]


def pulled(agent):
    status, answer = agent.pull()
    return answer["tasks"] if status == 200 else []


def publish_authority(console, folder, keys, task):
    document = json.loads(console.cli("authority", "show").stdout)
    document["version"] += 1
    for key in keys:
        document["keys"][key["keyid"]] = key["key"]
    document["tasks"][task] = {"keyids": [key["keyid"] for key in keys], "threshold": 2}
    (folder / "authority.json").write_text(json.dumps(document))
    staged = folder / "staged.json"
    done = console.cli("authority", "make", folder / "authority.json", "--out", staged)
    assert done.returncode == 0, done.stderr
    for n in (1, 2):
        console.cli("authority", "sign", staged, "--key", console.state / f"offline/authority-{n}.pem")
    assert "published" in console.cli("authority", "publish", staged).stdout


def check(envelope, keys):
    """Both signatures, by another implementation; both over the canonical bytes."""
    signed = json.dumps(envelope["signed"], sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    for key in keys:
        signature = next(s for s in envelope["signatures"] if s["keyid"] == key["keyid"])
        public = serialization.load_pem_public_key(key["key"]["keyval"]["public"].encode())
        sig = signature["sig"]
        try:
            raw = bytes.fromhex(sig)
        except ValueError:
            raw = base64.b64decode(sig)
        public.verify(raw, signed, ec.ECDSA(hashes.SHA256()))


def test_a_task_waits_for_two_browsers(site, pages, tmp_path):
    keys = [read_key(page) for page in pages]
    publish_authority(site.console, tmp_path, keys, "agent.restart")
    agent = site.agents(1)[0]
    first, second = pages

    first.goto(f"{site.url}/computers/{agent.id}")
    first.getByRole("button", name="Restart the agent").click()
    first.getByText("This task needs 2 signatures").waitFor()
    first.getByRole("button", name="Show whom it reaches").click()
    first.getByText("one computer gets it").waitFor()
    first.getByRole("button", name="Send").click()
    first.getByRole("heading", name="Waits for signatures: 0 of 2").waitFor()
    assert not pulled(agent)

    second.goto(site.url + "/tasks")
    second.getByRole("heading", name="Wait for signatures").waitFor()
    first.getByRole("button", name="Sign with key of rui").click()
    first.getByRole("heading", name="Waits for signatures: 1 of 2").waitFor()
    first.getByText("None of your keys in this browser can sign this task.").waitFor()
    second.getByText("1 of 2").waitFor()                    # live, without a reload
    assert not pulled(agent)

    second.getByRole("link", name="agent.restart").click()
    settled(second, "the task")
    second.locator("section.signing").getByText("agent.restart").waitFor()
    second.getByRole("button", name="Sign with key of sara").click()
    task = wait_for(lambda: pulled(agent), 20, "the task, signed by both")[0]
    check(task, keys)
    agent.report(task["signed"]["id"], "done")
    first.getByText("1 of 1 ended, 0 failed").waitFor()


def test_a_key_from_a_file_signs_and_is_not_kept(site, pages, tmp_path):
    """SEC 1 and PKCS #8 alike; the key is gone with the page."""
    page = pages[0]
    private = new_key()
    sec1 = private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL,
                                 serialization.NoEncryption()).decode()
    page.goto(site.url + "/account")
    for name, text in (("sec1.pem", sec1), ("pkcs8.pem", pem_of(private))):
        path = tmp_path / name
        path.write_text(text)
        page.locator("input[type=file]").setInputFiles(str(path))
        page.getByRole("row", name=name).getByText("from a file, for now").waitFor()
    assert page.getByText("from a file, for now").count() == 1      # one key, whatever its form
    path = tmp_path / "no.pem"
    path.write_text("not a key")
    page.locator("input[type=file]").setInputFiles(str(path))
    page.getByText("this file holds no unencrypted P-256 private key").waitFor()
    page.reload()
    page.getByRole("row", name="key of rui").waitFor()
    assert page.getByText("from a file, for now").count() == 0


def test_a_key_cannot_be_read_out(pages):
    """What IndexedDB gives back is a key that WebCrypto will not export."""
    said = pages[0].evaluate("""() => new Promise((done) => {
        const opening = indexedDB.open('atalaia-keys', 1);
        opening.onsuccess = () => {
            const all = opening.result.transaction('keys').objectStore('keys').getAll();
            all.onsuccess = () => crypto.subtle.exportKey('pkcs8', all.result[0].privateKey)
                .then(() => done('read'), (e) => done(e.name));
        };
    })""".strip(), None)
    assert said == "InvalidAccessError"

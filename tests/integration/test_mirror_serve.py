"""Start, refusal, confinement and end of the update agent; as a child of an agent too."""
import json
import os
import pathlib
import re
import signal
import socket
import time

import pytest
from mirror import Child, Mirror, own_address, read_all
from world import run, wait_for

BIG = os.urandom(1 << 20) * 40


def complaint(bin_dir, tmp_path, text):
    conf = tmp_path / "bad.conf"
    conf.write_text(text.replace("ROOT", str(tmp_path)))
    done = run([bin_dir / "atalaia-update-agent", "serve", "--config", conf], timeout=10)
    assert done.returncode == 2, (text, done.stderr)
    assert done.stdout == ""
    sentence = [x for x in done.stderr.splitlines() if not x.startswith("time=")]
    assert len(sentence) == 1, done.stderr
    assert str(conf) in sentence[0]
    return sentence[0]


@pytest.mark.parametrize("text, words", [
    ("[update-agent]\nroot=ROOT\nrot=/x\n", ("line 3", "'rot'", "--help")),
    ("[update-agent]\nftp_port=0\n", ("root", "missing")),
    ("[update-agent]\nroot=\n", ("line 2", "root", "name the folder")),
    ("[update-agent]\nroot=ROOT/none\n", ("line 2", "root", "name a folder that exists")),
    ("[update-agent]\nroot=ROOT\nftp_port=65536\n", ("line 3", "ftp_port", "0 to 65535")),
    ("[update-agent]\nroot=ROOT\nidle_timeout=5 minutes\n", ("line 3", "idle_timeout", "30s")),
    ("[update-agent]\nroot=ROOT\nmax_sessions=0\n", ("line 3", "max_sessions", "between 1")),
    ("[update-agent]\nroot=ROOT\nhttp_port=yes\n", ("line 3", "http_port", "or off")),
    ("[update-agent]\nroot=ROOT\nftp_port=3333\n", ("line 3", "ftp_port", "own port")),
    ("[update-agent]\nroot=ROOT\nftp_port=5000\nhttp_port=5000\n", ("http_port", "own port")),
    ("[update-agent]\nroot=ROOT\npassive_first=80\n", ("line 3", "passive_first", "1024")),
    ("[update-agent]\nroot=ROOT\npassive_first=65000\npassive_count=1000\n",
     ("line 4", "passive_count", "past port 65535")),
    ("[update-agent]\nroot=ROOT\npassive_first=3330\npassive_count=50\n",
     ("line 3", "passive_first", "3333", "move")),
    ("[update-agent]\nroot=ROOT\npassive_address=example.org\n", ("line 3", "passive_address", "IPv4")),
    ("[update-agent]\nroot=ROOT\nlocal_networks=10.0.0.1/8\n", ("line 3", "local_networks")),
    ("[update-agent]\nroot=ROOT\nlisten=localhost\n", ("line 3", "listen", "IP address")),
    ("[update-agent]\nroot=ROOT\ndropbox=ROOT/none\n", ("line 3", "dropbox", "cannot be opened")),
    ("[update-agent]\nroot=ROOT\ndropbox=ROOT\n", ("line 3", "dropbox", "folder of its own")),
    ("[update-agent]\nroot=ROOT\ndata_peer=all\n", ("line 3", "data_peer", "same, subnet, any")),
    ("[update-agnet]\nroot=ROOT\n", ("line 2", "no section [update-agnet]")),
    ("root=ROOT\n", ("line 1",)),
])
def test_wrong_configuration_is_one_sentence(bin_dir, tmp_path, text, words):
    sentence = complaint(bin_dir, tmp_path, text)
    for word in words:
        assert word in sentence, sentence


@pytest.mark.parametrize("option", ["ftp_port", "version_port", "http_port"])
def test_port_in_use(bin_dir, tmp_path, option):
    address = own_address()
    with socket.socket() as s:
        s.bind((address, 0))
        s.listen()
        port = s.getsockname()[1]
        ports = {"ftp_port": 0, "version_port": 0, "http_port": 0}
        ports[option] = port
        sentence = complaint(bin_dir, tmp_path, f"[update-agent]\nroot=ROOT\nlisten={address}\n"
                             "passive_first=0\n" + "".join(f"{k}={v}\n" for k, v in ports.items()))
    assert option in sentence and str(port) in sentence and "choose a free port" in sentence


def test_the_documented_range_over_3333_warns_and_works(procs, bin_dir, tmp_path):
    ini = tmp_path / "eserv.ini"
    ini.write_bytes(b"\xef\xbb\xbf[General]\r\naddpassiveport=1\r\nStartingPassivePort = 3023\r\n"
                    b"NoofPassivePorts=1000\r\nSer_Pasv_IPAddr=203.0.113.9\r\n[Other]\r\nNoofPassivePorts=1\r\n")
    done = run([bin_dir / "atalaia-update-agent", "import-eserv", ini])
    assert done.returncode == 0, done.stderr
    options = dict(x.split("=") for x in done.stdout.splitlines() if "=" in x)
    assert options == {"passive_first": "3023", "passive_count": "1000",
                       "passive_address": "203.0.113.9"}
    assert "3333" in done.stdout
    m = Mirror(procs, bin_dir, tmp_path, files={"a": "a"}, version_port=3333, **options)
    assert any("passive.overlap" in x and "3333" in x for x in m.proc.err)
    with m.raw() as r:
        for _ in range(100):
            assert 3023 <= r.passive() < 4023
        assert r.fetch("RETR a") == b"a"


def test_eserv_mistakes(bin_dir, tmp_path):
    ini = tmp_path / "eserv.ini"
    for text, word in (("[General]\nStartingPassivePort=x\n", "line 2"),
                       ("[General]\nSer_Pasv_IPAddr=::1\n", "line 2"),
                       ("[General]\nStartingPassivePort=65000\nNoofPassivePorts=1000\n", "65535")):
        ini.write_text(text)
        done = run([bin_dir / "atalaia-update-agent", "import-eserv", ini])
        assert done.returncode == 2 and word in done.stderr and str(ini) in done.stderr
    ini.write_text("[General]\nAddPassivePort=0\nStartingPassivePort=3023\nNoofPassivePorts=10\n")
    assert "passive_first=0" in run([bin_dir / "atalaia-update-agent", "import-eserv", ini]).stdout


def test_confinement_from_inside_the_pool(bin_dir, tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    conf = tmp_path / "c.conf"
    conf.write_text(f"[update-agent]\nroot={root}\nrequire_confinement=yes\n")
    done = run([bin_dir / "atalaia-update-agent", "serve", "--self-test-confinement",
                "--config", conf])
    if "landlock=0" in done.stderr + done.stdout or "no Landlock" in done.stderr:
        pytest.skip("this kernel has no Landlock")
    lines = done.stdout.splitlines()
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(lines) > 8 and all(x.endswith(" refused") for x in lines[1:]), lines
    assert list(root.iterdir()) == []


def test_a_kernel_without_landlock_is_said_loudly_or_refused(debug_bin, procs, tmp_path):
    env = {**os.environ, "ATALAIA_INJECT": "confine.landlock"}
    m = Mirror(procs, debug_bin, tmp_path, files={"a": "a"}, env=env)
    assert any("level=warn" in x and "confinement.missing" in x and "no Landlock" in x for x in m.proc.err)
    assert any("landlock=0 seccomp=yes" in x for x in m.proc.err)
    with m.raw() as r:
        assert r.fetch("RETR a") == b"a"
    conf = tmp_path / "strict.conf"
    conf.write_text(m.conf.read_text() + "require_confinement=yes\n")
    done = run([debug_bin / "atalaia-update-agent", "serve", "--config", conf], env=env, timeout=10)
    sentence = [x for x in done.stderr.splitlines() if not x.startswith("time=")]
    assert done.returncode == 2 and done.stdout == "" and len(sentence) == 1
    assert "require_confinement" in sentence[0] and "no Landlock" in sentence[0]


def test_the_agent_raises_an_event_when_its_role_is_not_confined(debug_bin, procs, tmp_path):
    conf = tmp_path / "agent.conf"
    conf.write_text(f"""[agent]
state={tmp_path}/state
run={tmp_path}/run
libexec={debug_bin}
event_port=0
[update-agent]
enabled=yes
listen={own_address()}
ftp_port=0
version_port=0
passive_first=0
""")
    agent = procs.start([debug_bin / "atalaia-agent", "run", "--config", conf],
                        env={**os.environ, "ATALAIA_INJECT": "confine.landlock"})
    agent.line("ready")
    wait_for(lambda: any("event=confinement.missing program=atalaia-update-agent" in x for x in agent.err), 15,
             "the warning")


def test_sigterm_drains_running_transfers(procs, bin_dir, tmp_path):
    m = Mirror(procs, bin_dir, tmp_path, files={"big": BIG}, drain_timeout="8s")
    idle, busy = m.raw(), m.raw()
    busy.ask("TYPE I")
    with busy.data() as d:
        assert busy.ask("RETR big").startswith("150")
        m.proc.process.send_signal(signal.SIGTERM)
        assert idle.closed() and b"421 " in idle.pending
        with pytest.raises(ConnectionRefusedError):
            m.raw()
        assert len(read_all(d)) == len(BIG)
    assert busy.reply().startswith("226") and busy.reply().startswith("421") and busy.closed()
    assert m.proc.stop() == 0


def test_the_drain_has_an_end(procs, bin_dir, tmp_path):
    m = Mirror(procs, bin_dir, tmp_path, files={"big": BIG}, drain_timeout="1s")
    with m.raw() as r:
        r.ask("TYPE I")
        with r.data():
            assert r.ask("RETR big").startswith("150")
            begin = time.monotonic()
            assert m.proc.stop() == 0
            assert time.monotonic() - begin < 4
            assert r.reply()[:3] in ("421", "426")


def test_as_a_child(bin_dir, tmp_path):
    meta = tmp_path / "root" / "signatures" / "metadata"
    meta.mkdir(parents=True)
    (meta / "timestamp.json").write_text('{"signed":{"version":1}}')
    address = own_address()
    with Child(bin_dir) as c:
        hello = c.message()
        assert (hello["type"], hello["program"], hello["proto"]) == ("hello", "atalaia-update-agent", 1)
        c.send(type="config", options={
            "root": str(tmp_path / "root"), "listen": address, "ftp_port": "0",
            "version_port": "0", "http_port": "0", "passive_first": "0"})
        ready = c.message()
        assert ready["type"] == "ready" and set(ready["ports"]) == {"ftp", "version", "http"}

        def version():
            done = run(["curl", "-s", f"http://{address}:{ready['ports']['version']}"
                        "/v1/signatures/timestamp"])
            return json.loads(done.stdout)["signed"]["version"] if done.stdout[:9] == '{"signed"' else 0

        wait_for(lambda: version() == 1, 5, "version 1")
        (meta / "new").write_text('{"signed":{"version":2}}')
        (meta / "new").rename(meta / "timestamp.json")
        time.sleep(0.3)
        assert version() == 1          # nobody said so
        c.send(type="changed", feed="signatures", version=2)
        wait_for(lambda: version() == 2, 5, "version 2")
        c.send(type="status")
        status = c.message()
        assert status["type"] == "status" and status["version_requests"] >= 2
        c.send(type="stop")
        assert c.p.wait(10) == 0


def test_a_child_with_wrong_options_says_so(bin_dir):
    with Child(bin_dir) as c:
        c.message()
        c.send(type="config", options={"root": "/", "ftp_port": "x"})
        result = c.message()
        assert result["outcome"] == "failed" and "ftp_port" in result["text"]
        assert c.p.wait(10) == 2


def test_a_child_ends_with_its_agent(bin_dir, tmp_path):
    with Child(bin_dir) as c:
        c.message()
        c.send(type="config", options={"root": str(tmp_path), "listen": own_address(),
                                       "ftp_port": "0", "version_port": "0", "passive_first": "0"})
        assert c.message()["type"] == "ready"
        c.p.stdin.close()
        assert c.p.wait(10) == 0


def test_help_and_usage(bin_dir):
    program = bin_dir / "atalaia-update-agent"
    text = run([program, "--help"]).stdout
    for word in ("passive_first", "3333", "import-eserv", "dropbox_daily"):
        assert word in text
    assert run([program]).returncode == 2 and run([program, "serve"]).returncode == 2
    assert run([program, "--version"]).stdout.startswith("atalaia-update-agent ")


def test_the_manual_names_every_option(bin_dir):
    page = pathlib.Path(__file__).parents[2] / "packaging" / "man" / "atalaia-update-agent.8"
    manual = set(re.findall(r"^\.B (\w+)=$", page.read_text(), re.M))
    text = run([bin_dir / "atalaia-update-agent", "--help"]).stdout
    assert manual == set(re.findall(r"^  (\w+) {2,}", text, re.M))

"""atalaia-log(5) is what the sources log and what running programs write: no event, no field beside it."""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import fleet as fleets
from world import wait_for

BIN = pathlib.Path(os.environ["ATALAIA_BIN"]).resolve()
MAN = pathlib.Path(__file__).resolve().parents[2] / "packaging/man"
PAIR = re.compile(r' ?([a-z_0-9]+)=("(?:[^"\\]|\\.)*"?|[^ ]*)')
SENTENCES = {"confinement", "fetch.confined", "scan.confined", "passive.overlap"}      # a sentence behind the fields


def documented():
    """The page read as a person would: fields, and events with their fields."""
    text = (MAN / "atalaia-log.5").read_text().replace("\\-", "-").replace("\\(aq", "'")
    fields, events = text.split(".SH FIELDS\n")[1].split(".SH EVENTS\n")
    known = set(re.findall(r"\.TP\n\.B (\S+)\n", fields))
    return known, {name: set(words.split()) for name, words in re.findall(r"\.TP\n\.BR (\S+) .*\n(.*)\n", events)}


def fields_of(line):
    at, found = 0, []
    while (m := PAIR.match(line, at)) is not None:
        found.append((m[1], m[2]))
        at = m.end()
    return found, line[at:]


def test_the_page_is_what_the_sources_log():
    done = subprocess.run([sys.executable, MAN / "logs.py"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_journal_gets_priorities(tmp_path):
    """Only where standard error is what systemd says it is."""
    log, conf = tmp_path / "log", tmp_path / "conf"
    conf.write_text(f"[agent]\nstate = {tmp_path}/state\nrun = {tmp_path}/run\nlibexec = {BIN}\ntask_port = 0\nevent_port = 0\n")
    for name in ("state", "run"):
        (tmp_path / name).mkdir()
    for journal in (True, False):
        with open(log, "wb") as out:
            st = os.fstat(out.fileno())
            p = subprocess.Popen([BIN / "atalaia-agent", "run", "--config", conf], stderr=out, stdout=subprocess.DEVNULL,
                                 env=dict(os.environ, JOURNAL_STREAM=f"{st.st_dev}:{st.st_ino + (not journal)}"))
            try:
                wait_for(lambda: b"event=identity.none" in log.read_bytes(), 30, "a line")
            finally:
                p.terminate()
                p.wait(30)
        for line in log.read_text().splitlines():
            level = re.search("level=([a-z]+)", line)[1]
            want = {"error": "<3>", "warn": "<4>", "info": "<6>"}[level] if journal else ""
            assert line.startswith(want + "time="), line


def test_running_programs_log_what_the_page_says():
    known, events = documented()
    root = pathlib.Path(tempfile.mkdtemp(prefix="atalaia-log-"))
    f = fleets.Fleet(BIN, root, addresses=("127.0.92.1", "127.0.92.2", "127.0.92.3"), lines=300)
    try:
        f.first_set(more="[agent]\nlog = debug\n")
        f.send_task(f.workstation, "status")
        procs = [f.console, f.server.agent, f.workstation.agent]
        for p in reversed(procs):
            p.stop()
        lines = [x for p in procs for x in p.err if x.startswith("time=")]
    finally:
        f.stop()
        shutil.rmtree(root, ignore_errors=True)
    seen = set()
    for line in lines:
        found, rest = fields_of(line)
        names = [name for name, _ in found]
        event = dict(found)["event"]
        assert names[:4] == ["time", "level", "program", "event"], line
        assert set(names) <= known, line
        where = events.get(event, events.get(event.split(".")[0] + ".*"))
        assert where is not None, line
        assert set(names[4:]) - {"suppressed"} <= where, line
        assert not rest or event in SENTENCES, line
        seen.add(event)
    assert {"ready", "update.run", "task.end", "child.started", "enrolled"} & seen and len(seen) > 15, seen

"""`atalaia` on a terminal and off it: the progress bar, colours, NO_COLOR, exit statuses. The agent is a stand-in
whose documents are ours."""
import http.server
import json
import os
import pathlib
import threading

import pytest

import terminal
from world import run

BIN = pathlib.Path(os.environ["ATALAIA_BIN"]).resolve()
FEED = {"feed": "signatures", "version": 7, "state": "idle", "last": "updated", "checked": "2026-11-24T12:00:00.000Z"}


class Agent:
    """Each look at the status finds the download a tenth further; then the feed is idle."""

    def __init__(self, last="updated"):
        self.looks, self.last, outer = 0, last, self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                self.answer(202, {"feeds": 1})

            def do_GET(self):
                self.answer(200, outer.status())

            def answer(self, status, body):
                data = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def status(self):
        self.looks += 1
        feed = {**FEED, "last": self.last}
        if self.looks <= 10:
            feed.update(state="fetch", phase="download", file="delta/day.hdb.77.d",
                        done=self.looks * 100000, total=1000000, **{"from": "branch"})
        return {"version": "0", "identity": {"enrolled": True, "org": "example"}, "feeds": [feed],
                "engine": {"type": "none"}, "update_agent": {"on": False}, "tasks": [], "spool": {}}


@pytest.fixture
def agent():
    a = Agent()
    yield a
    a.server.shutdown()
    a.server.server_close()


def env(**more):
    return {"PATH": os.environ["PATH"], "TERM": "xterm", **more}


def test_progress_bar(agent):
    with terminal.Terminal([BIN / "atalaia", "update", "--wait", "--url", agent.url], env=env()) as t:
        assert t.end() == 0
        shown = t.text
    assert "signatures fetch download delta [##" in shown
    assert "of 976 KiB" in shown and "KiB/s, still " in shown and ", from branch" in shown
    assert shown.rstrip().splitlines()[-1].endswith("signatures: updated, version 7")
    assert "\x1b[3" in shown.splitlines()[-1]       # the mark has a colour


def test_no_color(agent):
    with terminal.Terminal([BIN / "atalaia", "status", "--url", agent.url], env=env(NO_COLOR="1")) as t:
        assert t.end() in (0, 1)
        assert "signatures" in t.text and "\x1b" not in t.text


def test_no_bar_and_no_colour_without_a_terminal(agent):
    done = run([BIN / "atalaia", "update", "--wait", "--url", agent.url], env=env())
    assert done.returncode == 0 and done.stdout == "ok signatures: updated, version 7\n"


def test_an_update_that_fails_is_an_exit_status(agent):
    agent.last = "failed"
    done = run([BIN / "atalaia", "update", "--wait", "--json", "--url", agent.url], env=env())
    assert done.returncode == 1 and json.loads(done.stdout)[0]["last"] == "failed"


def test_every_verb_has_a_help():
    text = run([BIN / "atalaia", "--help"]).stdout
    verbs = [line.split()[1] for line in text.splitlines() if line.startswith("  atalaia ")]
    assert len(verbs) >= 9
    for verb in verbs:
        done = run([BIN / "atalaia", verb, "--help"])
        assert done.returncode == 0 and len(done.stdout.splitlines()) > 1, verb

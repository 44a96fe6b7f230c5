"""Debian's Chromium, driven from Python through playwright-core (tests/lib/browser/bridge.mjs).

    page.getByRole("button", name="Send").click()

is one request: calls are collected and sent by the last one, which is a verb (see VERBS). Waiting is
Playwright's: each verb waits for its element."""
import json
import pathlib
import shutil
import subprocess

import pytest

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent.parent
MODULES = TOP / "roles/console/web/node_modules"
BUILT = TOP / "build/web"
SHOTS = TOP / "build/screenshots"

VERBS = set("""click fill press check uncheck selectOption goto reload textContent innerText inputValue waitFor
count screenshot evaluate isVisible isDisabled waitForURL setViewportSize close focus url hover
setInputFiles allInnerTexts title getAttribute emulateMedia addInitScript heard cookies clearCookies waitForFunction
setOffline addCookies storageState""".split())
TIMEOUT_MS = 20000


def why_not():
    """None when a browser test can run here, else what is missing."""
    if not shutil.which("chromium"):
        return "no chromium"
    if not (MODULES / "playwright-core").exists() or not (BUILT / "index.html").exists():
        return "the pages are not built: make web"
    return None


class BrowserError(AssertionError):
    pass


class Chain:
    """A call that is not sent yet."""

    def __init__(self, bridge, on, chain):
        self._bridge, self._on, self._chain = bridge, on, chain

    def __getattr__(self, name):
        def call(*args, **options):
            args = list(args) + ([options] if options else [])
            chain = [*self._chain, [name, *args]]
            if name in VERBS:
                return self._bridge.ask(self._on, chain)
            return Chain(self._bridge, self._on, chain)
        return call

    def keep(self):
        return Chain(self._bridge, self._bridge.ask(self._on, self._chain, keep=True), [])

    def wait_gone(self):
        return self.waitFor(state="hidden")


class Browser:
    def __init__(self):
        self.process = subprocess.Popen(
            [shutil.which("node"), HERE / "browser/bridge.mjs", TOP / "roles/console/web", shutil.which("chromium")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.next = 0
        ready = json.loads(self.process.stdout.readline() or "{}")
        assert "ready" in ready, "Chromium did not start"

    def ask(self, on, chain, keep=False, watch=False):
        self.next += 1
        self.process.stdin.write(json.dumps({"id": self.next, "on": on, "chain": chain, "keep": keep,
                                             "watch": watch}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, "the browser is gone"
        answer = json.loads(line)
        if "error" in answer:
            raise BrowserError(answer["error"])
        return answer.get("object", answer.get("value"))

    def page(self, **options):
        """A browser of its own (cookies, keys) with one page."""
        context = self.ask(0, [["newContext", {"ignoreHTTPSErrors": True, "locale": "en-GB",
                                               "viewport": {"width": 1280, "height": 800}, **options}]], keep=True)
        self.ask(context, [["setDefaultTimeout", TIMEOUT_MS]])
        page = Chain(self, self.ask(context, [["newPage"]], keep=True, watch=True), [])
        page.context_of = Chain(self, context, [])
        return page

    def close(self):
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def needs_browser():
    why = why_not()
    if why:
        pytest.skip("the browser was not asked: " + why)

"""The web console's pages in a real browser: a console with users, pages of them, axe, screenshots."""
import pathlib
import re

from browser import BUILT, MODULES, SHOTS, Browser, needs_browser
from consoleclient import Agent, Console
from webclient import PASSWORD, add_user
from world import free_port, wait_for

# What a browser reports for answers that a page expects: asking who is logged in, and refusals under test.
EXPECTED = re.compile(r"Failed to load resource|ERR_CONNECTION|ERR_INCOMPLETE|net::ERR|EventSource")
PATHS = ["/", "/computers", "/update-agents", "/events", "/tasks", "/policies", "/feeds", "/enrolment", "/users",
         "/audit", "/settings", "/account"]


class Site:
    """A console whose port stays when it restarts, and a browser."""

    def __init__(self, folder, address, **options):
        needs_browser()
        self.console = Console(pathlib.Path(folder) / "c", address=address, web=BUILT,
                               **{"web_port": free_port(address), **options}).start()
        self.browser = Browser()
        self.url = f"https://{address}:{self.console.web_port}"
        self.pages = []
        self.sequence = {}

    def page(self, **options):
        page = self.browser.page(**options)
        self.pages.append(page)
        return page

    def user(self, name, role, groups=()):
        add_user(self.console, name, role, groups)

    def log_in(self, name, path="/", **options):
        page = self.page(**options)
        page.goto(self.url + path)
        fill_login(page, name)
        page.locator("nav[aria-label=Pages],nav[aria-label=Páginas]").waitFor(state="attached")
        return page

    def agents(self, count, group="branch", host="pc-{:02}"):
        token = self.console.token("--uses", str(count), "--group", group)
        return [Agent(self.console, token, host.format(n), f"{group}-{n}") for n in range(count)]

    def send(self, agent, kind, data, cls="task"):
        key = (agent.id, cls)
        self.sequence[key] = self.sequence.get(key, 0) + 1
        event = agent.event(self.sequence[key], cls, type="org.atalaia." + kind, data=data)
        status, answer = agent.call("POST", "/v1/events", [event])
        assert status == 200, answer

    def applied(self, agent, version, **more):
        self.send(agent, "update.applied", {"feed": "signatures", "version": version, "from": version - 1,
                                            "mirror": "server", "bytes_wire": 40_000, "bytes_delta": 38_000,
                                            "bytes_full": 0, **more})

    def detect(self, agent, name="Eicar-Signature", path="/home/ana/invoice.pdf"):
        self.send(agent, "detection", {
            "class_uid": 2004, "finding_info": {"uid": "0", "title": name}, "malware": [{"name": name}],
            "evidences": [{"file": {"name": path.rsplit("/", 1)[-1], "path": path, "type_id": 1}}],
            "disposition_id": 3}, cls="detection")

    def close(self):
        self.browser.close()
        return self.console.stop()


def fill_login(page, name, password=PASSWORD):
    page.getByLabel("User", exact=True).fill(name)
    page.getByLabel("Password").fill(password)
    page.getByRole("button", name="Log in").click()


def complaints(page):
    """What the page's console said that no page may cause: refused scripts, exceptions, dialogs."""
    return [line for line in page.heard() if not EXPECTED.search(line)]


def settled(page, path):
    """The page has its heading and nothing on it says that it still loads."""
    page.locator("main h1").waitFor()
    wait_for(lambda: not page.locator("main .loading").count(), 20, f"{path} to have loaded")


def axe_source():
    return (MODULES / "axe-core/axe.min.js").read_text()


def violations(page, rules=None):
    """Serious and critical findings of axe-core, which the page has been given."""
    return page.evaluate("""async (rules) => {
        const options = { resultTypes: ['violations'], ...(rules ? { runOnly: rules } : {}) };
        const { violations } = await axe.run(document, options);
        return violations.filter((v) => ['serious', 'critical'].includes(v.impact))
            .map((v) => v.id + ': ' + v.nodes.slice(0, 3).map((n) => n.html.slice(0, 160)).join(' | '));
    }""", rules)


def shoot(page, name):
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=str(SHOTS / f"{name}.png"))


def call(page, calls):
    """Requests from within the page, as a script there could make them: [method, path, body] -> statuses."""
    return page.evaluate("""async (calls) => {
        const me = await (await fetch('/api/v1/session')).json();
        const out = [];
        for (const [method, path, body] of calls) {
            const r = await fetch('/api/v1' + path, { method, body: body && JSON.stringify(body),
                headers: { 'Content-Type': 'application/json', 'X-Atalaia-CSRF': me.csrf } });
            out.push(r.status);
        }
        return out;
    }""", calls)

"""Real agents behind the web console: a PC becomes an update agent by a form and moves in the picture; a policy is
changed by a form and its effect is seen at the agent."""
import json
import os
import pathlib
import shutil
import tempfile

import pytest

import fleet as fleets
from browser import BUILT, Browser, needs_browser
from webclient import PASSWORD
from webpages import complaints, fill_login, shoot
from world import free_port, wait_for

ADDRESSES = ("127.0.83.11", "127.0.83.12", "127.0.83.13")
PORTS = {"ftp_port": "22921", "version_port": "22933", "http_port": "22922"}


@pytest.fixture(scope="module")
def world():
    needs_browser()
    root = pathlib.Path(tempfile.mkdtemp(prefix="atalaia-web-"))    # pytest's own is closed to others
    f = fleets.Fleet(pathlib.Path(os.environ["ATALAIA_BIN"]), root, addresses=ADDRESSES, lines=3000)
    try:
        f.make_feed()
        f.publish()
        f.web_port = free_port(ADDRESSES[0])
        near = {"name": "branch", "host": ADDRESSES[1], "ftp": int(PORTS["ftp_port"]), "subnets": [ADDRESSES[2] + "/32"],
                "http": int(PORTS["http_port"]), "version": int(PORTS["version_port"])}
        shutil.copytree(BUILT, root / "web")        # the console's user cannot look into everybody's folders
        f.start_console(policy={"update": {"interval": "5s", "jitter": "0", "bypass": "never"},
                                "sources": {"update_agents": [near]}},
                        web=root / "web", web_port=f.web_port, admin_port=free_port(), agent_port=free_port(ADDRESSES[0]),
                        source_ftp=22931, source_http=22932, source_version=22934)
        f.configure_agent(f.server, free_port(), more="retry=500ms", role=f.origin(
            ftp_port=22931, http_port=22932, version_port=22934, poll_interval="200ms"))
        for host in (f.branch, f.workstation):
            f.configure_agent(host, free_port(), more="retry=500ms")
        for host in (f.server, f.branch, f.workstation):
            f.enroll(host)
            f.start_agent(host)
        password = f.server.write("password", PASSWORD)
        f.console_run("user", "add", "rui", "--role", "operator", "--password-file", password)
        f.browser = Browser()
        yield f
        f.browser.close()
    finally:
        f.stop()
        shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(scope="module")
def page(world):
    p = world.browser.page()
    world.url = f"https://{ADDRESSES[0]}:{world.web_port}"
    p.goto(world.url + "/update-agents")
    fill_login(p, "rui")
    p.getByRole("button", name="Make a PC an update agent…").waitFor()
    return p


def feed(host):
    feeds = json.loads(host.local("/v1/status"))["feeds"]
    return next(f for f in feeds if f["feed"] == "signatures")


def test_a_pc_becomes_an_update_agent_and_moves_in_the_picture(world, page):
    wait_for(lambda: feed(world.branch)["version"] > 0, 40, "the branch's set")
    assert page.getByRole("button", name="branch").count() == 0
    page.getByRole("button", name="Make a PC an update agent…").click()
    page.getByLabel("Find the PC").fill("branch")
    page.getByLabel("PC", exact=True).selectOption(world.branch.agent_id)
    settings = {"listen": ADDRESSES[1], **PORTS}
    for name, value in {**settings, "passive_first": "65000", "passive_count": "1000"}.items():
        page.getByLabel(name, exact=True).fill(value)
    page.getByRole("button", name="Check the settings").click()
    page.locator("dialog .badge.bad").first().waitFor()         # the range goes past the last port
    page.getByLabel("passive_first", exact=True).fill("23400")
    page.getByRole("button", name="Check the settings").click()
    page.getByRole("button", name="Go on", exact=True).click()
    page.getByRole("button", name="Show whom it reaches").click()
    page.getByRole("button", name="Send").click()
    page.getByText("1 of 1 ended, 0 failed").waitFor()
    page.getByRole("link", name="Update agents").click()
    page.locator("g.node").filter(hasText="branch").waitFor()
    wait_for(lambda: feed(world.workstation)["version"] > 0, 60, "the workstation's set")
    page.locator("g.node").filter(hasText="branch").getByText("one client").waitFor()
    page.locator("g.node").filter(hasText="branch").click()
    page.locator(".cascade path").first().waitFor(state="attached")
    shoot(page, "update-agents-cascade")
    assert not complaints(page)


def test_a_policy_is_changed_and_the_agent_follows(world, page):
    page.getByRole("link", name="Policies").click()
    page.getByRole("button", name="Set update.delta").click()
    page.getByLabel("update.delta").selectOption("off")
    page.getByRole("button", name="Show the difference").click()
    page.locator("form table").getByText("update.delta").waitFor()
    page.getByRole("button", name="Publish").click()
    row = page.getByRole("row", name="update.delta").last().keep()
    row.getByText("default.json").waitFor()
    row.getByText("off", exact=True).waitFor()

    def followed():
        members = json.loads(world.workstation.local("/v1/policy"))["members"]
        return any(m["member"] == "update.delta" and m["value"] == "off" for m in members)
    wait_for(followed, 60, "the value in force at the workstation")
    page.goto(f"{world.url}/events?type=org.atalaia.policy.*")
    page.getByRole("row", name="workstation").filter(hasText="policy.applied").first().waitFor()
    assert not complaints(page)


def test_a_pc_is_asked_what_is_wrong_with_it(world, page):
    page.goto(f"{world.url}/computers/{world.workstation.agent_id}")
    page.getByRole("button", name="Ask it now").click()
    page.getByRole("button", name="Show whom it reaches").click()
    page.getByRole("button", name="Send").click()
    page.getByText("1 of 1 ended, 0 failed").waitFor()
    page.goto(f"{world.url}/computers/{world.workstation.agent_id}")
    card = page.locator("section.card").filter(hasText="What the PC itself finds").keep()
    card.locator("summary").click()
    for name in ("clock", "trust", "task port", "FTP passive range", "age"):
        card.getByText(name, exact=True).first().waitFor()
    card.getByText("answers, and connected back").waitFor()
    shoot(page, "computer-doctor")
    assert not complaints(page)

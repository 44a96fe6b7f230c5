"""A thousand simulated agents before a real browser: they appear, get an update, and its progress is seen live."""
import asyncio
import pathlib
import resource
import sys
import threading

import pytest

from webpages import Site, complaints
from world import wait_for

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "bench"))
from console_fleet import Connection, enrol  # noqa: E402

COUNT = 1000


class Thousand:
    """Agents in an event loop of their own: each holds its poll and reports what it is told to."""

    def __init__(self, console):
        self.console, self.agents = console, []
        self.may_end = [asyncio.Event(), asyncio.Event()]
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

    def run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop)

    async def enrol_all(self, token):
        gate = asyncio.Semaphore(64)
        self.agents = await asyncio.gather(*(enrol(self.console, token, n, gate) for n in range(COUNT)))

    async def life(self, number, gate):
        agent = self.agents[number]
        async with gate:
            c = await Connection().open(self.console, agent[2], agent[3])
        status, answer = await c.call("GET", f"/v1/tasks?wait=240&machine={agent[1]}")
        assert status == 200, (status, answer)
        task = answer["tasks"][0]["signed"]
        assert task["type"] == "update.now"
        await self.may_end[number % 2].wait()
        status, _ = await c.call("POST", f"/v1/tasks/{task['id']}/state", {"state": "done"})
        c.close()
        return status

    async def live(self):
        gate = asyncio.Semaphore(64)
        return await asyncio.gather(*(self.life(n, gate) for n in range(COUNT)))

    def end(self, half):
        self.loop.call_soon_threadsafe(self.may_end[half].set)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    s = Site(tmp_path_factory.mktemp("thousand"), "127.0.83.3", log="warn")
    s.user("rui", "operator")
    yield s
    assert s.close() == 0, s.console.process.err[-20:]


def test_a_thousand_appear_and_update_before_ones_eyes(site):
    page = site.log_in("rui", "/computers")
    page.getByText("No computer has enrolled yet.").waitFor()
    fleet = Thousand(site.console)
    fleet.run(fleet.enrol_all(site.console.token("--uses", str(COUNT), "--group", "fleet"))).result(120)
    page.getByText("1,000 rows").waitFor(timeout=60000)      # live, without a reload
    drawn = page.locator(".vt-space [role=row]").count()
    assert 10 < drawn < 60, drawn                            # only what is in sight exists

    lives = fleet.run(fleet.live())
    wait_for(lambda: lives.done() or site.console.json("status")["waiters"] >= COUNT, 120, "all polls held")
    page.goto(site.url + "/tasks")
    page.getByRole("button", name="New task…").click()
    page.getByLabel("For whom").selectOption("group:fleet")
    page.getByRole("button", name="Show whom it reaches").click()
    page.getByText("1,000 computers get it").waitFor()
    page.getByRole("button", name="Send").click()
    page.getByText("0 of 1000 ended, 0 failed").waitFor()
    fleet.end(0)
    page.getByText("500 of 1000 ended, 0 failed").waitFor(timeout=60000)
    fleet.end(1)
    page.getByText("1000 of 1000 ended, 0 failed").waitFor(timeout=60000)
    assert set(lives.result(60)) == {204}
    assert not complaints(page)

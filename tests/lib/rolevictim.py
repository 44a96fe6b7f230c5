"""A task that switches this PC's role, at every call that changes something: journal, wish and spool of a real
agent that a real console orders. The debug build, so that a careless variant can be switched on."""
import json
import sqlite3

import fleet as fleets
import victims
from world import Proc, free_port, wait_for

ADDRESSES = ("127.0.91.1", "127.0.91.2", "127.0.91.3")


class RoleSwitch(victims.Victim):
    """Each life: start the agent, send role.set with a wish of its own, wait for the end of the task or the agent."""
    name = "role switch and task journal"
    kill_under = True
    repeat = 2                                  # each call while switching on and while switching off
    inject = ""

    def make(self):
        self.base.chmod(0o755)
        self.start_file = self.base / "begin"
        debug = self.bin.parent / "debug" if self.bin.name == "release" else self.bin
        (self.base / "fleet").mkdir(mode=0o755)
        self.fleet = f = fleets.Fleet(debug, self.base / "fleet", addresses=ADDRESSES, lines=300)
        self.host = f.server
        f.make_feed()
        f.publish()
        f.start_console(policy={"update": {"interval": "1h", "jitter": "0"}}, admin_port=free_port())
        f.configure_agent(self.host, free_port(), more="retry=1h", role=f.origin() +
                          "[spool]\nquota_detection=1M\nquota_task=1M\nquota_telemetry=1M\n")
        f.enroll(self.host)
        self.state = self.host.dir / "state"
        self.start()
        wait_for(lambda: (self.state / "policy/authority.json").exists(), 20, "authority")
        self.agent.stop()
        self.round = 0
        self.prepare()
        self.run()                              # the spool grows to its quota once

    def under(self):
        return [self.state]

    def prepare(self):
        """The agent goes on with what the life before left, as a PC does; a wish of its own each time."""
        self.start_file.unlink(missing_ok=True)
        self.round += 1
        self.on = self.round % 2 == 0
        self.minutes = f"{self.round + 10}m"

    def start(self, wrap=(), env=None):
        more = [f"{k}={v}" for k, v in (env or {}).items()]
        program = self.fleet.bin / "atalaia-agent"
        self.agent = self.fleet.keep(Proc(
            [*wrap, *self.host.argv("/usr/bin/env", *more, program, "run", "--config", self.host.conf)],
            cwd=self.host.dir))
        self.agent.line("ready")

    def local(self):
        try:
            tasks = json.loads(self.host.local("/v1/tasks"))["tasks"]
        except (OSError, ValueError):
            return {}
        return next((t for t in tasks if t["id"] == self.task), {})

    def ended(self):
        return self.local().get("state") in ("done", "failed", "interrupted")

    def run(self, wrap=(), env=None, seconds=60):
        env = {**(env or {}), **({"ATALAIA_INJECT": self.inject} if self.inject else {})}
        self.start(wrap, env)
        agent = self.agent.process
        self.start_file.touch()
        args = {"role": "update-agent", "on": self.on, "settings": {"idle_timeout": self.minutes}}
        sent = self.fleet.console_run("task", "send", self.host.agent_id, "role.set", "--args", json.dumps(args),
                                      "--json", check=False)
        self.task = json.loads(sent.stdout)["id"]
        self.refused = False

        def over():
            self.refused = json.loads(self.fleet.console_run("task", "show", self.task, "--json").stdout)[
                "agents"][0]["state"] == "failed" and not self.local()
            if not self.local():
                self.forget_offer()
            return agent.poll() is not None or self.ended() or self.refused
        try:
            wait_for(over, 40, "the end of the task or of the agent")
        except AssertionError as e:
            raise AssertionError(f"{e}: {self.local()} {self.agent.err[-3:]}") from e
        finally:
            self.start_file.unlink()
        self.before = {} if agent.poll() is not None else self.local()
        if agent.poll() is None:
            try:
                self.agent.stop()
            except AssertionError as e:
                if "handles open" in str(e):
                    raise
                return -9
        return agent.returncode

    def wish(self):
        return json.loads((self.state / "role.json").read_text())

    def serves(self):
        try:
            return bool(json.loads(self.host.local("/v1/status"))["update_agent"].get("serving"))
        except (OSError, KeyError, ValueError):
            return None

    def is_mine(self, wish):
        return wish["on"] == self.on and wish.get("settings", {}).get("idle_timeout") == self.minutes

    def check(self, status):
        try:
            after_life = self.wish()
        except (OSError, ValueError) as e:
            return f"role.json is torn: {e}"
        self.start()
        try:
            return self.look(after_life)
        except AssertionError as e:
            return str(e)[:300]
        finally:
            self.agent.stop()

    def look(self, after_life):
        """What was told before the death, and what is told and done after the next start."""
        told = self.before.get("state")
        if told == "done" and not self.is_mine(after_life):
            return "done was told and the wish is not on the disk"
        if self.refused:
            return ""
        if not self.local():
            if told:
                return f"{told} was told and the journal knows nothing"
            self.forget_offer()
        wait_for(self.ended, 40, "an end of the task after the next start")
        task = self.local()
        if told and task["state"] != told:
            return f"{told} was told, now {task['state']}"
        if task["state"] == "done":
            if not self.is_mine(self.wish()):
                return "done, and the wish is not on the disk"
            wait_for(lambda: self.serves() == self.on, 20, f"the role {'on' if self.on else 'off'}")
        elif not task.get("error"):
            return f"{task['state']} without a reason"
        if task["state"] != "done" and self.serves() is not None:
            wait_for(lambda: self.serves() == self.wish()["on"], 20, "the role as its file says")
        return ""

    def end(self):
        self.agent.process.kill()
        self.agent.process.wait()

    def forget_offer(self):
        """An offer whose answer was lost comes again after a while; the torture has no time."""
        db = sqlite3.connect(self.host.dir / "console/console.db", timeout=10)
        with db:
            db.execute("UPDATE deliveries SET offered = offered - 60000 WHERE final = 0")
        db.close()

    def close(self):
        if hasattr(self, "fleet"):
            self.fleet.stop()


class CarelessRole(RoleSwitch):
    name = "careless role switch"
    inject = "file.careless"
    only = "role.json"

"""A role that dies again and again is started later and later, then fenced and told."""
import os
import pathlib
import re
import subprocess
import time

from world import wait_for

BIN = pathlib.Path(os.environ["ATALAIA_BIN"]).resolve()


def test_a_crash_loop_is_fenced(procs, tmp_path):
    conf = tmp_path / "agent.conf"
    conf.write_text(f"""[agent]
state={tmp_path}/state
run={tmp_path}/run
libexec={BIN}
event_port=0
[update-agent]
enabled=yes
listen=127.0.40.5
ftp_port=0
version_port=0
passive_first=0
""")
    agent = procs.start([BIN / "atalaia-agent", "run", "--config", conf])

    def serve():
        out = subprocess.run(["ps", "-eo", "pid,ppid,args"], capture_output=True, text=True).stdout
        return next((int(x.split()[0]) for x in out.splitlines()
                     if "serve --child" in x and x.split()[1] == str(agent.process.pid)), None)

    pauses = []
    for _ in range(5):
        pid = wait_for(serve, 30, "the role")
        os.kill(pid, 9)
        wait_for(lambda: serve() != pid, 10, "its end")
        down = wait_for(lambda n=len(pauses): (x := [y for y in agent.err if "event=role.down" in y])
                        and len(x) > n and x[-1], 10, "what the agent says")
        pauses.append(int(re.search(r"again_ms=(\d+)", down).group(1)))
    assert all(500 * 2 ** i <= p <= 500 * 2 ** i * 1.3 for i, p in enumerate(pauses[:4])), pauses
    assert pauses[4] >= 30 * 60 * 1000
    assert any("child.fenced" in x for x in agent.err)
    time.sleep(1)
    assert serve() is None

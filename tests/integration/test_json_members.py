"""What `atalaia VERB --json` prints is what its manual page names: every member of every verb, seen on a PC with
feeds and tasks, and on one that has the role and no identity."""
import fnmatch
import json
import os
import pathlib
import re
import shutil
import tempfile

import fleet as fleets
import world
from world import wait_for

BIN = pathlib.Path(os.environ["ATALAIA_BIN"]).resolve()
PAGE = pathlib.Path(__file__).resolve().parents[2] / "packaging/man/atalaia.1"


def documented():
    text = PAGE.read_text().split(".SH JSON\n")[1].split(".SH EXIT")[0].replace("\\-", "-")
    found = {}
    for part in text.split(".SS ")[1:]:
        verb, rest = part.split("\n", 1)
        found[verb] = re.findall(r"\.TP\n\.B (\S+)\n", rest)
    status, feeds, tasks = found["status"], found["feeds"], found["tasks"]
    found["status"] = status + ["feeds" + x for x in feeds] + ["tasks" + x for x in tasks]
    found["update --wait"] = feeds
    return found


def flat(value, path=""):
    if isinstance(value, dict):
        for name, item in value.items():
            yield from flat(item, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for item in value:
            yield from flat(item, path + "[]")
    else:
        yield path


def ask(host, verb):
    """One wish to update in two seconds is taken: asked again when this was the second."""
    def answer():
        done = world.run([BIN / "atalaia", *verb.split(), "--json", "--url", f"http://127.0.0.1:{host.event_port}"])
        return None if "moment ago" in done.stderr else done
    return wait_for(answer, 30, verb)


def is_named(path, names):
    """* stands for anything below."""
    return any(fnmatch.fnmatchcase(path.replace("[", "<").replace("]", ">"), x.replace("[", "<").replace("]", ">"))
               for x in names)


def test_every_member_is_in_the_manual():
    root = pathlib.Path(tempfile.mkdtemp(prefix="atalaia-members-"))
    f = fleets.Fleet(BIN, root, addresses=("127.0.91.1", "127.0.91.2", "127.0.91.3"), lines=300)
    named, seen = documented(), {}
    try:
        f.first_set(policy={"update": {"jitter": "0"}})
        f.send_task(f.workstation, "status")
        for host in (f.workstation, f.server):
            for verb in named:
                text = ask(host, verb).stdout
                paths = set(flat(json.loads(text))) if text.strip() else set()
                wrong = {p for p in paths if not is_named(p, named[verb])}
                assert not wrong, (host.name, verb, wrong)
                seen.setdefault(verb, set()).update(paths)
    finally:
        f.stop()
        shutil.rmtree(root, ignore_errors=True)
    empty = [verb for verb, paths in seen.items() if not paths and not verb.startswith("update")]
    assert not empty, empty
    for verb in ("why-old", "doctor", "sets"):          # nothing named there may be missing
        assert {x for x in named[verb] if "rules" not in x} <= seen[verb], verb

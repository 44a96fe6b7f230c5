#!/usr/bin/python3
"""atalaia-log(5): every line that the programs can log, out of their sources; what its fields mean, from here.
usage: logs.py [--write]     Without --write: status 1 when the page differs or a field has no meaning."""
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parents[1]
PAGE = HERE / "atalaia-log.5"

GENERAL = {"time": "UTC, RFC 3339 with milliseconds", "level": "error, warn, info or debug", "program": "who wrote the line",
           "event": "what happened: one word of the list below", "suppressed": "lines of this event that were left out before"}

MEANING = """
address: of a peer or a listener | admin: port of the local administration | again_ms: until the next try
agent: its id | agents: how many | allowed: what the system permits | before: how it was | body: length of what was sent
broken: how confinement was found open | bundle: hash of its last line, or path | by: the mirror that brought it | bytes: how many
clamd: bytes that clamd holds | class: detection, task or telemetry | code: stable word of a refusal, or of the transfer library
console: name of the console, or its address | days: of life left | deadline_ms: time that a load test gets
delta: bytes received as deltas | delta_bytes: that the delta way would cost | deltas: how many in the chain | detail: more about an outcome
dir: a folder | documents: metadata files that went | drain_ms: time that open transfers get | dropped: bytes thrown away
ended: a pin has run out | enrolled: this PC has an identity | errno: number of the system's error | error: stable word or sentence of what failed
errors: how many sources or files failed | events: how many | expected: value that signed metadata names | expires: when metadata ends
failed: the last run failed | feed: its name | file: a file or target | files: how many | for: what memory is needed for
found: detections of a scan | free: bytes that are free | fresh: newer than what was held | from: version, state or source before
ftp: port | full: bytes received as full copies | full_bytes: that the full way would cost | gate: whether sets are load\\-tested
got: value that was found | group: of agents | have: bytes that are there | healthy: the set before works | host: name of a PC
how: delta or full | http: port | id: of a task, item or event | input: what drove the state | item: of the quarantine
kept: what stays | known: 1 when it had come before and was not stored again | kind: of a job, fact or engine | later: the proof comes later | linked: files that were hard links
made: a certificate was made | member: of a policy | memory_limit: bytes that a load test may use | metadata: bytes of metadata received
method: of the request | mirror: which source | missing: parts of confinement that this kernel lacks | mode: mirror or origin, or file permissions
more: more waits than fitted | ms: how long, in milliseconds | name: of a file, target, policy or server | need: bytes that are needed
needed: signatures that are needed | now: how it is | oldest: the first version that is there | on: the role is on | option: of a section
org: of the peer or this console | outcome: in one word | own: the certificate was made here | passes: over the old file
path: of a file or request | paths: how many | peer: address of the other side | pid: of a process | policies: version of the feed
port: number | program: of a child process | quarantined: files taken into the vault | reached: the port answered
no_new_privs: yes or no | landlock: version of the kernel's, or no | seccomp: yes or no
reason: stable word | refused: settings that were not taken | reload: bytes that a reload needs | remedy: what to do | removed: how many went, or which
result: of the transfer, or version taken | resumed_at: step | role: of a peer, or of metadata | root: folder or version | rule: of verification that was broken
sent: a message could not be sent to the parent | seq: number of an event | serial: of a certificate | server: which of our listeners
set_sha256: identity of a set | sha256: of a certificate | signal: that ended a process | signature: name of what was found | signatures: how many are there
skipped: no gate was needed | source: name of the server an update came from | stamp: when files were last checked | state: of a task or update
status: of HTTP, a process or a task | step: of a task | target: agent, group or all | targets: files that went
task: id of a task | text: sentence | thread: which thread was tested | to: version, state or receiver after | tries: in a row
type: of a task, event or engine | uid: of the process | unreadable: files that could not be read | url: of the transfer | used: bytes in use
user: who | verified: newest time that a signature proves | version: of a feed, document or program | via: push, pull or local
wait_ms: until the next try | waiters: held requests | wall: the PC's clock | wanted: what is needed | what: was refused or lost
who: name in a certificate, or user | why: sentence, \\- when there is none | wire: bytes on the wire | written: bytes
"""
# Name or fields are variables in the source.
BY_TYPE = [("engine.up, engine.down", ("info",), ("type", "why")),
           ("policy.applied, policy.refused", ("info",), ("file", "why")),
           ("confinement, fetch.confined, scan.confined", (), ("landlock", "seccomp", "no_new_privs")),
           ("tamper.*", ("warn",), ("kind", "name", "before", "now"))]


def meanings():
    words = (x.strip().split(": ", 1) for line in MEANING.strip().splitlines() for x in line.split(" | "))
    return dict(GENERAL, **{k: v for k, v in words})


def logged():
    """{event: (levels, fields)}"""
    found = {}
    for folder in ("agent", "common", "roles"):
        for path in sorted((TOP / folder).rglob("*.c")):
            for m in re.finditer(r'\blog_(error|warn|info|debug)\(\s*"([^"]+)",\s*((?:"(?:[^"\\]|\\.)*"|PRI\w+|\s)*)',
                                 path.read_text(encoding="utf-8")):
                form = "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', m[3]))
                levels, fields = found.setdefault(m[2], (set(), set()))
                levels.add(m[1])
                fields.update(re.findall(r"(?:^|\s)([a-z_0-9]+)=", form))
    for names, levels, fields in BY_TYPE:
        for name in names.split(", "):
            known = found.setdefault(name, (set(), set()))
            known[0].update(levels)
            known[1].update(fields)
    return found


def roff(text):
    return text.replace("\\-", "-").replace("-", "\\-").replace("'", "\\(aq")


def page():
    said, rows = meanings(), sorted(logged().items())
    out = """.TH ATALAIA\\-LOG 5 "2026-11-24" "Atalaia 0.1.0" "Atalaia"
.SH NAME
atalaia\\-log \\- lines that the programs of Atalaia log, and their fields
.SH DESCRIPTION
Every program writes one line for each fact to standard error, which systemd gives to the journal: fields
.IR key = value ,
separated by blanks. A value that may hold blanks, or that came from outside, stands in double quotes, with bytes that cannot
be printed as \\exHH; it is cut at 240 bytes. There are no other quotes, and no secrets. Each line begins with
.BR time ", " level ", " program " and " event ;
more than two hundred lines of one event in ten seconds are left out and counted in
.B suppressed
of the next one. The levels come from
.B [agent] log=
and its like:
.B info,update=debug
shows more of the events that begin with \\(lqupdate\\(rq.
.PP
In the journal, where the level is the field PRIORITY too (3, 4, 6, 7), so that
.B journalctl \\-p warning
finds what needs a look:
.B journalctl \\-u atalaia\\-agent \\-o cat | grep event=update.run
.SH FIELDS
The same word means the same in every event.
"""
    used = set(GENERAL) | {f for _, (_, fields) in rows for f in fields}
    for name in sorted(used):
        out += f".TP\n.B {roff(name)}\n{roff(said.get(name, '?'))}\n"
    out += ".SH EVENTS\nWith their level, and the fields that may stand on the line.\n"
    for name, (levels, fields) in rows:
        out += f".TP\n.BR {roff(name)} \" ({', '.join(sorted(levels))})\"\n{roff(' '.join(sorted(fields))) or 'a sentence'}\n"
    return out + ".SH SEE ALSO\n.BR atalaia\\-agent (8), atalaia\\-console (8), atalaia\\-update\\-agent (8)\n"


def main():
    missing = {f for _, fields in logged().values() for f in fields} - set(meanings())
    if missing:
        print("logs.py: no meaning here for", " ".join(sorted(missing)))
        return 1
    if "--write" in sys.argv:
        PAGE.write_text(page(), encoding="utf-8")
    elif not PAGE.exists() or PAGE.read_text(encoding="utf-8") != page():
        print(f"logs.py: {PAGE.name} is not what the sources log: packaging/man/logs.py --write")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

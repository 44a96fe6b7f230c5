#!/usr/bin/python3
"""The CONFIGURATION sections of the manual pages, out of the programs' option tables (their --help).
usage: options.py PROGRAMS [--write]     PROGRAMS: build/release. Without --write: status 1 when a page differs."""
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
PAGES = {"atalaia-agent": "atalaia-agent.8", "atalaia-console": "atalaia-console.8",
         "atalaia-update-agent": "atalaia-update-agent.8"}


def escape(text):
    return text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq")


def options(program):
    """[(section, name, sentence)] as conf_print_help prints them."""
    shown = subprocess.run([program, "--help"], capture_output=True, text=True, check=True).stdout
    section, rows = None, []
    for line in shown.splitlines():
        if re.fullmatch(r"\[[a-z-]+\]", line):
            section = line[1:-1]
        elif section and (m := re.fullmatch(r"  ([a-z_0-9]+) +(\S.*)", line)):
            rows.append((section, m[1], m[2]))
        elif section and line:
            section = None          # what follows the table is no option
    return rows


def page(rows, text):
    head, rest = text.split(".SH CONFIGURATION\n", 1)
    intro = re.match(r"(?:(?!\.SS \[|\.TP\n)[^\n]*\n)*", rest)[0]
    tail = rest[rest.index("\n.SH ") + 1:]
    body, section = "", None
    for where, name, sentence in rows:
        if where != section and len({r[0] for r in rows}) > 1:
            body += f".SS [{escape(where)}]\n"
        section = where
        sentence = sentence[0].upper() + sentence[1:]
        body += f".TP\n.B {escape(name)}=\n{escape(sentence)}{'' if sentence.endswith('.') else '.'}\n"
    return f"{head}.SH CONFIGURATION\n{intro}{body}{tail}"


def main():
    programs, status = pathlib.Path(sys.argv[1]), 0
    for program, name in PAGES.items():
        path = HERE / name
        before = path.read_text(encoding="utf-8")
        after = page(options(programs / program), before)
        if "--write" in sys.argv:
            path.write_text(after, encoding="utf-8")
        elif after != before:
            print(f"{path}: its options are not those of {program}; run packaging/man/options.py {programs} --write")
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())

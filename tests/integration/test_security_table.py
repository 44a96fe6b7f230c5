"""Pages that say which test shows what: each test they name must exist."""
import pathlib
import re

import pytest

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent.parent


def missing_from(page):
    rows = [x for x in (TOP / page).read_text().splitlines() if x.startswith("| ")]
    seen, missing = 0, []
    for row in rows:
        source = ""
        for name, first, more in re.findall(r"`(test_\w+\.py)(?:::(test_\w+))?`|`(test_\w+)`", row):
            if name:
                path = HERE / name
                source = path.read_text() if path.exists() else ""
                seen += 1
                if not source:
                    missing.append(name)
            test = first or more
            if test and f"def {test}(" not in source:
                missing.append(test)
        for name, test in re.findall(r"`(test_\w+\.c)::(\w+)`", row):
            seen += 1
            if not any(f"\n{test}(" in p.read_text() for p in (TOP / "tests/unit").rglob(name)):
                missing.append(f"{name}::{test}")
    return seen, missing


def rows(title):
    """The rows of the table below this title of SECURITY.md, as lists of cells."""
    page = (TOP / "SECURITY.md").read_text().split(f"\n## {title}\n")[1].split("\n## ")[0]
    return [[c.strip() for c in x.strip("|").split("|")] for x in page.splitlines() if x.startswith("| ")][1:]


def test_every_threat_has_a_control_a_test_and_what_remains():
    threats = rows("Threats")
    assert len(threats) > 20
    for row in threats:
        assert len(row) == 4 and all(row), row
        assert re.search(r"`(test_\w+\.(py|c)|make \w+)|row below", row[2]), row


def test_every_make_target_and_path_that_the_page_names_exists():
    page, makefile = (TOP / "SECURITY.md").read_text(), (TOP / "Makefile").read_text()
    targets = re.findall(r"`make ([\w-]+)`", page)
    assert targets and [t for t in targets if not re.search(rf"^{t}:", makefile, re.M)] == []
    paths = re.findall(r"`((?:tests|common|agent|roles)/[\w/.-]+)`", page)
    assert paths and [p for p in paths if not (TOP / p).exists()] == []


@pytest.mark.parametrize("module", ["test_hostile_mirror", "test_hostile_tasks"])
def test_every_attack_has_its_row(module):
    attacks = "\n".join(" ".join(row) for row in rows("Attacks on connections"))
    source = (HERE / f"{module}.py").read_text()
    named = re.findall(r"^def (\w+)\(s, c\):", source, re.M)
    assert len(named) > 5
    for name in named:
        assert re.search(rf"{module}\.py[^;|]*\([^)]*`{name}`", attacks), name


@pytest.mark.parametrize("page", ["SECURITY.md", "common/update/CASES.md"])
def test_every_test_that_a_page_names_exists(page):
    seen, missing = missing_from(page)
    assert seen > 20 and not missing, missing

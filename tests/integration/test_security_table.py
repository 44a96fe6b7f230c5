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


@pytest.mark.parametrize("page", ["SECURITY.md", "common/update/CASES.md"])
def test_every_test_that_a_page_names_exists(page):
    seen, missing = missing_from(page)
    assert seen > 20 and not missing, missing

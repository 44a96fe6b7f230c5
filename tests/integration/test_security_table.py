"""SECURITY.md's threat table names tests: each of them must exist."""
import pathlib
import re

HERE = pathlib.Path(__file__).resolve().parent


def test_every_test_in_the_threat_table_exists():
    rows = [x for x in (HERE.parent.parent / "SECURITY.md").read_text().splitlines() if x.startswith("| ")]
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
    assert seen > 20 and not missing, missing

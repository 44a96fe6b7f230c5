"""/metrics as others read it: the strict parser of prometheus_client and, through promtool, Prometheus' own."""
import pathlib
import re
import shutil
import subprocess
import tempfile

import pytest


TOOLS = pathlib.Path(__file__).resolve().parents[2] / "build/tools"
PROMTOOL = shutil.which("promtool") or shutil.which("promtool", path=TOOLS)


def check(text):
    """Families by name; fails when one of the two parsers does not take the text."""
    parser = pytest.importorskip("prometheus_client.openmetrics.parser")
    families = {f.name: f for f in parser.text_string_to_metric_families(text)}
    if PROMTOOL is not None:
        # promtool imports only samples that have a time.
        timed = re.sub(r"^([a-z_]+(?:\{.*\})? [-+0-9.e]+)$", r"\1 1700000000", text, flags=re.M)
        with tempfile.TemporaryDirectory() as folder:
            page = pathlib.Path(folder) / "page"
            page.write_text(timed)
            done = subprocess.run([PROMTOOL, "tsdb", "create-blocks-from", "openmetrics", page, f"{folder}/blocks"],
                                  capture_output=True, text=True, timeout=60)
            assert done.returncode == 0, done.stdout + done.stderr
    return families

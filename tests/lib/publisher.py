"""atalaia-repo in tests: run a verb, publish a folder, find the real data when it is here."""
import json
import os
import pathlib
import subprocess

import pytest

DATA = pathlib.Path(__file__).resolve().parents[2] / ".." / "shared" / "data"


class Publisher:
    def __init__(self, bin_dir, where):
        self.program = pathlib.Path(bin_dir) / "atalaia-repo"
        self.where = pathlib.Path(where)

    def run(self, *argv, ok=True, env=None):
        r = subprocess.run([str(self.program), *map(str, argv)], capture_output=True, text=True,
                           timeout=120, cwd=self.where, env={**os.environ, **(env or {})})
        if ok:
            assert r.returncode == 0, f"{argv}: {r.stderr}"
        return r

    def out(self, *argv, **kw):
        return self.run(*argv, **kw).stdout.strip()

    def json(self, *argv, **kw):
        return json.loads(self.out(*argv, "--json", **kw))

    def write(self, folder, files):
        folder = self.where / folder
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return folder


def real_rules(into):
    """Eight versions of a real rule set, unpacked below `into`; skips when they are not here."""
    script = DATA / "unpack.sh"
    if not script.exists():
        pytest.skip("../shared/data is not here: no real rule files")
    subprocess.run(["bash", str(script), str(into)], check=True, timeout=120)
    return [pathlib.Path(into) / "yara" / f"v{k}" for k in range(1, 9)]

"""tuf-js and @tufjs/models from npm, installed into build/witness by the lock file in tests/lib/js."""
import functools
import hashlib
import pathlib
import shutil
import subprocess

import pytest

HERE = pathlib.Path(__file__).resolve().parent / "js"
FOLDER = HERE.parents[2] / "build" / "witness"


@functools.cache
def problem():
    """None when the witness is installed, else why not."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm:
        return "node and npm are not here"
    version = subprocess.run([node, "--version"], capture_output=True, text=True).stdout.strip()
    if int(version.lstrip("v").split(".")[0]) < 18:
        return f"node {version} is older than 18"
    want = hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()
    mark = FOLDER / "installed"
    if mark.exists() and mark.read_text() == want:
        return None
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, FOLDER / name)
    try:
        r = subprocess.run([npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1",
                            "--fetch-timeout=20000"], cwd=FOLDER, capture_output=True, text=True, timeout=180)
    except subprocess.TimeoutExpired:
        return "npm ci did not end within 180 s"
    if r.returncode != 0:
        return "npm ci failed, is registry.npmjs.org reachable? " + r.stderr.strip().splitlines()[-1][:200]
    mark.write_text(want)
    return None


@pytest.fixture(scope="session")
def witness():
    """witness(script, *arguments) runs a script of tests/lib/js with the packages."""
    why = problem()
    if why:
        pytest.skip("the npm witness was not asked: " + why)

    def run(script, *argv):
        return subprocess.run(["node", HERE / script, *map(str, argv)], cwd=FOLDER, capture_output=True,
                              text=True, timeout=120)
    return run

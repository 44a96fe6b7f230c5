"""What packages are made of, without building them: units are hard enough, completions complete, and the
installed tree holds what debian/*.install names. `make deb` builds, checks and installs the real ones."""
import pathlib
import shutil
import subprocess
import tempfile

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PACKAGING = ROOT / "packaging"


@pytest.mark.parametrize("unit", ["atalaia-agent", "atalaia-console"])
def test_unit_is_hardened(unit):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not here")
    done = subprocess.run(["systemd-analyze", "security", "--offline=yes", "--threshold=20",
                           PACKAGING / f"systemd/{unit}.service"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout.splitlines()[-1:]
    assert "Unknown" not in done.stderr, done.stderr
    text = (PACKAGING / f"systemd/{unit}.service").read_text()
    assert "Type=notify" in text and "WatchdogSec=" in text


def complete(program, *words):
    script = (f"source {PACKAGING}/completion/{program}.bash; COMP_WORDS=({' '.join(words)} ''); "
              f"COMP_CWORD={len(words)}; _{program.replace('-', '_')}; echo ${{COMPREPLY[@]}}")
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=10)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return done.stdout.split()


def test_bash_completes():
    assert {"status", "doctor", "why-old"} <= set(complete("atalaia", "atalaia"))
    assert "--fix-hints" in complete("atalaia", "atalaia", "doctor")
    assert "--fix-hints" not in complete("atalaia", "atalaia", "status")
    assert {"init", "rotate-ca"} <= set(complete("atalaia-console", "atalaia-console"))
    assert {"send", "--to", "role.set"} <= set(complete("atalaia-console", "atalaia-console", "task"))


def test_tree_has_what_packages_take():
    tree = pathlib.Path(tempfile.mkdtemp(prefix="atalaia-tree-"))
    try:
        subprocess.run([PACKAGING / "install-data.sh", tree, "/usr"], check=True, timeout=60)
        taken = []
        for listing in (PACKAGING / "debian").glob("*.install"):
            taken += [line.split()[0] for line in listing.read_text().splitlines() if line.strip()]
        programs = ("usr/bin/", "usr/sbin/", "usr/lib/atalaia/atalaia-")
        missing = [p for p in taken if not p.startswith(programs) and not (tree / p).exists()]
        assert not missing
        installed = [str(p.relative_to(tree)) for p in tree.rglob("*") if p.is_file()]
        assert not [p for p in installed if not any(p == t or p.startswith(t + "/") for t in taken)]
        assert len(taken) == len(set(taken))
        (tree / "etc/atalaia/agent.conf").write_text("ours")
        subprocess.run([PACKAGING / "install-data.sh", tree, "/usr"], check=True, timeout=60)
        assert (tree / "etc/atalaia/agent.conf").read_text() == "ours"
    finally:
        shutil.rmtree(tree)

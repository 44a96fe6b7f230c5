"""What packages are made of, without building them: units are hard enough, completions complete, and the
installed tree holds what debian/*.install names. `make deb` builds, checks and installs the real ones."""
import os
import pathlib
import shutil
import subprocess
import tempfile

import pytest

import terminal

BIN = pathlib.Path(os.environ["ATALAIA_BIN"]).resolve()
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


def test_apparmor_takes_the_drop_in(tmp_path):
    """Syntax only: whether clamd is held by it needs a kernel with AppArmor enforcing Debian's profile."""
    parser = shutil.which("apparmor_parser") or shutil.which("apparmor_parser", path="/usr/sbin")
    if parser is None:
        pytest.skip("apparmor_parser is not here")
    for rules, good in (((PACKAGING / "apparmor/atalaia-sets").read_text(), True), ("/var/lib/atalaia/feeds/ r\n", False)):
        profile = tmp_path / "profile"
        profile.write_text(f"profile clamd_like /usr/sbin/clamd {{\n{rules}}}\n")
        done = subprocess.run([parser, "-Q", "-K", "-T", profile], capture_output=True, text=True, timeout=60)
        assert (done.returncode == 0) == good, done.stderr


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


LINES = pytest.mark.parametrize("line, words", [
    ("atalaia ", ["status", "doctor", "why-old", "update"]), ("atalaia doctor --", ["--fix-hints", "--json"]),
    ("atalaia-console ", ["init", "rotate-ca", "task"])])


@LINES
def test_fish_completes(line, words, tmp_path):
    if shutil.which("fish") is None:
        pytest.skip("fish is not here")
    pages = tmp_path / "share/fish/vendor_completions.d"
    shutil.copytree(PACKAGING / "completion", pages, ignore=shutil.ignore_patterns("*.bash", "*.zsh"))
    done = subprocess.run(["fish", "-c", f"complete -C '{line}'"], capture_output=True, text=True, timeout=60,
                          env={"HOME": str(tmp_path), "PATH": f"{BIN}:{os.environ['PATH']}",
                               "XDG_DATA_DIRS": f"{tmp_path}/share:/usr/share"})
    assert done.stderr == "" and set(words) <= {row.split("\t")[0] for row in done.stdout.splitlines()}


@LINES
def test_zsh_completes(line, words, tmp_path):
    """An interactive zsh on a terminal: Tab behind the line lists what there is."""
    if shutil.which("zsh") is None:
        pytest.skip("zsh is not here")
    for name in ("atalaia", "atalaia-console"):
        shutil.copy(PACKAGING / f"completion/{name}.zsh", tmp_path / f"_{name}")
    with terminal.Terminal(["zsh", "-f", "-i"], rows=60, env={
            "HOME": str(tmp_path), "PATH": os.environ["PATH"], "TERM": "vt100"}) as t:
        t.send(f"LISTMAX=0; fpath=({tmp_path} $fpath); autoload -U compinit; compinit -u -D; echo rea''dy\n")
        t.wait("ready\r\n")
        t.text = ""
        t.send(line + "\t\t")
        for word in words:
            t.wait(word)


def test_tree_has_what_packages_take():
    tree = pathlib.Path(tempfile.mkdtemp(prefix="atalaia-tree-"))
    try:
        subprocess.run([PACKAGING / "install-data.sh", tree, "/usr"], check=True, timeout=60)
        taken = []
        for listing in (PACKAGING / "debian").glob("*.install"):
            taken += [line.split()[0] for line in listing.read_text().splitlines() if line.strip()]
        programs = ("usr/bin/", "usr/sbin/", "usr/lib/atalaia/atalaia-", "usr/share/atalaia/web")    # built
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

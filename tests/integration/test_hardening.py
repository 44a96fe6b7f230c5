"""The programs are hardened, and tests/lib/hardening.sh, which looks, sees each protection that is missing."""
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
LOOK = ROOT / "tests/lib/hardening.sh"
SOURCE = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
int main(int argc, char **argv)
{
	char text[64], *heap;
	size_t room = (size_t)argc * 8;
	snprintf(text, argc * 32, "%s", argv[0]);
	heap = malloc(room);
	if (heap == NULL)
		return 1;
	memcpy(heap, text, argc > 1 ? room + 8 : 4);
	return printf("%s %c\n", text, heap[0]) < 0;
}
"""
HARD = ["-O2", "-fPIE", "-pie", "-Wl,-z,relro,-z,now", "-D_FORTIFY_SOURCE=3", "-fstack-protector-strong",
        "-fcf-protection"]
SOFT = {
    "no PIE": ["-no-pie", "-fno-pie"],
    "no BIND_NOW": ["-Wl,-z,lazy"],
    "no RELRO": ["-Wl,-z,norelro"],
    "an executable stack": ["-z", "execstack"],
    "no stack protector": ["-fno-stack-protector"],
    "no fortified call": ["-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=0"],
    "no CET marks": ["-fcf-protection=none"],
}


def build(tmp_path, name, flags):
    source, out = tmp_path / "p.c", tmp_path / name
    source.write_text(SOURCE)
    subprocess.run(["cc", *flags, "-w", "-o", out, source], check=True)
    return out


def look(*argv):
    return subprocess.run([LOOK, *argv], capture_output=True, text=True, check=False)


def test_every_program_is_hardened(bin_dir):
    if bin_dir.resolve().name != "release":
        pytest.skip("only release programs are fortified")
    seen = look(bin_dir)
    assert seen.returncode == 0 and "7 programs, all hardened" in seen.stdout, seen.stdout


@pytest.mark.parametrize("missing", SOFT)
def test_a_missing_protection_is_seen(tmp_path, missing):
    assert look(tmp_path, build(tmp_path, "hard", HARD)).returncode == 0
    seen = look(tmp_path, build(tmp_path, "soft", [*HARD, *SOFT[missing]]))
    assert seen.returncode == 1 and missing in seen.stdout, seen.stdout


def test_the_flags_of_release_stop_an_overflow_of_the_heap(tmp_path):
    """What level 3 adds: the size of this block is known at run time only."""
    made = subprocess.run(["make", "-s", "-C", ROOT, "MODE=release", "flags"], capture_output=True, text=True,
                          check=True)
    program = build(tmp_path, "p", [x for x in made.stdout.split() if not x.startswith(("-M", "-I"))])
    assert subprocess.run([program], check=False, capture_output=True).returncode == 0
    assert subprocess.run([program, "x"], check=False, capture_output=True).returncode == -6

"""A disk that needs a second for each piece stalls the transfers that wait for it, and nobody else.

A library in front of libc makes the disk slow: sendfile sleeps when, and only when, the kernel does not have the bytes in memory."""
import ctypes
import os
import shutil
import threading
import time

import pytest
from mirror import Mirror, elapsed, read_all
from world import run

SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
ssize_t sendfile(int out, int in, off_t *at, size_t n)
{
	static ssize_t (*real)(int, int, off_t *, size_t);
	unsigned long long range[2] = { (unsigned long long)*at, n > 65536 ? 65536 : n }, got[5] = { 0 };
	struct timespec slow = { 1, 0 };
	if (real == NULL)
		real = (ssize_t (*)(int, int, off_t *, size_t))dlsym(RTLD_NEXT, "sendfile");
	if (syscall(451, in, range, got, 0) == 0 && got[0] < (range[1] + 4095) / 4096)
		nanosleep(&slow, NULL);
	return real(out, in, at, n);
}
"""
COLD = 10          # transfers that wait for the disk
SIZE = 3 << 20


def in_memory(path):
    """Pages of the file that the kernel holds; None when it cannot say."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open(path, "rb") as f:
        span, got = (ctypes.c_uint64 * 2)(0, SIZE), (ctypes.c_uint64 * 5)()
        if libc.syscall(451, f.fileno(), span, got, 0) != 0:
            return None
        return got[0]


def forget(path):
    with open(path, "rb") as f:
        os.fsync(f.fileno())
        os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


@pytest.fixture
def shim(tmp_path):
    if not shutil.which("gcc"):
        pytest.skip("gcc is not installed")
    (tmp_path / "shim.c").write_text(SHIM)
    done = run(["gcc", "-O1", "-shared", "-fPIC", "-o", tmp_path / "shim.so", tmp_path / "shim.c", "-ldl"])
    assert done.returncode == 0, done.stderr
    return tmp_path / "shim.so"


def test_a_cold_file_does_not_stall_the_others(procs, bin_dir, tmp_path, shim):
    content = os.urandom(SIZE)
    files = {f"cold{i}": content for i in range(COLD)}
    files["hot"] = os.urandom(300_000)
    m = Mirror(procs, bin_dir, tmp_path, files=files, env={**os.environ, "LD_PRELOAD": str(shim)},
               max_sessions_per_address=50)
    for i in range(COLD):
        forget(m.root / f"cold{i}")
    if in_memory(m.root / "cold0") != 0:
        pytest.skip("this file system keeps its pages, or the kernel cannot say")
    with m.raw() as hot:
        hot.ask("TYPE I")
        hot.fetch("RETR hot")
        results = []

        def cold(i):
            with m.raw() as r:
                r.ask("TYPE I")
                results.append(r.fetch(f"RETR cold{i}") == content)

        threads = [threading.Thread(target=cold, args=(i,)) for i in range(COLD)]
        begin = time.monotonic()
        for t in threads:
            t.start()
        time.sleep(0.3)
        worst = 0
        while time.monotonic() < begin + 2:
            for command in ("RETR hot", "LIST", "NLST"):
                seconds, _ = elapsed(lambda: hot.fetch(command))
                worst = max(worst, seconds)
            with m.raw() as r:
                worst = max(worst, elapsed(lambda: r.ask("SIZE hot"))[0])
        assert len(results) < COLD, "the disk was not slow"
        for t in threads:
            t.join()
    assert results == [True] * COLD
    assert worst < 0.3, worst

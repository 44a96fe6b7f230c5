"""Power cuts: a victim works on ext4 over a disk that records (tests/torture/crashdisk.c); the disk is rebuilt
as it would be after a cut at sampled writes, with none, half or all of the unflushed writes, and looked at."""
import os
import shutil
import subprocess

import world

SIZE = "48M"


def _run(*argv, **kw):
    return subprocess.run([str(a) for a in argv], check=True, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, **kw).stdout.strip()


def why_not():
    if os.geteuid() != 0:
        return "mounting needs root"
    if not os.path.exists("/dev/fuse") or not os.path.exists("/dev/loop-control"):
        return "no FUSE or no loop devices here"
    for tool in ("losetup", "mkfs.ext4", "fusermount3"):
        if shutil.which(tool) is None:
            return f"{tool} is not installed"
    return ""


class Disk:
    """The victim's `live` folder on a recorded disk."""

    def __init__(self, crashdisk, base, mountpoint):
        self.tool, self.base, self.at = crashdisk, base, mountpoint
        self.image, self.log, self.out = base / "disk.img", base / "disk.log", base / "cut.img"
        self.fuse, self.loop, self.process = base / "fuse", None, None

    def make(self, fill):
        self.at.mkdir(exist_ok=True)
        self.fuse.mkdir()
        _run("truncate", "-s", SIZE, self.image)
        _run("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", self.image)
        _run("mount", "-o", "loop", self.image, self.at)
        try:
            fill()
        finally:
            _run("umount", self.at)

    def record(self, work):
        self.process = subprocess.Popen([str(self.tool), "record", str(self.fuse), str(self.image), str(self.log)],
                                        stderr=subprocess.DEVNULL)
        try:
            world.wait_for(lambda: (self.fuse / "disk").exists(), 10, "the recording disk")
            self.loop = _run("losetup", "-f", "--show", self.fuse / "disk")
            _run("mount", self.loop, self.at)
            try:
                work()
                # An unrelated file's fsync commits the journal, as other programs of the PC do.
                _run("dd", "if=/dev/zero", f"of={self.at}/other", "bs=1", "count=1", "conv=fsync")
            finally:
                _run("umount", self.at)
        finally:
            if self.loop:
                subprocess.run(["losetup", "-d", self.loop], check=False)
            world.wait_for(lambda: subprocess.run(["fusermount3", "-u", str(self.fuse)], check=False,
                                                  capture_output=True).returncode == 0, 10, "the disk's end")
            self.process.wait(10)

    def ends(self):
        """Where each entry of the log ends, in bytes."""
        out, at, data = [], 0, self.log.read_bytes()
        while at + 24 <= len(data):
            at += 24 + int.from_bytes(data[at + 16:at + 24], "little")
            out.append(at)
        return out

    def cut(self, k, percent, look):
        _run(self.tool, "replay", self.image, self.log, self.out, k, k + 1, percent)
        mounted = subprocess.run(["mount", "-o", "loop", str(self.out), str(self.at)], capture_output=True,
                                 text=True, check=False)
        if mounted.returncode != 0:
            return "the file system cannot be mounted: " + mounted.stderr.strip()
        try:
            return look()
        finally:
            _run("umount", "-l", self.at)


def sweep(crashdisk, v, step, points, env):
    disk = Disk(crashdisk, v.base, v.live)
    disk.make(v.prepare)
    is_spool = hasattr(v, "promises")
    if is_spool:
        v.argv = [*v.argv[:4], disk.log, *v.argv[4:]]

    def work():
        kw = {k: x() if callable(x) else x for k, x in v.kw.items()}
        done = subprocess.run([str(a) for a in v.argv], env={**os.environ, **env}, stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, timeout=120, check=False, **kw)
        assert done.returncode == 0, done.stderr
    disk.record(work)
    ends = disk.ends()
    tried, broken = 0, []
    for k in range(0, len(ends) + 1, step or max(1, len(ends) // points)):
        for percent in (0, 50, 100):
            tried += 1
            size = ends[k - 1] if k else 0
            look = (lambda: v.check(0, size)) if is_spool else (lambda: v.check(-9))
            complaint = disk.cut(k, percent, look)
            if complaint:
                broken.append(f"cut at write {k} of {len(ends)}, {percent} % of the unflushed: {complaint}")
    return tried, broken

"""A small clamd of our own: unprivileged, its own folder, a database of a few hashes."""
import hashlib
import os
import socket
import subprocess

from world import wait_for

# Assembled here, so that no file of ours is a detection.
EICAR = b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$" + b"EICAR-STANDARD-" + b"ANTIVIRUS-TEST-FILE!$H+H*"


def marker(feed, version):
    return f"atalaia marker {feed} {version}\n".encode()


def hsb(content, name):
    return f"{hashlib.sha256(content).hexdigest()}:{len(content)}:{name}\n"


def write_set(folder, feed="signatures", version=1, extra=()):
    """A ClamAV set: EICAR, the marker of this version, and (content, name) pairs."""
    os.makedirs(folder, exist_ok=True)
    lines = hsb(EICAR, "Test.Eicar") + "".join(hsb(c, n) for c, n in extra)
    with open(os.path.join(folder, "test.hsb"), "w", encoding="ascii") as f:
        f.write(lines)
    with open(os.path.join(folder, "atalaia-marker.hsb"), "w", encoding="ascii") as f:
        f.write(hsb(marker(feed, version), f"Atalaia.Marker.{feed}.{version}"))


class Clamd:
    def __init__(self, folder, database, user=None):
        self.user = user
        self.folder, self.socket = str(folder), os.path.join(str(folder), "clamd.sock")
        conf = os.path.join(self.folder, "clamd.conf")
        with open(conf, "w", encoding="ascii") as f:
            f.write(f"LocalSocket {self.socket}\nDatabaseDirectory {database}\nForeground yes\n"
                    f"SelfCheck 0\nTemporaryDirectory {self.folder}\nPidFile {self.folder}/clamd.pid\n")
        self.argv = ["/usr/sbin/clamd", f"--config-file={conf}"]
        self.process = None
        self.start()

    def start(self):
        self.process = subprocess.Popen(self.argv, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL,
                                        **({"user": self.user, "group": self.user, "extra_groups": []}
                                           if self.user else {}))
        wait_for(lambda: self.ask(b"zPING\0") == b"PONG\0", 20, "clamd")

    def ask(self, request):
        with socket.socket(socket.AF_UNIX) as s:
            try:
                s.settimeout(5)
                s.connect(self.socket)
                s.sendall(request)
                return s.recv(4096)
            except OSError:
                return b""

    def stop(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

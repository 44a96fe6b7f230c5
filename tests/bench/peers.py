"""Servers to measure beside each other, all on loopback, each started in the foreground and ended again. The peers come from Debian's packages,
unpacked into a scratch folder: nothing is installed, no daemon of the system is touched. They need root (their own rule), with a private
/etc/passwd in a mount namespace for the account `ftp`."""
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time

PACKAGES = ("vsftpd libwrap0 pure-ftpd pure-ftpd-common proftpd-core libmemcached11 libmemcachedutil2"
            " libhashkit2 libpcre2-posix3 python3-pyftpdlib python3-sendfile nginx wrk libluajit-5.1-2"
            " libluajit-5.1-common").split()
ADDRESS = "127.0.40.50"


def unpack(scratch):
    """Fetches and unpacks the peers; returns the folder."""
    tree = scratch / "peers"
    if not (tree / "usr/bin/wrk").exists():
        tree.mkdir(parents=True, exist_ok=True)
        debs = scratch / "debs"
        debs.mkdir(exist_ok=True)
        for package in PACKAGES:
            done = subprocess.run(["apt-get", "-q", "download", package], cwd=debs, capture_output=True)
            if done.returncode != 0:
                print(f"# {package} cannot be fetched: {done.stderr.decode().strip()[:100]}")
        for deb in sorted(debs.glob("*.deb")):
            subprocess.run(["dpkg", "-x", deb, tree], check=True)
    return tree


def versions(scratch):
    """{package: version} of what was unpacked: it is not installed, so dpkg knows nothing of it."""
    shown = (subprocess.run(["dpkg-deb", "-W", deb], capture_output=True, text=True).stdout.split()
             for deb in sorted((scratch / "debs").glob("*.deb")))
    return {x[0]: x[1] for x in shown if len(x) == 2}


given = set()


def free_port():
    while True:
        with socket.socket() as s:
            s.bind((ADDRESS, 0))
            port = s.getsockname()[1]
        if port not in given:
            given.add(port)
            return port


class CpuGroup:
    """A control group for a server and all that it starts: the kernel charges every process to it, also those that ended. What parents learn of
    their ended children is less: of vsftpd's sessions it misses more than half."""
    made = 0

    def __init__(self, mount):
        CpuGroup.made += 1
        self.folder = pathlib.Path(mount) / f"bench-mirror-{os.getpid()}-{CpuGroup.made}"
        self.folder.mkdir()

    def enter(self):
        (self.folder / "cgroup.procs").write_text(str(os.getpid()))

    def seconds(self):
        return next(int(x.split()[1]) for x in open(self.folder / "cpu.stat") if x.startswith("usage_usec")) / 1e6

    def remove(self):
        if (self.folder / "cgroup.kill").exists():
            (self.folder / "cgroup.kill").write_text("1")
        for _ in range(100):
            try:
                return self.folder.rmdir()
            except OSError:
                time.sleep(0.05)


def cpu_group():
    """None: no control groups here, or not ours to make."""
    for line in open("/proc/mounts"):
        if line.split()[2] == "cgroup2":
            try:
                return CpuGroup(line.split()[1])
            except OSError:
                return None
    return None


class Server:
    """A running server, measured with all its processes."""
    kind = "ftp"
    needs_root = True

    def __init__(self, scratch, tree, root):
        self.scratch, self.tree, self.root = scratch, tree, root
        self.address, self.port = ADDRESS, free_port()
        self.process = self.group = None

    def environment(self):
        libs = [self.tree / "usr/lib/x86_64-linux-gnu", self.tree / "lib/x86_64-linux-gnu"]
        return {**os.environ, "LD_LIBRARY_PATH": ":".join(map(str, libs)),
                "PYTHONPATH": str(self.tree / "usr/lib/python3/dist-packages")}

    def start(self):
        self.group = cpu_group()
        self.process = subprocess.Popen([str(x) for x in self.argv()], env=self.environment(),
                                        stdout=subprocess.DEVNULL, stderr=open(self.scratch / "err", "w"),
                                        start_new_session=True, preexec_fn=self.group and self.group.enter)
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection((self.address, self.port), 1).close()
                return self
            except OSError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    raise RuntimeError(f"{self.name} does not start: "
                                       + (self.scratch / "err").read_text()[-300:])
                time.sleep(0.05)

    def stop(self):
        try:
            os.killpg(self.process.pid, signal.SIGTERM)
        except ProcessLookupError:
            pass
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        if self.group:
            self.group.remove()

    def pids(self):
        """The process and all below it."""
        parents = {}
        for entry in pathlib.Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    stat = (entry / "stat").read_text()
                except OSError:
                    continue
                parents[int(entry.name)] = int(stat.rsplit(")", 1)[1].split()[1])
        found = [self.process.pid]
        for pid in found:
            found += [p for p, parent in parents.items() if parent == pid]
        return found

    def pss(self):
        """Proportional memory of all its processes, bytes."""
        total = 0
        for pid in self.pids():
            try:
                for line in open(f"/proc/{pid}/smaps_rollup"):
                    if line.startswith("Pss:"):
                        total += int(line.split()[1]) * 1024
            except OSError:
                pass
        return total

    def cpu(self):
        """CPU seconds of all its processes, also of those that ended; without control groups only of the living and of what they learned of their
        ended children."""
        if self.group:
            return self.group.seconds()
        nanos, ticks = 0, 0
        for pid in self.pids():
            try:
                for thread in os.listdir(f"/proc/{pid}/task"):
                    nanos += int(open(f"/proc/{pid}/task/{thread}/schedstat").read().split()[0])
                cells = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
            except OSError:
                continue
            ticks += sum(map(int, cells[13:15]))
        return nanos / 1e9 + ticks / os.sysconf("SC_CLK_TCK")

    def with_account(self, argv):
        """argv in a mount namespace whose /etc/passwd has the account ftp with our root as home."""
        passwd = self.scratch / "passwd"
        lines = [x for x in open("/etc/passwd") if not x.startswith("ftp:")]
        passwd.write_text("".join(lines) + f"ftp:x:65534:65534::{self.root}:/bin/sh\n")
        return ["unshare", "-m", "sh", "-c", 'mount --bind "$0" /etc/passwd && exec "$@"', passwd] + argv


class Atalaia(Server):
    name, needs_root = "atalaia", False

    def __init__(self, scratch, tree, root, program):
        super().__init__(scratch, tree, root)
        self.program, self.http, self.version = program, free_port(), free_port()

    def environment(self):
        return dict(os.environ)

    def argv(self):
        conf = self.scratch / "serve.conf"
        conf.write_text(f"[update-agent]\nroot={self.root}\nlisten={self.address}\nftp_port={self.port}\n"
                        f"version_port={self.version}\nhttp_port={self.http}\npassive_first=0\n"
                        "max_sessions=2000\nmax_sessions_per_address=2000\nmax_waiters=20000\n"
                        "waiters_per_address=20000\nlog=warn\n")
        return [self.program, "serve", "--config", conf]


class Vsftpd(Server):
    name = "vsftpd"

    def argv(self):
        empty = self.scratch / "empty"
        empty.mkdir(exist_ok=True)
        conf = self.scratch / "vsftpd.conf"
        conf.write_text(f"listen=YES\nlisten_address={self.address}\nlisten_port={self.port}\n"
                        f"anonymous_enable=YES\nlocal_enable=NO\nanon_root={self.root}\n"
                        f"secure_chroot_dir={empty}\nftp_username=ftp\nbackground=NO\n"
                        "max_clients=2000\nmax_per_ip=2000\nxferlog_enable=NO\nuse_localtime=NO\n")
        os.chmod(conf, 0o600)
        return self.with_account([self.tree / "usr/sbin/vsftpd", conf])


class PureFtpd(Server):
    name = "pure-ftpd"

    def argv(self):
        return self.with_account([self.tree / "usr/sbin/pure-ftpd", "-S", f"{self.address},{self.port}",
                                  "-e", "-M", "-c", "2000", "-C", "2000", "-H", "-i", "-f", "none",
                                  "-g", self.scratch / "pure.pid"])


class Proftpd(Server):
    name = "proftpd"

    def argv(self):
        conf = self.scratch / "proftpd.conf"
        conf.write_text(f"""ServerType standalone
DefaultServer on
DefaultAddress {self.address}
SocketBindTight on
Port {self.port}
User nobody
Group nogroup
MaxInstances 2000
UseReverseDNS off
WtmpLog off
TransferLog none
SystemLog {self.scratch}/proftpd.log
PidFile {self.scratch}/proftpd.pid
ScoreboardFile {self.scratch}/proftpd.score
DelayEngine off
AuthOrder mod_auth_file.c mod_auth_unix.c
<Anonymous {self.root}>
User ftp
Group nogroup
UserAlias anonymous ftp
RequireValidShell off
MaxClients 2000
UseSendfile on
</Anonymous>
""")
        return self.with_account([self.tree / "usr/sbin/proftpd", "-n", "-q", "-c", conf])


class Pyftpdlib(Server):
    name, needs_root = "pyftpdlib", False

    def argv(self):
        script = self.scratch / "py.py"
        script.write_text(f"""
from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler
from pyftpdlib.servers import FTPServer
import logging
logging.basicConfig(level=logging.ERROR)
a = DummyAuthorizer()
a.add_anonymous({str(self.root)!r})
FTPHandler.authorizer = a
s = FTPServer(({self.address!r}, {self.port}), FTPHandler)
s.max_cons = s.max_cons_per_ip = 4000
s.serve_forever()
""")
        return ["/usr/bin/python3", "-W", "ignore", script]


class Nginx(Server):
    name, kind, needs_root = "nginx", "http", False

    def argv(self):
        conf = self.scratch / "nginx.conf"
        user = "user nobody nogroup;\n" if os.getuid() == 0 else ""
        conf.write_text(f"""{user}worker_processes 1;
daemon off;
pid {self.scratch}/nginx.pid;
error_log {self.scratch}/nginx.err;
worker_rlimit_nofile 20000;
events {{ worker_connections 16000; }}
http {{
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000000; open_file_cache max=100;
  client_body_temp_path {self.scratch}/n1; proxy_temp_path {self.scratch}/n2;
  fastcgi_temp_path {self.scratch}/n3; uwsgi_temp_path {self.scratch}/n4; scgi_temp_path {self.scratch}/n5;
  server {{ listen {self.address}:{self.port} backlog=4096; root {self.root}; }}
}}
""")
        return [self.tree / "usr/sbin/nginx", "-c", conf, "-e", self.scratch / "nginx.err"]


PEERS = [Vsftpd, PureFtpd, Proftpd, Pyftpdlib]


def usable(server):
    if server.needs_root and os.getuid() != 0:
        return f"{server.name} needs root"
    if server.needs_root and not shutil.which("unshare"):
        return "no unshare"
    return None

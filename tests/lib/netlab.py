"""Three hosts on a bad line, in network namespaces made here and removed at the end (root only).

    con 10.77.0.1 ---[wanemu]--- 10.77.0.2 ua 10.77.1.1 --- lan --- 10.77.1.2 ws

ua forwards between the WAN and its LAN. The WAN counts its bytes at con's interface."""
import os
import signal
import subprocess
import time


class NetLab:
    def __init__(self, wanemu, prefix=None):
        self.wanemu = str(wanemu)
        self.p = prefix or f"atl{os.getpid() % 10000}"
        self.emulator = None
        self.is_cut = False

    def ns(self, host):
        return f"{self.p}-{host}"

    @staticmethod
    def _ip(*args):
        subprocess.run(["ip", *args], check=True, capture_output=True)

    def up(self, kbit=2000, delay_ms=40, loss_permille=10, seed=1):
        for host in ("con", "wan", "ua", "ws"):
            self._ip("netns", "add", self.ns(host))
            self._ip("-n", self.ns(host), "link", "set", "lo", "up")
        for a, a_if, b, b_if in (("con", "con0", "wan", "wcon"), ("ua", "wan0", "wan", "wua"),
                                 ("ua", "lan0", "ws", "lan0")):
            self._ip("link", "add", a_if, "netns", self.ns(a), "type", "veth",
                     "peer", "name", b_if, "netns", self.ns(b))
            for host, name in ((a, a_if), (b, b_if)):
                self._ip("-n", self.ns(host), "link", "set", name, "up")
                # Segments as large as the wire's, so that bytes and losses are those of a real line.
                self.exec(host, "ethtool", "-K", name, "tso", "off", "gso", "off", "gro", "off",
                          "tx", "off", "rx", "off", check=False)
        for host, addr, name in (("con", "10.77.0.1/24", "con0"), ("ua", "10.77.0.2/24", "wan0"),
                                 ("ua", "10.77.1.1/24", "lan0"), ("ws", "10.77.1.2/24", "lan0")):
            self._ip("-n", self.ns(host), "addr", "add", addr, "dev", name)
        self.exec("ua", "sysctl", "-qw", "net.ipv4.ip_forward=1")
        self._ip("-n", self.ns("ws"), "route", "add", "default", "via", "10.77.1.1")
        self._ip("-n", self.ns("con"), "route", "add", "10.77.1.0/24", "via", "10.77.0.2")
        self.line(kbit, delay_ms, loss_permille, seed)

    def line(self, kbit, delay_ms, loss_permille, seed=1):
        """(Re)starts the WAN with these properties."""
        self._stop_emulator()
        self.is_cut = False
        self.emulator = subprocess.Popen(
            ["ip", "netns", "exec", self.ns("wan"), self.wanemu, "wcon", "wua", str(kbit),
             str(delay_ms), str(loss_permille), str(seed)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        deadline = time.monotonic() + 10
        while self.exec("con", "ping", "-c1", "-W1", "10.77.0.2", check=False).returncode != 0:
            if time.monotonic() > deadline:
                raise AssertionError("the emulated line does not pass a ping")

    def cut(self):
        """Cuts the WAN, or mends it when it is cut."""
        self.emulator.send_signal(signal.SIGUSR1)
        self.is_cut = not self.is_cut

    def prefix(self, host):
        return ["ip", "netns", "exec", self.ns(host)]

    def exec(self, host, *argv, check=True, **kw):
        return subprocess.run([*self.prefix(host), *map(str, argv)], check=check,
                              capture_output=True, text=True, **kw)

    def wan_bytes(self):
        """Bytes that crossed the WAN, both ways, as con's interface counted them."""
        base = "/sys/class/net/con0/statistics/"
        out = self.exec("con", "cat", base + "rx_bytes", base + "tx_bytes").stdout.split()
        return sum(map(int, out))

    def _stop_emulator(self):
        if self.emulator is not None:
            self.emulator.terminate()
            self.emulator.communicate(timeout=10)
            self.emulator = None

    def down(self):
        self._stop_emulator()
        for host in ("con", "wan", "ua", "ws"):
            pids = subprocess.run(["ip", "netns", "pids", self.ns(host)], capture_output=True,
                                  text=True).stdout.split()
            for pid in pids:
                try:
                    os.kill(int(pid), signal.SIGKILL)
                except ProcessLookupError:
                    pass
            subprocess.run(["ip", "netns", "del", self.ns(host)], capture_output=True)

    def __enter__(self):
        try:
            self.up()
        except BaseException:
            self.down()
            raise
        return self

    def __exit__(self, *_):
        self.down()

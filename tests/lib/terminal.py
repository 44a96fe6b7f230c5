"""A program on a terminal of its own: what it shows, and what somebody types."""
import fcntl
import os
import select
import signal
import struct
import subprocess
import termios
import threading

from world import check_end, wait_for


class Terminal:
    def __init__(self, argv, env=None, rows=24, columns=120):
        self.master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.text = ""
        self.process = subprocess.Popen(
            [str(a) for a in argv], stdin=slave, stdout=slave, stderr=slave, env=env, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.close(slave)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        while True:
            ready, _, _ = select.select([self.master], [], [], 1)
            if not ready:
                if self.process.poll() is not None:
                    return
                continue
            try:
                data = os.read(self.master, 65536)
            except OSError:         # EIO: nobody has the terminal any more
                return
            if not data:
                return
            self.text += data.decode(errors="replace")

    def send(self, text):
        os.write(self.master, text.encode())

    def wait(self, text, seconds=20):
        wait_for(lambda: text in self.text, seconds, f"{text!r} on the terminal, which shows {self.text[-400:]!r}")

    def end(self, seconds=60):
        """Waits for the program; its status."""
        status = self.process.wait(seconds)
        self.reader.join(10)
        check_end(self.process.args, self.text.splitlines())
        return status

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.reader.join(10)
        os.close(self.master)

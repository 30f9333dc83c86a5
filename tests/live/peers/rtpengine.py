"""rtpengine itself, in user space on loopback addresses of its own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from tests.live.live_machines import closed_port

PROGRAM = shutil.which("rtpengine")
MISSING = "" if PROGRAM else "rtpengine (Debian: rtpengine-daemon) is not installed"

OUTSIDE, INSIDE = "outside", "inside"
"""The logical interfaces that it has."""

_START_S = 10.0
_numbers = count(1)


class Rtpengine:
    """One process. ``outside`` and ``inside`` are its addresses for media, ``control`` where it takes orders."""

    def __init__(self, folder: Path, *options: str) -> None:
        number = next(_numbers)
        network = f"127.{180 + os.getpid() % 60}.{os.getpid() // 60 % 256}"
        self.outside, self.inside = f"{network}.{2 * number}", f"{network}.{2 * number + 1}"
        self.control = ("127.0.0.1", closed_port())
        self.http = ("127.0.0.1", closed_port())  # for WebSockets
        self._log = folder / f"rtpengine{number}.log"
        self._command = [
            str(PROGRAM),
            "--config-file=none",
            "--foreground",
            "--log-stderr",
            "--log-level=5",
            "--table=-1",  # no kernel module: all in user space
            "--num-threads=1",
            f"--pidfile={folder / f'rtpengine{number}.pid'}",
            f"--interface={OUTSIDE}/{self.outside}",
            f"--interface={INSIDE}/{self.inside}",
            f"--listen-ng={self.control[0]}:{self.control[1]}",
            f"--listen-tcp-ng={self.control[0]}:{self.control[1]}",
            f"--listen-http={self.http[0]}:{self.http[1]}",
            *options,
        ]
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(self._command, stdout=log, stderr=log)
        ends_at = time.monotonic() + _START_S
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(self.control)
            probe.settimeout(0.05)
            while True:
                try:
                    probe.send(b"0 d7:command4:pinge")
                    probe.recv(100)
                    return
                except OSError as error:
                    if self.process.poll() is not None or time.monotonic() > ends_at:
                        raise AssertionError(f"rtpengine did not start: {self._log.read_text()}") from error
                    if not isinstance(error, TimeoutError):
                        time.sleep(0.02)

    def kill(self) -> None:
        """End it at once, as the kernel does when memory is short."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


@contextmanager
def rtpengine(folder: Path, *options: str) -> Iterator[Rtpengine]:
    """One that runs."""
    peer = Rtpengine(folder, *options)
    peer.start()
    try:
        yield peer
    finally:
        peer.kill()

"""DTLS hand-shakes of the relay beside rtpengine: CPU of each, as the passive side of browsers that call."""

from __future__ import annotations

import argparse
import os
import select
import socket
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from OpenSSL import SSL
from rich.console import Console
from rich.table import Table

from benchmarks.processes import LOAD_CORE, BenchmarkError, interpreter, run_main
from benchmarks.relay import RELAY_FAR, RELAY_NEAR, UNSEEN_WIDTH, Ours, Peer, Run, callee
from benchmarks.report import say
from engine.live.relay.certificate import Certificate, new_certificate
from engine.live.relay.dtls import Association, new_context

AT_ONCE = 16
PATIENCE_S = 20.0
LATER_S = 12  # when nobody asks for a last flight again


class Browser:
    """A client: one socket, one association."""

    def __init__(self, number: int, target: tuple[str, int], context: SSL.Context) -> None:
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(callee(number))
        self.sock.connect(target)
        self.sock.setblocking(False)
        # Whom it talks to is not what is measured: any certificate will do.
        self.dtls = Association(context, is_client=True, fingerprints=())

    def say(self, datagrams: list[bytes]) -> None:
        for datagram in datagrams:
            self.sock.send(datagram)

    def hear(self) -> bool:
        """Take what has come; whether the hand-shake is through."""
        try:
            while True:
                self.say(self.dtls.receive(self.sock.recv(4_096)))
        except BlockingIOError:
            return bool(self.dtls.failure)


def shake(targets: Sequence[tuple[str, int]], certificate: Certificate) -> float:
    """All hand-shakes, so many at a time; how long they took."""
    context = new_context(certificate)
    began = time.monotonic()
    waiting = list(enumerate(targets))
    running: dict[int, Browser] = {}
    poll = select.poll()
    while waiting or running:
        while waiting and len(running) < AT_ONCE:
            number, target = waiting.pop()
            browser = Browser(number, target, context)
            running[browser.sock.fileno()] = browser
            poll.register(browser.sock, select.POLLIN)
            browser.say(browser.dtls.start())
        for fd, _ in poll.poll(100):
            browser = running[fd]
            if browser.hear():
                if browser.dtls.failure != "certificate":  # which is the last thing that is looked at
                    raise BenchmarkError(f"a hand-shake failed: {browser.dtls.failure}")
                poll.unregister(fd)
                running.pop(fd).sock.close()
        if time.monotonic() - began > PATIENCE_S + len(targets) * 0.01:
            raise BenchmarkError(f"{len(running)} hand-shakes did not end")
    return time.monotonic() - began


def measure(relay: Peer | Ours, calls: int, certificate: Certificate) -> tuple[float, ...]:
    """CPU and wall time of one hand-shake in ms, memory of a call in KB, just after and later."""
    run = Run(calls, calls, "dtls", fingerprint=certificate.fingerprint)
    with tempfile.TemporaryDirectory(prefix="relay-") as name, relay.started(run, Path(name)) as started:
        program, ports, before = started
        host = RELAY_FAR if isinstance(relay, Ours) else RELAY_NEAR
        cpu = program.cpu()
        took_s = shake([(host, far) for _, far in ports], certificate)
        used_s = program.cpu().used_s - cpu.used_s
        just_after = program.memory_bytes()
        time.sleep(LATER_S)
        memories = [(bytes_ - before) / 1024 / calls for bytes_ in (just_after, program.memory_bytes())]
        return 1e3 * used_s / calls, 1e3 * took_s / calls, *memories


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--calls", type=int, default=500)
    parser.add_argument("--python", type=interpreter, default=sys.executable, help="interpreter that has siptwin")
    options = parser.parse_args()
    if (os.cpu_count() or 1) > 1:
        os.sched_setaffinity(0, {LOAD_CORE})
    certificate = new_certificate()
    table = Table(title="DTLS hand-shakes", title_justify="left")
    for column in ("", "ms CPU each", "ms each", "KB a call, just after", f"{LATER_S} s later"):
        table.add_column(column, justify="right" if column else "left")
    for relay in (Peer(), Ours(options.python, native=True, gather_s=0.0005)):
        say(f"{relay.name}: {options.calls} hand-shakes, {AT_ONCE} at a time")
        cells = [f"{figure:.2f}" for figure in measure(relay, options.calls, certificate)]
        table.add_row(relay.name, *cells)
    Console(width=None if sys.stdout.isatty() else UNSEEN_WIDTH).print(table)


if __name__ == "__main__":
    run_main(main)

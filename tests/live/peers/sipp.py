"""SIPp as caller and as node, and programs between them, on loopback addresses of this process alone."""

from __future__ import annotations

import csv
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

MISSING = "" if shutil.which("sipp") else "SIPp (Debian: sip-tester) is not installed"
SCENARIOS = Path(__file__).resolve().parents[3] / "benchmarks" / "scenarios"
_THIRD, _FIRST = os.getpid() // 60 % 250, os.getpid() % 60 * 4
EDGE, FIRST, SECOND, CALLER = (f"127.88.{_THIRD}.{_FIRST + number}" for number in (1, 2, 3, 4))

Start = Callable[..., "subprocess.Popen[bytes]"]


@contextmanager
def programs(folder: Path) -> Iterator[Start]:
    """Starts programs there, which end with the block."""
    with ExitStack() as stack:

        def popen(*command: str) -> subprocess.Popen[bytes]:
            log = stack.enter_context((folder / f"{Path(command[0]).name}.{len(command)}.log").open("ab"))
            process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            stack.callback(process.wait, 10)
            stack.callback(process.kill)
            return process

        yield popen


def sipp(scenario: str, host: str, *more: str) -> list[str]:
    """The command of one at this address."""
    command = ["sipp", "-sf", str(SCENARIOS / f"{scenario}.xml"), "-i", host, "-p", "5060", "-t", "u1", "-nostdin"]
    return [*command, *more]


def last_row(statistics: Path) -> dict[str, str]:
    """The newest of a caller's statistics (-trace_stat)."""
    rows = list(csv.DictReader(statistics.read_text().splitlines(), delimiter=";")) if statistics.exists() else []
    return rows[-1] if rows else {}


def wait_for_answer(host: str, deadline_s: float = 20) -> None:
    """Until OPTIONS to this address is answered."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((CALLER, 0))
        sock.settimeout(0.2)
        here = f"{CALLER}:{sock.getsockname()[1]}"
        ask = (
            f"OPTIONS sip:{host} SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bKup;rport\r\nMax-Forwards: 70\r\n"
            f"From: <sip:t@{here}>;tag=t\r\nTo: <sip:{host}>\r\nCall-ID: up\r\nCSeq: 1 OPTIONS\r\n\r\n"
        )
        ends = time.monotonic() + deadline_s
        while time.monotonic() < ends:
            sock.sendto(ask.encode(), (host, 5060))
            try:
                if sock.recv(65_535).startswith(b"SIP/2.0 200"):
                    return
            except OSError:
                continue
    raise AssertionError(f"{host} does not answer")

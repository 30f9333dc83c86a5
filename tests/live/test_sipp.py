"""`siptwin serve` between SIPp and SIPp, as its user starts it; one of two answerers is killed under load."""

from __future__ import annotations

import csv
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(shutil.which("sipp") is None, reason="SIPp (Debian: sip-tester) is not installed")

SCENARIOS = Path(__file__).resolve().parents[2] / "benchmarks" / "scenarios"
NET = f"127.88.{os.getpid() // 60 % 250}.{os.getpid() % 60 * 4}"  # four loopback addresses for this process alone
EDGE, FIRST, SECOND, CALLER = (f"{NET.rpartition('.')[0]}.{int(NET.rpartition('.')[2]) + n}" for n in (1, 2, 3, 4))
RATE, CALLS = 100, 600

TOPOLOGY = f"""
edges: {{edge1: {{interfaces: {{both: {{host: {EDGE}}}}}}}}}
nodes:
  FS1: {{host: {FIRST}, resources: pstn=1000}}
  FS2: {{host: {SECOND}, resources: pstn=1000}}
"""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts programs that end with the test."""
    with ExitStack() as stack:

        def popen(*command: str) -> subprocess.Popen[bytes]:
            log = stack.enter_context((tmp_path / f"{Path(command[0]).name}.{len(command)}.log").open("ab"))
            process = subprocess.Popen(command, cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            stack.callback(process.wait, 10)
            stack.callback(process.kill)
            return process

        yield popen


def sipp(scenario: str, host: str, *more: str) -> list[str]:
    return [
        "sipp",
        "-sf",
        str(SCENARIOS / f"{scenario}.xml"),
        "-i",
        host,
        "-p",
        "5060",
        "-t",
        "u1",
        "-nostdin",
        *more,
    ]


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


def test_no_call_fails_when_an_answerer_is_killed(
    start: Callable[..., subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    (tmp_path / "two.yaml").write_text(TOPOLOGY)
    first = start(*sipp("node", FIRST))
    start(*sipp("node", SECOND))
    serve = start(sys.executable, "-m", "lab.cli", "serve", "two.yaml", "--control", str(tmp_path / "control"))
    wait_for_answer(EDGE)
    statistics = tmp_path / "caller.csv"
    more = ("-r", str(RATE), "-m", str(CALLS), "-d", "100", "-trace_stat", "-stf", str(statistics), "-fd", "1")
    caller = start(*sipp("caller", CALLER, *more), f"{EDGE}:5060")

    def last_row() -> dict[str, str]:
        if not statistics.exists():
            return {}
        rows = list(csv.DictReader(statistics.read_text().splitlines(), delimiter=";"))
        return rows[-1] if rows else {}

    ends = time.monotonic() + 30
    while int(last_row().get("SuccessfulCall(C)") or 0) < CALLS // 3 and time.monotonic() < ends:
        with pytest.raises(subprocess.TimeoutExpired):  # the caller still calls
            caller.wait(0.1)
    first.send_signal(signal.SIGKILL)
    # Calls that stood at the dead answerer can't be ended by a BYE to it; no call may fail to be set up.
    caller.wait(60)
    row = last_row()
    stood = RATE // 10 + 5
    assert int(row["SuccessfulCall(C)"]) >= CALLS - stood, row
    assert int(row["OutgoingCall(C)"] or row["TotalCallCreated"]) >= CALLS
    serve.terminate()
    assert serve.wait(40) == 0

"""Ten thousand calls through `siptwin serve` with its relay: all answered, and the process is as it was before."""

from __future__ import annotations

import os
import re
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.live.peers.sipp import CALLER, EDGE, FIRST, MISSING, last_row, programs, sipp, wait_for_answer

pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)

RATE, CALLS = 60, 10_000  # a second, and in each of two rounds: the first fills what is remembered within bounds
GROWN_BYTES = 1_000_000  # a tenth of a kilobyte a call would show
SETTLED_S = 60.0  # RFC 3261 timers run for 32 s after the last message

TOPOLOGY = f"""
edges: {{edge1: {{interfaces: {{both: {{host: {EDGE}}}}}, relay: builtin}}}}
nodes: {{FS1: {{host: {FIRST}, resources: pstn=1000}}}}
"""
# What may be left of each: the edge asks its node how it is all the time.
GAUGES = {"siptwin_relayed_calls": 0, "siptwin_media_ports": 0, "siptwin_calls": 0, "siptwin_transactions": 2}


class Left(NamedTuple):
    """What a process holds."""

    files: int
    gauges: dict[str, float]
    memory_bytes: int

    @property
    def rests(self) -> bool:
        """Whether no call is left, in whatever state."""
        return all(value <= GAUGES[name] for name, value in self.gauges.items())


def look(pid: int, control: Path) -> Left:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(control))
        sock.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        text = b"".join(iter(lambda: sock.recv(65_536), b"")).decode()
    found = {name: re.search(rf"^{name}(?:{{[^}}]*}})? (\S+)$", text, re.MULTILINE) for name in GAUGES}
    missing = [name for name, match in found.items() if match is None]
    assert not missing, f"no such metrics: {missing}"
    gauges = {name: float(match[1]) for name, match in found.items() if match}
    (pss_kb,) = re.findall(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    return Left(len(os.listdir(f"/proc/{pid}/fd")), gauges, int(pss_kb) * 1024)


def settled(seen: Callable[[], Left], files: int) -> Left:
    """As it is once it has come to rest, or what is left after a while."""
    ends = time.monotonic() + SETTLED_S
    while (left := seen()).files > files or not left.rests:
        if time.monotonic() > ends:
            break
        time.sleep(0.5)
    return left


@pytest.mark.slow
def test_ten_thousand_calls_leave_no_port_no_rule_and_no_memory(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text(TOPOLOGY)
    control = tmp_path / "control"
    with programs(tmp_path) as start:
        start(*sipp("node", FIRST))
        serve = start(sys.executable, "-m", "lab.cli", "serve", "one.yaml", "--control", str(control))
        wait_for_answer(EDGE)

        def seen() -> Left:
            return look(serve.pid, control)

        def round_of_calls(name: str) -> Left:
            statistics = tmp_path / f"{name}.csv"
            more = ("-r", str(RATE), "-m", str(CALLS), "-d", "100", "-trace_stat", "-stf", str(statistics))
            calling = start(*sipp("caller", CALLER, *more), f"{EDGE}:5060")
            ends = time.monotonic() + SETTLED_S
            busy = dict.fromkeys(GAUGES, 0.0)
            while not all(busy[name] > rest for name, rest in GAUGES.items()):  # what never moves proves no rest
                assert time.monotonic() < ends, f"while calls stand, no more than {busy}"
                time.sleep(0.02)
                busy = {name: max(most, busy[name]) for name, most in seen().gauges.items()}
            calling.wait(CALLS / RATE + 60)
            row = last_row(statistics)
            failed = {key: value for key, value in row.items() if "Failed" in key and int(value or 0)}
            assert (row["SuccessfulCall(C)"], failed) == (str(CALLS), {})
            return settled(seen, files)

        files = seen().files
        before = round_of_calls("first")
        after = round_of_calls("second")
        print(f"{CALLS:,} calls: {after.memory_bytes - before.memory_bytes:,} bytes more")
        assert after.rests, after
        assert after.files == files
        assert after.memory_bytes - before.memory_bytes < GROWN_BYTES

"""SIPp as caller and as answering nodes, and what its statistics file says."""

from __future__ import annotations

import contextlib
import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.ground import CALLER, NODES, PROXY, Place, check_free, wait_until_bound
from benchmarks.processes import LOAD_CORE, BenchmarkError, Program, require

SCENARIOS = Path(__file__).parent / "scenarios"
SOCKET_BUFFER_BYTES = 4 * 1024 * 1024  # SIPp's own 64 KiB overflow first, and would be taken for the proxy's loss


@dataclass(frozen=True, slots=True)
class Tally:
    """What one SIPp counted from start to end."""

    calls: int
    answered: int
    failed: int
    retransmissions: int
    elapsed_s: float

    @property
    def rate_per_s(self) -> float:
        return self.calls / self.elapsed_s if self.elapsed_s else 0.0

    @property
    def clean(self) -> bool:
        return not self.failed and not self.retransmissions


def read_tally(file: Path) -> Tally:
    """The last line of a statistics file: totals carry (C), for cumulative."""
    if not file.exists():
        raise BenchmarkError(f"SIPp wrote no statistics ({file.name})")
    with file.open(newline="", encoding="ascii", errors="replace") as lines:
        rows = list(csv.DictReader(lines, delimiter=";"))
    if not rows:
        raise BenchmarkError(f"SIPp wrote no statistics ({file.name})")
    last = rows[-1]
    hours, minutes, seconds, *micro = (int(part) for part in last["ElapsedTime(C)"].split(":"))
    return Tally(
        calls=int(last["TotalCallCreated"]),
        answered=int(last["SuccessfulCall(C)"]),
        failed=int(last["FailedCall(C)"]),
        retransmissions=int(last["Retransmissions(C)"]),
        elapsed_s=hours * 3600 + minutes * 60 + seconds + sum(micro) / 1e6,
    )


def _command(scenario: str, place: Place, statistics: Path) -> list[str]:
    require("sipp", "sip-tester")
    return [
        *("sipp", "-sf", str(SCENARIOS / f"{scenario}.xml"), "-i", place.host, "-p", str(place.port)),
        *("-t", "u1", "-nostdin", "-buff_size", str(SOCKET_BUFFER_BYTES)),
        *("-trace_stat", "-stf", str(statistics), "-fd", "1"),
    ]


def launch_node(number: int, folder: Path, scenario: str = "node") -> Program:
    """Start answerer 0 or 1."""
    command = _command(scenario, NODES[number], node_statistics(number, folder))
    command += ["-deadcall_wait", "0"]  # a refresh comes under the Call-ID of the registration before
    return Program(command, core=LOAD_CORE, log=folder / f"node{number}.log")


def start_node(number: int, folder: Path, scenario: str = "node") -> Program:
    """Start answerer 0 or 1 and wait until it listens."""
    program = launch_node(number, folder, scenario)
    wait_until_bound(program, NODES[number])
    return program


def node_statistics(number: int, folder: Path) -> Path:
    return folder / f"node{number}.csv"


@contextlib.contextmanager
def both_nodes(folder: Path, scenario: str = "node") -> Iterator[list[Program]]:
    """Both answerers, for the length of a ``with`` block."""
    check_free(PROXY, CALLER, *NODES)
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(start_node(number, folder, scenario)) for number in range(len(NODES))]


def start_caller(folder: Path, *, rate_per_s: int, calls: int, hold_ms: int) -> Program:
    """Start a caller that places ``calls`` calls and ends."""
    caller_statistics(folder).unlink(missing_ok=True)
    command = _command("caller", CALLER, caller_statistics(folder))
    command += ["-r", str(rate_per_s), "-m", str(calls), "-l", str(calls), "-d", str(hold_ms), str(PROXY)]
    return Program(command, core=LOAD_CORE, log=folder / "caller.log")


def start_agents(folder: Path, *, agents: int, arrive_per_s: int, refresh_s: int) -> Program:
    """Start agents that arrive at a steady rate, register, and refresh until they are ended."""
    caller_statistics(folder).unlink(missing_ok=True)
    command = _command("agent", CALLER, caller_statistics(folder))
    command += [
        "-r",
        str(arrive_per_s),
        "-m",
        str(agents),
        "-l",
        str(agents),
        "-d",
        str(refresh_s * 1000),
        str(PROXY),
    ]
    return Program(command, core=LOAD_CORE, log=folder / "caller.log")


def caller_statistics(folder: Path) -> Path:
    return folder / "caller.csv"

"""How fast virtual time runs: calls per wall second, and whether cost and memory stay flat."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table

from benchmarks.processes import LOAD_CORE, BenchmarkError, interpreter, pin, run_main
from benchmarks.report import UNSEEN_WIDTH, say
from topologies import load

WORKER = Path(__file__).with_name("simulation_worker.py")
SLOWEST_CALLS_PER_S = 50  # a run that is slower is ended
START_UP_S = 60
DAY_S = 86_400
HOUR_S = 3600
FIRST_USER = 10_000
LIGHT_RATE_PER_S = 0.05
SLOWEST_DAY_S = 600  # probes are most of a day under light load
SLOWEST_AGENT_DAY_S = 0.6
SLOWEST_LOG_IN_S = 0.05


def measure(python: str, topology: str, scenario: str, calls: int) -> dict[str, Any]:
    """Simulate so many calls in a fresh process, on one core."""
    rate_per_s = sum(traffic.rate_per_s or 0 for traffic in load(topology).scenarios[scenario].traffic)
    if not rate_per_s:
        raise BenchmarkError(f"scenario {scenario} has no steady rate of calls - choose another one")
    arguments = [topology, scenario, str(calls / rate_per_s)]
    told = _simulate(python, arguments, START_UP_S + calls / SLOWEST_CALLS_PER_S)
    return {"calls": calls, "calls_per_wall_s": calls / told["wall_s"], **told}


def measure_days(python: str, topology: str, scenario: str, days: int) -> dict[str, Any]:
    """Simulate so many days under light load in a fresh process, on one core."""
    arguments = [topology, scenario, str(days * DAY_S), str(LIGHT_RATE_PER_S)]
    return _simulate(python, arguments, START_UP_S + days * SLOWEST_DAY_S)


def agents_topology(agents: int) -> dict[str, Any]:
    """Softphones and browsers, half and half, that do nothing but stay registered."""
    last = FIRST_USER + agents - 1
    browsers = FIRST_USER + agents // 2
    usual = {"register_spread_s": 300, "expires_s": 3600}
    return {
        "edges": {
            "edge1": {
                "interfaces": {
                    "phones": {"host": "127.0.0.1"},
                    "web": {"host": "127.0.0.1", "port": 8080, "transport": "ws"},
                    "inside": {"host": "127.0.0.2"},
                },
                "registrar": {"secret": "of this benchmark alone"},
                "streams": {"connections_per_address": agents},
            }
        },
        "nodes": {
            "FS1": {
                "host": "127.0.1.1",
                "interface": "inside",
                "model": {"users": f"{FIRST_USER}-{last}", "force_expires_s": 3600},
            }
        },
        "clients": {
            "phones": {
                "kind": "softphone", "host": "127.0.2.1", "users": f"{FIRST_USER}-{browsers - 1}", **usual
            },
            "pages": {
                "kind": "browser", "transport": "ws", "host": "127.0.2.2", "users": f"{browsers}-{last}", **usual
            },
        },
        "scenarios": {"day": {"duration_s": DAY_S}},
    }  # fmt: skip


def measure_agents(python: str, agents: int, hours: float) -> dict[str, Any]:
    """Simulate agents that stay registered, in a fresh process, on one core."""
    with tempfile.TemporaryDirectory(prefix="siptwin-benchmark-") as name:
        file = Path(name) / "agents.yaml"
        file.write_text(yaml.safe_dump(agents_topology(agents), sort_keys=False))
        arguments = [str(file), "day", str(hours * HOUR_S)]
        at_most_s = START_UP_S + agents * (SLOWEST_LOG_IN_S + hours / 24 * SLOWEST_AGENT_DAY_S)
        told = _simulate(python, arguments, at_most_s)
    return {"agents": agents, "hours": hours, **told}


def _simulate(python: str, arguments: list[str], at_most_s: float) -> dict[str, Any]:
    command = [*pin(LOAD_CORE), python, "-P", str(WORKER), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=at_most_s, check=True)
    except subprocess.TimeoutExpired:
        raise BenchmarkError(f"the simulation took longer than {at_most_s:.0f} s") from None
    except subprocess.CalledProcessError as error:
        raise BenchmarkError(f"the simulation failed: {error.stderr.strip().splitlines()[-1:]}") from None
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def main() -> None:
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter, allow_abbrev=False
    )
    made.add_argument("--calls", default="1000,10000,100000", help="numbers of calls, with commas")
    made.add_argument(
        "--days", type=int, help=f"instead: memory over so many days at {LIGHT_RATE_PER_S} calls/s a client"
    )
    made.add_argument("--agents", type=int, help="instead: so many agents that stay registered")
    made.add_argument("--hours", type=float, default=24.0, help="with --agents: for so long")
    made.add_argument("--topology", default="seed", help="a packaged topology or a file")
    made.add_argument("--scenario", default="quiet", help="one of its scenarios")
    made.add_argument(
        "--python", type=interpreter, default=sys.executable, help="the interpreter where siptwin is installed"
    )
    made.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = made.parse_args()

    if options.days:
        _show_days(measure_days(options.python, options.topology, options.scenario, options.days), options)
        return
    if options.agents:
        _show_agents(measure_agents(options.python, options.agents, options.hours), options)
        return
    rows = []
    for calls in (int(word) for word in options.calls.split(",") if word):
        say(f"{calls:,} calls")
        rows.append(measure(options.python, options.topology, options.scenario, calls))
    if options.json:
        print(json.dumps({"title": "Simulation", "rows": rows}, indent=2))
        return
    table = Table(title=f"Simulation of {options.topology}, scenario {options.scenario}, one core")
    for heading in ("calls", "wall s", "calls per wall s", "CPU ms per call", "memory added, MB", "violations"):
        table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(
            f"{row['calls']:,}",
            f"{row['wall_s']:.1f}",
            f"{row['calls_per_wall_s']:,.0f}",
            f"{row['cpu_s'] / row['calls'] * 1000:.2f}",
            f"{row['added_bytes'] / 1e6:.1f}",
            str(row["violations"]),
        )
    Console(width=None if sys.stdout.isatty() else UNSEEN_WIDTH).print(table)


def _show_agents(told: dict[str, Any], options: argparse.Namespace) -> None:
    if options.json:
        print(json.dumps({"title": "Simulated agents", **told}, indent=2))
        return
    title = f"{told['agents']:,} agents, half of them in browsers, over {told['hours']:g} hours"
    table = Table(title=title)
    columns = ("wall s", "CPU s", "registrations and refreshes", "logged out", "violations", "memory added, MB")
    for heading in columns:
        table.add_column(heading, justify="right")
    table.add_row(
        f"{told['wall_s']:.0f}",
        f"{told['cpu_s']:.0f}",
        f"{told['registered']:,}",
        str(told["log_outs"]),
        str(told["violations"]),
        f"{told['added_bytes'] / 1e6:.0f}",
    )
    Console(width=None if sys.stdout.isatty() else UNSEEN_WIDTH).print(table)


def _show_days(told: dict[str, Any], options: argparse.Namespace) -> None:
    if options.json:
        print(json.dumps({"title": "Simulated days", **told}, indent=2))
        return
    days = told["day_ends_bytes"]
    table = Table(title=f"{options.topology}, {len(days)} days in {told['wall_s']:.0f} s")
    for heading in ("day", "memory at its end, MB", "more than the day before, MB"):
        table.add_column(heading, justify="right")
    for number, bytes_then in enumerate(days, 1):
        more = (bytes_then - days[number - 2]) / 1e6 if number > 1 else 0.0
        table.add_row(str(number), f"{bytes_then / 1e6:.1f}", f"{more:+.2f}" if number > 1 else "")
    Console(width=None if sys.stdout.isatty() else UNSEEN_WIDTH).print(table)


if __name__ == "__main__":
    run_main(main)

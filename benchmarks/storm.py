"""Thousands of registered agents on one edge: memory of each, and a storm in which all come back at once."""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table

from benchmarks.ground import NODES, PROXY, Place, check_free, wait_until_it_answers
from benchmarks.processes import LOAD_CORE, PROXY_CORE, BenchmarkError, Program, interpreter, pin, run_main
from benchmarks.proxies import describe_siptwin
from benchmarks.report import UNSEEN_WIDTH, say

WEB = Place(PROXY.host, 8080)
PACED = 200  # REGISTERs of UDP agents that wait for their answers: more would be lost in the sockets of the load
SETTLE_S = 35.0  # by then the transactions of the registrations are over (64*T1)


class Load:
    """The agents, or their node, in a process of their own."""

    def __init__(self, module: str, *arguments: str) -> None:
        command = [*pin(LOAD_CORE), sys.executable, "-m", f"benchmarks.{module}", *arguments]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> Load:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def phase(self, name: str) -> dict[str, Any]:
        """Let a phase run to its end."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{name}\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise BenchmarkError(f"the load ended in phase {name}")
        told: dict[str, Any] = json.loads(line)
        return told


def start_edge(folder: Path, python: str, agents: int) -> Program:
    """An edge with one node, whose agents speak UDP or WebSocket."""
    topology = {
        "edges": {
            "edge1": {
                "interfaces": {
                    "udp": {"host": PROXY.host, "port": PROXY.port},
                    "web": {"transport": "ws", "host": WEB.host, "port": WEB.port},
                },
                "registrar": {"secret": "of this benchmark alone"},
                "streams": {"first_message_s": 600, "idle_s": 600, "connections_per_address": 1_000_000},
                "limits": {"stream_connections": agents + 1000, "bindings": agents + 1000},
                "keep_alive": {"method": "none"},
            }
        },
        "nodes": {"FS1": {"host": NODES[0].host, "port": NODES[0].port, "resources": {"pstn": 1000}}},
    }
    file = folder / "storm.yaml"
    file.write_text(yaml.safe_dump(topology, sort_keys=False))
    command = [python, "-m", "lab.cli", "serve", str(file), "--log-level", "error"]
    return Program(command, core=PROXY_CORE, log=folder / "siptwin.log", env={"XDG_RUNTIME_DIR": str(folder)})


def measure(python: str, transport: str, agents: int, at_once: int, pace: float) -> dict[str, Any]:
    """One run in a fresh edge."""
    check_free(PROXY, NODES[0])
    place = WEB if transport == "ws" else PROXY
    with (
        tempfile.TemporaryDirectory(prefix="siptwin-benchmark-") as name,
        start_edge(Path(name), python, agents) as edge,
        Load("storm_node", str(NODES[0])) as node,
        Load("storm_load", transport, str(agents), str(at_once), str(pace), str(place)) as load,
    ):
        wait_until_it_answers(edge, PROXY)
        load.phase("connect")
        time.sleep(1.0)
        connected_bytes = edge.memory_bytes()
        first = load.phase("register")
        time.sleep(SETTLE_S)
        registered_bytes = edge.memory_bytes()
        before_s = edge.cpu().used_s
        storm = load.phase("storm")
        storm_cpu_s = edge.cpu().used_s - before_s
        reached = node.phase(f"reach {PROXY}")
    return {
        "transport": transport,
        "agents": agents,
        "bytes_per_registration": (registered_bytes - connected_bytes) / agents,
        "first_per_s": first["registered"] / first["elapsed_s"],
        "storm_per_s": storm["registered"] / storm["elapsed_s"],
        "storm_cpu_s_per_1000": storm_cpu_s / agents * 1000,
        "storm_late": storm["late"],
        "storm_lost": agents - storm["registered"],
        "reached": reached["answered"],
    }


def main() -> None:
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter, allow_abbrev=False
    )
    made.add_argument("--web", type=int, default=10_000, help="agents on WebSockets; 0: leave it out")
    made.add_argument("--udp", type=int, default=50_000, help="agents on UDP; 0: leave it out")
    made.add_argument("--at-once", type=int, help="how many come back at a time; default: all, on UDP 200")
    made.add_argument(
        "--pace", type=float, default=0.0, help="first registrations per second; 0: as fast as they are answered"
    )
    made.add_argument(
        "--python", type=interpreter, default=sys.executable, help="the interpreter where siptwin is installed"
    )
    made.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = made.parse_args()
    _allow_files(options.web + 2000)
    rows = []
    for transport, agents in (("ws", options.web), ("udp", options.udp)):
        if agents:
            say(f"{agents:,} agents over {transport}")
            at_once = options.at_once or (agents if transport == "ws" else PACED)
            rows.append(measure(options.python, transport, agents, at_once, options.pace))
    if options.json:
        print(json.dumps({"title": "Storm", "rows": rows}, indent=2))
        return
    table = Table(title="All agents of one edge come back at once", caption=describe_siptwin(options.python))
    columns = ("transport", "agents", "bytes a registration", "first, per s", "storm, per s", "CPU s per 1,000")
    for column in (*columns, "late", "not bound", "reached by the node"):
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(
            row["transport"],
            f"{row['agents']:,}",
            f"{row['bytes_per_registration']:,.0f}",
            f"{row['first_per_s']:,.0f}",
            f"{row['storm_per_s']:,.0f}",
            f"{row['storm_cpu_s_per_1000']:.2f}",
            str(row["storm_late"]),
            str(row["storm_lost"]),
            f"{row['reached']:,}",
        )
    console = Console()
    (console if console.is_terminal else Console(width=UNSEEN_WIDTH)).print(table)


def _allow_files(wanted: int) -> None:
    """Sockets are files; the programs that are started inherit what is allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        if hard < wanted and hard != resource.RLIM_INFINITY:
            raise BenchmarkError(f"only {hard} files may be open - raise the limit (ulimit -n {wanted})")
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


if __name__ == "__main__":
    run_main(main)

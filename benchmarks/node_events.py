"""What FreeSWITCH's events cost an edge: twenty nodes with a thousand channels each, with events as recorded."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table

from benchmarks.ground import PROXY, check_free, wait_until_it_answers
from benchmarks.node_events_load import EVENTS_PORT, host_of
from benchmarks.processes import LOAD_CORE, PROXY_CORE, BenchmarkError, Program, interpreter, pin, run_main
from benchmarks.proxies import describe_siptwin
from benchmarks.report import UNSEEN_WIDTH, say

LOAD = Path(__file__).with_name("node_events_load.py")
READER = """
import asyncio, sys
async def read(host):
    reader, writer = await asyncio.open_connection(host, int(sys.argv[1]))
    writer.write(b"auth x\\n\\nevent plain ALL\\n\\n")
    while await reader.read(1 << 18): pass
async def main(): await asyncio.gather(*map(read, sys.argv[2:]))
try:
    import uvloop; uvloop.run(main())
except ImportError: asyncio.run(main())
"""
"""The floor: a program that reads the same and does nothing with it."""


class Load:
    """The nodes' event sockets, in a process of their own."""

    def __init__(self, nodes: int, channels: int, hold_s: float) -> None:
        command = [*pin(LOAD_CORE), sys.executable, "-m", "benchmarks.node_events_load"]
        command += [str(nodes), str(channels), str(hold_s)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=LOAD.parents[1]
        )
        self.told()

    def __enter__(self) -> Load:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def told(self) -> dict[str, Any]:
        """Events and bytes sent so far, and how many listeners are through with their questions."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise BenchmarkError("the load ended")
        told: dict[str, Any] = json.loads(line)
        return told


def start_edge(folder: Path, python: str, nodes: int) -> Program:
    """An edge that watches so many nodes; none of them is probed."""
    topology = {
        "edges": {
            "edge1": {
                "interfaces": {"udp": {"host": PROXY.host, "port": PROXY.port}},
                "probe": {"mode": "never"},
            }
        },
        "nodes": {
            f"FS{number}": {"host": host_of(number), "resources": "pstn=fs", "events": {"port": EVENTS_PORT}}
            for number in range(nodes)
        },
    }
    file = folder / "events.yaml"
    file.write_text(yaml.safe_dump(topology, sort_keys=False))
    command = [python, "-m", "lab.cli", "serve", str(file), "--log-level", "error"]
    return Program(command, core=PROXY_CORE, log=folder / "siptwin.log", env={"XDG_RUNTIME_DIR": str(folder)})


def measure(options: argparse.Namespace, *, floor: bool) -> dict[str, Any]:
    """CPU of one listener, beginning when it is through with what stood before."""
    check_free(PROXY)
    with (
        tempfile.TemporaryDirectory(prefix="siptwin-benchmark-") as name,
        Load(options.nodes, options.channels, options.hold) as load,
    ):
        if floor:
            hosts = [host_of(number) for number in range(options.nodes)]
            command = [options.python, "-c", READER, str(EVENTS_PORT), *hosts]
            listener = Program(command, core=PROXY_CORE, log=Path(name) / "reader.log")
        else:
            listener = start_edge(Path(name), options.python, options.nodes)
        with listener:
            if not floor:
                wait_until_it_answers(listener, PROXY)
            ends = time.monotonic() + 60
            while load.told()["entered"] < options.nodes:
                if time.monotonic() > ends:
                    raise BenchmarkError(f"not all event sockets were entered - {listener.last_words()}")
                time.sleep(0.1)
            entered_cpu_s = listener.cpu().used_s
            time.sleep(2.0)
            before, cpu_before, began = load.told(), listener.cpu(), time.monotonic()
            time.sleep(options.seconds)
            after, cpu, ended = load.told(), listener.cpu(), time.monotonic()
    wall_s = ended - began
    return {
        "what": "reader" if floor else "siptwin",
        "cpu_share": (cpu.used_s - cpu_before.used_s) / wall_s,
        "waited_share": (cpu.waited_s - cpu_before.waited_s) / wall_s,
        "events_per_s": (after["events"] - before["events"]) / wall_s,
        "mbyte_per_s": (after["bytes"] - before["bytes"]) / wall_s / 1e6,
        "entering_cpu_s": entered_cpu_s,
    }


def main() -> None:
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter, allow_abbrev=False
    )
    made.add_argument("--nodes", type=int, default=20)
    made.add_argument("--channels", type=int, default=1000, help="that stand at each node")
    made.add_argument("--hold", type=float, default=180.0, help="seconds that a call lasts")
    made.add_argument("--seconds", type=float, default=20.0, help="how long is measured")
    made.add_argument(
        "--python", type=interpreter, default=sys.executable, help="the interpreter where siptwin is installed"
    )
    made.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = made.parse_args()
    say(f"{options.nodes} nodes with {options.channels:,} channels each, calls of {options.hold:g} s")
    rows = [measure(options, floor=True), measure(options, floor=False)]
    ratio = rows[1]["cpu_share"] / rows[0]["cpu_share"] if rows[0]["cpu_share"] else None
    if options.json:
        print(json.dumps({"title": "Events of nodes", "rows": rows, "ratio": ratio}, indent=2))
        return
    table = Table(title="Events of nodes", caption=f"siptwin: {describe_siptwin(options.python)}")
    for column in ("listener", "of a core", "waited for it", "events/s", "MB/s", "CPU s to enter"):
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(
            row["what"],
            f"{row['cpu_share']:.2%}",
            f"{row['waited_share']:.2%}",
            f"{row['events_per_s']:,.0f}",
            f"{row['mbyte_per_s']:.1f}",
            f"{row['entering_cpu_s']:.2f}",
        )
    console = Console()
    (console if console.is_terminal else Console(width=UNSEEN_WIDTH)).print(table)
    if ratio is not None:
        print(f"siptwin / a program that only reads: {ratio:.1f} x")


if __name__ == "__main__":
    run_main(main)

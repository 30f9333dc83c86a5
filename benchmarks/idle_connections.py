"""What an idle connection takes of a siptwin process, by transport: memory, and CPU of its hand-shake.

``host``: the connection alone. ``edge``: with all that an edge keeps of it. A registration comes on top.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.processes import PROXY_CORE, BenchmarkError, interpreter, pin, run_main
from benchmarks.report import UNSEEN_WIDTH, say

WORKER = Path(__file__).with_name("idle_connections_worker.py")
TRANSPORTS = "tcp,ws,tls,wss"
ENDS_S = 300


def measure(python: str, transport: str, count: int, what: str, loop: str) -> dict[str, Any]:
    """One measurement in a fresh process."""
    command = [*pin(PROXY_CORE), python, "-P", str(WORKER), transport, str(count), what, loop]
    done = subprocess.run(command, capture_output=True, text=True, timeout=ENDS_S, check=False)
    if done.returncode:
        raise BenchmarkError(f"{transport}: {done.stderr.strip().splitlines()[-1:]}")
    told: dict[str, Any] = json.loads(done.stdout)
    return {"transport": transport, "loop": loop, "connections": count, "what": what, **told}


def main() -> None:
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter, allow_abbrev=False
    )
    made.add_argument("--connections", type=int, default=5_000, help="how many at once")
    made.add_argument("--transports", default=TRANSPORTS, help="with commas")
    made.add_argument(
        "--python", type=interpreter, default=sys.executable, help="the interpreter where siptwin is installed"
    )
    made.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = made.parse_args()
    rows = []
    for transport in options.transports.split(","):
        for loop in ("uvloop", "asyncio") if find_spec("uvloop") else ("asyncio",):
            for what in ("host", "edge"):
                say(f"{options.connections:,} idle connections over {transport}, {loop}, {what}")
                rows.append(measure(options.python, transport, options.connections, what, loop))
    if options.json:
        print(json.dumps({"title": "Idle connections", "rows": rows}, indent=2))
        return
    table = Table(title="Idle connections")
    for name in ("transport", "loop", "what", "bytes each", "hand-shake, µs CPU"):
        table.add_column(name, justify="left" if name in ("transport", "loop", "what") else "right")
    for row in rows:
        table.add_row(
            row["transport"], row["loop"], row["what"], f"{row['bytes']:,.0f}", f"{row['handshake_us']:.0f}"
        )
    console = Console()
    if not console.is_terminal:
        console = Console(width=UNSEEN_WIDTH)
    console.print(table)


if __name__ == "__main__":
    run_main(main)

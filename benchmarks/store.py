"""What a database costs the edge: CPU per call with none, with SQLite and with MariaDB.

Calls stand for longer than records wait to be written, so that each is written when it begins and when it ends;
those of ``benchmarks.signalling`` are over before, and would never reach a database.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.processes import LOAD_CORE, BenchmarkError, Program, interpreter, require, run_main, wait_until
from benchmarks.proxies import Setting, describe_siptwin
from benchmarks.report import say
from benchmarks.signalling import run_calls

HOLD_MS = 2_000
START_UP_S = 30.0
MOST = 1.15
"""What a call may cost with MariaDB, in times of one without."""


@contextmanager
def mariadb() -> Iterator[str]:
    """A MariaDB in a folder of its own, on the load's core; the result is the URL of a database in it."""
    require("mariadbd", "mariadb-server")
    with tempfile.TemporaryDirectory(prefix="siptwin-db-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        owner = "mysql" if os.geteuid() == 0 else None
        if owner:
            shutil.chown(folder, owner)
        install = ["mariadb-install-db", "--no-defaults", f"--datadir={folder}/data", "--skip-test-db"]
        install += ["--auth-root-authentication-method=normal"]
        done = subprocess.run(install, capture_output=True, text=True, user=owner, check=False)
        if done.returncode:
            raise BenchmarkError(f"mariadb-install-db failed - {done.stderr.strip().splitlines()[-1:]}")
        socket = folder / "socket"
        command = [
            "mariadbd",
            "--no-defaults",
            f"--datadir={folder}/data",
            f"--socket={socket}",
            "--skip-networking",
        ]
        command += [f"--pid-file={folder}/pid", *([f"--user={owner}"] if owner else [])]
        server = Program(command, core=LOAD_CORE, log=Path(tempfile.gettempdir()) / f"{folder.name}.log")
        try:
            wait_until(socket.exists, deadline_s=START_UP_S, what="MariaDB does not listen")
            yield f"mysql://root@localhost/siptwin?unix_socket={socket}"
        finally:
            server.stop()
            server.log.unlink(missing_ok=True)


def main() -> None:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    made.add_argument("--rate", type=int, default=200, help="calls per second")
    made.add_argument("--seconds", type=int, default=12, help="length of each measurement")
    made.add_argument("--warm-up", type=int, default=35, help="seconds of the same load before it (at least 32)")
    made.add_argument("--json", action="store_true", help="print JSON instead of a table")
    made.add_argument("--python", type=interpreter, default=sys.executable, help="where siptwin is installed")
    options = made.parse_args()
    setting = Setting(python=options.python)
    with tempfile.TemporaryDirectory(prefix="siptwin-benchmark-") as name, mariadb() as url:
        kinds = {"none": "", "SQLite": f"sqlite:///{name}/records.db", "MariaDB": url}
        costs: dict[str, float] = {}
        remarks: dict[str, str] = {}
        for kind, store in kinds.items():
            say(f"{kind}: {options.rate} calls/s for {options.warm_up} + {options.seconds} s")
            trial = run_calls(
                "siptwin",
                replace(setting, store=store),
                rate_per_s=options.rate,
                seconds=options.seconds,
                warm_up_s=options.warm_up,
                hold_ms=HOLD_MS,
            )
            assert trial.cost is not None
            costs[kind], remarks[kind] = trial.cost.cpu_s_per_1000, trial.remark
    if options.json:
        ratios = {kind: cost / costs["none"] for kind, cost in costs.items()}
        print(json.dumps({"cpu_s_per_1000": costs, "ratio": ratios, "remarks": remarks}, indent=2))
        return
    caption = f"siptwin: {describe_siptwin(options.python)}; at most {MOST:.2f} x is wanted"
    title = f"A database behind the edge, {options.rate} calls/s of {HOLD_MS / 1000:g} s"
    table = Table(title=title, title_justify="left", caption=caption, caption_justify="left")
    for head in ("database", "CPU s per 1,000 calls", "times of none", "remark"):
        table.add_column(head)
    for kind, cost in costs.items():
        table.add_row(kind, f"{cost:.3f}", f"{cost / costs['none']:.2f} x", remarks[kind])
    Console(width=None if sys.stdout.isatty() else 110).print(table)


if __name__ == "__main__":
    run_main(main)

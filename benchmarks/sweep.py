"""How a sweep scales: the same runs by one process, by two, and as two sweeps that share nothing but a machine."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.processes import BenchmarkError, interpreter, run_main
from benchmarks.report import UNSEEN_WIDTH, say

POLICIES = ("seed", "least_loaded")
SLOWEST_RUN_S = 30


def command(options: argparse.Namespace, *, processes: int, replications: int, seed: int = 0) -> list[str]:
    """A sweep as its user calls it: both policies, each so many times."""
    vary = f"policy=[{', '.join(POLICIES)}]"
    words = ["sweep", options.topology, "--vary", vary, "--replications", replications, "--seed", seed]
    words += ["--duration", options.duration, "--processes", processes, "--json"]
    return [options.python, "-P", "-m", "lab.cli", *map(str, words)]


def timed(commands: Sequence[list[str]], at_most_s: float) -> tuple[float, list[Any]]:
    """Run them beside each other, from the start of the first to the end of the last; what they printed."""
    began_s = time.monotonic()
    started = [
        subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for words in commands
    ]
    try:
        said = [each.communicate(timeout=at_most_s) for each in started]
    except subprocess.TimeoutExpired:
        raise BenchmarkError(f"a sweep took longer than {at_most_s:.0f} s") from None
    finally:
        for each in started:
            each.kill()
    wall_s = time.monotonic() - began_s
    for each, (_, complaint) in zip(started, said, strict=True):
        if each.returncode:
            raise BenchmarkError(f"a sweep failed: {complaint.strip().splitlines()[-1:]}")
    return wall_s, [json.loads(printed) for printed, _ in said]


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """The wall seconds of each way, and whether the first two brought the same figures."""
    each = options.runs // len(POLICIES)
    at_most_s = options.runs * SLOWEST_RUN_S
    say("one process")
    alone_s, (alone,) = timed([command(options, processes=1, replications=each)], at_most_s)
    say("two processes")
    together_s, (together,) = timed([command(options, processes=2, replications=each)], at_most_s)
    say("two sweeps of half the runs")
    halves = [command(options, processes=1, replications=each // 2, seed=seed) for seed in (0, each // 2)]
    apart_s, _ = timed(halves, at_most_s)
    return {
        "runs": alone["runs"],
        "one_process_s": alone_s,
        "two_processes_s": together_s,
        "ratio": alone_s / together_s,
        "two_sweeps_s": apart_s,
        "ratio_of_two_sweeps": alone_s / apart_s,
        "same_figures": alone["figures"] == together["figures"],
    }


def main() -> None:
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter, allow_abbrev=False
    )
    made.add_argument("--runs", type=int, default=100, help="half of them with either policy")
    made.add_argument("--duration", type=float, default=60.0, help="virtual seconds of calls in a run")
    made.add_argument("--topology", default="seed", help="a packaged topology or a file")
    made.add_argument(
        "--python", type=interpreter, default=sys.executable, help="the interpreter where siptwin is installed"
    )
    made.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = made.parse_args()
    told = measure(options)
    if options.json:
        print(json.dumps({"title": "A sweep on one core and on two", **told}, indent=2))
        return
    same = "the same figures" if told["same_figures"] else "DIFFERENT FIGURES"
    table = Table(title=f"{told['runs']} runs of {options.duration:g} s of {options.topology}; {same}")
    for heading in ("", "wall s", "ratio"):
        table.add_column(heading, justify="right" if heading else "left")
    table.add_row("one process", f"{told['one_process_s']:.1f}", "1")
    table.add_row("two processes", f"{told['two_processes_s']:.1f}", f"{told['ratio']:.2f}")
    table.add_row(
        "two sweeps of half the runs", f"{told['two_sweeps_s']:.1f}", f"{told['ratio_of_two_sweeps']:.2f}"
    )
    Console(width=None if sys.stdout.isatty() else UNSEEN_WIDTH).print(table)


if __name__ == "__main__":
    run_main(main)

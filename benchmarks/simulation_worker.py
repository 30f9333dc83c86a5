"""One simulation in a process of its own, so that its memory is its own; told as JSON. See simulation.py.

Run as a script and by ``-P``, so that it measures the siptwin that is installed, compiled or not. Arguments:
topology, scenario, seconds, and calls per second where not the scenario's own.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections import Counter
from pathlib import Path

from sim.run import simulate
from topologies import Topology, load

KIB = 1024
DAY_S = 86_400.0


def peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KIB


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()


def at_rate(topology: Topology, name: str, rate_per_s: float) -> Topology:
    """The same topology with other traffic."""
    scenario = topology.scenarios[name]
    traffic = tuple(each.model_copy(update={"rate_per_s": rate_per_s}) for each in scenario.traffic)
    changed = scenario.model_copy(update={"traffic": traffic})
    return topology.model_copy(update={"scenarios": {**topology.scenarios, name: changed}})


def main() -> None:
    topology, scenario, duration_s = load(sys.argv[1]), sys.argv[2], float(sys.argv[3])
    if len(sys.argv) > 4:
        topology = at_rate(topology, scenario, float(sys.argv[4]))
    day_ends: list[int] = []

    def on_progress(now: float) -> None:
        if now >= DAY_S * (len(day_ends) + 1):
            day_ends.append(resident_bytes())

    counted: Counter[str] = Counter()
    before = peak_bytes()
    cpu_s, wall_s = time.process_time(), time.perf_counter()
    run = simulate(
        topology,
        scenario=scenario,
        duration_s=duration_s,
        record="none",
        progress=on_progress,
        on_note=lambda record: counted.update((type(record.note).__name__,)),
    )
    told = {
        "wall_s": time.perf_counter() - wall_s,
        "cpu_s": time.process_time() - cpu_s,
        "added_bytes": peak_bytes() - before,
        "day_ends_bytes": day_ends,
        "violations": len(run.violations),
        "registered": counted["Registered"],
        "log_outs": counted["RegistrationLost"],
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()

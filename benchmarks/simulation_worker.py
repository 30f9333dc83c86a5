"""One simulation in a process of its own, so that its peak memory is its own; told as JSON. See simulation.py.

Run as a script and by ``-P``, so that it measures the siptwin that is installed, compiled or not.
"""

from __future__ import annotations

import json
import resource
import sys
import time

from sim.run import simulate
from topologies import load

KIB = 1024


def peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KIB


def main() -> None:
    topology, scenario, duration_s = load(sys.argv[1]), sys.argv[2], float(sys.argv[3])
    before = peak_bytes()
    cpu_s, wall_s = time.process_time(), time.perf_counter()
    run = simulate(topology, scenario=scenario, duration_s=duration_s, record="none")
    told = {
        "wall_s": time.perf_counter() - wall_s,
        "cpu_s": time.process_time() - cpu_s,
        "added_bytes": peak_bytes() - before,
        "violations": len(run.violations),
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()

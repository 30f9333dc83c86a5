"""What one REGISTER costs a proxy, relayed to a node or answered by itself: SIPp agents → proxy → two SIPp nodes.

``relayed``: each REGISTER goes to a node, whose 200 comes back; Kamailio adds Path, siptwin puts its own Contact
with a token in place of the agent's. ``answered``: Kamailio is the registrar (``save("location")``, no database);
siptwin answers refreshes that change nothing while the node's grant lasts.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Literal

from benchmarks import sipp
from benchmarks.ground import PROXY, answers
from benchmarks.processes import BenchmarkError, run_main
from benchmarks.proxies import ALLOCATORS, Setting, start_proxy
from benchmarks.report import Row, chosen, parser, say, show

REFRESH_S = 10
ARRIVAL_S = 10  # the agents arrive over one refresh interval, so that the load is even from then on
SETTLE_S = 35  # by then old transactions end as fast as new ones begin
BUSY_SHARE = 0.05


def cost(
    proxy: str, setting: Setting, kind: Literal["relayed", "answered"], rate_per_s: int, seconds: int
) -> tuple[float, str]:
    """CPU seconds per 1,000 REGISTERs at a steady rate, and what disturbed the measurement."""
    with tempfile.TemporaryDirectory(prefix="siptwin-benchmark-") as name:
        folder = Path(name)
        setting = replace(setting, registrations=kind)
        agents = rate_per_s * REFRESH_S
        with (
            sipp.both_nodes(folder, "registrar"),
            start_proxy(proxy, folder, setting) as program,
            sipp.start_agents(
                folder, agents=agents, arrive_per_s=agents // ARRIVAL_S, refresh_s=REFRESH_S
            ) as caller,
        ):
            time.sleep(SETTLE_S)
            began_s, before = time.monotonic(), program.cpu()
            time.sleep(seconds)
            passed_s, after = time.monotonic() - began_s, program.cpu()
            if not caller.running or not answers(PROXY):
                raise BenchmarkError(f"{proxy} or its load ended early - {caller.last_words()}")
            tally = sipp.read_tally(sipp.caller_statistics(folder))
        waited = (after.waited_s - before.waited_s) / passed_s
        lost = tally.failed + tally.answered  # an agent ends only where a REGISTER of its own got no answer
        remarks = [f"{lost} unanswered"] if lost else []
        remarks += [f"waited {waited:.0%} for its core"] if waited > BUSY_SHARE else []
        return (after.used_s - before.used_s) / (rate_per_s * passed_s) * 1000, ", ".join(remarks)


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--rates", default="200,1000", help="REGISTERs per second, with commas")
    made.add_argument("--seconds", type=int, default=12, help="length of each measurement")
    made.add_argument(
        "--allocator", choices=ALLOCATORS, default=ALLOCATORS[0], help="Kamailio's (its default: qm)"
    )
    options = made.parse_args()
    setting = Setting(policy=options.policy, python=options.python, allocator=options.allocator)
    kinds: tuple[Literal["relayed", "answered"], ...] = ("relayed", "answered")
    rows = []
    for kind in kinds:
        for rate in (int(word) for word in options.rates.split(",") if word):
            found = {}
            for proxy in chosen(options):
                say(f"{proxy}: {rate} REGISTERs/s {kind} for {SETTLE_S} + {options.seconds} s")
                found[proxy] = cost(proxy, setting, kind, rate, options.seconds)
            figures: dict[str, float | None] = {proxy: cpu_s for proxy, (cpu_s, _) in found.items()}
            remark = "; ".join(f"{proxy}: {text}" for proxy, (_, text) in found.items() if text)
            rows.append(Row(f"CPU at {rate} REGISTERs/s, {kind}", "s per 1,000", figures, remark=remark))
    show("Registrations, one core each for proxy and load", rows, options)


if __name__ == "__main__":
    run_main(main)

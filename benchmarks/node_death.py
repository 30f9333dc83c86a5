"""What callers feel when a node dies: one of two answerers is killed by its id under load, and returns later."""

from __future__ import annotations

import contextlib
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import sipp
from benchmarks.caller import Call, Caller
from benchmarks.ground import NODES, is_bound
from benchmarks.processes import LOAD_CORE, run_main
from benchmarks.proxies import Setting, start_proxy
from benchmarks.report import Row, chosen, parser, say, show
from benchmarks.wire import Wire

DELAYED_S = 0.3  # later than this, a call counts as delayed: no caller of an undisturbed run comes near it
DYING = 0


@dataclass(slots=True)
class Story:
    """What happened in one run; instants are of ``time.monotonic``."""

    calls: Sequence[Call] = ()
    killed_s: float = 0.0
    returned_s: float = 0.0
    at_dead: Sequence[float] = ()  # calls tried at the dead node
    after_return: Sequence[float] = ()
    watched: bool = True

    @property
    def added_s(self) -> list[float]:
        """How much longer than usual each delayed call waited, sorted."""
        usual = statistics.median(
            call.delay_s for call in self.calls if call.delay_s is not None and call.placed_s < self.killed_s
        )
        delays = [call.delay_s for call in self.calls if call.delay_s is not None]
        return sorted(delay - usual for delay in delays if delay > DELAYED_S)

    def figures(self) -> dict[str, float | None]:
        added = self.added_s
        last = self.at_dead[-1] - self.killed_s if self.at_dead else 0.0
        first = self.after_return[0] - self.returned_s if self.after_return else None
        return {
            "calls": len(self.calls),
            "failed": sum(not 200 <= call.status < 300 for call in self.calls),
            "delayed": len(added),
            "p50": percentile(added, 50),
            "p99": percentile(added, 99),
            "attempts": len(self.at_dead) if self.watched else None,
            "last": last if self.watched else None,
            "first": first,
            "byes": sum(call.bye_answered is False for call in self.calls),
        }


ROWS = (
    ("calls", "calls placed", "", 0),
    ("failed", "failed set-ups", "calls", 0),
    ("delayed", f"delayed calls, over {DELAYED_S} s to the first 180 or 200", "calls", 0),
    ("p50", "added delay of those, median", "s", 3),
    ("p99", "added delay of those, 99th percentile", "s", 3),
    ("attempts", "calls tried at the dead node", "calls", 0),
    ("last", "from death to the last call tried there", "s", 2),
    ("first", "from return to the first call sent there", "s", 2),
    ("byes", "BYEs that nobody answered (calls on the dead node)", "calls", 0),
)


def percentile(ordered: Sequence[float], share: int) -> float:
    """The nearest-rank percentile; 0 of nothing."""
    return ordered[max(0, -(-len(ordered) * share // 100) - 1)] if ordered else 0.0


def run(proxy: str, setting: Setting, *, rate_per_s: float, kill_s: float, return_s: float, end_s: float) -> Story:
    """Place calls for ``end_s`` seconds; one node dies at ``kill_s`` and is started again at ``return_s``."""
    story = Story()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="siptwin-benchmark-")))
        nodes = stack.enter_context(sipp.both_nodes(folder))
        stack.enter_context(start_proxy(proxy, folder, setting))
        wire = stack.enter_context(Wire())
        caller = stack.enter_context(contextlib.closing(Caller(rate_per_s)))

        def kill() -> None:
            nodes[DYING].kill()
            story.killed_s = time.monotonic()

        def bring_back() -> None:
            stack.enter_context(sipp.launch_node(DYING, folder))
            look_for_it()

        def look_for_it() -> None:
            if is_bound(NODES[DYING]):
                story.returned_s = time.monotonic()
            else:
                caller.at(0, look_for_it)

        caller.at(kill_s, kill)
        caller.at(return_s, bring_back)
        caller.run(end_s)
        story.calls = caller.calls
        story.watched = wire.permitted
        story.at_dead = wire.between(NODES[DYING], story.killed_s, story.returned_s)
        story.after_return = wire.between(NODES[DYING], story.returned_s, time.monotonic())
    return story


def main() -> None:
    made = parser(__doc__)
    made.set_defaults(policy="least_loaded")
    made.add_argument("--rate", type=float, default=100, help="calls per second")
    made.add_argument("--kill", type=float, default=20, help="the node dies after so many seconds")
    made.add_argument(
        "--return", dest="return_", type=float, default=40, help="and is started again after so many"
    )
    made.add_argument("--end", type=float, default=60, help="calls are placed for so many seconds")
    options = made.parse_args()
    if not 0 < options.kill < options.return_ < options.end:
        made.error("needs 0 < --kill < --return < --end")
    if (os.cpu_count() or 1) > 1:
        os.sched_setaffinity(0, {LOAD_CORE})

    told = {}
    for proxy in (proxies := chosen(options)):
        say(f"{proxy}: {options.rate:.0f} calls/s for {options.end:.0f} s, then up to a minute for lost BYEs")
        story = run(
            proxy,
            Setting(policy=options.policy, python=options.python),
            rate_per_s=options.rate,
            kill_s=options.kill,
            return_s=options.return_,
            end_s=options.end,
        )
        told[proxy] = story.figures()
        if not story.watched:
            say("INVITEs at the nodes are not counted: that takes root (CAP_NET_RAW)")
    rows = [
        Row(what, unit, {proxy: told[proxy][key] for proxy in proxies}, digits=digits)
        for key, what, unit, digits in ROWS
    ]
    show("A node dies under load and returns", rows, options)


if __name__ == "__main__":
    run_main(main)

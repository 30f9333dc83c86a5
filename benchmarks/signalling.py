"""What one call costs a proxy: CPU, highest rate, memory. SIPp → proxy → two SIPp answerers, all on loopback.

A call is INVITE, 100, 180, 200, ACK, BYE, 200 with Record-Route: 6 messages into the proxy, 7 out of it.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks import sipp
from benchmarks.ground import NODES, PROXY, answers, packets_lost
from benchmarks.processes import BenchmarkError, Program, run_main
from benchmarks.proxies import ALLOCATORS, Setting, start_proxy
from benchmarks.report import Row, chosen, parser, say, show

HOLD_MS = 100
BUSY_SHARE = 0.05  # a proxy that waits longer for its core is disturbed by other programs
SETTLE_S = 2.0  # after the load: repeated messages, last statistics lines
GRACE_S = 40.0  # a lost BYE is repeated for 64*T1 = 32 s before SIPp gives the call up

MEMORY_RATE_PER_S = 200
MEMORY_FROM_S = 40  # by then finished transactions leave memory (64*T1 = 32 s) as fast as new ones enter it
MEMORY_TO_S = 80

LEAST_RATE_PER_S = 250
MOST_RATE_PER_S = 16_000
SEARCH_CLOSENESS = 1.06  # stop when the bounds are as near as this


@dataclass(frozen=True, slots=True)
class Cost:
    """What calls cost the proxy, and the share of time for which other programs kept it from running."""

    cpu_s_per_1000: float
    waited_share: float

    @property
    def remark(self) -> str:
        return f"waited {self.waited_share:.0%} for its core" if self.waited_share > BUSY_SHARE else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What one run of calls found."""

    caller: sipp.Tally
    node_retransmissions: int
    lost_by_load: int  # datagrams that the answerers' own sockets lost
    cost: Cost | None = None

    @property
    def loss_free(self) -> bool:
        return self.caller.clean and not self.node_retransmissions

    @property
    def remark(self) -> str:
        told = [self._losses(), self.cost.remark if self.cost else ""]
        return ", ".join(text for text in told if text)

    def _losses(self) -> str:
        if self.loss_free:
            return ""
        repeated = self.caller.retransmissions + self.node_retransmissions
        lost = f", {self.lost_by_load} datagrams lost by the answerers" if self.lost_by_load else ""
        return f"{self.caller.failed} failed, {repeated} repeated messages{lost}"


@contextlib.contextmanager
def standing(proxy: str, setting: Setting) -> Iterator[tuple[Program, Path]]:
    """A proxy and two answerers, for the length of a ``with`` block."""
    with tempfile.TemporaryDirectory(prefix="siptwin-benchmark-") as name:
        folder = Path(name)
        with sipp.both_nodes(folder), start_proxy(proxy, folder, setting) as program:
            yield program, folder


def run_calls(
    proxy: str,
    setting: Setting,
    *,
    rate_per_s: int,
    seconds: int,
    warm_up_s: int = 0,
    hold_ms: int = HOLD_MS,
) -> Trial:
    """Place calls at a fixed rate. CPU is counted after the warm-up: old transactions end as fast as new begin."""
    with standing(proxy, setting) as (program, folder):
        calls = rate_per_s * (warm_up_s + seconds)
        with sipp.start_caller(folder, rate_per_s=rate_per_s, calls=calls, hold_ms=hold_ms) as caller:
            cost = _measure_cpu(program, rate_per_s, warm_up_s, seconds) if warm_up_s else None
            caller.wait(seconds + GRACE_S)
        time.sleep(SETTLE_S)
        if not answers(PROXY):
            raise BenchmarkError(f"{proxy} no longer answers - {program.last_words()}")
        nodes = [sipp.read_tally(sipp.node_statistics(number, folder)) for number in range(2)]
        return Trial(
            caller=sipp.read_tally(sipp.caller_statistics(folder)),
            node_retransmissions=sum(node.retransmissions for node in nodes),
            lost_by_load=packets_lost(*NODES),
            cost=cost,
        )


def _measure_cpu(program: Program, rate_per_s: int, warm_up_s: int, seconds: int) -> Cost:
    time.sleep(warm_up_s)
    began_s, before = time.monotonic(), program.cpu()
    time.sleep(seconds - 1)  # the last second is left to the caller's own end
    passed_s, after = time.monotonic() - began_s, program.cpu()
    return Cost(
        cpu_s_per_1000=(after.used_s - before.used_s) / (rate_per_s * passed_s) * 1000,
        waited_share=(after.waited_s - before.waited_s) / passed_s,
    )


def highest_rate(proxy: str, setting: Setting, *, seconds: int) -> tuple[int, str]:
    """The highest rate without a failed call or repeated message; doubling first, then halving the interval."""

    limited_by_caller = False

    def passes(rate_per_s: int) -> bool:
        nonlocal limited_by_caller
        try:
            trial = run_calls(proxy, setting, rate_per_s=rate_per_s, seconds=seconds)
        except BenchmarkError as error:
            say(f"{proxy}: {rate_per_s}/s: {error}")
            return False
        reached = trial.caller.rate_per_s >= 0.9 * rate_per_s
        limited_by_caller = trial.loss_free and not reached
        say(f"{proxy}: {rate_per_s}/s: {'loss-free' if trial.loss_free else trial.remark}")
        return trial.loss_free and reached

    low, high = 0, LEAST_RATE_PER_S
    while high <= MOST_RATE_PER_S and passes(high):
        low, high = high, high * 2
    while low and high / low > SEARCH_CLOSENESS:
        middle = (low + high) // 2
        if passes(middle):
            low = middle
        else:
            high = middle
    return low, "the caller's limit, not the proxy's" if limited_by_caller else ""


def bytes_per_dialog(proxy: str, setting: Setting) -> float:
    """Memory that one more standing call takes: the slope while calls are added at a steady rate and none ends."""
    setting = replace(setting, track_dialogs=True)
    with standing(proxy, setting) as (program, folder):
        calls = MEMORY_RATE_PER_S * MEMORY_TO_S
        with sipp.start_caller(folder, rate_per_s=MEMORY_RATE_PER_S, calls=calls, hold_ms=600_000):
            time.sleep(MEMORY_FROM_S)
            before, began = program.memory_bytes(), time.monotonic()
            time.sleep(MEMORY_TO_S - MEMORY_FROM_S - 1)
            added = MEMORY_RATE_PER_S * (time.monotonic() - began)
            return (program.memory_bytes() - before) / added


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--rates", default="200,500,1000", help="calls per second, with commas")
    made.add_argument("--seconds", type=int, default=12, help="length of each measurement")
    made.add_argument("--warm-up", type=int, default=35, help="seconds of the same load before it (at least 32)")
    made.add_argument("--highest", action="store_true", help="search the highest loss-free rate too")
    made.add_argument("--memory", action="store_true", help="measure the memory of a standing call too")
    made.add_argument("--stock-buffer", action="store_true", help="Kamailio's own receive buffer, 256 KiB")
    made.add_argument(
        "--allocator", choices=ALLOCATORS, default=ALLOCATORS[0], help="Kamailio's (its default: qm)"
    )
    options = made.parse_args()
    proxies = chosen(options)
    setting = Setting(policy=options.policy, python=options.python, allocator=options.allocator)
    if options.stock_buffer:
        setting = replace(setting, receive_buffer_bytes=256 * 1024)

    rows = []
    for rate in (int(word) for word in options.rates.split(",") if word):
        trials = {}
        for proxy in proxies:
            say(f"{proxy}: {rate} calls/s for {options.warm_up} + {options.seconds} s")
            trials[proxy] = run_calls(
                proxy, setting, rate_per_s=rate, seconds=options.seconds, warm_up_s=options.warm_up
            )
        figures = {proxy: trial.cost.cpu_s_per_1000 if trial.cost else None for proxy, trial in trials.items()}
        remark = "; ".join(f"{proxy}: {trial.remark}" for proxy, trial in trials.items() if trial.remark)
        rows.append(Row(f"CPU at {rate} calls/s", "s per 1,000 calls", figures, remark=remark))
    if options.highest:
        found = {proxy: highest_rate(proxy, setting, seconds=5) for proxy in proxies}
        rates = {proxy: float(rate) for proxy, (rate, _) in found.items()}
        remark = "; ".join(f"{proxy}: {text}" for proxy, (_, text) in found.items() if text)
        rows.append(Row("highest loss-free rate", "calls/s", rates, better="more", digits=0, remark=remark))
    if options.memory:
        memory: dict[str, float | None] = {}
        for proxy in proxies:
            say(f"{proxy}: memory of standing calls, {MEMORY_TO_S} s")
            memory[proxy] = bytes_per_dialog(proxy, setting)
        rows.append(
            Row("memory of a held call", "bytes", memory, digits=0, remark="Kamailio with its dialog module")
        )
    show("Signalling, one core each for proxy and load", rows, options)


if __name__ == "__main__":
    run_main(main)

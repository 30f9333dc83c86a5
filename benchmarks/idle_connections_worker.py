"""Holds idle connections and says what they took, as JSON: ``TRANSPORT COUNT edge|host uvloop|asyncio``."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from random import SystemRandom
from typing import Any, cast

from engine.boundary import NEVER, Effect, Input, Interface, StreamOpened, TlsFiles, Transport
from engine.config import EdgeConfig, StreamsConfig
from engine.edge import Edge, EdgeSettings
from engine.live import LiveHost, LiveSettings, run
from engine.policies import load_policy
from lab.certificates import make_certificate

HOST = "127.91.9.1"
PEERS = Path(__file__).with_name("idle_connections_peers.py")
WARM_UP = 100  # what the first ones make once and for all must not count
SETTLE_S = 1.0
GIVE_UP_S = 120.0


class Counter:
    """Counts connections, and hands all on to an edge where there is one."""

    def __init__(self, edge: Edge | None) -> None:
        self.opened = 0
        self._edge = edge

    def start(self, now: float) -> Sequence[Effect]:
        return self._edge.start(now) if self._edge else ()

    def receive(self, event: Input, now: float) -> Sequence[Effect]:
        self.opened += isinstance(event, StreamOpened)
        return self._edge.receive(event, now) if self._edge else ()

    def tick(self, now: float) -> Sequence[Effect]:
        return self._edge.tick(now) if self._edge else ()

    def deadline(self) -> float:
        return self._edge.deadline() if self._edge else NEVER

    async def until(self, count: int) -> None:
        ends = time.monotonic() + GIVE_UP_S
        while self.opened < count:
            if time.monotonic() > ends:
                raise SystemExit(f"only {self.opened} of {count} connections stand after {GIVE_UP_S:g} s")
            await asyncio.sleep(0.05)
        await asyncio.sleep(SETTLE_S)


def edge_of(interface: Interface) -> Edge:
    """One that lets connections be idle."""
    patient = StreamsConfig(first_message_s=3600.0, connections_per_address=1_000_000, ping_interval_s=0.0)
    config = EdgeConfig(name="edge", interfaces=(replace(interface, port=5060),), streams=patient)
    return Edge(EdgeSettings(config, load_policy(config.policy)), SystemRandom())


@contextmanager
def peers(transport: str, port: int, count: int) -> Iterator[None]:
    """In a process of their own, as long as the block lasts."""
    command = [sys.executable, str(PEERS), transport, HOST, str(port), str(count)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def used() -> tuple[int, float]:
    """Resident bytes, and CPU seconds so far."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    times = resource.getrusage(resource.RUSAGE_SELF)
    return pages * os.sysconf("SC_PAGE_SIZE"), times.ru_utime + times.ru_stime


async def measure(transport: Transport, count: int, with_edge: bool, tls: TlsFiles) -> dict[str, Any]:
    interface = Interface(name="agents", transport=transport, host=HOST, port=0, tls=tls)
    counter = Counter(edge_of(interface) if with_edge else None)
    settings = LiveSettings(connections=count + WARM_UP)
    host = LiveHost(counter, [interface], on_note=lambda note, now: None, settings=settings)
    await host.start()
    port = host.interface("agents").port
    with peers(transport, port, WARM_UP):
        await counter.until(WARM_UP)
        bytes_before, cpu_before_s = used()
        with peers(transport, port, count):
            await counter.until(WARM_UP + count)
            bytes_after, cpu_after_s = used()
    host.kill()
    return {
        "bytes": (bytes_after - bytes_before) / count,
        "handshake_us": (cpu_after_s - cpu_before_s) / count * 1e6,
    }


def main() -> None:
    transport, count, what, loop = sys.argv[1:]
    with tempfile.TemporaryDirectory(prefix="siptwin-benchmark-") as folder:
        tls = make_certificate(Path(folder), [HOST]).tls
        fast = loop == "uvloop"
        told = run(measure(cast(Transport, transport), int(count), what == "edge", tls), fast=fast)
    print(json.dumps(told))


if __name__ == "__main__":
    main()

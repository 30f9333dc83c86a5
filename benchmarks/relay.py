"""The relay beside rtpengine in user space: CPU per packet, delay, loss and memory, plain and SRTP."""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Literal, NamedTuple, TypeAlias

from pylibsrtp import Policy, Session
from rich.console import Console
from rich.table import Table

from benchmarks.processes import (
    LOAD_CORE,
    PROXY_CORE,
    BenchmarkError,
    Cpu,
    Program,
    interpreter,
    pin,
    require,
    run_main,
    wait_until,
)
from benchmarks.report import say
from benchmarks.rtpengine import Rtpengine, Secured, calling, keyed, plain
from engine.live.relay.chain import Chain
from engine.media.sdp.attributes import Fingerprint

Far: TypeAlias = Literal["rtp", "srtp", "dtls", "opus"]

RELAY_NEAR, RELAY_FAR, LOAD_NEAR, LOAD_FAR = "127.92.0.1", "127.92.0.2", "127.92.1.1", "127.92.1.2"
SUITE = "AES_CM_128_HMAC_SHA1_80"
KEYS = ["11" * 30, "22" * 30]  # the callees' and ours: one for all calls, so that all send the same packets
OPUS = 96
PACKETS_PER_S = 50  # of a stream, where a rate does not say otherwise
WARM_S = 2
SIDES: Mapping[Far, str] = {"rtp": "RTP ↔ RTP", "srtp": "RTP ↔ SRTP", "dtls": "RTP ↔ DTLS", "opus": "PCMU ↔ Opus"}
UNSEEN_WIDTH = 150


class Figures(NamedTuple):
    """Of one run."""

    cpu_us: float  # per packet
    lost: float  # share
    p50_us: float
    p99_us: float
    memory_kb: float  # per call
    waited: float  # share of the time in which others had the relay's core
    remark: str


@dataclass(frozen=True, slots=True)
class Run:
    """So many calls at so many packets a second in all."""

    calls: int
    rate: int
    far: Far = "rtp"  # how callees come
    fingerprint: Fingerprint | None = None  # of those that come by DTLS

    @property
    def interval_us(self) -> int:
        return round(1e6 * 2 * self.calls / self.rate)


class Peer:
    """rtpengine."""

    name = "rtpengine"

    @contextmanager
    def started(self, run: Run, folder: Path) -> Iterator[tuple[Program, list[tuple[int, int]], float]]:
        engine = Rtpengine(RELAY_NEAR, LOAD_NEAR, PROXY_CORE, folder)
        with engine.program as program:
            engine.wait_until_up()
            before = program.memory_bytes()
            protocol = "RTP/AVP"
            secured: Secured = plain
            if run.far == "srtp":
                protocol, secured = "RTP/SAVP", keyed(SUITE, bytes.fromhex(KEYS[0]))
            elif run.far == "dtls" and run.fingerprint is not None:
                protocol, secured = "UDP/TLS/RTP/SAVP", calling(bytes(run.fingerprint).decode())
            ports = [
                engine.set_up(caller(number), callee(number), protocol, secured, opus=run.far == "opus")
                for number in range(run.calls)
            ]
            yield program, ports, before

    def told(self, folder: Path) -> str:
        return ""


class Ours:
    """siptwin's data plane."""

    def __init__(self, python: str, native: bool, gather_s: float) -> None:
        self.name = "siptwin" if native else "siptwin, portable"
        self._python = python
        self._settings = {"native": native, "gather_s": gather_s}

    @contextmanager
    def started(self, run: Run, folder: Path) -> Iterator[tuple[Program, list[tuple[int, int]], float]]:
        ports = [(10_000 + 2 * number, 10_000 + 2 * number) for number in range(run.calls)]
        with self._with_calls(Run(0, 1), [], folder) as program:
            before = program.memory_bytes()
        with self._with_calls(run, ports, folder) as program:
            yield program, ports, before

    @contextmanager
    def _with_calls(self, run: Run, ports: list[tuple[int, int]], folder: Path) -> Iterator[Program]:
        calls = [
            {"near": near, "far": far, "caller": caller(number), "callee": callee(number)}
            for number, (near, far) in enumerate(ports)
        ]
        config = folder / "plane.json"
        text = {
            "near": RELAY_NEAR,
            "far": RELAY_FAR,
            "suite": SUITE,
            "keys": KEYS if run.far == "srtp" else [],
            "opus": run.far == "opus",
            "fingerprint": "" if run.fingerprint is None else run.fingerprint.digest.hex(),
            "settings": self._settings,
            "calls": calls,
        }
        config.write_text(json.dumps(text), encoding="utf-8")
        ready = config.with_suffix(".ready")
        ready.unlink(missing_ok=True)
        argv = [self._python, "-m", "benchmarks.relay_worker", str(config)]
        root = str(Path(__file__).resolve().parents[1])
        with Program(argv, core=PROXY_CORE, log=folder / "plane.log", env={"PYTHONPATH": root}) as program:

            def up() -> bool:
                if not program.running:
                    raise BenchmarkError(f"{self.name} ended at once - {program.last_words()}")
                return ready.exists()

            wait_until(up, deadline_s=30.0, what=f"{self.name} does not set its calls up")
            yield program

    def told(self, folder: Path) -> str:
        """What it says that it dropped."""
        stats: dict[str, int] = json.loads((folder / "plane.stats").read_text(encoding="utf-8"))
        names = ("dropped", "shed", "overflowed", "unsent")
        return ", ".join(f"{stats[name]:,} {name}" for name in names if stats[name])


def caller(number: int) -> tuple[str, int]:
    return (LOAD_NEAR, 10_000 + number)


def callee(number: int) -> tuple[str, int]:
    return (LOAD_FAR, 10_000 + number)


def build_load(folder: Path) -> Path:
    require("cc", "gcc")
    load = folder / "relay_load"
    source = Path(__file__).with_suffix("").parent / "relay_load.c"
    subprocess.run(["cc", "-O2", "-o", str(load), str(source)], check=True)
    return load


def write_packets(path: Path, run: Run, seconds: float) -> None:
    """Both streams, the same for all calls."""
    count = int(seconds * 1e6 / run.interval_us) + 2
    session = Session(Policy(bytes.fromhex(KEYS[0]), Policy.SSRC_ANY_OUTBOUND))
    callers = (rtp(number, 1, 0, 160, b"\xd5" * 160) for number in range(count))
    if run.far == "opus":
        speech = opus_speech()
        callees = (rtp(number, 2, OPUS, 960, speech[number % len(speech)]) for number in range(count))
    else:
        callees = (rtp(number, 2, 0, 160, b"\xd5" * 160) for number in range(count))
        if run.far == "srtp":
            callees = (session.protect(packet) for packet in callees)
    with path.open("wb") as file:
        file.write(count.to_bytes(4, sys.byteorder) * 2)
        for packet in (*callers, *callees):
            file.write(len(packet).to_bytes(2) + packet)


def rtp(number: int, ssrc: int, payload_type: int, step: int, payload: bytes) -> bytes:
    stamp = (step * number & 0xFFFF_FFFF).to_bytes(4)
    return bytes((0x80, payload_type)) + (number & 0xFFFF).to_bytes(2) + stamp + ssrc.to_bytes(4) + payload


def opus_speech() -> list[bytes]:
    """Two seconds of something that changes."""
    chain = Chain(b"pcmu", b"opus", 20)
    noise = Random(7)
    return [payload for _ in range(100) for payload in chain.pass_on(noise.randbytes(160))[1]]


def measure(relay: Peer | Ours, run: Run, load: Path, seconds: int) -> Figures:
    with tempfile.TemporaryDirectory(prefix="relay-") as name:
        folder = Path(name)
        write_packets(folder / "packets", run, WARM_S + seconds)
        with relay.started(run, folder) as (program, ports, before):
            memory_kb = (program.memory_bytes() - before) / 1024 / run.calls
            lines = [
                f"{LOAD_NEAR} {caller(number)[1]} {RELAY_NEAR} {near} {LOAD_FAR} {callee(number)[1]} "
                f"{RELAY_FAR if isinstance(relay, Ours) else RELAY_NEAR} {far}\n"
                for number, (near, far) in enumerate(ports)
            ]
            (folder / "calls").write_text("".join(lines))
            argv = [str(load), str(folder / "calls"), str(folder / "packets"), str(run.interval_us)]
            argv += [str(WARM_S), str(seconds)]
            with subprocess.Popen([*pin(LOAD_CORE), *argv], stdout=subprocess.PIPE, text=True) as loading:
                assert loading.stdout is not None
                if loading.stdout.readline() != "measuring\n":
                    raise BenchmarkError("the load did not begin")
                began, cpu = time.monotonic(), program.cpu()
                time.sleep(max(seconds - 0.1, 0.1))
                used, took_s = program.cpu(), time.monotonic() - began
                sent, received, p50, p99, _, late_us, load_lost = map(float, loading.stdout.readline().split())
        remarks = [relay.told(folder)] if relay.told(folder) else []
    if load_lost:
        remarks.append(f"the load lost {load_lost:,.0f} itself")
    if late_us > 2_000:
        remarks.append(f"the load was up to {late_us / 1e3:.0f} ms late")
    spent = Cpu(used.used_s - cpu.used_s, used.waited_s - cpu.waited_s)
    # What was transcoded has other numbers, by which the load does not know it.
    packets = (sent if run.far == "opus" else received) * took_s / seconds
    return Figures(
        cpu_us=1e6 * spent.used_s / max(packets, 1.0),
        lost=1.0 - received / sent,
        p50_us=p50,
        p99_us=p99,
        memory_kb=memory_kb,
        waited=spent.waited_s / took_s,
        remark="; ".join(remarks),
    )


def show(rows: Sequence[tuple[Run, str, Figures]], as_json: bool) -> None:
    peers = {run: figures for run, name, figures in rows if name == Peer.name}
    if as_json:
        told: list[dict[str, Any]] = [
            {
                "calls": run.calls,
                "packets_per_s": run.rate,
                "far": run.far,
                "relay": name,
                **figures._asdict(),
                "ratio": peers[run].cpu_us / figures.cpu_us if run in peers else None,
            }
            for run, name, figures in rows
        ]
        print(json.dumps(told, indent=2))
        return
    table = Table(title="Relay: packets in and out, both ways of each call", title_justify="left")
    for column in ("", "calls", "packets/s"):
        table.add_column(column)
    for column in ("µs CPU a packet", "packets per CPU s / rtpengine's", "lost", "delay p50/p99 µs", "KB a call"):
        table.add_column(column, justify="right")
    table.add_column("remark")
    for run, name, figures in rows:
        remark = figures.remark
        if figures.waited > 0.1:
            remark += f"{'; ' if remark else ''}waited {figures.waited:.0%} for its core"
        ratio = f"{peers[run].cpu_us / figures.cpu_us:.2f} x" if run in peers and name != Peer.name else "-"
        table.add_row(
            f"{name}, {SIDES[run.far]}",
            f"{run.calls:,}",
            f"{run.rate:,}",
            f"{figures.cpu_us:.2f}",
            ratio,
            "-" if run.far == "opus" else f"{figures.lost:.3%}",
            "-" if run.far == "opus" else f"{figures.p50_us:,.0f} / {figures.p99_us:,.0f}",
            f"{figures.memory_kb:.1f}",
            remark,
        )
    Console(width=None if sys.stdout.isatty() else UNSEEN_WIDTH).print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--calls", default="250,500", help="at 100 packets a second each, comma-separated")
    parser.add_argument("--rates", default="", help="packets/s of 250 calls, beyond what calls make")
    parser.add_argument("--only", choices=["rtpengine", "siptwin", "portable"], help="measure this one alone")
    parser.add_argument("--portable", action="store_true", help="measure the loop in Python as well")
    parser.add_argument("--transcoded", type=int, default=20, help="calls of PCMU with Opus; 0: none")
    parser.add_argument("--plain", action="store_true", help="leave SRTP out")
    parser.add_argument("--seconds", type=int, default=5, help="of each run")
    parser.add_argument("--gather", type=float, default=0.0005, help="pause after a turn in seconds, as gather_s")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--python", type=interpreter, default=sys.executable, help="interpreter that has siptwin")
    options = parser.parse_args()
    sizes = [int(word) for word in options.calls.split(",") if word]
    rates = [int(word) for word in options.rates.split(",") if word]
    fars: list[Far] = ["rtp"] if options.plain else ["rtp", "srtp"]
    runs = [Run(calls, calls * 2 * PACKETS_PER_S, far) for far in fars for calls in sizes]
    runs += [Run(250, rate, far) for far in fars for rate in rates]
    if options.transcoded:
        runs.append(Run(options.transcoded, options.transcoded * 2 * PACKETS_PER_S, "opus"))
    relays: list[Peer | Ours] = []
    if options.only in (None, "rtpengine") and shutil.which("rtpengine"):
        relays.append(Peer())
    if options.only in (None, "siptwin"):
        relays.append(Ours(options.python, True, options.gather))
    if options.portable or options.only == "portable":
        relays.append(Ours(options.python, False, options.gather))
    rows = []
    with tempfile.TemporaryDirectory(prefix="relay-load-") as name:
        load = build_load(Path(name))
        for run in runs:
            for relay in relays:
                say(f"{relay.name}: {run.calls} calls, {run.rate:,} packets/s, {SIDES[run.far]}")
                rows.append((run, relay.name, measure(relay, run, load, options.seconds)))
    show(rows, options.json)


if __name__ == "__main__":
    run_main(main)

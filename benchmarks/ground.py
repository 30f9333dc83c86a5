"""Where everything stands: loopback addresses of our own, and how to tell that somebody listens there."""

from __future__ import annotations

import socket
import sys
from pathlib import Path
from typing import NamedTuple

from benchmarks.processes import BenchmarkError, Program, wait_until


class Place(NamedTuple):
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


PROXY = Place("127.91.0.1", 5060)
NODES = (Place("127.91.1.1", 5060), Place("127.91.1.2", 5060))
CALLER = Place("127.91.2.1", 5060)
PROBER_HOST = "127.91.3.1"

START_UP_S = 15.0


def is_bound(place: Place) -> bool:
    """Whether a UDP socket is bound here."""
    wanted = _as_kernel_writes(place)
    return any(line.split()[1] == wanted for line in Path("/proc/net/udp").read_text().splitlines()[1:])


def _as_kernel_writes(place: Place) -> str:
    """The address as in /proc/net/udp: a number in the machine's byte order."""
    return f"{int.from_bytes(socket.inet_aton(place.host), sys.byteorder):08X}:{place.port:04X}"


def packets_lost(*places: Place) -> int:
    """How many datagrams the sockets bound here lost for want of buffer space, by the kernel's count."""
    wanted = {_as_kernel_writes(place) for place in places}
    lines = [line.split() for line in Path("/proc/net/udp").read_text().splitlines()[1:]]
    return sum(int(line[-1]) for line in lines if line[1] in wanted)


def answers(place: Place) -> bool:
    """Whether an OPTIONS gets any answer at all within 0.2 s."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as prober:
        prober.bind((PROBER_HOST, 0))
        prober.settimeout(0.2)
        here = f"{PROBER_HOST}:{prober.getsockname()[1]}"
        prober.sendto(
            (
                f"OPTIONS sip:{place} SIP/2.0\r\n"
                f"Via: SIP/2.0/UDP {here};branch=z9hG4bK-ready-{here}\r\n"
                f"From: <sip:probe@{here}>;tag=1\r\nTo: <sip:{place}>\r\n"
                f"Call-ID: ready-{here}\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 0\r\nContent-Length: 0\r\n\r\n"
            ).encode(),
            place,
        )
        try:
            return prober.recv(65_535).startswith(b"SIP/2.0 ")
        except OSError:
            return False


def check_free(*places: Place) -> None:
    for place in places:
        if is_bound(place):
            raise BenchmarkError(f"udp {place} is in use - another benchmark is running")


def wait_until_it_answers(program: Program, place: Place) -> None:
    def ready() -> bool:
        if not program.running:
            raise BenchmarkError(f"{program.name} ended at once - {program.last_words()}")
        return answers(place)

    wait_until(ready, deadline_s=START_UP_S, what=f"{program.name} does not answer OPTIONS at udp {place}")


def wait_until_bound(program: Program, place: Place) -> None:
    def ready() -> bool:
        if not program.running:
            raise BenchmarkError(f"{program.name} ended at once - {program.last_words()}")
        return is_bound(place)

    wait_until(ready, deadline_s=START_UP_S, what=f"{program.name} does not listen at udp {place}")

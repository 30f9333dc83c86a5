"""Bounds and pauses of the data plane."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaneSettings:
    """How packets are gathered, and how much is kept. All that a stranger can make grow has its bound here."""

    native: bool | None = None  # the compiled loop; None: where it was built
    stats_s: float = 5.0  # between two MediaStats of a pair
    # After a turn the loop sleeps so long before the next: packets come in company then, and share a wake-up that
    # costs as much as two of them. It is the most that forwarding delays a packet on an idle machine. The loop
    # does not sleep where packets come seldom.
    gather_s: float = 0.0005
    # Two turns in a row that took longer mean overload: what queued up meanwhile is dropped but for the newest
    # packet of each port, and counted. Sound that is late by so much is worth less than sound of now.
    late_s: float = 0.1
    # Of the native thread among all threads of the machine, where we may say so: packets don't wait for log lines.
    niceness: int = -10
    events: int = 4_096  # packets kept for the engine, for hand-shakes and for codecs, each
    stranger_packets_per_s: int = 50  # given to the engine, per port and slot of sources; and a peer's DTLS
    handshake_s: float = 30.0  # a peer gets so long

"""How long each lettered timer runs, on datagram and on stream transports (RFC 3261 table 4)."""

from __future__ import annotations

from engine.boundary import NEVER
from engine.config import TimersConfig


class Durations:
    """The durations in force for one kind of transport, in seconds, by letter."""

    __slots__ = ("expire", "t1", "t2")

    def __init__(self, config: TimersConfig, reliable: bool) -> None:
        def chosen(value: float | None, usual: float) -> float:
            return usual if value is None else value

        long = 64 * config.t1_s
        self.t1 = NEVER if reliable else config.t1_s  # A, E and G start here, and don't run over a stream
        self.t2 = config.t2_s
        self.expire = {
            "B": chosen(config.b_s, long),
            "D": 0.0 if reliable else config.d_s,
            "F": chosen(config.f_s, long),
            "H": chosen(config.h_s, long),
            "I": 0.0 if reliable else chosen(config.i_s, config.t4_s),
            "J": 0.0 if reliable else chosen(config.j_s, long),
            "K": 0.0 if reliable else chosen(config.k_s, config.t4_s),
            "L": chosen(config.l_s, long),
            "M": chosen(config.m_s, long),
        }

"""CRLF keep-alives of a client (RFC 5626 §3.5.1), which on a connection also tell whether the other end lives."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Final

from engine.boundary import NEVER, Close, Send
from engine.timers import Timed
from sim.agents.wire import PING

if TYPE_CHECKING:
    from sim.agents.phones.phones import Phones

PONG_WITHIN_S: Final = 10.0  # RFC 5626 §4.4.1
_SHORTEST: Final = 0.8  # §4.4.1: between 80 and 100 % of the interval


class KeepAlive(Timed):
    """Its timer is the next ping, or the end of the wait for a pong."""

    __slots__ = ("_interval_s", "_phones", "_random", "_waiting")

    def __init__(self, phones: Phones, random: Random) -> None:
        super().__init__()
        self._phones = phones
        self._interval_s = phones.config.keep_alive_s
        self._random = random
        self._waiting = False

    def begin(self, now: float) -> None:
        """There is a way to the server that is to be kept."""
        if self._interval_s:
            self._waiting = False
            self._arm(now)

    def stop(self) -> None:
        """There is none any more."""
        self._phones.timers.arm(self, NEVER)

    def heard(self, now: float) -> None:
        """Something came from the server; it need not be the pong."""
        if self._waiting:
            self._waiting = False
            self._arm(now)

    def fire(self, now: float) -> None:
        phones = self._phones
        if self._waiting:
            phones.out.append(Close(phones.way))  # the host tells when it is closed
            self._waiting = False
            return
        phones.out.append(Send(phones.way, PING))
        if phones.config.outbound and phones.way.stream:
            self._waiting = True
            phones.timers.arm(self, now + PONG_WITHIN_S)
        else:
            self._arm(now)

    def _arm(self, now: float) -> None:
        share = self._random.uniform(_SHORTEST, 1.0)
        self._phones.timers.arm(self, now + self._interval_s * share)

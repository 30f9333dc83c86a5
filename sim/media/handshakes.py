"""What secured media need first: ICE checks of full agents, and DTLS hand-shakes on a proven pair."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Final

from engine.boundary import Address
from engine.media.ice import CONSENT_S
from engine.media.rules import HELD_S, Dtls, DtlsEnded
from engine.media.sdp.attributes import Fingerprint
from engine.stun import (
    PRIORITY,
    REQUEST,
    SUCCESS,
    UNDERSTOOD,
    USE_CANDIDATE,
    StunError,
    is_stun,
    read_stun,
    stun_success,
)
from sim.media.checks import check
from sim.media.ends import AgentEnd, RelayPort
from sim.media.trains import Flight

if TYPE_CHECKING:
    from sim.media.plane import MediaPlane

_CHECK_S: Final = 0.05  # Ta of RFC 8445 §14
_CONSENT_CHECK_S: Final = 5.0  # RFC 7675 §5.1, without its random share
_RETRANSMIT_S: Final = 1.0  # RFC 6347 §4.2.4.1
_MOST_TRIES: Final = 30
_ICE = UNDERSTOOD | {PRIORITY, USE_CANDIDATE}


class Handshakes:
    """Those of all agents and ports of one plane."""

    def __init__(self, plane: MediaPlane) -> None:
        self._plane = plane
        self._numbers = count(1)

    # --- beginnings

    def talks(self, end: AgentEnd) -> None:
        """An agent has a new agreement."""
        if end.keyed_with is not None and end.keyed_with not in end.talking.remote.fingerprints:
            end.keyed_with = None  # another certificate is promised, and so another association (RFC 8842 §4)
        if end.uses_ice:
            end.asks += 1
            end.pair = None if end.pair != end.talking.target else end.pair
            self._check(end, end.asks, 0)
        elif end.certificate is not None:
            self._hello(end, end.asks, 0)

    def secured(self, port: RelayPort, security: Dtls) -> None:
        """A relay's port is to be secured so."""
        if port.keyed_with is not None and port.keyed_with in security.fingerprints:
            return  # the association stands
        port.keyed_with = None
        port.asks += 1
        if security.peer is None:
            return
        if security.part == "active":
            self._hello(port, port.asks, 0)
        held, port.held = port.held, None
        if held is not None and self._plane.network.env.now - held[2] <= HELD_S:
            self.flight(port, held[0], held[1])

    # --- ICE

    def _check(self, end: AgentEnd, asks: int, tries: int) -> None:
        """Ask for the pair, often until it is proven, then for consent."""
        local, remote, target = end.talking.own.ice, end.talking.remote.ice, end.talking.target
        if end.asks != asks or local is None or remote is None or target is None:
            return
        if tries * _CHECK_S > CONSENT_S and end.pair is None:
            return
        if end.host.works:
            self._plane.send(check(local, remote, next(self._numbers)), end, target)
        wait_s = _CONSENT_CHECK_S if end.pair is not None else _CHECK_S
        self._plane.network.later(wait_s, self._check, end, asks, tries + 1)

    def stun(self, end: AgentEnd, data: bytes, source: Address) -> None:
        """An agent got an answer to its check, or a check of another full agent."""
        names = end.talking.own.ice
        if names is None or not is_stun(data):
            return
        try:
            message = read_stun(data, _ICE)
        except StunError:
            return
        if message.kind == REQUEST and message.proves(names.password):
            self._plane.send(stun_success(message, source, names.password), end, source)
        elif message.kind == SUCCESS and source == end.talking.target and end.pair is None:
            end.pair = source
            self._hello(end, end.asks, 0)

    # --- DTLS

    def _hello(self, end: AgentEnd | RelayPort, asks: int, tries: int) -> None:
        """A client begins its hand-shake, and again until it is answered."""
        if end.asks != asks or end.keyed_with is not None:
            return
        if isinstance(end, RelayPort):
            security = end.security
            target = security.peer if isinstance(security, Dtls) else None
            certificate: Fingerprint | None = self._plane.certificates[end.place]
        else:
            if not end.talking.shakes_first:
                return
            target, certificate = end.target, end.certificate
        if target is None or certificate is None:
            return
        if tries >= _MOST_TRIES:
            if isinstance(end, RelayPort):
                end.host.receive(DtlsEnded(end.name, "timeout"))
            return
        if end.host.works:
            self._plane.send(Flight(True, certificate), end, target)
        self._plane.network.later(_RETRANSMIT_S, self._hello, end, asks, tries + 1)

    def flight(self, end: AgentEnd | RelayPort, flight: Flight, source: Address) -> None:
        """A message of a hand-shake came, from where it may come from or from elsewhere."""
        if isinstance(end, RelayPort):
            security = end.security
            if not isinstance(security, Dtls) or security.peer is None:
                end.held = (flight, source, self._plane.network.env.now)
                return
            if security.peer != source:
                return
            own: Fingerprint | None = self._plane.certificates[end.place]
            believed = flight.certificate in security.fingerprints
            serves = security.part == "passive"
        else:
            own = end.certificate
            if own is None or (end.uses_ice and end.pair != source):
                return
            believed = flight.certificate in end.talking.remote.fingerprints
            serves = not end.talking.shakes_first
        if flight.first != serves or own is None:
            return
        if not believed:
            if isinstance(end, RelayPort) and end.keyed_with is None:
                end.host.receive(DtlsEnded(end.name, "certificate"))
            return
        if serves:
            self._plane.send(Flight(False, own), end, source)
        if end.keyed_with != flight.certificate:
            end.keyed_with = flight.certificate
            if isinstance(end, RelayPort):
                end.host.receive(DtlsEnded(end.name))

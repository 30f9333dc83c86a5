"""OPTIONS to registered users (``all-reg-options-ping``): whether a call would reach them, as the node sees it.

A binding with a Path is never pinged; one that doesn't answer stays (``unregister-on-options-fail`` is off).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from engine.sip.errors import SipError
from engine.sip.message import Request, Response
from engine.sip.transactions import ClientTransaction
from engine.timers import Timed
from sim.agents.freeswitch.outbound import target_of
from sim.agents.notes import UserPinged

if TYPE_CHECKING:
    from sim.agents.freeswitch.node import Node

_TIMEOUT: Final = 408  # stand for what never came (RFC 3261 §8.1.3.1)
_UNREACHABLE: Final = 503


class Pings:
    """The users that this node looks after: those whose REGISTER it answered last."""

    __slots__ = ("_node", "_users")

    def __init__(self, node: Node) -> None:
        self._node = node
        self._users: dict[str, _Ping] = {}

    def watch(self, user: str, now: float) -> None:
        """This user's binding was stored here."""
        node = self._node
        if node.config.ping_s and user not in self._users:
            ping = self._users[user] = _Ping(node, user, self)
            node.timers.arm(ping, now + node.ping_share() * node.config.ping_s)

    def forget(self, user: str) -> None:
        """The binding is gone, or another node's."""
        self._users.pop(user, None)


class _Ping(Timed):
    """Its timer is the next OPTIONS."""

    __slots__ = ("_node", "_pings", "_sent_at", "_user")

    def __init__(self, node: Node, user: str, pings: Pings) -> None:
        super().__init__()
        self._node = node
        self._user = user
        self._pings = pings
        self._sent_at = 0.0

    def fire(self, now: float) -> None:
        node = self._node
        binding = node.registrations.find(self._user)
        if binding is None or binding.node != node.config.name:
            self._pings.forget(self._user)
            return
        node.timers.arm(self, now + node.config.ping_s)
        if binding.paths:
            return
        try:
            target = target_of(node, self._user, binding)
        except SipError:
            return
        self._sent_at = now
        place = node.places[target.flow.interface]
        own = b"<sip:mod_sofia@" + place.host + b">"
        headers = place.own_contact + node.wording.events
        names = ["via", "max-forwards", "from", "to", "call-id", "cseq", *headers.names, "content-length"]
        lines = [
            node.via_line(place),
            b"Max-Forwards: 70",
            b"From: " + own + b";tag=" + node.tag(),
            b"To: <" + target.uri + b">",
            b"Call-ID: " + node.call_id(),
            b"CSeq: %d OPTIONS" % node.next_number(),
            *headers.lines,
            b"Content-Length: 0",
        ]
        node.layer.send(Request(b"OPTIONS", target.uri, names, lines), target.flow, self, now)

    # --- ClientUser

    def on_response(self, transaction: ClientTransaction, response: Response, now: float) -> None:
        if response.status >= 200:
            self._tell(response.status, now)

    def on_timeout(self, transaction: ClientTransaction, now: float) -> None:
        self._tell(_TIMEOUT, now)

    def on_unreachable(self, transaction: ClientTransaction, reason: str, now: float) -> None:
        self._tell(_UNREACHABLE, now)

    def _tell(self, status: int, now: float) -> None:
        self._node.out.append(UserPinged(self._node.config.name, self._user, status, now - self._sent_at))

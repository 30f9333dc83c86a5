"""A call to an application whose node died, on its way to another node: its agent's stand-in calls there.

The edge is the caller of a call of its own, routed by the policy, with a header that tells the dialplan what it is
for. Once it is answered, agent and application are two ends of a rescued conversation like any other.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Final, NamedTuple, Protocol
from urllib.parse import quote_from_bytes

from engine.boundary import Flow
from engine.here import Here
from engine.media.offer_answer import Side
from engine.media.relay import Answered
from engine.notes import CallMoving
from engine.rescue.ground import Ground
from engine.rescue.node_side import DialogKey, NodeSide
from engine.rescue.stand_in import StandIn, Standing
from engine.sip.errors import SipError
from engine.sip.headers import MAGIC_COOKIE
from engine.sip.message import Request, Response
from engine.sip.transactions import Asker
from engine.timers import Timed
from engine.ua.parts import block

RESCUED_HEADER: Final = "x-siptwin-rescued"
_ALLOW: Final = b"Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, NOTIFY, REFER, MESSAGE, UPDATE"
_LEFT: Final = "@:+!*/~"  # as they are, beside letters, digits and -._
_AGAIN_S: Final = 2.0  # after all nodes have failed
_CHALLENGES: Final = (401, 407)
_GAVE_UP: Final = (b'Reason: SIP;cause=408;text="Request Timeout"',)


class Placement(Protocol):
    """A call that was placed (``engine.proxy.placing``)."""

    def cancel(self, reasons: tuple[bytes, ...], now: float) -> None: ...


Place = Callable[[Request, Flow, Asker, float], Placement]
"""Sends an INVITE where the policy says, in the name of who is reached on the flow."""


class Origin(NamedTuple):
    """What a call was when its node died: ``side`` as the agent knows it, ``node`` where it was, and ``media`` the
    dialog by which its media are known: its own, or that of the call to which it was moved before."""

    side: NodeSide
    node: str
    media: DialogKey

    @property
    def media_side(self) -> Side:
        """Which side of these media the agent is."""
        return self.side.agent if self.media == self.side.key else "caller"


class Mover(Protocol):
    """Who makes the calls, and is told what became of them (``engine.rescue.moves``)."""

    def offer_of(self, origin: Origin) -> bytes:
        """What the agent speaks, as an offer to a node. Raises SipError."""
        ...

    def place(self, asked: Asked, now: float) -> Placement: ...

    def settled(self, invite: Request) -> None:
        """It has its final response."""
        ...

    def queue(self, move: Move, at: float, now: float) -> None:
        """Let it ``begin`` at that time, or as soon after as the rate allows."""
        ...

    def answered(self, move: Move, invite: Request, response: Response, now: float) -> None:
        """A node has answered by a 2xx, perhaps not for the first time, perhaps when nobody waited any more."""
        ...

    def failed(self, move: Move, why: str, now: float) -> None: ...

    def forget(self, stand_in: StandIn) -> None: ...


class Move(Timed):
    """One call, until it stands at another node or can't. It is the conversation of its agent's stand-in.

    ``until`` is when the agent has waited long enough.
    """

    __slots__ = ("_asked", "_ground", "_placement", "began_at", "mover", "origin", "over", "stand_in", "until")

    def __init__(self, ground: Ground, mover: Mover, origin: Origin, until: float, now: float) -> None:
        super().__init__()
        self.began_at = now
        self._ground = ground
        self.mover = mover
        self._placement: Placement | None = None
        self._asked: Asked | None = None  # the INVITE under way
        self.origin = origin
        self.until = until
        self.over = False
        self.stand_in: StandIn
        ground.timers.arm(self, until)

    # --- asking

    def begin(self, now: float) -> None:
        """Its turn has come."""
        if self.over:
            return
        ground, origin = self._ground, self.origin
        try:
            body = self.mover.offer_of(origin)
            invite = _invite(ground.here, ground.rng, origin, body, now)
        except SipError as error:
            self.fail(error.why, now)
            return
        ground.out.append(CallMoving(_text(origin.side.key[0]), _text(invite.call_id), origin.node))
        asked = self._asked = Asked(self, invite)
        placement = self.mover.place(asked, now)
        if self._waits_for(asked):  # read anew: placing it may have ended it
            self._placement = placement

    def _waits_for(self, asked: Asked) -> bool:
        return self._asked is asked

    def refused(self, status: int, now: float) -> None:
        """No node takes it, or the one that was asked last wants something that is not ours to give."""
        if self.over:
            return
        if status in _CHALLENGES:
            self.fail(f"answered {status}: nodes must trust the edge", now)
        elif status == 408 or 500 <= status < 600:
            self._asked = self._placement = None
            if now + _AGAIN_S >= self.until:
                self.fail(f"answered {status}", now)
            else:
                self.mover.queue(self, now + _AGAIN_S, now)
        else:
            self.fail(f"answered {status}", now)

    def answered_by(self, invite: Request, response: Response, now: float) -> None:
        """A node takes it; perhaps not for the first time, perhaps when nobody waits any more."""
        self._asked = self._placement = None
        self.mover.answered(self, invite, response, now)

    def fire(self, now: float) -> None:
        """It took too long."""
        if not self.over:
            self.fail("no node answered in time", now)

    def fail(self, why: str, now: float) -> None:
        """It can't be moved."""
        self.stop(_GAVE_UP, now)
        self.mover.failed(self, why, now)

    def stop(self, reasons: tuple[bytes, ...], now: float) -> None:
        """It is wanted no more, or done."""
        self.over = True
        self._ground.timers.arm(self, float("inf"))
        placement, self._placement = self._placement, None
        if placement is not None:
            placement.cancel(reasons, now)

    # --- Conversation

    def answer(self, stand_in: StandIn, offer: bytes, then: Answered, now: float) -> None:
        then(SipError("the call is being moved", 491), now)

    def offer(self, stand_in: StandIn, now: float) -> bytes:
        raise SipError("the call is being moved", 491)

    def answered(self, stand_in: StandIn, answer: bytes, now: float) -> None:
        raise SipError("the call is being moved", 491)

    def passes_on(self, stand_in: StandIn) -> StandIn | None:
        return None

    def changed(self, stand_in: StandIn, now: float) -> None:
        """It is not kept before it has arrived."""

    def standing(self, stand_in: StandIn) -> Standing:
        return Standing("moving", self.origin.node)

    def ended(self, stand_in: StandIn, reasons: tuple[bytes, ...], why: str, now: float) -> None:
        """The agent has not waited for it."""
        if not self.over:
            self.stop(reasons, now)
            self.mover.failed(self, "its agent hung up", now)

    def forget(self, stand_in: StandIn) -> None:
        self.mover.forget(stand_in)


class Asked:
    """One INVITE of a move, and the way back for its responses."""

    __slots__ = ("invite", "move")

    def __init__(self, move: Move, invite: Request) -> None:
        self.move = move
        self.invite = invite

    def on_response(self, response: Response, now: float) -> None:
        if response.status >= 200:
            self.move.mover.settled(self.invite)
            if response.status < 300:
                self.move.answered_by(self.invite, response, now)
            else:
                self.move.refused(response.status, now)


def _invite(here: Here, rng: Random, origin: Origin, body: bytes, now: float) -> Request:
    """The INVITE in the agent's name, for what it had asked for."""
    side = origin.side
    interface = side.agent_flow.interface
    token = b"%032x" % rng.getrandbits(128)
    call_id, tag = token[:24], token[24:]
    told = b'answered=%d;cause=node-lost;node="%b";call-id="%b";asked="%b"' % (
        max(now - side.began_at, 0.0),
        _encoded(origin.node.encode()),
        _encoded(side.key[0]),
        _encoded(side.asked),
    )
    headers = block(
        here.via(interface, MAGIC_COOKIE + token),
        b"Max-Forwards: 70",
        b"From: " + side.dialog.remote_party + b";tag=" + tag,
        b"To: " + side.dialog.local_party,
        b"Call-ID: " + call_id + b"@" + here.address(interface).rpartition(b":")[0],
        b"CSeq: 1 INVITE",
        b"Contact: <" + here.uri(interface, b"rescued") + b">",
        _ALLOW,
        b"X-Siptwin-Rescued: " + told,
        b"Content-Type: application/sdp",
        b"Content-Length: %d" % len(body),
    )
    return Request(b"INVITE", side.asked, headers.names, headers.lines, body)


def _encoded(value: bytes) -> bytes:
    """Percent-encoded (RFC 3986 §2.1): a Call-ID may have quotes and backslashes (RFC 3261 §25.1, word), and
    dialplans read this by regular expressions; nothing that a caller chose may look like a parameter of ours."""
    return quote_from_bytes(value, safe=_LEFT).encode("ascii")


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")

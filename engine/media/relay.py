"""What the proxy asks of a relay, whichever it is: the one built in, or one that must be asked over a network.

A relay is told of each call, or branch of one, that passes; of each description on its way; and of the end. It
gives descriptions back through a continuation, at once or later. The proxy holds back what follows in the same
call until then, so a relay never has two questions of one call before it. It must answer each, in bounded time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol, TypeAlias

from engine.media.offer_answer import Carrier, Side
from engine.media.profiles import Kind
from engine.media.rules import MediaInput
from engine.sip.errors import SipError

Outcome: TypeAlias = bytes | SipError | None
"""The description to send on; None where the message is to go without; or why it can't be sent on.

The error's status answers a request: 400, 488, 491, 500 or 503.
"""

Answered: TypeAlias = Callable[[bytes | SipError, float], None]
"""What to do with the answer to an offer, or with why there is none, at that time. It never raises."""

Then: TypeAlias = Callable[[Outcome, float], None]
"""What to do with the outcome, at that time. It never raises."""


class Peer(NamedTuple):
    """One side of a call as the proxy knows it.

    ``interface`` names the edge's own interface that its messages pass; ``host`` is where they come from, where
    that says anything about the side itself.
    """

    kind: Kind
    interface: str
    host: str | None = None


class Passage(NamedTuple):
    """One call, or one branch of a forked one, on its way through the edge.

    ``branch`` is that of our Via in the INVITE: it tells the branches of one call apart.
    """

    call_id: str
    caller_tag: str
    branch: str
    caller: Peer
    callee: Peer


class RelayedMedia(Protocol):
    """The media of one passage, at the relay."""

    def described(self, carrier: Carrier, tag: str, text: bytes, then: Then, now: float) -> None:
        """A message carries a description. ``tag`` is the callee's, "" where the message has none yet."""
        ...

    def ended(self, carrier: Carrier, tag: str, now: float) -> None:
        """A final response, or an ACK, came without a description: an offer that it leaves open is void."""
        ...

    def told(self, side: Side) -> bytes:
        """The description that a side was given last; empty where there was none."""
        ...

    def join(self, side: Side, other: RelayedMedia | JoinedMedia, other_side: Side, now: float) -> JoinedMedia:
        """Let a side of this call and one of another hear each other, without the node between them.

        Both calls still have to be released.

        Raises
        ------
        SipError
            Where that can't be.
        """
        ...

    def release(self, now: float) -> None:
        """The call is over, or never came to be. Called once, last; what was asked is answered all the same."""
        ...


class JoinedMedia(Protocol):
    """The media of two agents without the node between them: "caller" is the side that was joined, "callee" the
    one that it was joined with. ``changed`` is set by who speaks to them: a side must be made an offer, for what
    it was told holds no more."""

    changed: Callable[[Side, float], None]

    def answer(self, side: Side, offer: bytes, then: Answered, now: float) -> None:
        """What a side is answered to a new offer, in the name of the other; 400, 488 or 500 refuses it."""
        ...

    def offer(self, side: Side, now: float) -> bytes:
        """An offer to a side, in the name of the other. Raises SipError where its media have ended."""
        ...

    def answered(self, side: Side, answer: bytes, now: float) -> None:
        """What a side answers to it.

        Raises
        ------
        SipError
            400 or 488: it can't be used, and media stay as they were.
        """
        ...

    def told(self, side: Side) -> bytes:
        """As of a call (``RelayedMedia``); so is ``join``: the node that one of the two was at has died."""
        ...

    def join(self, side: Side, other: RelayedMedia | JoinedMedia, other_side: Side, now: float) -> JoinedMedia: ...

    def release(self, now: float) -> None:
        """The conversation is over."""
        ...


class Relay(Protocol):
    """Relays the media of one edge's calls. It has its timers and effects from the edge."""

    def open(self, passage: Passage, now: float) -> RelayedMedia:
        """A call begins. Nothing is taken for it before its first description."""
        ...

    def receive(self, event: MediaInput, now: float) -> None:
        """The data plane reports something."""
        ...

    def __len__(self) -> int:
        """How many calls have media here, those that are being cleared away included."""
        ...

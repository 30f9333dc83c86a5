"""The media of calls, between proxy and relay: which call a message belongs to, and what waits while one is asked.

A *leg* is one call, or one branch of a forked one. It begins with the INVITE that is sent on, is found again by
its dialogs, and ends with the last of them. The messages of a leg leave in the order in which they came, though a
relay may take time over a description.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Final

from engine.boundary import Effect, Flow
from engine.here import Here
from engine.media.offer_answer import OTHER, Carrier, Side
from engine.media.profiles import Kind
from engine.media.relay import JoinedMedia, Outcome, Passage, Peer, Relay, RelayedMedia
from engine.media.sdp.body import SdpBody, find_sdp
from engine.media.sdp.description import Limits
from engine.media.silent import silent_offer
from engine.nodes import Pool
from engine.notes import MediaRefused
from engine.proxy.ends import Ends
from engine.sip.errors import SipError
from engine.sip.message import Message, Request, Response
from engine.timers import Timed, TimerQueue
from engine.ua.dialog import Dialog

DialogKey = tuple[bytes, bytes]
"""Call-ID and the callee's tag, as in ``engine.dialogs``."""

Passed = Callable[[SipError | None, float], None]
"""What follows once a message can be sent on; or once it is known why it can't."""

_NEGOTIATING: Final = (b"INVITE", b"UPDATE")
_MOST_DIALOGS: Final = 16  # of one leg: forks made further on
_BROWSERS: Final = ("ws", "wss")


class Leg:
    """One passage. ``caller_tag`` tells the caller's messages from the callee's."""

    __slots__ = (
        "_busy",
        "_legs",
        "_waiting",
        "began_at",
        "call_id",
        "caller_tag",
        "confirmed",
        "ends",
        "media",
        "tags",
    )

    def __init__(self, legs: Legs, media: RelayedMedia, request: Request, now: float) -> None:
        self._legs = legs
        self.media: RelayedMedia | None = media
        self._busy = False
        self._waiting: deque[tuple[Message, Carrier, bytes, Passed]] = deque()
        self.call_id = request.call_id
        self.caller_tag = request.from_.tag
        self.tags: set[bytes] = set()  # the callee's, one for each dialog
        self.confirmed: set[bytes] = set()  # those of a 2xx
        self.ends: dict[bytes, Ends] = {}  # of these, where the relay may ask us to speak to them
        self.began_at = now

    # --- messages

    def request(self, request: Request, then: Passed, now: float) -> None:
        """A request is about to be sent on, in this very form."""
        self._pass(request, *self._carries(request), then, now)

    def _carries(self, request: Request) -> tuple[Carrier, bytes]:
        """A request as the relay names it, and the callee's tag."""
        ours, theirs = request.from_.tag, request.to.tag
        from_caller = ours == self.caller_tag
        carrier = Carrier(
            "caller" if from_caller else "callee", request.method.decode("ascii"), request.cseq.number
        )
        return carrier, theirs if from_caller else ours

    def void(self, request: Request) -> Callable[[int, float], None]:
        """What tells the relay, by status and time, that a request has ended without a response from its target.

        It is named as it is now: later it may be counted up, or shed.
        """
        carrier, tag = self._carries(request)

        def ended(status: int, now: float) -> None:
            response = carrier._replace(sender=OTHER[carrier.sender], status=status)
            self._pass(Response(status, b"", [], []), response, tag, lambda error, now: None, now)

        return ended

    def late(self, response: Response) -> None:
        """A response to a request that the relay was told is over: what it describes is not for the asker."""
        _write(response, None)

    def response(self, response: Response, then: Passed, now: float) -> None:
        """A response is about to be sent back, in this very form."""
        asker, asked = response.from_.tag, response.to.tag
        from_callee = asker == self.caller_tag
        tag = asked if from_callee else asker
        status, cseq = response.status, response.cseq
        if from_callee and status < 300 and tag:
            self._legs.found(self, tag)
        reliable = 100 < status < 200 and b"100rel" in (response.get("require") or b"")
        carrier = Carrier(
            "callee" if from_callee else "caller", cseq.method.decode("ascii"), cseq.number, status, reliable
        )
        self._pass(response, carrier, tag, then, now)

    def inserted(self, message: Message, carrier: Carrier, tag: bytes, then: Passed, now: float) -> None:
        """A request of our own, or its response, in the name of a side of the dialog with this tag."""
        self._pass(message, carrier, tag, then, now)

    def count_up(self, request: Request) -> int:
        """A request is on its way that follows some of ours (``ends``). Returns by how much it was counted up."""
        if not self.ends:
            return 0
        from_caller = request.from_.tag == self.caller_tag
        ends = self.ends.get(request.to.tag if from_caller else request.from_.tag)
        return 0 if ends is None else ends.request("caller" if from_caller else "callee", request)

    def count_down(self, response: Response, offset: int) -> None:
        """Its response came."""
        if self.ends:
            from_callee = response.from_.tag == self.caller_tag
            ends = self.ends.get(response.to.tag if from_callee else response.from_.tag)
            if ends is not None:
                ends.response("callee" if from_callee else "caller", response, offset)

    def _pass(self, message: Message, carrier: Carrier, tag: bytes, then: Passed, now: float) -> None:
        if self._busy:
            self._waiting.append((message, carrier, tag, then))
            return
        media = self.media
        if media is None:  # released; what is late has no media any more
            then(None, now)
            return
        found: SdpBody | None = None
        if message.body:
            try:
                found = find_sdp(message.get("content-type") or b"", message.body)
            except SipError as error:
                self._refuse(message, carrier, error, then, now)
                return
        callee = tag.decode("utf-8", "replace")
        if found is None:
            if carrier.status >= 200 or carrier.method == "ACK":
                media.ended(carrier, callee, now)
            then(None, now)
            return
        self._busy = True
        answered = partial(self._answered, message, carrier, found, then)
        try:
            media.described(carrier, callee, found.sdp, answered, now)
        except Exception:
            self._busy = False
            raise

    def _answered(
        self, message: Message, carrier: Carrier, found: SdpBody, then: Passed, outcome: Outcome, now: float
    ) -> None:
        try:
            if isinstance(outcome, SipError):
                self._refuse(message, carrier, outcome, then, now)
            else:
                _write(message, None if outcome is None else found.replaced(outcome))
                then(None, now)
        finally:
            self._busy = False  # whatever went wrong with one message, the BYE behind it must pass
        while self._waiting and not self._busy:
            self._pass(*self._waiting.popleft(), now)

    def _refuse(self, message: Message, carrier: Carrier, error: SipError, then: Passed, now: float) -> None:
        """A request is answered so. A response, and an ACK, go on without their descriptions: who needs one ends
        the call by itself (RFC 3261 §13.2.2.4), and nobody is told addresses that are not for it."""
        call_id = self.call_id.decode("utf-8", "replace")
        sort = f"{carrier.status} to {carrier.method}" if carrier.status else carrier.method
        self._legs.out.append(MediaRefused(call_id, sort, carrier.sender, error.status, error.why))
        if carrier.status or carrier.method == "ACK":
            _write(message, None)
            then(None, now)
        else:
            then(error, now)

    # --- the end

    def confirm(self, tag: bytes, ends: Ends | None) -> None:
        """A 2xx made this dialog, which keeps the leg from now on."""
        if tag in self.tags:
            self.confirmed.add(tag)
            if ends is not None:
                self.ends.setdefault(tag, ends)

    def branch_over(self, now: float) -> None:
        """The INVITE that made this leg can bring no further dialog."""
        if not self.confirmed:
            self._legs.release(self, now)

    def let_go(self, now: float) -> None:
        """Give the media back."""
        media, self.media = self.media, None
        if media is not None:
            media.release(now)


class Legs(Timed):
    """The legs of one edge by their dialogs: Call-ID and the callee's tag.

    They end as dialogs do (``engine.dialogs``), and after ``lifetime_s`` at the latest.
    """

    __slots__ = (
        "_by_dialog",
        "_by_media",
        "_here",
        "_kept",
        "_lifetime_s",
        "_pool",
        "_timers",
        "out",
        "relay",
        "renews",
    )

    def __init__(
        self, relay: Relay, here: Here, pool: Pool, timers: TimerQueue, out: list[Effect], lifetime_s: float
    ) -> None:
        super().__init__()
        self.relay = relay
        self.renews = False  # whether the relay may ask for new offers, so that the ends must be known
        self._by_media: dict[object, Leg] = {}
        self.out = out
        self._here = here
        self._pool = pool
        self._timers = timers
        self._lifetime_s = lifetime_s
        self._by_dialog: dict[tuple[bytes, bytes], Leg] = {}
        self._kept: dict[DialogKey, RelayedMedia | JoinedMedia] = {}  # of calls that are moved

    def leg_for(
        self, request: Request, came: Flow, goes: Flow, branch: bytes, now: float
    ) -> tuple[Leg | None, bool]:
        """The leg of a request that is about to be sent on, and whether it makes it.

        An INVITE or UPDATE of a dialog that isn't known, as after a restart, makes one: both sides are told of new
        ports by it.
        """
        leg = self.of(request) if request.to.tag else None
        if leg is not None or request.method not in _NEGOTIATING:
            return leg, False
        own = request.count("via") == 2  # ours and the sender's: else another proxy speaks for it
        passage = Passage(
            request.call_id.decode("utf-8", "replace"),
            request.from_.tag.decode("utf-8", "replace"),
            branch.decode("ascii"),
            self._peer(came, own),
            self._peer(goes, True),
        )
        media = self.relay.open(passage, now)
        leg = self._by_media[media] = Leg(self, media, request, now)
        if request.to.tag:
            self.found(leg, request.to.tag)
        return leg, True

    def _peer(self, flow: Flow, itself: bool) -> Peer:
        kind: Kind = "softphone"
        if self._pool.at(flow.peer) is not None:
            kind = "node"
        elif self._here.interfaces[flow.interface].transport in _BROWSERS:
            kind = "browser"
        return Peer(kind, flow.interface, flow.peer[0] if itself else None)

    def leg_of(self, media: object) -> Leg | None:
        """Whose media these are."""
        return self._by_media.get(media)

    def of(self, request: Request) -> Leg | None:
        """The leg that a request within a dialog belongs to, whichever side sent it."""
        call_id, ours, theirs = request.call_id, request.from_.tag, request.to.tag
        leg = self._by_dialog.get((call_id, theirs))
        if leg is not None and leg.caller_tag == ours:
            return leg
        leg = self._by_dialog.get((call_id, ours))
        return leg if leg is not None and leg.caller_tag == theirs else None

    def ends_of(self, key: DialogKey) -> Ends | None:
        """The ends of a dialog, where the relay may ask us to speak to them."""
        leg = self._by_dialog.get(key)
        return None if leg is None else leg.ends.get(key[1])

    def found(self, leg: Leg, tag: bytes) -> None:
        """A response told of a dialog of this leg, perhaps an early one."""
        if tag not in leg.tags and len(leg.tags) < _MOST_DIALOGS:
            leg.tags.add(tag)
            self._by_dialog.setdefault((leg.call_id, tag), leg)
            if len(self._by_dialog) == 1:
                self._timers.arm(self, leg.began_at + self._lifetime_s)

    def dialog_over(self, request: Request, now: float) -> None:
        """The dialog of this request has ended; its leg ends with the last one that it has."""
        leg = self.of(request)
        if leg is not None:
            tag = request.to.tag if request.from_.tag == leg.caller_tag else request.from_.tag
            was_last = tag in leg.confirmed and len(leg.confirmed) == 1
            leg.confirmed.discard(tag)
            leg.ends.pop(tag, None)
            if was_last:
                self.release(leg, now)

    def spoken(self, key: DialogKey, side: Side) -> Dialog | None:
        """The dialog with a side, as requests of our own have left it; None where there can be none."""
        leg = self._by_dialog.get(key)
        ends = None if leg is None else leg.ends.get(key[1])
        return None if ends is None else ends[side].dialog

    def join(self, one: DialogKey, one_side: Side, other: DialogKey, other_side: Side, now: float) -> JoinedMedia:
        """Let a side of one dialog and one of another hear each other, without what was between them.

        Raises
        ------
        SipError
            Where their media can't be joined.
        """
        first, second = self._media(one), self._media(other)
        if first is None or second is None:
            raise SipError("its media are not relayed here", 488)
        joined = first.join(one_side, second, other_side, now)
        for key in (one, other):
            self.let_go(key, now)
        return joined

    def keep(self, key: DialogKey, joined: JoinedMedia | None = None) -> None:
        """The media of a dialog outlive it, to be joined by its key: its own, or such as were joined since."""
        leg = self._by_dialog.get(key)
        if joined is not None:
            self._kept[key] = joined
        elif leg is not None and leg.media is not None:
            self._kept[key] = leg.media
            self._by_media.pop(leg.media, None)
            leg.media = None

    def let_go(self, key: DialogKey, now: float) -> None:
        """Give back what the media of a dialog hold, kept or not."""
        media = self.forget(key)
        if media is not None:
            media.release(now)
        leg = self._by_dialog.get(key)
        if leg is not None:
            self.release(leg, now)

    def forget(self, key: DialogKey) -> RelayedMedia | JoinedMedia | None:
        """Kept media are given back by who has joined them."""
        return self._kept.pop(key, None)

    def offer_of(self, key: DialogKey, side: Side) -> bytes:
        """What a side speaks, as an offer of its own without an address.

        Raises
        ------
        SipError
            488 where it has no media here.
        """
        media = self._media(key)
        if media is None:
            raise SipError("its media are not relayed here", 488)
        return silent_offer(media.told(side), Limits())

    def _media(self, key: DialogKey) -> RelayedMedia | JoinedMedia | None:
        leg = self._by_dialog.get(key)
        return self._kept.get(key) or (None if leg is None else leg.media)

    def drop(self, key: DialogKey, now: float) -> None:
        """A dialog has ended without a word of its own."""
        leg = self._by_dialog.get(key)
        if leg is not None:
            leg.confirmed.discard(key[1])
            if not leg.confirmed:
                self.release(leg, now)

    def release(self, leg: Leg, now: float) -> None:
        """Forget a leg, and give back what its media hold."""
        for tag in leg.tags:
            key = (leg.call_id, tag)
            if self._by_dialog.get(key) is leg:
                del self._by_dialog[key]
        if leg.media is not None:
            self._by_media.pop(leg.media, None)
        leg.let_go(now)

    def fire(self, now: float) -> None:
        """The oldest leg, as it was when the timer was set, has reached its lifetime."""
        while self._by_dialog:
            oldest = next(iter(self._by_dialog.values()))
            due = oldest.began_at + self._lifetime_s
            if due > now:
                self._timers.arm(self, due)
                return
            self.release(oldest, now)

    def __len__(self) -> int:
        return len(self._by_dialog)


def _write(message: Message, body: bytes | None) -> None:
    """Put another body in place of a message's own, or none."""
    if body is None:
        body = b""
        for name in ("content-type", "content-disposition", "content-encoding", "content-language"):
            if message.has(name):
                message.remove(name)
    message.body = body
    message.set("content-length", b"Content-Length: %d" % len(body))

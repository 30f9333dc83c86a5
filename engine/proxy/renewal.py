"""New offers to both sides of a call, for its relay asks for them: its rtpengine is gone, another takes over.

Each side is sent a re-INVITE in the name of the other, with what that has said of its media last, and hears so of
the new relay; then the other way round, with what the first has answered. The sides notice two re-INVITEs and a
moment of silence (RFC 3725 has the pattern; here it is one dialog, seen from between).
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Final, NamedTuple, Protocol

from engine.boundary import Effect, Flow, Send
from engine.here import Here
from engine.media.offer_answer import OTHER, Carrier, Side
from engine.media.sdp.body import find_sdp
from engine.notes import MediaNotMoved
from engine.proxy.ends import End, Ends
from engine.proxy.legs import Leg, Legs
from engine.sip.errors import SipError
from engine.sip.headers import MAGIC_COOKIE
from engine.sip.message import Request, Response
from engine.sip.transactions import ClientTransaction, TransactionLayer
from engine.timers import Timed, TimerQueue
from engine.ua.parts import block

_ALLOW: Final = b"Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, PRACK, UPDATE, INFO, REFER, NOTIFY"
_MOST_TRIES: Final = 4
_AGAIN_S: Final = 0.5  # after an error that may pass
_GLARE_S: Final = (0.0, 2.0)  # RFC 3261 §14.1: who does not own the Call-ID comes again so soon


class RenewableMedia(Protocol):
    """The media of a leg, at a relay that can move them."""

    @property
    def lost(self) -> bool:
        """Whether the sides still have to hear of new ports."""
        ...

    def last_said(self, side: Side, tag: str) -> bytes | None:
        """What a side has said last that was agreed on."""
        ...


class Surroundings(NamedTuple):
    """What a renewal needs of the edge around it; ``way`` is as for a stand-in."""

    here: Here
    layer: TransactionLayer
    timers: TimerQueue
    out: list[Effect]
    rng: Random
    way: Callable[[bytes, Flow], Flow]


class Renewal(Timed):
    """The two re-INVITEs of one dialog."""

    def __init__(self, around: Surroundings, leg: Leg, media: RenewableMedia, tag: bytes, ends: Ends) -> None:
        super().__init__()
        self._around = around
        self._leg = leg
        self._media = media
        self._tag = tag
        self._ends = ends
        self._offerers: list[Side] = ["caller", "callee"]
        self._heard = b""  # what a side has just answered
        self._text = b""  # what the first one has, for the second exchange
        self._tries = 0
        self._serial = 0
        self._number = 0
        self._request: Request | None = None
        self._answer: Response | None = None

    # --- asking

    def fire(self, now: float) -> None:
        """Begin, or begin anew."""
        offerer = self._offerers[0]
        text = self._text or self._media.last_said(offerer, self._tag.decode("utf-8", "replace"))
        if text is None or self._leg.media is None or not (self._text or self._media.lost):
            return  # a side has offered itself in the meantime, or the call is over
        self._serial += 1
        self._request = Request(b"INVITE", b"", ["content-type"], [b"Content-Type: application/sdp"], text)
        self._leg.inserted(self._request, self._carrier(0), self._tag, self._offered, now)

    def _carrier(self, status: int) -> Carrier:
        """Our own requests are numbered below zero, so that no side's can be mistaken for one."""
        offerer = self._offerers[0]
        return Carrier(OTHER[offerer] if status else offerer, "INVITE", -self._serial, status)

    def _offered(self, error: SipError | None, now: float) -> None:
        """The relay has written the offer."""
        if error is not None or self._request is None:
            self._again(_AGAIN_S, error.why if error is not None else "", now)
            return
        end = self._end
        headers = block(b"Contact: <" + end.contact + b">", _ALLOW, b"Content-Type: application/sdp")
        try:
            flow = self._around.way(end.key, end.flow)
        except SipError as unreachable:
            self._refused(480, unreachable.why, now)
            return
        branch = self._branch()
        via = self._around.here.via(flow.interface, branch)
        self._number = end.next_number()
        request = end.dialog.request(b"INVITE", via, self._number, headers, self._request.body)
        self._around.layer.send(request, flow, self, now, branch)

    @property
    def _end(self) -> End:
        return self._ends[OTHER[self._offerers[0]]]

    def _branch(self) -> bytes:
        return MAGIC_COOKIE + b"%032x" % self._around.rng.getrandbits(128)

    # --- ClientUser

    def on_response(self, transaction: ClientTransaction, response: Response, now: float) -> None:
        if response.status < 200:
            return
        if response.status >= 300:
            self._refused(response.status, f"answered {response.status}", now)
            return
        self._acknowledge(response)
        if self._answer is not None or response.cseq.number != self._number:
            return  # the 2xx once more
        self._answer = response
        try:
            found = find_sdp(response.get("content-type") or b"", response.body)
        except SipError:
            found = None
        self._heard = found.sdp if found is not None else b""
        self._leg.inserted(response, self._carrier(response.status), self._tag, self._answered, now)

    def on_timeout(self, transaction: ClientTransaction, now: float) -> None:
        self._refused(408, "no answer", now)

    def on_unreachable(self, transaction: ClientTransaction, reason: str, now: float) -> None:
        self._refused(503, reason, now)

    def _acknowledge(self, response: Response) -> None:
        end, around = self._end, self._around
        try:
            flow = around.way(end.key, end.flow)
        except SipError:
            return  # it repeats its 2xx, and ends the call if it stays away
        via = around.here.via(flow.interface, self._branch())
        ack = end.dialog.request(b"ACK", via, response.cseq.number)
        around.out.append(Send(flow, bytes(ack)))

    # --- what follows

    def _answered(self, error: SipError | None, now: float) -> None:
        """The relay has read the answer; nobody waits for what it makes of it."""
        answer, self._answer = self._answer, None
        if error is not None or answer is None or not self._heard or self._media.lost:
            self._again(_AGAIN_S, "the answer could not be used", now)
            return
        self._ends.response(OTHER[self._offerers[0]], answer, 0)
        self._text = self._heard
        del self._offerers[0]
        if self._offerers:
            self.fire(now)

    def _refused(self, status: int, why: str, now: float) -> None:
        refusal = Response(status, b"", [], [])
        self._leg.inserted(refusal, self._carrier(status), self._tag, lambda error, now: None, now)
        if status == 491:
            self._again(self._around.rng.uniform(*_GLARE_S), why, now)
        elif status in (408, 481):
            self._give_up(why)  # §12.2.1.2: that side is gone, and the other will find out
        else:
            self._again(_AGAIN_S, why, now)

    def _again(self, pause_s: float, why: str, now: float) -> None:
        self._tries += 1
        if self._tries < _MOST_TRIES:
            self._around.timers.arm(self, now + pause_s)
        else:
            self._give_up(why)

    def _give_up(self, why: str) -> None:
        call_id = self._leg.call_id.decode("utf-8", "replace")
        self._around.out.append(MediaNotMoved(call_id, why))


class Renewals:
    """Begins them. ``legs`` knows the dialogs of a call."""

    def __init__(self, around: Surroundings, legs: Legs) -> None:
        self._around = around
        self._legs = legs

    def begin(self, media: RenewableMedia, now: float) -> bool:
        """Have the sides of a call offer anew; False where they can't yet, for no dialog stands."""
        leg = self._legs.leg_of(media)
        if leg is None or not leg.ends:
            return False
        for tag, ends in leg.ends.items():
            Renewal(self._around, leg, media, tag, ends).fire(now)
        return True

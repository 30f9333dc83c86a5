"""Which description is an offer and which its answer, in one dialog, seen from between its two sides.

RFC 3264 has the model, RFC 3261 §13.2.1, RFC 3262 §5 and RFC 3311 §5 the messages that may carry one; RFC 6337 §2
lists them all. The caller is who sent the INVITE that made the dialog, whoever sends a later request.

A description in a provisional response that nobody acknowledges is a *preview* of the answer: media may flow by
it, and the 2xx says it again, or says otherwise. A dialog that a forked INVITE made begins as a copy of its
sibling, with the same offer still open.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from hashlib import blake2b
from typing import Final, Literal, NamedTuple, TypeAlias

from engine.media.sdp.description import Description, MediaSection
from engine.media.sdp.errors import SdpError
from engine.media.sdp.fields import Origin, address_type
from engine.sip.errors import SipError

Side: TypeAlias = Literal["caller", "callee"]

SIDES: Final[tuple[Side, Side]] = ("caller", "callee")
OTHER: Final[Mapping[Side, Side]] = {"caller": "callee", "callee": "caller"}


class Carrier(NamedTuple):
    """The message that carries a description, or might have. ``status`` is 0 for a request."""

    sender: Side
    method: str
    cseq: int
    status: int = 0
    reliable: bool = False  # a provisional response under RFC 3262


class Role(StrEnum):
    """What a description is."""

    OFFER = "offer"
    ANSWER = "answer"
    PREVIEW = "preview"  # of the answer
    REPEAT = "repeat"  # the sender's last word once more: to be rewritten as that was
    STRAY = "stray"  # it may not stand there, and means nothing: the body is to be left out


class Said(NamedTuple):
    """A description in its role. ``fault`` says in which way it breaks the rules but can be lived with."""

    role: Role
    fault: str = ""


class OfferPendingError(SipError):
    """An offer while another is open: 491 where two cross, 500 where one side doesn't wait (RFC 3311 §5.2)."""


# --- the machine -----------------------------------------------------------------------------------------------

# States
STABLE: Final = "stable"  # nothing is open
OFFERED: Final = "offered"  # in a request; the answer comes in its responses
OFFERED_BACK: Final = "offered back"  # in a response to an INVITE without one; the answer comes in PRACK or ACK

# Events: a description came in ...
REQUEST: Final = "request"  # INVITE, UPDATE or PRACK
PROVISIONAL: Final = "provisional"  # a 1xx that nobody acknowledges
RESPONSE: Final = "response"  # a reliable 1xx or a 2xx, of the request that matters in this state
CONFIRMATION: Final = "confirmation"  # PRACK or ACK, of the side that is to answer
OTHER_RESPONSE: Final = "other response"  # of another request
SAME_AGAIN: Final = "same again"  # of an INVITE whose exchange is complete, or by who has offered in it

OFFER_ANSWER: Final[Mapping[str, Mapping[str, tuple[Role, str]]]] = {
    STABLE: {
        REQUEST: (Role.OFFER, OFFERED),
        PROVISIONAL: (Role.OFFER, OFFERED_BACK),
        RESPONSE: (Role.OFFER, OFFERED_BACK),
        SAME_AGAIN: (Role.REPEAT, STABLE),
    },
    OFFERED: {
        PROVISIONAL: (Role.PREVIEW, OFFERED),
        RESPONSE: (Role.ANSWER, STABLE),
        SAME_AGAIN: (Role.REPEAT, OFFERED),
    },
    OFFERED_BACK: {
        CONFIRMATION: (Role.ANSWER, STABLE),
        SAME_AGAIN: (Role.REPEAT, OFFERED_BACK),
    },
}
"""What a description is, and the state after it; what isn't listed is stray."""


class _Request(NamedTuple):
    """A request of one side, as its responses name it."""

    sender: Side
    method: str
    cseq: int


class Negotiation:
    """The state of one dialog.

    ``agreed`` holds the last description of each side whose exchange is complete; ``offer`` the one that is open.
    """

    __slots__ = ("_before", "_done", "_open", "_preview", "agreed", "offer", "offerer", "state")

    def __init__(self) -> None:
        self.state: str = STABLE
        self.agreed: dict[Side, Description] = {}
        self.offer: Description | None = None
        self.offerer: Side | None = None
        self._open: _Request | None = None  # the request that carries the exchange
        self._done: _Request | None = None  # the INVITE whose exchange is complete: its responses repeat it
        self._preview: Description | None = None
        self._before: dict[Side, Description] = {}  # what was agreed when that INVITE came

    def fork(self) -> Negotiation:
        """The state of another dialog that the same INVITE makes: its offer is open there too."""
        sibling = Negotiation()
        sibling.state = self.state if self.state == OFFERED else STABLE
        if self.state == OFFERED:
            sibling.offer, sibling.offerer, sibling._open = self.offer, self.offerer, self._open
        elif self._done is not None and self.offerer is not None:  # a sibling was quicker with its answer
            sibling.state = OFFERED
            sibling.offer, sibling.offerer, sibling._open = self.agreed.get(self.offerer), self.offerer, self._done
        return sibling

    def said(self, carrier: Carrier, description: Description) -> Said:
        """A description came. It is brought into line with the offer, where it answers one.

        Raises
        ------
        OfferPendingError
            491 or 500: the request is to be refused so, and nothing has changed.
        SdpError
            488 where it has not the streams that RFC 3264 §6 and §8 demand.
        """
        if carrier.status >= 300:  # what it could take, not what it takes (RFC 3261 §21.4.26)
            self.ended(carrier)
            return Said(Role.STRAY)
        event = self._event(carrier)
        role, state = OFFER_ANSWER[self.state].get(event, (Role.STRAY, self.state))
        fault = ""
        if state == OFFERED_BACK and role is Role.REPEAT and self.offer is not None:
            # What a preview of the offer said doesn't bind.
            role = Role.REPEAT if bytes(self.offer) == bytes(description) else Role.OFFER
        if role is Role.OFFER:
            fault = self._check_offer(carrier.sender, description)
            self._open = _request_of(carrier)
            self._begin(carrier)
            self.offer, self.offerer, self._preview = description, carrier.sender, None
        elif role is Role.ANSWER or role is Role.PREVIEW:
            fault = self._check_answer(description)
            if role is Role.ANSWER:
                self._complete(description)
            else:
                self._preview = description
        self.state = state
        return Said(role, fault)

    def ended(self, carrier: Carrier) -> bool:
        """A final response, or an ACK, came without a description. Returns whether the last agreement holds again.

        A request that is refused takes its offer with it (RFC 3261 §14.1), and an exchange that its provisional
        responses completed (RFC 6141 §3.3). A 2xx that does not repeat a previewed answer confirms it.
        """
        request = _request_of(carrier)
        refused = carrier.status >= 300
        if carrier.method == "ACK":
            return self._acknowledged(carrier)
        if request == self._done:
            self._done = None
            if refused:
                self.agreed = self._before
            return refused
        if request != self._open or (self.state == OFFERED_BACK and not refused):
            return False
        self.state = STABLE
        if not refused and self._preview is not None:
            self._complete(self._preview)
            self._done = None
            return False
        self._withdraw()
        return True

    def _acknowledged(self, carrier: Carrier) -> bool:
        """An ACK without the answer that it owes: the offer of the 2xx is void."""
        opened = self._open
        if self.state != OFFERED_BACK or opened is None or opened.cseq != carrier.cseq:
            return False
        self.state = STABLE
        self._withdraw()
        return True

    def _withdraw(self) -> None:
        self._open = self.offer = self._preview = None

    def _event(self, carrier: Carrier) -> str:
        if carrier.status == 0:
            return self._request_event(carrier)
        request = _request_of(carrier)
        if carrier.method == "INVITE" and (
            request == self._done or (self.state == OFFERED_BACK and carrier.sender == self.offerer)
        ):
            return SAME_AGAIN
        if self.state == OFFERED and request != self._open:
            return OTHER_RESPONSE
        if self.state == STABLE and carrier.method != "INVITE":
            return OTHER_RESPONSE
        return RESPONSE if carrier.reliable or carrier.status >= 200 else PROVISIONAL

    def _request_event(self, carrier: Carrier) -> str:
        if self.state == STABLE:
            if carrier.method != "ACK":
                return REQUEST
            done = self._done  # whose 2xx was repeated, for the ACK with the answer to it was lost further on
            again = done is not None and done.sender == carrier.sender and done.cseq == carrier.cseq
            return SAME_AGAIN if again and self.offerer == OTHER[carrier.sender] else CONFIRMATION
        if self.state == OFFERED_BACK and carrier.method in ("ACK", "PRACK") and carrier.sender != self.offerer:
            return CONFIRMATION
        if _request_of(carrier) == self._open:
            return SAME_AGAIN
        if carrier.method == "ACK":
            return CONFIRMATION
        status = 500 if carrier.sender == self.offerer else 491
        raise OfferPendingError("offer while another is open", status)

    def _begin(self, carrier: Carrier) -> None:
        """Remember what holds if the INVITE that this offer belongs to should fail."""
        if carrier.method == "INVITE":
            self._before = dict(self.agreed)
            self._done = None

    def _complete(self, answer: Description) -> None:
        offer, offerer = self.offer, self.offerer
        if offer is not None and offerer is not None:
            self.agreed = {offerer: offer, OTHER[offerer]: answer}
        if self._open is not None and self._open.method == "INVITE":
            self._done = self._open
        self._withdraw()

    def _check_offer(self, sender: Side, description: Description) -> str:
        last = self.agreed.get(sender)
        if last is None:
            return ""
        if len(description.media) < len(last.media):
            raise SdpError("offer with fewer streams than the session has (RFC 3264 section 8)", 488)
        return origin_fault(last, description)

    def _check_answer(self, description: Description) -> str:
        offer = self.offer
        if offer is None:
            return ""
        last = self._preview or (self.agreed.get(OTHER[self.offerer]) if self.offerer is not None else None)
        fault = align(description, offer)
        return fault or ("" if last is None else origin_fault(last, description))


def _request_of(carrier: Carrier) -> _Request:
    """The request itself, or the one that a response answers."""
    return _Request(carrier.sender if carrier.status == 0 else OTHER[carrier.sender], carrier.method, carrier.cseq)


# --- descriptions beside each other ----------------------------------------------------------------------------


def align(answer: Description, offer: Description) -> str:
    """Give an answer as many streams as its offer has (RFC 3264 §6): what it leaves out it rejects.

    Raises
    ------
    SdpError
        488 where it has more, or one of another kind.
    """
    if len(answer.media) > len(offer.media):
        raise SdpError("answer with more streams than its offer", 488)
    for ours, theirs in zip(answer.media, offer.media, strict=False):
        if ours.media.kind != theirs.media.kind:
            raise SdpError("answer with a stream of another kind than offered", 488)
    missing = offer.media[len(answer.media) :]
    for section in missing:
        rejected = MediaSection([section.lines[0]])
        rejected.reject()
        answer.media.append(rejected)
    return "answer leaves streams out" if missing else ""


def origin_fault(last: Description, new: Description) -> str:
    """In which way an ``o=`` line breaks RFC 3264 §8; what the description says goes before it."""
    before, now = last.origin, new.origin
    if (before.username, before.session_id) != (now.username, now.session_id):
        return "o= names another session"
    if now.version < before.version:
        return "o= version went back"
    if now.version == before.version and bytes(last) != bytes(new):
        return "description changed, o= version did not"
    return ""


class Signature:
    """The ``o=`` lines that one side is shown: our own, so that no private address goes out, and in one row.

    The version goes up by one when the rest of the description has changed, and at no other time (RFC 3264 §8),
    whatever the other side, or several that answer in turn, do with theirs.
    """

    __slots__ = ("_digest", "_session_id", "_version")

    def __init__(self, session_id: int) -> None:
        self._session_id = session_id
        self._version = 0
        self._digest = b""

    def sign(self, description: Description, host: str) -> None:
        """Write the ``o=`` line of a description that is whole otherwise."""
        unsigned = Origin(b"-", self._session_id, 0, address_type(host), host.encode("ascii"))
        description.sign(unsigned)
        digest = blake2b(bytes(description), digest_size=16).digest()
        if digest != self._digest:
            self._digest = digest
            self._version += 1
        description.sign(unsigned._replace(version=self._version))

"""One stream of a call: our two ends, what was offered and agreed, and the rules that follow from it."""

from __future__ import annotations

from collections.abc import Container
from typing import NamedTuple

from engine.media.codecs import Codec, CodecPlan, paced, plan
from engine.media.endpoint import Endpoint
from engine.media.offer_answer import OTHER, Side
from engine.media.profiles import Profile, Remote
from engine.media.rules import (
    AddRule,
    ChangeRule,
    MediaEffect,
    Port,
    ReleasePorts,
    Rule,
    SecurePort,
    Security,
    Way,
)


class StreamOffer(NamedTuple):
    """What a side offered of a stream, and what codecs the other was told of; both empty but for audio."""

    offerer: Side
    remote: Remote
    codecs: tuple[Codec, ...]
    told: tuple[Codec, ...]


class Stream:
    """The ends by side. ``offer`` stays after its answer: a fork may bring another."""

    __slots__ = (
        "_agreed",
        "_call_ids",
        "_plan",
        "_rules",
        "_secured",
        "_spoken",
        "ends",
        "kind",
        "offer",
        "offerer",
    )

    def __init__(self, kind: bytes, ends: dict[Side, Endpoint]) -> None:
        self.kind = kind
        self.ends = ends
        self.offer: StreamOffer | None = None
        self.offerer: Side | None = None  # of what was agreed last
        self._call_ids: dict[Side, str] = {}  # where the sides are of different calls
        self._agreed: tuple[StreamOffer, Remote] | None = None
        self._plan: CodecPlan | None = None
        self._spoken: dict[Side, tuple[Codec, ...]] = {}
        self._rules: dict[Port, Rule] = {}
        self._secured: dict[Port, Security] = {}

    def is_agreed(self, offer: StreamOffer, answer: Remote) -> bool:
        """Whether just this was agreed already: a 2xx repeats the answer that its 183 has previewed."""
        return self._agreed is not None and self._agreed[0] is offer and self._agreed[1] == answer

    def agree(
        self, offer: StreamOffer, answer: Remote, outcome: CodecPlan | None, answered: tuple[Codec, ...] = ()
    ) -> None:
        """The offer was answered, and both ends have heard their side. Without a plan all payloads pass.

        ``answered`` are the answer's codecs, as the side that gave it numbers them.
        """
        self._agreed = (offer, answer)
        self._speak(offer.offerer, outcome, answered)

    def _speak(self, offerer: Side, outcome: CodecPlan | None, answered: tuple[Codec, ...]) -> None:
        self.offerer = offerer
        self._plan = outcome
        if outcome is not None:
            heard = outcome.from_answerer
            self._spoken = {
                offerer: outcome.told,
                OTHER[offerer]: tuple(codec for codec in answered if codec.payload_type in heard),
            }

    @classmethod
    def joining(
        cls, one: Stream, one_side: Side, other: Stream, other_side: Side, call_ids: tuple[str, str]
    ) -> Stream:
        """The stream of an end of one call (here the caller's) and an end of another (the callee's).

        Both ends keep their ports, keys and what they believe; they leave the streams that they came from.

        Raises
        ------
        SdpError
            488 where the two have no codec in common, and none to transcode with.
        """
        theirs = other.spoken(other_side)
        outcome = plan(one.spoken(one_side), theirs, theirs)
        joined = cls(one.kind, {"caller": one._hand_over(one_side), "callee": other._hand_over(other_side)})
        for source in (one, other):
            for end in joined.ends.values():
                for port in (end.port, end.port._replace(number=end.port.number + 1)):
                    if port in source._rules:
                        joined._rules[port] = source._rules.pop(port)
                    if port in source._secured:
                        joined._secured[port] = source._secured.pop(port)
        joined._call_ids = dict(zip(joined.ends, call_ids, strict=True))
        joined._speak("caller", outcome, theirs)
        return joined

    def _hand_over(self, side: Side) -> Endpoint:
        return self.ends.pop(side)

    def spoken(self, side: Side) -> tuple[Codec, ...]:
        """The codecs that were agreed with a side, in its own numbers."""
        return self._spoken.get(side, ())

    def renew(self, side: Side, codecs: tuple[Codec, ...]) -> CodecPlan:
        """A side offers other codecs, and is answered in the name of the other side, which keeps its own.

        Raises
        ------
        SdpError
            488 as in ``joining``.
        """
        theirs = self.spoken(OTHER[side])
        outcome = plan(codecs, theirs, theirs)
        self._speak(side, outcome, theirs)
        return outcome

    def confirm(self, side: Side, answered: tuple[Codec, ...]) -> None:
        """A side answers what it was offered in the name of the other side: what it speaks already.

        Raises
        ------
        SdpError
            488 as in ``joining``.
        """
        other = OTHER[side]
        self._speak(other, plan(self.spoken(other), self.spoken(side), answered), answered)

    def payload_types(self, side: Side) -> Container[int]:
        """What a side may send."""
        if self._plan is None:
            return range(128)
        return self._plan.from_offerer if side == self.offerer else self._plan.from_answerer

    def should_send(self, side: Side) -> bool:
        """Whether this side's media have somewhere to go: not on hold, nor before an answer."""
        return self._flows(self.ends[side], self.ends[OTHER[side]])

    def speech(self, side: Side) -> tuple[bytes, bytes | None]:
        """What a side speaks, and what that is transcoded to; names as in rtpmap, in lower case."""
        if self._plan is None:
            return b"", None
        told = next((codec.name.lower() for codec in self._plan.told if codec.is_speech), b"")
        rule = next((rule for rule in self._plan.from_offerer.values() if rule.decode is not None), None)
        if rule is None or rule.decode is None:
            return told, None
        return (rule.decode, rule.encode) if side == self.offerer else (rule.encode or b"", rule.decode)

    def effects(self, call_id: str) -> list[MediaEffect]:
        """What has to change in the data plane since the last time."""
        found: list[MediaEffect] = []
        for side, end in self.ends.items():
            self._arrange(end.port, end, 0, self._rule(side, 0, call_id), found)
            if not end.muxed:
                rtcp = end.port._replace(number=end.port.number + 1)
                self._arrange(rtcp, end, 1, self._rule(side, 1, call_id), found)
        return found

    def release(self, now: float) -> list[MediaEffect]:
        """Give all back."""
        self._rules.clear()
        self._secured.clear()
        found: list[MediaEffect] = []
        for end in self.ends.values():
            end.party.ports.give(end.port.number, now)
            found.append(ReleasePorts(end.port))
        return found

    def _arrange(self, port: Port, end: Endpoint, component: int, rule: Rule, found: list[MediaEffect]) -> None:
        security = end.security(component)
        if security != self._secured.get(port):
            self._secured[port] = security
            found.append(SecurePort(port, security))
        known = self._rules.get(port)
        if rule != known:
            self._rules[port] = rule
            found.append(AddRule(port, rule) if known is None else ChangeRule(port, rule))

    def _rule(self, side: Side, component: int, call_id: str) -> Rule:
        """The rule for what comes from a side, at RTP's port (0) or RTCP's (1)."""
        end, other = self.ends[side], self.ends[OTHER[side]]
        payloads = None
        if self._plan is not None:
            payloads = self._plan.from_offerer if side == self.offerer else self._plan.from_answerer
            if other.remote is not None:
                payloads = paced(payloads, other.remote.packet_ms)
        return Rule(
            sources=end.sources(component),
            rtp=self._way(other, 0) if component == 0 and self._flows(end, other) else None,
            rtcp=self._way(other, 1) if component == 1 or end.muxed else None,
            payloads=payloads,
            call=self._call_ids.get(side, call_id),
        )

    def _flows(self, end: Endpoint, other: Endpoint) -> bool:
        """Whether this side sends and the other wants it; RTCP goes on while a stream is held (RFC 3264 §5.1)."""
        said, wanted = end.remote, other.remote
        return said is not None and wanted is not None and said.direction.sends and wanted.direction.receives

    def _way(self, end: Endpoint, component: int) -> Way | None:
        target = end.target(component)
        if target is None:
            return None
        port = end.port
        return Way(port if component == 0 or end.muxed else port._replace(number=port.number + 1), target)


def both_know_feedback(one: Profile, other: Profile) -> bool:
    """Whether both sides of a stream speak AVPF."""
    return one.protocol.endswith(b"F") and other.protocol.endswith(b"F")

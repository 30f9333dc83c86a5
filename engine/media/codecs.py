"""Which codecs each side is told of, and what happens to a packet between two that don't speak the same.

A payload passes as it is where both sides give a codec the same number, is renumbered where the numbers differ,
and is transcoded where there is no common codec, or where policy asks for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, NamedTuple

from engine.media.profiles import Kind
from engine.media.sdp.description import MediaSection
from engine.media.sdp.errors import SdpError

_EVENT: Final = b"telephone-event"
_NOISE: Final = b"CN"
# Names of payloads that go beside the speech, each tied to the clock of a codec.
_COMPANIONS: Final = frozenset((_EVENT, _NOISE.lower()))
_NOT_SPEECH: Final = _COMPANIONS | {b"red", b"ulpfec", b"rtx", b"flexfec-03"}

# rtpmap-value = payload-type SP encoding-name "/" clock-rate [ "/" encoding-params ]
_RTPMAP = re.compile(rb"(\d{1,3}) +([!-.0-~]{1,64})/(\d{1,6})(?:/(\d{1,2}))?[ \t]*")
_FMTP = re.compile(rb"(\d{1,3}) +(.*)", re.DOTALL)

# RFC 3551 Table 4: numbers that need no rtpmap. G.722 is told with a clock of 8000 though it samples at 16000
# (RFC 3551 §4.5.2).
_STATIC: Final[Mapping[int, tuple[bytes, int]]] = {
    0: (b"PCMU", 8000),
    3: (b"GSM", 8000),
    4: (b"G723", 8000),
    5: (b"DVI4", 8000),
    6: (b"DVI4", 16000),
    7: (b"LPC", 8000),
    8: (b"PCMA", 8000),
    9: (b"G722", 8000),
    12: (b"QCELP", 8000),
    13: (b"CN", 8000),
    15: (b"G728", 8000),
    16: (b"DVI4", 11025),
    17: (b"DVI4", 22050),
    18: (b"G729", 8000),
}
_DYNAMIC: Final = range(96, 128)


class Codec(NamedTuple):
    """One payload type as a side maps it. ``name`` is as written; it is compared without regard to case."""

    payload_type: int
    name: bytes
    clock_hz: int
    channels: int = 1
    parameters: bytes = b""  # of a=fmtp

    @property
    def key(self) -> tuple[bytes, int, int]:
        """What makes it the same codec as another side's."""
        return (self.name.lower(), self.clock_hz, self.channels)

    @property
    def is_speech(self) -> bool:
        return self.name.lower() not in _NOT_SPEECH

    @property
    def is_companion(self) -> bool:
        return self.name.lower() in _COMPANIONS


class Sampling(NamedTuple):
    """What a transcoder must know of a codec."""

    clock_hz: int  # of RTP time stamps
    rate_hz: int  # of the samples
    channels: int  # as told in rtpmap
    payload_type: int | None  # the static one
    parameters: bytes


TRANSCODABLE: Final[Mapping[bytes, Sampling]] = MappingProxyType(
    {
        b"opus": Sampling(48_000, 48_000, 2, None, b"minptime=10;useinbandfec=1"),
        b"g722": Sampling(8_000, 16_000, 1, 9, b""),
        b"pcmu": Sampling(8_000, 8_000, 1, 0, b""),
        b"pcma": Sampling(8_000, 8_000, 1, 8, b""),
    }
)
"""The codecs that can be decoded and encoded, best first (RFC 7587, RFC 3551 §4.5)."""

_WRITTEN: Final = {b"opus": b"opus", b"g722": b"G722", b"pcmu": b"PCMU", b"pcma": b"PCMA"}

# What a side of a kind can be trusted to speak: RFC 7874 §3 for browsers; G.711 for everybody.
_ASSUMED: Final[Mapping[Kind, frozenset[bytes]]] = {
    "browser": frozenset((b"opus", b"pcmu", b"pcma")),
    "softphone": frozenset((b"pcmu", b"pcma")),
    "node": frozenset((b"pcmu", b"pcma")),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CodecPolicy:
    """What an operator wants of codecs; names as in rtpmap, in lower case.

    ``force``: only these are offered, and are added where the offer lacks them. ``forbid``: never told to the
    other side. ``order``: these first, in this order. ``transcode``: whether codecs that the offer lacks are
    added: never, where the other side is not known to speak any that it has, or always.
    """

    force: tuple[str, ...] = ()
    forbid: frozenset[str] = frozenset()
    order: tuple[str, ...] = ()
    transcode: Literal["never", "needed", "always"] = "needed"


class PayloadRule(NamedTuple):
    """What becomes of packets of one payload type on the way to the other side.

    ``clock_in`` and ``clock_out`` differ where time stamps (and the durations of events) must be scaled.
    ``packet_ms`` is how long a packet lasts that is encoded; what is not transcoded keeps its own length.
    """

    payload_type: int
    clock_in_hz: int
    clock_out_hz: int
    decode: bytes | None = None  # names of TRANSCODABLE, both or none
    encode: bytes | None = None
    packet_ms: int = 20


class CodecPlan(NamedTuple):
    """The outcome of an offer and its answer.

    ``told`` is the answer for the side that offered: its own numbers, the answerer's parameters. The tables map
    each payload type that a side sends to what becomes of it. What is not in them is dropped.
    """

    told: tuple[Codec, ...]
    from_offerer: Mapping[int, PayloadRule]
    from_answerer: Mapping[int, PayloadRule]

    @property
    def transcodes(self) -> bool:
        """Whether speech of both ways has to be decoded."""
        return any(rule.decode is not None for rule in self.from_offerer.values())


def read_codecs(section: MediaSection) -> tuple[Codec, ...]:
    """The payload types of a stream in the order of preference, each once.

    A number said twice counts once, and so does a second mapping of it; one without a known mapping is left out.

    Raises
    ------
    SdpError
        400 where a format is no payload type.
    """
    maps: dict[int, tuple[bytes, int, int]] = {}
    for value in section.attributes(b"rtpmap"):
        match = _RTPMAP.fullmatch(value)
        if match is not None and int(match[3]) > 0:
            maps.setdefault(int(match[1]), (match[2], int(match[3]), int(match[4] or 1)))
    parameters: dict[int, bytes] = {}
    for value in section.attributes(b"fmtp"):
        match = _FMTP.fullmatch(value)
        if match is not None:
            parameters.setdefault(int(match[1]), match[2])
    codecs: dict[int, Codec] = {}
    for text in section.media.formats:
        if not text.isdigit() or len(text) > 3 or int(text) > 127:
            raise SdpError("format of an RTP stream that is no payload type")
        number = int(text)
        known = maps.get(number)
        if known is None and number in _STATIC:
            known = (*_STATIC[number], 1)
        if known is not None and number not in codecs:
            codecs[number] = Codec(number, *known, parameters.get(number, b""))
    return tuple(codecs.values())


def write_codecs(section: MediaSection, codecs: tuple[Codec, ...]) -> None:
    """Leave only these payload types in a stream, in this order, and map those that it lacks.

    Lines about the ones that stay are kept as they came.
    """
    here = {codec.payload_type: codec for codec in read_codecs(section)}
    kept = {codec.payload_type for codec in codecs if here.get(codec.payload_type) == codec}
    section.lines = [
        line for line in section.lines if (number := _payload_type_of(line)) is None or number in kept
    ]
    section.retarget(section.media._replace(formats=tuple(b"%d" % codec.payload_type for codec in codecs)))
    for codec in codecs:
        if codec.payload_type not in kept:
            channels = b"" if codec.channels == 1 else b"/%d" % codec.channels
            section.add(b"rtpmap", b"%d %s/%d%s" % (codec.payload_type, codec.name, codec.clock_hz, channels))
            if codec.parameters:
                section.add(b"fmtp", b"%d %s" % (codec.payload_type, codec.parameters))


def to_offer(offered: tuple[Codec, ...], kind: Kind, policy: CodecPolicy) -> tuple[Codec, ...]:
    """What a side of this kind is offered, given what the other side offered.

    Raises
    ------
    SdpError
        488 where policy leaves no speech.
    """
    wanted = [codec for codec in offered if _allowed(codec, policy)]
    add = policy.transcode == "always" or bool(policy.force) or not _understood(wanted, kind)
    if add and policy.transcode != "never":
        wanted = _completed(wanted, offered, policy)
    if policy.order:
        wanted.sort(key=lambda codec: _rank(codec, policy.order))
    numbers = {codec.payload_type for codec in wanted}
    wanted = [codec for codec in wanted if _redundancy_of(codec) <= numbers]
    if not any(codec.is_speech for codec in wanted):
        raise SdpError("no codec left to offer", 488)
    return tuple(wanted)


def plan(offered: tuple[Codec, ...], told: tuple[Codec, ...], answered: tuple[Codec, ...]) -> CodecPlan:
    """Bring together what one side offered, what the other was told of it, and what that answered.

    Raises
    ------
    SdpError
        488 where nothing that was told is answered, or no common codec and none to transcode with is left.
    """
    there: dict[int, PayloadRule] = {}
    back: dict[int, PayloadRule] = {}
    mine: list[Codec] = []
    rest: list[Codec] = []  # answered, but nothing that the offerer knows
    numbers: dict[int, int] = {}  # what the answerer was told each of its own is called: it may send either
    for codec in answered:
        named = _counterpart(codec, told)
        if named is None:
            continue  # an answer may not add codecs to what it was offered (RFC 3264 §6.1): never sent, so dropped
        numbers[codec.payload_type] = named.payload_type
        own = _counterpart(codec, offered)
        if own is None:
            rest.append(codec)
        elif own.payload_type not in there:
            there[own.payload_type] = PayloadRule(codec.payload_type, own.clock_hz, codec.clock_hz)
            back[codec.payload_type] = PayloadRule(own.payload_type, codec.clock_hz, own.clock_hz)
            mine.append(own._replace(parameters=codec.parameters))
    near = _first_transcodable(codec for codec in mine if codec.is_speech)
    if not any(codec.is_speech for codec in mine):
        near, far = _first_transcodable(offered), _first_transcodable(rest)
        if near is None or far is None:
            raise SdpError("no common codec, and none to transcode with", 488)
        there[near.payload_type] = _transcoding(near, far)
        mine.insert(0, near)
    if near is not None:
        for codec in rest:  # whatever it answered it may send
            if _first_transcodable((codec,)) is not None:
                back[codec.payload_type] = _transcoding(codec, near)
    mine += _bridged_events(offered, answered, mine, there, back)
    # RFC 3264 §5.1: who sends takes the numbers of who receives, here the offer's. Many take their own.
    offer_numbers = {numbers[number]: rule for number, rule in back.items() if number in numbers}
    return CodecPlan(tuple(mine), there, back | offer_numbers)


def paced(payloads: Mapping[int, PayloadRule], packet_ms: int) -> Mapping[int, PayloadRule]:
    """The same, with the packet time that who is sent to asks for in what is encoded."""
    if all(rule.encode is None or rule.packet_ms == packet_ms for rule in payloads.values()):
        return payloads
    return {
        number: rule if rule.encode is None else rule._replace(packet_ms=packet_ms)
        for number, rule in payloads.items()
    }


def _transcoding(source: Codec, sink: Codec) -> PayloadRule:
    names = (source.name.lower(), sink.name.lower())
    return PayloadRule(sink.payload_type, source.clock_hz, sink.clock_hz, *names)


def _counterpart(codec: Codec, codecs: tuple[Codec, ...]) -> Codec | None:
    """The same codec as another side maps it: the one of the same number, where a name stands several times."""
    same = [other for other in codecs if other.key == codec.key]
    return next((other for other in same if other.payload_type == codec.payload_type), same[0] if same else None)


def _redundancy_of(codec: Codec) -> set[int]:
    """The payload types that redundancy (RFC 2198 §5) repeats; empty for any other codec."""
    if codec.name.lower() != b"red":
        return set()
    return {int(number) for number in codec.parameters.split(b"/") if number.isdigit() and len(number) <= 3}


def _bridged_events(
    offered: tuple[Codec, ...],
    answered: tuple[Codec, ...],
    mine: list[Codec],
    there: dict[int, PayloadRule],
    back: dict[int, PayloadRule],
) -> tuple[Codec, ...]:
    """Digits (RFC 4733) between sides whose events run on different clocks, as those of Opus and of G.711 do."""
    if any(codec.name.lower() == _EVENT for codec in mine):
        return ()
    clock_hz = next(codec.clock_hz for codec in mine if codec.is_speech)
    near = _event(offered, clock_hz)
    far = next((codec for codec in answered if codec.name.lower() == _EVENT), None)
    if near is None or far is None:
        return ()
    there[near.payload_type] = PayloadRule(far.payload_type, near.clock_hz, far.clock_hz)
    back[far.payload_type] = PayloadRule(near.payload_type, far.clock_hz, near.clock_hz)
    return (near,)


def _event(codecs: tuple[Codec, ...], clock_hz: int) -> Codec | None:
    """The events on the clock of the speech (RFC 4733 §2.5.1.1), else any."""
    events = [codec for codec in codecs if codec.name.lower() == _EVENT]
    return next((codec for codec in events if codec.clock_hz == clock_hz), events[0] if events else None)


def _allowed(codec: Codec, policy: CodecPolicy) -> bool:
    name = codec.name.lower().decode("ascii")
    if not codec.is_companion and policy.force and name not in policy.force:
        return False
    return name not in policy.forbid


def _understood(codecs: list[Codec], kind: Kind) -> bool:
    return any(codec.name.lower() in _ASSUMED[kind] for codec in codecs)


def _completed(wanted: list[Codec], offered: tuple[Codec, ...], policy: CodecPolicy) -> list[Codec]:
    """With the codecs that we can make, where the offer has one to make them from."""
    if _first_transcodable(offered) is None:
        return wanted
    taken = {codec.payload_type for codec in offered}
    there = {codec.name.lower() for codec in wanted}
    speech = [codec for codec in wanted if not codec.is_companion]
    beside = [codec for codec in wanted if codec.is_companion]
    for name, sampling in TRANSCODABLE.items():
        if name in there:
            continue
        number = sampling.payload_type
        if number is None or number in taken:
            number = next((free for free in _DYNAMIC if free not in taken), None)
        if number is None:
            break
        codec = Codec(number, _WRITTEN[name], sampling.clock_hz, sampling.channels, sampling.parameters)
        if _allowed(codec, policy):
            taken.add(number)
            speech.append(codec)
    if not any(codec.name.lower() == _EVENT and codec.clock_hz == 8_000 for codec in beside):
        number = next((free for free in (101, *_DYNAMIC) if free not in taken), None)
        if number is not None and any(codec.name.lower() == _EVENT for codec in offered):
            beside.append(Codec(number, _EVENT, 8_000, 1, b"0-15"))
    return speech + beside


def _first_transcodable(codecs: Iterable[Codec]) -> Codec | None:
    for codec in codecs:
        sampling = TRANSCODABLE.get(codec.name.lower())
        if sampling is not None and codec.clock_hz == sampling.clock_hz:
            return codec
    return None


def _rank(codec: Codec, order: tuple[str, ...]) -> int:
    name = codec.name.lower().decode("ascii")
    return order.index(name) if name in order else len(order)


def _payload_type_of(line: bytes) -> int | None:
    """The payload type that an attribute is about; None for any other line, and for ``rtcp-fb:*``."""
    for name in (b"a=rtpmap:", b"a=fmtp:", b"a=rtcp-fb:"):
        if line.startswith(name):
            number = line[len(name) :].partition(b" ")[0]
            return int(number) if number.isdigit() and len(number) <= 3 else None
    return None

"""What rtpengine is asked for: the decisions about a call in the words of its NG protocol.

The decisions themselves - which profile a side is offered, which codecs it is told of - are those of the built-in
relay (``engine.media.profiles``, ``codecs``); here they only become flags, which the protocol's documentation
(``docs/ng_control_protocol.md``) explains.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from engine.media.codecs import Codec
from engine.media.ng.bencode import Told
from engine.media.profiles import Profile

# A source that has been found is kept to, ports stay ours whatever a peer does with its own, and direction is
# written by us, as all of the description is: rtpengine gives ports, keys and names.
_FLAGS: Final = ("trust-address", "strict-source", "port-latching")


class CallName(NamedTuple):
    """How a call is called at rtpengine. A branch of a fork is a call of its own there, with ports of its own."""

    call_id: str
    caller: str = "caller"
    callee: str = "callee"

    def to(self, command: str) -> dict[str, Told]:
        return {"command": command, "call-id": self.call_id}


class StreamShape(NamedTuple):
    """What decides the flags: the profiles of who says a description and who is told of it, and, of audio in an
    offer, the codecs on both sides."""

    teller: Profile
    told: Profile
    offered: tuple[Codec, ...] = ()
    codecs: tuple[Codec, ...] = ()


def offer(
    name: CallName, sender: str, sdp: bytes, shape: StreamShape, interfaces: tuple[str, str]
) -> dict[str, Told]:
    """The offer of a side, to be written for the other. ``interfaces`` are rtpengine's, of sender and receiver."""
    told = shape.told
    content = name.to("offer") | {
        "from-tag": sender,
        "sdp": sdp,
        "supports": ("load limit",),
        "rtcp-mux": ("require", "accept") if told.rtcp_mux else ("demux",),
    }
    if any(interfaces):
        content["direction"] = interfaces
    if shape.teller.ice or told.ice:
        content["ICE-lite"] = "both"
    return content | _transport(told, shape.teller) | _codecs(shape)


def answer(name: CallName, offerer: str, answerer: str, sdp: bytes, shape: StreamShape) -> dict[str, Told]:
    """The answer of a side, to be written for who offered."""
    content = name.to("answer") | {
        "from-tag": offerer,
        "to-tag": answerer,
        "sdp": sdp,
        "rtcp-mux": ("accept",) if shape.told.rtcp_mux else ("reject",),
    }
    return content | _transport(shape.told, shape.teller)


def delete(name: CallName, tag: str = "") -> dict[str, Told]:
    """The end of a call; its ports are free at once. rtpengine tells statistics to who names one of its tags."""
    return name.to("delete") | {"delete-delay": 0} | ({"from-tag": tag} if tag else {})


def query(name: CallName) -> dict[str, Told]:
    """Whether a call is known."""
    return name.to("query")


def _transport(told: Profile, teller: Profile) -> dict[str, Told]:
    """How the side that is told is spoken to."""
    content: dict[str, Told] = {
        "flags": _FLAGS,
        "transport-protocol": told.protocol,
        "ICE": "force" if told.ice else "remove",
    }
    if told.security == "dtls":
        # Who has found us by ICE, or stands behind a NAT, begins the hand-shake: we could not reach it before.
        content |= {"DTLS": "passive", "SDES": ("off",)}
    elif told.security == "sdes":
        content["DTLS"] = "off"
    if teller.security == "dtls":
        content["DTLS-reverse"] = "passive"
    return content


def _codecs(shape: StreamShape) -> dict[str, Told]:
    """Codecs by name, in the order in which they are to stand; none where they stand so already."""
    if shape.codecs == shape.offered:
        return {}
    names = tuple(_name(codec) for codec in shape.codecs)
    known = {codec.key for codec in shape.offered}
    if all(codec.key in known for codec in shape.codecs):
        return {"codec": {"strip": ("all",), "offer": names}}
    return {"codec": {"mask": ("all",), "transcode": names}}


def _name(codec: Codec) -> str:
    name = f"{codec.name.decode('ascii')}/{codec.clock_hz}"
    return name if codec.channels == 1 else f"{name}/{codec.channels}"

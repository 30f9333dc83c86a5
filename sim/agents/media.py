"""What an agent does with the media of a call: told whenever an exchange of descriptions is complete.

Packets are not the machines' business: a simulated host makes streams of these facts (``sim.media``).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal, TypeAlias

from engine.boundary import Address, Level, Note
from engine.media.codecs import read_codecs
from engine.media.profiles import Remote, read_remote
from engine.media.sdp import parse
from engine.sip.errors import SipError

Content: TypeAlias = Literal["speech", "tone", "echo", "bridge"]
"""What an agent sends: its user's voice; sound of its own; what it hears; what the other leg hears."""


@dataclass(frozen=True, slots=True)
class Talking(Note):
    """From now on an agent sends and hears so in one call.

    It listens where ``told`` says and sends from ``source_port`` there, to where ``remote`` says. Packets bear
    ``payload_type``. One that is ``symmetric`` sends to where packets come from, once some have come.
    ``bridged_to`` is the Call-ID of the other leg.
    """

    level: ClassVar[Level] = Level.DEBUG
    call_id: str
    agent: str
    content: Content
    told: Address
    source_port: int
    target: Address | None
    codec: str
    payload_type: int
    sends: bool
    hears: bool
    own: Remote = field(repr=False)
    remote: Remote = field(repr=False)
    symmetric: bool = False
    bridged_to: str = ""

    @property
    def shakes_first(self) -> bool:
        """Whether it is the client of the DTLS hand-shake, by the two descriptions (RFC 5763 §5)."""
        own, remote = self.own.setup, self.remote.setup
        return own == "active" if own != "actpass" else remote == "passive"


@dataclass(frozen=True, slots=True)
class TalkOver(Note):
    """The agent sends and hears nothing more in this call."""

    level: ClassVar[Level] = Level.DEBUG
    call_id: str
    agent: str


def talking(
    call_id: str,
    agent: str,
    own: bytes,
    remote: bytes,
    *,
    content: Content = "speech",
    port_shift: int = 0,
    symmetric: bool = False,
    bridged_to: str = "",
) -> Talking | None:
    """What follows from an agent's own description and the other side's; None where they leave no audio."""
    try:
        mine, theirs = parse(own), parse(remote)
        here = read_remote(mine, mine.media[0])
        there = read_remote(theirs, theirs.media[0])
        known = {codec.key for codec in read_codecs(mine.media[0])}
        codec = next((each for each in read_codecs(theirs.media[0]) if each.is_speech and each.key in known), None)
    except (SipError, IndexError):
        return None
    if codec is None or theirs.media[0].rejected or here.address is None:
        return None
    candidates = sorted(there.candidates, key=lambda each: -each.priority)
    target = (candidates[0].host, candidates[0].port) if candidates else there.address
    return Talking(
        call_id,
        agent,
        content,
        here.address,
        here.address[1] + port_shift,
        target,
        codec.name.decode("ascii").lower(),
        codec.payload_type,
        here.direction.sends and there.direction.receives,
        here.direction.receives and there.direction.sends,
        here,
        there,
        symmetric,
        bridged_to,
    )

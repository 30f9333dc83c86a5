"""What the relay of one edge is set to, and who it relays between."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, NamedTuple

from engine.media.codecs import CodecPolicy
from engine.media.latching import Trust
from engine.media.ports import PortPool
from engine.media.profiles import PROFILE_OF_KIND, Kind
from engine.media.sdp.attributes import Fingerprint
from engine.media.sdp.description import Limits
from engine.media.targets import Targets

_AUDIO_AND_VIDEO: Final = frozenset((b"audio", b"video"))


class Party(NamedTuple):
    """One side of a call as the relay must know it.

    ``interface`` names the side of ours that it is reached on, ``host`` the address that it is told there, from
    whose ``ports`` its streams get theirs. ``signalling_host`` is where its messages come from, where that says
    anything about it.
    """

    kind: Kind
    interface: str
    host: str
    ports: PortPool
    signalling_host: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaSettings:
    """How streams are negotiated and believed. ``fingerprint`` is our certificate's; without one no DTLS."""

    fingerprint: Fingerprint | None = None
    profiles: Mapping[Kind, str] = field(default_factory=lambda: PROFILE_OF_KIND)
    codecs: CodecPolicy = field(default_factory=CodecPolicy)
    targets: Targets = field(default_factory=Targets)
    # Nodes stand where we know them. Agents may sit behind a NAT with several addresses, and signal through a
    # balancer, so that only their first packets tell.
    trust: Mapping[Kind, Trust] = field(
        default_factory=lambda: MappingProxyType({"browser": "any", "softphone": "any", "node": "known"})
    )
    streams: Mapping[Kind, frozenset[bytes]] = field(
        default_factory=lambda: MappingProxyType(dict.fromkeys(("browser", "softphone", "node"), _AUDIO_AND_VIDEO))
    )
    limits: Limits = field(default_factory=Limits)
    most_streams: int = 4  # relayed in one call; further ones are rejected

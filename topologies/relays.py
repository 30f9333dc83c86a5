"""What relays the media of an edge's calls."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from engine.config import MediaInterface, RelayConfig
from engine.media.ng.settings import NgConfig
from topologies.base import Host, IpAddress, Positive, Seconds, Section, Table, default_of
from topologies.edge_interfaces import EdgeInterface
from topologies.errors import RefusedError, did_you_mean
from topologies.rtpengines import Rtpengine, Rtpengines, RtpengineTimers, name_of, ng_config

Profile = Literal["rtp", "srtp", "dtls", "webrtc"]
Codec = Literal["opus", "g722", "pcmu", "pcma", "g729", "gsm", "telephone-event", "cn"]


def _ports(given: Any) -> Any:
    """``30000-39999`` as its first and last port."""
    if isinstance(given, (list, tuple)) and len(given) == 2:
        given = f"{given[0]}-{given[1]}"
    match = re.fullmatch(r"(\d{1,5})\s*-\s*(\d{1,5})", str(given).strip())
    if match is None:
        raise RefusedError(f"{given!r} is no range of ports", "write the first and the last, such as 30000-39999")
    first, last = int(match[1]), int(match[2])
    if not 0 < first <= last <= 65_535 or last <= first + first % 2:
        raise RefusedError(
            f"{given!r} holds no pair of ports", "write the lower one first, 65535 at most, and two at least"
        )
    return (first, last)


class RelayAddress(Section):
    """An address that media go through; with rtpengine, one of its logical interfaces."""

    host: IpAddress | None = Field(default=None, description="IP address to bind; the built-in relay needs it.")
    advertised_host: Host | None = Field(
        default=None, description="What peers are told where they cannot reach the bound address."
    )
    ports: Annotated[tuple[int, int], BeforeValidator(_ports)] = Field(
        default=(default_of(MediaInterface, "low"), default_of(MediaInterface, "high")),
        description="UDP ports to take, such as 30000-39999; a call takes two here for each stream.",
    )
    serves: tuple[str, ...] = Field(
        default=(),
        description="SIP interfaces of this edge whose peers are told of it; default: those with the same host. "
        "Peers of others are told of the first address.",
    )


class RelayProfiles(Section):
    """What each kind of peer is offered; one that offers itself is answered in kind."""

    browser: Profile = Field(default="webrtc", description="Over ws and wss: webrtc (ICE, DTLS-SRTP), ...")
    softphone: Profile = Field(default="rtp", description="Anyone else: rtp, srtp (keys in SDP), dtls or webrtc.")
    node: Profile = Field(default="rtp", description="FreeSWITCH: rtp needs nothing configured there.")


class RelayCodecs(Section):
    """What is told on of the codecs that a side offers."""

    force: tuple[Codec, ...] = Field(default=(), description="Only these are offered, and added where missing.")
    forbid: tuple[Codec, ...] = Field(default=(), description="Never told on.")
    order: tuple[Codec, ...] = Field(default=(), description="These first, in this order.")
    transcode: Literal["never", "needed", "always"] = Field(
        default=default_of(RelayConfig, "transcode"),
        description="Whether codecs are added that must be transcoded: never; where the other side would know "
        "none; always.",
    )


class Relay(Section):
    """The relay that is built in, or rtpengines."""

    rtpengine: Rtpengines = Field(
        default=(), description="Addresses of rtpengines, such as [10.0.0.7, 10.0.0.8:2223]; none: built in."
    )
    rtpengine_timers: RtpengineTimers = Field(
        default=RtpengineTimers(), description="How patient the edge is with rtpengines."
    )
    control_host: IpAddress | None = Field(
        default=None, description="From where rtpengines are given orders; default: the first interface's host."
    )
    interfaces: Table[RelayAddress] = Field(
        default=Table(),
        description="Addresses for media, by name; default: one for each host of the edge. Of rtpengines: their "
        "interfaces (--interface=NAME/...), with the SIP interfaces that each serves.",
    )
    profiles: RelayProfiles = Field(default=RelayProfiles(), description="How each kind of peer is spoken to.")
    codecs: RelayCodecs = Field(default=RelayCodecs(), description="Which codecs are told on.")
    silent_s: Positive = Field(
        default=default_of(RelayConfig, "silent_s"),
        description="A peer that should send and hasn't for so long is told of.",
    )
    timeout_s: Seconds = Field(
        default=default_of(RelayConfig, "timeout_s"),
        description="Ports of a call in which nobody has sent for so long are given back; 0: never.",
    )

    @property
    def rtpengines(self) -> dict[str, Rtpengine]:
        """By name."""
        return {name_of(server, number): server for number, server in enumerate(self.rtpengine, start=1)}

    def to_engine(self, interfaces: Mapping[str, EdgeInterface]) -> RelayConfig:
        """The engine's own form of it; ``interfaces`` are the edge's."""
        ng = ng_config(self.rtpengine, self.rtpengine_timers, self.control_host)
        host = "" if ng is None else ng.servers[0].host
        return RelayConfig(
            rtpengine=ng,
            interfaces=tuple(
                MediaInterface(
                    name=name,
                    host=address.host or host,
                    advertised_host=address.advertised_host,
                    low=address.ports[0],
                    high=address.ports[1],
                    serves=address.serves or _alike(address.host, interfaces),
                )
                for name, address in self._addresses(ng, interfaces).items()
            ),
            profiles=Table(dict(self.profiles)),
            force_codecs=self.codecs.force,
            forbid_codecs=self.codecs.forbid,
            order_codecs=self.codecs.order,
            transcode=self.codecs.transcode,
            silent_s=self.silent_s,
            timeout_s=self.timeout_s,
        )

    def _addresses(
        self, ng: NgConfig | None, interfaces: Mapping[str, EdgeInterface]
    ) -> Mapping[str, RelayAddress]:
        if self.interfaces:
            return self.interfaces
        # An rtpengine of which nothing is said is taken to have one interface, which needs no name.
        return {"": RelayAddress()} if ng is not None else _derived(interfaces)


def _alike(host: str | None, interfaces: Mapping[str, EdgeInterface]) -> tuple[str, ...]:
    return tuple(name for name, interface in interfaces.items() if interface.host == host)


def _derived(interfaces: Mapping[str, EdgeInterface]) -> dict[str, RelayAddress]:
    """One address for each host that the edge has, under the name of its first interface there."""
    found: dict[str, RelayAddress] = {}
    for name, interface in interfaces.items():
        if all(interface.host != known.host for known in found.values()):
            found[name] = RelayAddress(host=interface.host, advertised_host=interface.advertised_host)
    return found


def _named_relay(given: Any) -> Any:
    """``off`` and ``builtin`` as short forms."""
    if given is False:  # what `--set ...=off` reads
        return None
    if not isinstance(given, str):
        return given
    if given not in ("off", "builtin"):
        raise RefusedError(f"{given!r} is no relay", did_you_mean(given, ("off", "builtin")))
    return None if given == "off" else {}


OptionalRelay = Annotated[Relay | None, BeforeValidator(_named_relay)]

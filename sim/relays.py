"""The machines of rtpengines."""

from __future__ import annotations

from hashlib import sha256
from random import Random

from engine.boundary import Interface
from engine.config import MediaInterface, RelayConfig
from engine.media.ng.settings import NG_SUBPROTOCOL
from engine.media.sdp.attributes import Fingerprint, parse_fingerprints
from sim.agents.rtpengine import Rtpengine, RtpengineConfig, RtpengineInterface
from sim.host import Birth
from sim.part import Part
from topologies import Topology

CONTROL_INTERFACE = "ng"


def rtpengine_part(topology: Topology, name: str, certificate: str = "") -> Part:
    """One modelled rtpengine, with an address for each interface that a relay knows of it.

    ``certificate`` is the fingerprint of the one that it shows; default: a modelled one.
    """
    server = topology.rtpengines[name]
    control = Interface(
        name=CONTROL_INTERFACE,
        transport=server.transport,
        host=server.host,
        port=server.port,
        subprotocol=NG_SUBPROTOCOL,
    )
    interfaces = tuple(
        RtpengineInterface(name=each, host=server.media.get(each, server.host)) for each in _known(topology, name)
    )
    modelled = Fingerprint(b"sha-256", sha256(name.encode()).digest())
    (fingerprint,) = parse_fingerprints([certificate.encode("ascii") or bytes(modelled)])
    config = RtpengineConfig(name=name, control=(control,), interfaces=interfaces, fingerprint=fingerprint)
    bound = RelayConfig(
        interfaces=tuple(
            MediaInterface(name=each.name, host=each.host, low=each.low, high=each.high) for each in interfaces
        ),
        fingerprint=bytes(fingerprint).decode("ascii"),
    )

    def make(_birth: Birth, rng: Random) -> Rtpengine:
        return Rtpengine(config, rng)

    return Part(place=name, name=name, role="relay", interfaces=(control,), make=make, relay=bound)


def _known(topology: Topology, name: str) -> tuple[str, ...]:
    """What the relays that use it call its interfaces."""
    found: dict[str, None] = {}
    for edge in topology.edges.values():
        if edge.relay is not None and name in edge.relay.rtpengines:
            found |= dict.fromkeys(each.name for each in edge.relay.to_engine(edge.interfaces).interfaces)
    return tuple(found)

"""Certificates of a rehearsal: made for its addresses, forgotten at its end, whatever the topology names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from engine.live.relay.certificate import Certificate, new_certificate
from lab.certificates import make_certificate
from sim.part import Part
from topologies import Topology


def relay_certificates(topology: Topology) -> dict[str, Certificate]:
    """One for each edge that relays media, and each rtpengine."""
    relays = [*(name for name, edge in topology.edges.items() if edge.relay is not None), *topology.rtpengines]
    return {name: new_certificate() for name in relays}


def with_certificates(parts: Sequence[Part], folder: Path) -> list[Part]:
    """The same parts; all that speak over TLS show, and trust, one certificate that is written to ``folder``.

    Those of production are for names that a rehearsal's addresses don't have, and may not be on this machine.
    """
    hosts = sorted({each.host for part in parts for each in part.interfaces if each.secure})
    if not hosts:
        return list(parts)
    tls = make_certificate(folder, hosts).tls
    return [
        replace(
            part, interfaces=tuple(replace(each, tls=tls if each.secure else None) for each in part.interfaces)
        )
        for part in parts
    ]

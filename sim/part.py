"""One machine of a topology, before it runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Final, Literal, TypeAlias

from engine.boundary import Interface, Machine
from engine.config import RelayConfig, StoreConfig
from engine.media.sdp.attributes import Fingerprint
from sim.host import Birth


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentMedia:
    """What real sockets take of modelled agents beyond what a topology says.

    ``certificate`` is that by which they speak WebRTC (None: a modelled one), ``codecs`` are the names of those
    that clients can speak (None: all).
    """

    certificate: Fingerprint | None = None
    codecs: frozenset[bytes] | None = None


MODELLED: Final = AgentMedia()

Maker: TypeAlias = Callable[[Birth, Random], Machine]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One machine of a topology: its place, its addresses, and how it is made at each start of its process.

    ``name`` is what the topology calls it; a client of several softphones or browsers has a part for each.
    ``store`` says how its records are kept, ``relay`` what its built-in relay, or an rtpengine, binds.
    """

    place: str
    name: str
    role: Literal["edge", "node", "client", "relay"]
    interfaces: tuple[Interface, ...]
    make: Maker
    store: StoreConfig | None = None
    relay: RelayConfig | None = None

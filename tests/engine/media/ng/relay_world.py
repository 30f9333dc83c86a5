"""An edge with rtpengines, which are models and may die."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.boundary import Address, Datagram, Effect, Send, Unreachable
from engine.config import MediaInterface, RelayConfig
from engine.media.ng.settings import NgConfig, NgServerConfig
from tests.engine.harness import World
from tests.engine.media.ng.relaying import Modelled


class RelayWorld(World):
    """One edge with two modelled rtpengines. ``kill`` is noticed at once, by their hosts' word."""

    def __init__(self, **settings: Any) -> None:
        self.servers = {server.address: server for server in (Modelled(1), Modelled(2))}
        self.dead: set[Address] = set()
        self.silent: set[Address] = set()
        config = RelayConfig(
            interfaces=(
                MediaInterface(name="outside", host="", serves=("outside", "wss")),
                MediaInterface(name="inside", host="", serves=("inside",)),
            ),
            rtpengine=NgConfig(
                servers=tuple(
                    NgServerConfig(name=f"rtp{number}", host=host, port=port)
                    for number, (host, port) in enumerate(self.servers, start=1)
                )
            ),
        )
        super().__init__(relay=config, **settings)

    def _do(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            if not isinstance(effect, Send) or not effect.flow.interface.startswith("relays:"):
                super()._do([effect])
            elif effect.flow.peer in self.dead:
                self._do(self.edge.receive(Unreachable(effect.flow, "port unreachable"), self.now))
            elif effect.flow.peer not in self.silent:
                for data in self.servers[effect.flow.peer](effect.data, self.now):
                    self._do(self.edge.receive(Datagram(effect.flow, data), self.now))

    def kill(self, number: int) -> None:
        self.dead.add(list(self.servers)[number - 1])
        self.advance(1.0)

    def revive(self, number: int) -> None:
        """Start it again: it knows no call."""
        address = list(self.servers)[number - 1]
        self.dead.discard(address)
        self.servers[address].restart()
        self.advance(3.0)

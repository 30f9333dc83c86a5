"""How media packets get from one address to another: the network's links and middleboxes, for whole trains."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, TypeAlias

from engine.boundary import Address
from sim.links import Direction
from sim.media.trains import Flight, Train
from sim.middleboxes import Lost

if TYPE_CHECKING:
    from sim.network import Network

Load: TypeAlias = Train | Flight | bytes


class Ways:
    """Carries loads, and hands them over where they arrive, with the addresses that are seen there."""

    def __init__(
        self,
        network: Network,
        random: Random,
        arrive: Callable[[Load, Address, Address], None],
        place_of: Callable[[Address], str],
    ) -> None:
        self._network = network
        self._random = random
        self._arrive = arrive
        self._place_of = place_of

    def carry(self, what: Load, place: str, source: Address, destination: Address) -> None:
        """From a place on. A train of several packets is there at once, and knows how long each took."""
        network = self._network
        boxes = network.middleboxes
        passes_boxes = boxes.concern("udp", source, destination)
        if passes_boxes:
            step = boxes.outward("udp", source, destination)
            if isinstance(step, Lost):
                return
            source, destination = step
            there = boxes.leads_to("udp", source, destination)
        else:
            there = self._place_of(destination)
        way = network.direction(place, there)
        if way.blocked:
            return
        if isinstance(what, Train) and what.count > 1:
            if self._thin(what, way):
                self._reach(what, passes_boxes, source, destination)
            return
        now = network.env.now
        for delay_s in way.datagram(now)[:1]:
            if isinstance(what, Train):
                left_s = what.arrival_s  # it may have left a while ago
                what.delay_s += delay_s
                what.jitter_ms += way.link.jitter_ms
                delay_s = max(left_s + delay_s - now, 0.0)
            network.later(delay_s, self._reach, what, passes_boxes, source, destination)

    def _reach(self, what: Load, passes_boxes: bool, source: Address, destination: Address) -> None:
        if passes_boxes:
            step = self._network.middleboxes.inward("udp", source, destination)
            if isinstance(step, Lost):
                return
            source, destination = step
        self._arrive(what, source, destination)

    def _thin(self, train: Train, way: Direction) -> bool:
        """What a link does to a train: some packets are lost, all are late. Whether any is left."""
        link = way.link
        if link.loss:
            random = self._random.random
            train.left -= sum(random() < link.loss for _ in range(train.left))
        train.delay_s += (link.latency_ms + link.jitter_ms) / 1000.0
        train.jitter_ms += link.jitter_ms
        return train.left > 0

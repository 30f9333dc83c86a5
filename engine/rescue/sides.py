"""The dialogs that stand through nodes, by what would pair them."""

from __future__ import annotations

from typing import NamedTuple

from engine.rescue.bridges import Bridged
from engine.rescue.node_side import DialogKey, NodeSide
from engine.sip.message import Request
from engine.timers import Timed, TimerQueue


class Alone(NamedTuple):
    """No other half is known: why. ``application``: for there is none, as the node's events say."""

    why: str
    application: bool = False


class Sides(Timed):
    """The node's sides of all dialogs, oldest first; they end as dialogs do (``engine.dialogs``)."""

    def __init__(self, timers: TimerQueue, lifetime_s: float, bridged: Bridged) -> None:
        super().__init__()
        self._timers = timers
        self._lifetime_s = lifetime_s
        self._bridged = bridged
        self._sides: dict[DialogKey, tuple[NodeSide, float]] = {}
        self._by_call: dict[bytes, dict[NodeSide, None]] = {}
        self._by_mark: dict[bytes, dict[NodeSide, None]] = {}

    def add(self, side: NodeSide, now: float) -> None:
        """A dialog began; a repeated 2xx changes nothing."""
        if side.key in self._sides:
            return
        self._sides[side.key] = (side, now)
        self._by_call.setdefault(side.key[0], {})[side] = None
        if side.mark:
            self._by_mark.setdefault(side.mark, {})[side] = None
        if len(self._sides) == 1:
            self._timers.arm(self, now + self._lifetime_s)

    def remove(self, side: NodeSide) -> None:
        """A dialog has ended."""
        if self._sides.pop(side.key, None) is None:
            return
        for index, name in ((self._by_call, side.key[0]), (self._by_mark, side.mark)):
            among = index.get(name)
            if among is not None:
                among.pop(side, None)
                if not among:
                    del index[name]

    def of(self, request: Request) -> NodeSide | None:
        """The side of the dialog that a request belongs to, whoever sent it."""
        call_id, ours, theirs = request.call_id, request.from_.tag, request.to.tag
        for key in ((call_id, theirs), (call_id, ours)):
            found = self._sides.get(key)
            if found is not None and found[0].is_of(ours, theirs):
                return found[0]
        return None

    def get(self, key: DialogKey) -> NodeSide | None:
        found = self._sides.get(key)
        return None if found is None else found[0]

    def at(self, node: str) -> list[NodeSide]:
        """All that stand through a node, oldest first."""
        return [side for side, _ in self._sides.values() if side.node == node]

    def partner(self, side: NodeSide, now: float) -> NodeSide | Alone:
        """The other half of the conversation, or why it is not known. Never a guess."""
        said = self._bridged(side.node, side.key[0], now)
        if said is not None:
            among = self._by_call.get(said.call_id, {}) if said.connected else {}
            proof = Alone("the node's events say that it is connected to nobody here", not said.connected)
        elif side.transferred:
            return Alone("it was transferred, and the node's events are not at hand")
        else:
            among = self._by_mark.get(side.mark, {}) if side.mark else {}
            proof = Alone("no other call bears its mark")
        others = [other for other in among if other is not side and other.node == side.node]
        if len(others) > 1:
            return Alone("several calls could be its other half")
        if not others:
            return proof
        if said is None and (others[0].transferred or others[0].node_calls == side.node_calls):
            return Alone("what bears its mark is not its other half")
        return others[0]

    def fire(self, now: float) -> None:
        """The oldest, as it was when the timer was set, has reached its lifetime."""
        while self._sides:
            oldest, began_at = next(iter(self._sides.values()))
            due = began_at + self._lifetime_s
            if due > now:
                self._timers.arm(self, due)
                return
            self.remove(oldest)

    def __len__(self) -> int:
        return len(self._sides)

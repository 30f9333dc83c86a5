"""What the API asks of the running edge, and how it gives orders: snapshots out, boundary inputs in."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Protocol, runtime_checkable

from engine import __version__
from engine.boundary import CallOrder, NodeOrder, RegistrationOrder
from engine.live.api import models
from engine.live.capture import Capture, HomerSender, Wanted
from engine.live.capture.tap import CAPTURES_MAX
from engine.live.host import LiveHost
from engine.live.source import Source
from engine.live.store.store import Store
from engine.live.tally import CallBook, Counters
from engine.nodes import NodeSnapshot
from engine.snapshots import CallSnapshot, RegistrationSnapshot


class ApiError(Exception):
    """The request cannot be met; ``status`` is HTTP's, the text one line with the remedy."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


@runtime_checkable
class Operated(Protocol):
    """A machine that can be operated: the edge."""

    @property
    def draining(self) -> bool: ...

    def nodes_snapshot(self, now: float) -> Sequence[NodeSnapshot]: ...

    def others_snapshot(self) -> Sequence[NodeSnapshot]: ...

    def peers_snapshot(self, now: float) -> Sequence[NodeSnapshot]: ...

    def calls(self, now: float) -> Iterator[CallSnapshot]: ...

    def why_not_ended(self, call_id: str) -> str: ...

    def registrations(self, now: float, aor: str = "") -> Iterator[RegistrationSnapshot]: ...

    def open_calls(self) -> int: ...

    def open_dialogs(self) -> int: ...

    def open_bindings(self) -> int: ...

    def open_transactions(self) -> int: ...

    def open_connections(self) -> int: ...

    def relayed_calls(self) -> int: ...
    def rescued_dialogs(self) -> int: ...


class Changes(Protocol):
    """Changes of the settings while the edge runs. Each returns why it was refused, "" where it was not."""

    async def reload(self) -> str: ...

    async def add_node(self, node: Mapping[str, Any]) -> str: ...


class Service:
    """One edge, as the API sees it."""

    def __init__(
        self,
        host: LiveHost,
        changes: Changes,
        source: Source,
        counters: Counters,
        book: CallBook,
    ) -> None:
        self.host = host
        self.counters = counters
        self.book = book
        self.started_at = time.time()
        self.configured_at = self.started_at
        self.stopping = False
        self.collector: HomerSender | None = None
        self.store: Store | None = None
        self._for_homer: list[Capture] = []  # begun by order; not the topology's own
        self._changes = changes
        self._source = source

    @property
    def edge(self) -> Operated:
        """The edge.

        Raises
        ------
        ApiError
            Another machine runs here.
        """
        machine = self.host.machine
        if not isinstance(machine, Operated):
            raise ApiError(409, "this machine has no nodes, calls or registrations")
        return machine

    # --- nodes

    def nodes(self) -> Sequence[NodeSnapshot]:
        return self.edge.nodes_snapshot(self.host.now)

    def node(self, name: str) -> NodeSnapshot:
        """One node.

        Raises
        ------
        ApiError
            There is none of that name.
        """
        nodes = self.nodes()
        for node in nodes:
            if node.name == name:
                return node
        known = ", ".join(node.name for node in nodes) or "none"
        raise ApiError(404, f"unknown node {name!r} - there are {known}")

    def order(self, name: str, order: models.Order) -> NodeSnapshot:
        """Give an order about a node, a relay or the edge itself, and see what became of it."""
        self._orderable(name)
        self.host.deliver(NodeOrder(name, order))
        return self._orderable(name)

    def _orderable(self, name: str) -> NodeSnapshot:
        others = {other.name: other for other in self.edge.others_snapshot()}
        known = any(node.name == name for node in self.nodes())
        return others[name] if name in others and not known else self.node(name)

    async def add_node(self, node: models.NewNode) -> NodeSnapshot:
        if any(known.name == node.name for known in self.nodes()):
            raise ApiError(409, f"there is a node {node.name} already - choose another name")
        if why := await self._changes.add_node(node.model_dump()):
            raise ApiError(409, why)
        self.configured_at = time.time()
        return self.node(node.name)

    async def reload(self) -> None:
        """Read the settings anew.

        Raises
        ------
        ApiError
            They cannot be used; the old ones stay in force.
        """
        if why := await self._changes.reload():
            raise ApiError(409, why)
        self.configured_at = time.time()

    # --- calls

    def calls(self, page: models.CallsPage) -> models.Calls:
        found = self.edge.calls(self.host.now)
        if page.node:
            found = (call for call in found if call.node == page.node)
        shown = [self._call(call) for call in islice(found, page.offset, page.offset + page.limit)]
        return models.Calls(total=self.edge.open_calls(), calls=shown)

    def call(self, call_id: str) -> models.Call:
        """One call.

        Raises
        ------
        ApiError
            None with this Call-ID stands.
        """
        return self._call(self._standing(call_id))

    def _standing(self, call_id: str) -> CallSnapshot:
        for call in self.edge.calls(self.host.now):
            if call.call_id == call_id:
                return call
        raise ApiError(404, f"no call {call_id!r} stands - see the list of calls")

    def end_call(self, call_id: str) -> models.Call:
        """Let a call's node end it, or the edge where the node can't be told.

        Raises
        ------
        ApiError
            It does not stand, or neither can.
        """
        call = self._standing(call_id)
        if why := self.edge.why_not_ended(call_id):
            raise ApiError(409, why)
        self.host.deliver(CallOrder(call_id, "end"))
        return self._call(call)

    def _call(self, call: CallSnapshot) -> models.Call:
        entry = self.book.standing.get(call.call_id)
        return models.Call(
            call_id=call.call_id,
            node=call.node,
            resource=call.resource,
            age_s=call.age_s,
            caller=entry.caller if entry else None,
            callee=entry.callee if entry else None,
            uuid=call.uuid or None,
            partner=call.partner or None,
            rescue=call.rescue or None,
        )

    # --- registrations

    def registrations(self, page: models.RegistrationsPage) -> models.Registrations:
        edge = self.edge
        found = edge.registrations(self.host.now, page.aor)
        shown = [
            models.Registration.model_validate(each)
            for each in islice(found, page.offset, page.offset + page.limit)
        ]
        return models.Registrations(total=edge.open_bindings(), registrations=shown)

    def registration(self, aor: str) -> list[RegistrationSnapshot]:
        """All contacts of one user.

        Raises
        ------
        ApiError
            It has none.
        """
        found = list(self.edge.registrations(self.host.now, aor)) if aor else []
        if not found:
            raise ApiError(404, f"{aor!r} is not registered here - write it as user@host")
        return found

    def kick(self, aor: str) -> list[RegistrationSnapshot]:
        """Forget a user's contacts; what they were."""
        found = self.registration(aor)
        self.host.deliver(RegistrationOrder(aor, "kick"))
        return found

    # --- captures

    def wanted(self, call_id: str, user: str) -> Wanted:
        """What a capture is to take: of a call both legs, where its node's events tell the other.

        Raises
        ------
        ApiError
            Neither is named, or both are.
        """
        if bool(call_id) == bool(user):
            raise ApiError(400, "name a call_id or a user, one of the two")
        if not call_id:
            return Wanted(user=user)
        standing = (call for call in self.edge.calls(self.host.now) if call.call_id == call_id)
        partner = next((call.partner for call in standing), "")
        return Wanted(call_ids=(call_id, partner) if partner else (call_id,))

    def begin_capture(self, capture: Capture) -> None:
        """Begin a capture.

        Raises
        ------
        ApiError
            Too many are under way.
        """
        if not self.host.tap.add(capture):
            raise ApiError(409, f"{CAPTURES_MAX} captures are under way - end one, or wait")

    def end_capture(self, capture: Capture) -> None:
        self.host.tap.remove(capture)

    def begin_for_homer(self, capture: Capture, seconds: float) -> None:
        """Begin a capture that nobody waits for, for so long. Raises ApiError as ``begin_capture``."""
        self.begin_capture(capture)
        self._for_homer.append(capture)
        asyncio.get_running_loop().call_later(seconds, self._end_for_homer, capture)

    def _end_for_homer(self, capture: Capture) -> None:
        if capture in self._for_homer:
            self._for_homer.remove(capture)
            self.end_capture(capture)

    def end_all_for_homer(self) -> int:
        """End those; how many there were."""
        count = len(self._for_homer)
        for capture in self._for_homer.copy():
            self._end_for_homer(capture)
        return count

    def homer(self) -> HomerSender:
        """Where messages for Homer go.

        Raises
        ------
        ApiError
            The topology names no collector.
        """
        if self.collector is None:
            raise ApiError(409, "there is no collector - give the edge homer: in the topology")
        return self.collector

    # --- the process

    def health(self) -> models.Health:
        """Healthy while new calls are taken, and a node is there to take them."""
        try:
            nodes = self.nodes()
            draining = self.stopping or self.edge.draining
        except ApiError:
            return models.Health(healthy=not self.stopping, why="", nodes_active=0)
        active = sum(node.state in ("active", "suspect") for node in nodes)
        why = "draining" if draining else "" if active or not nodes else "no node takes calls"
        return models.Health(healthy=not why, why=why, nodes_active=active)

    def version(self) -> models.Version:
        return models.Version(
            siptwin=__version__,
            edge=self._source.edge,
            configuration=self._source.fingerprint,
            configured_at=self.configured_at,
            started_at=self.started_at,
        )

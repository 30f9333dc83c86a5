"""What an operator sees of an edge at one moment: its calls and registrations (nodes: ``NodeSnapshot``)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from engine.dialogs import Dialog, DialogTable
from engine.events import Leg, NodeEvents
from engine.media.ng.servers import RelaySnapshot
from engine.nat import words
from engine.nodes import NodeSnapshot
from engine.registrar import Binding
from engine.registrar.bindings import Bindings
from engine.rescue import Rescue
from engine.rescue.stand_in import StandIn


@dataclass(frozen=True, slots=True)
class CallSnapshot:
    """A call that stands through a node, or has outlived it. What the node's event socket tells is "" where there
    is none.

    ``uuid`` is the node's name of it; ``partner`` the Call-ID of the leg that the node bridges it to. ``rescue``
    is what became of one whose node died: rescued (``partner`` is the other agent's leg), moved (that of the
    edge's own call to ``node``), moving, or left with nobody; "" while its node lives.
    """

    call_id: str
    callee_tag: str
    node: str
    resource: str
    age_s: float
    uuid: str
    partner: str
    rescue: str = ""


@dataclass(frozen=True, slots=True)
class RegistrationSnapshot:
    """A contact that a node has accepted. ``place`` is where it is reached, "" while its connection is lost."""

    aor: str
    contact: str
    interface: str
    place: str
    node: str
    expires_s: float
    nat: tuple[str, ...]


def calls(dialogs: DialogTable, events: NodeEvents, rescue: Rescue | None, now: float) -> Iterator[CallSnapshot]:
    """All calls, the oldest first; then those whose nodes have died."""
    for dialog in dialogs:
        yield _call(dialog, events, now)
    if rescue is not None:
        for stand_in in rescue.standing():
            yield _outliving(stand_in, now)


def open_calls(dialogs: DialogTable, rescue: Rescue | None) -> int:
    """How many these are."""
    return len(dialogs) + (0 if rescue is None else sum(1 for _ in rescue.standing()))


def _call(dialog: Dialog, events: NodeEvents, now: float) -> CallSnapshot:
    call_id = dialog.call_id.decode("utf-8", "replace")
    legs = events.calls(dialog.node.name)
    leg: Leg | None = legs.of_call(call_id) if legs is not None else None
    other = legs.partner(call_id) if legs is not None else None
    return CallSnapshot(
        call_id=call_id,
        callee_tag=dialog.callee_tag.decode("utf-8", "replace"),
        node=dialog.node.name,
        resource=dialog.resource,
        age_s=now - dialog.began_at,
        uuid=leg.uuid if leg is not None else "",
        partner=other.call_id if other is not None else "",
    )


def _outliving(stand_in: StandIn, now: float) -> CallSnapshot:
    side, standing = stand_in.side, stand_in.conversation.standing(stand_in)
    call_id, tag = side.key
    return CallSnapshot(
        call_id=call_id.decode("utf-8", "replace"),
        callee_tag=tag.decode("utf-8", "replace"),
        node=standing.node,
        resource="",
        age_s=now - side.began_at,
        uuid="",
        partner=standing.partner.decode("utf-8", "replace"),
        rescue=standing.rescue,
    )


def registrations(bindings: Bindings, aor: str, now: float) -> Iterator[RegistrationSnapshot]:
    """The contacts of one user, or of all where ``aor`` is ""."""
    found: Iterable[Binding] = bindings.of(aor.encode()) if aor else bindings
    for binding in found:
        user, contact = binding.told
        flow = binding.flow
        yield RegistrationSnapshot(
            aor=user,
            contact=contact,
            interface=flow.interface if flow is not None else "",
            place=f"{flow.peer[0]}:{flow.peer[1]}" if flow is not None else "",
            node=binding.node,
            expires_s=max(binding.expires_at - now, 0.0),
            nat=words(binding.signs),
        )


def others(edge: str, draining: bool, calls: int, relays: Iterable[RelaySnapshot]) -> list[NodeSnapshot]:
    """Relays and the edge itself, as operators see nodes."""
    found = [_other(edge, "", "edge", "draining" if draining else "active", 0, calls)]
    found += [_other(each.name, each.address, "relay", each.state, each.weight, each.calls) for each in relays]
    return found


def _other(name: str, address: str, group: str, state: str, weight: int, calls: int) -> NodeSnapshot:
    return NodeSnapshot(
        name=name,
        address=address,
        groups=(group,),
        state=state,
        priority=0,
        weight=weight,
        in_use={"calls": calls},
        capacity={},
        attempts=0,
        failures=0,
        latency_s=None,
        closed_for_s=0.0,
        events=None,
        sessions=None,
        max_sessions=None,
        idle_cpu=None,
        paused=False,
    )

"""The channels of one node as its events tell them: which Call-ID each has, and which two make one call."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

from engine.events.frames import Event

LEGS_MAX = 200_000  # per node; FreeSWITCH itself carries a tenth of that


@dataclass(frozen=True, slots=True)
class Leg:
    """One channel. ``inbound``: its INVITE came to the node, through us; else the node is the caller.

    ``call_id`` is "" until the node has told it: of an outbound leg at its answer. ``peer`` is the uuid of the
    channel that it is bridged to, "" for none: an application speaks with it.
    """

    uuid: str
    call_id: str
    inbound: bool
    answered: bool = False
    peer: str = ""
    to_tag: str = ""


class NodeCalls:
    """The legs of one node by uuid and by Call-ID.

    After a loss of the event socket it says what stood at that moment, until the node has been asked anew.
    """

    __slots__ = ("_by_call_id", "_legs")

    def __init__(self) -> None:
        self._legs: dict[str, Leg] = {}
        self._by_call_id: dict[str, str] = {}

    # --- what is asked

    def leg(self, uuid: str) -> Leg | None:
        return self._legs.get(uuid)

    def of_call(self, call_id: str) -> Leg | None:
        """The leg whose dialog has this Call-ID."""
        return self._legs.get(self._by_call_id.get(call_id, ""))

    def partner(self, call_id: str) -> Leg | None:
        """The other leg of the call that this Call-ID is one leg of; None where the node bridges it to none."""
        leg = self.of_call(call_id)
        if leg is None or not leg.peer:
            return None
        other = self._legs.get(leg.peer)
        return other if other is not None and other.peer == leg.uuid else None

    def bridges(self) -> Iterator[tuple[Leg, Leg]]:
        """All pairs of legs that are bridged, each once, the inbound one first where one is."""
        for leg in self._legs.values():
            other = self._legs.get(leg.peer)
            if other is None or other.peer != leg.uuid:
                continue
            if (not leg.inbound, leg.uuid) < (not other.inbound, other.uuid):
                yield leg, other

    def __iter__(self) -> Iterator[Leg]:
        return iter(self._legs.values())

    def __len__(self) -> int:
        return len(self._legs)

    # --- what is told

    def created(self, event: Event) -> bool:
        """CHANNEL_CREATE. False where the channel is known, or there are too many."""
        uuid = event.get(b"Unique-ID")
        if not uuid or uuid in self._legs or len(self._legs) >= LEGS_MAX:
            return False
        inbound = event.get(b"Call-Direction") == "inbound"
        self._put(Leg(uuid, event.get(b"variable_sip_call_id"), inbound))
        return True

    def answered(self, event: Event) -> None:
        """CHANNEL_ANSWER."""
        leg = self._told(event)
        if leg is not None:
            self._put(replace(leg, answered=True))

    def bridged(self, event: Event) -> None:
        """CHANNEL_BRIDGE: two channels hear each other from now on; whom they heard before they hear no more."""
        one = self._legs.get(event.get(b"Bridge-A-Unique-ID"))
        other = self._legs.get(event.get(b"Bridge-B-Unique-ID"))
        if one is None or other is None or one is other:
            return
        for leg in (one, other):
            self._part(leg)
        self._put(replace(self._legs[one.uuid], peer=other.uuid))
        self._put(replace(self._legs[other.uuid], peer=one.uuid))
        self._told(event)

    def unbridged(self, event: Event) -> None:
        """CHANNEL_UNBRIDGE."""
        leg = self._told(event)
        if leg is not None:
            self._part(leg)

    def renamed(self, event: Event) -> None:
        """CHANNEL_UUID: a channel has another uuid from now on."""
        leg = self._forget(event.get(b"Old-Unique-ID"))
        uuid = event.get(b"Unique-ID")
        if leg is None or not uuid:
            return
        self._put(replace(leg, uuid=uuid))
        other = self._legs.get(leg.peer)
        if other is not None and other.peer == leg.uuid:
            self._put(replace(other, peer=uuid))

    def ended(self, event: Event) -> Leg | None:
        """CHANNEL_HANGUP: the leg as it was."""
        leg = self._told(event)
        if leg is None:
            return None
        self._part(leg)
        self._forget(leg.uuid)
        return leg

    def dumped(self, event: Event) -> None:
        """What a node answers when it is asked of one channel that stands already."""
        uuid = event.get(b"Unique-ID")
        if not uuid or len(self._legs) >= LEGS_MAX:
            return
        peer = event.get(b"variable_signal_bond") or event.get(b"Other-Leg-Unique-ID")
        answered = event.get(b"Answer-State") == "answered"
        self._put(
            Leg(
                uuid,
                event.get(b"variable_sip_call_id"),
                event.get(b"Call-Direction") == "inbound",
                answered,
                peer if answered else "",
                event.get(b"variable_sip_to_tag"),
            )
        )

    def keep_only(self, uuids: Collection[str]) -> None:
        """Forget all channels but these."""
        for uuid in [uuid for uuid in self._legs if uuid not in uuids]:
            self._part(self._legs[uuid])
            self._forget(uuid)

    # --- inside

    def _told(self, event: Event) -> Leg | None:
        """The event's channel, with what the event says of its dialog."""
        leg = self._legs.get(event.get(b"Unique-ID"))
        if leg is None or (leg.call_id and leg.to_tag):
            return leg
        call_id = leg.call_id or event.get(b"variable_sip_call_id")
        to_tag = leg.to_tag or event.get(b"variable_sip_to_tag")
        if (call_id, to_tag) != (leg.call_id, leg.to_tag):
            leg = replace(leg, call_id=call_id, to_tag=to_tag)
            self._put(leg)
        return leg

    def _part(self, leg: Leg) -> None:
        other = self._legs.get(leg.peer)
        if other is not None and other.peer == leg.uuid:
            self._put(replace(other, peer=""))
        if leg.peer:
            self._put(replace(leg, peer=""))

    def _put(self, leg: Leg) -> None:
        self._legs[leg.uuid] = leg
        if leg.call_id:
            self._by_call_id[leg.call_id] = leg.uuid

    def _forget(self, uuid: str) -> Leg | None:
        leg = self._legs.pop(uuid, None)
        if leg is not None and self._by_call_id.get(leg.call_id) == uuid:
            del self._by_call_id[leg.call_id]
        return leg

"""Follows the dialogs through nodes, and takes over those of a node that has died."""

from __future__ import annotations

from collections.abc import Callable

from engine.boundary import Flow
from engine.config import RescueConfig
from engine.dialogs import DialogTable
from engine.notes import CallNotRescued, CallRescued
from engine.rescue.conversation import LostCall, RescuedConversation
from engine.rescue.ground import Ground
from engine.rescue.joining import Joiner
from engine.rescue.node_side import MARK_HEADER, DialogKey, NodeSide
from engine.rescue.sides import Bridged, Sides
from engine.rescue.stand_in import StandIn
from engine.sip.errors import SipError
from engine.sip.message import Request, Response
from engine.sip.transactions import ServerTransaction


class Rescue:
    """The rescue of one edge's calls."""

    def __init__(
        self,
        config: RescueConfig,
        ground: Ground,
        dialogs: DialogTable,
        lifetime_s: float,
        media: Joiner,
        bridged: Bridged,
        is_down: Callable[[str], bool],
    ) -> None:
        self.config = config
        self._dialogs = dialogs
        self._ground = ground
        self._media = media
        self._is_down = is_down
        self._sides = Sides(ground.timers, lifetime_s, bridged)
        self._stand_ins: dict[DialogKey, StandIn] = {}

    # --- while the nodes live

    def mark(self, invite: Request, to_node: bool, mark: bytes) -> bytes:
        """Write an agent's mark into the INVITE for a node, or read and remove what the node made of it.

        ``mark`` is that of an earlier attempt at the same call, which stays.
        """
        if to_node:
            mark = mark or b"%032x" % self._ground.rng.getrandbits(128)
            invite.set(MARK_HEADER, b"X-Siptwin-Leg: " + mark)
            return mark
        mark = invite.get(MARK_HEADER) or b""
        invite.remove(MARK_HEADER)
        return mark

    def begins(
        self,
        invite: Request,
        response: Response,
        node: str,
        node_calls: bool,
        mark: bytes,
        agent_key: bytes,
        flow: Flow,
        now: float,
    ) -> None:
        """A 2xx made a dialog between a node and an agent, who is reached on ``flow``.

        One that says too little to be taken over later is passed over.
        """
        make = NodeSide.of_caller if node_calls else NodeSide.of_callee
        try:
            side = make(invite, response, node, mark, agent_key, flow, now)
            side.dialog.routes = self._ground.here.beyond(side.dialog.routes)
        except SipError:
            return
        self._sides.add(side, now)
        if node_calls and self._is_down(node):  # it rang when the node died, and was answered before our CANCEL
            self._not_rescued(side, "it was answered when its node was gone", True, now)

    def answered(self, request: Request, response: Response, from_node: bool, now: float) -> None:
        """A 2xx to a request within a dialog goes by; ``from_node``: the node gave it."""
        side = self._sides.of(request)
        if side is not None:
            side.answered(request, response, from_node, now)
            return
        stand_in = self._stand_in_of(request)
        if stand_in is not None and not from_node and request.method == b"INVITE":
            # A re-INVITE of the node, which died over it; the answer is to an offer that means nothing any more.
            stand_in.acknowledge(request.cseq.number)
            stand_in.renegotiate(now)

    def ended(self, key: DialogKey) -> None:
        """A dialog has ended, whoever said so."""
        side = self._sides.get(key)
        if side is not None:
            self._sides.remove(side)

    def over(self, request: Request) -> None:
        """The dialog of this request has ended."""
        side = self._sides.of(request)
        if side is not None:
            self._sides.remove(side)

    # --- when one dies

    def node_lost(self, node: str, now: float) -> None:
        """Take over what stands through this node."""
        left = dict.fromkeys(self._sides.at(node))
        for side in left:
            dialog = self._media.spoken(side.key, side.agent)
            if dialog is not None:
                side.went_on(dialog)
        while left:
            side = next(iter(left))
            del left[side]
            other = self._sides.partner(side, now)
            if not isinstance(other, str) and self._sides.partner(other, now) is not side:
                other = "its other half belongs to another call"
            if isinstance(other, str):
                self._not_rescued(side, other, self._hangs_up, now)
                continue
            left.pop(other, None)
            self._rescue(*((other, side) if side.node_calls else (side, other)), now)

    def _rescue(self, one: NodeSide, other: NodeSide, now: float) -> None:
        """Let two agents go on; ``one`` has called, where one of them has."""
        try:
            media = self._media.join(one.key, one.agent, other.key, other.agent, now)
        except SipError as error:
            for each in (one, other):
                self._not_rescued(each, error.why, self._hangs_up, now)
            return
        conversation = RescuedConversation(self._ground, (one, other), media, self._forget, now)
        for stand_in in conversation.stand_ins:
            self._take_over(stand_in, now)
        self._ground.out.append(CallRescued(_text(one), _text(other), one.node))

    @property
    def _hangs_up(self) -> bool:
        return self.config.others == "end"

    def _not_rescued(self, side: NodeSide, why: str, hang_up: bool, now: float) -> None:
        self._ground.out.append(CallNotRescued(_text(side), side.node, why))
        self._media.drop(side.key, now)
        self._take_over(LostCall(self._ground, side, hang_up, self._forget, now).stand_in, now)

    def _take_over(self, stand_in: StandIn, now: float) -> None:
        key = stand_in.side.key
        self._sides.remove(stand_in.side)
        dialog = self._dialogs.get(*key)
        if dialog is not None:
            self._dialogs.end(dialog, now, "taken over")
        self._stand_ins[key] = stand_in

    def _forget(self, stand_in: StandIn) -> None:
        self._stand_ins.pop(stand_in.side.key, None)

    # --- requests

    def takes(self, transaction: ServerTransaction, from_node: bool, now: float) -> bool:
        """Whether a request within a dialog is for a stand-in, which then answers it."""
        request = transaction.request
        stand_in = self._stand_in_of(request)
        if stand_in is None:
            side = self._sides.of(request)
            if side is not None:
                side.passes(request, from_node)
            return False
        if from_node:
            stand_in.from_node(transaction, now)
        else:
            stand_in.receive(transaction, now)
        return True

    def takes_ack(self, request: Request, now: float) -> bool:
        """Whether an ACK is for a stand-in."""
        stand_in = self._stand_in_of(request)
        if stand_in is not None:
            stand_in.acknowledged(request, now)
            return True
        side = self._sides.of(request)
        if side is not None:
            side.acknowledged(request)
        return False

    def flow_lost(self, flow: Flow, reason: str, now: float) -> None:
        """An agent's connection is gone, on which answers to requests of ours were to come."""
        for errand in list(self._ground.on_streams.get(flow, ())):
            errand.flow_lost(reason, now)

    def _stand_in_of(self, request: Request) -> StandIn | None:
        if not self._stand_ins:
            return None
        call_id, ours, theirs = request.call_id, request.from_.tag, request.to.tag
        for key in ((call_id, theirs), (call_id, ours)):
            found = self._stand_ins.get(key)
            if found is not None and found.side.is_of(ours, theirs):
                return found
        return None

    @property
    def rescued(self) -> int:
        """How many dialogs have a stand-in."""
        return len(self._stand_ins)

    def __len__(self) -> int:
        return len(self._sides)


def _text(side: NodeSide) -> str:
    return side.key[0].decode("utf-8", "replace")

"""Follows the dialogs through nodes, and takes over those of a node that has died."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from engine.boundary import Flow, RescueRecord
from engine.config import RescueConfig
from engine.dialogs import DialogTable
from engine.early import Numbers
from engine.notes import CallMoving, CallNotRescued, CallRescued, CallRestored
from engine.records import Records
from engine.rescue.bridges import Bridged
from engine.rescue.conversation import NODE_LOST, LostCall, RescuedConversation
from engine.rescue.ground import Ground
from engine.rescue.joining import Joiner
from engine.rescue.keeping import Keeping, LostMedia
from engine.rescue.moves import Moves
from engine.rescue.moving import RESCUED_HEADER, Origin, Place
from engine.rescue.node_side import MARK_HEADER, DialogKey, NodeSide
from engine.rescue.replaces import rename
from engine.rescue.sides import Alone, Sides
from engine.rescue.stand_in import Conversation, StandIn
from engine.sip.errors import SipError
from engine.sip.headers import parse_name_addr
from engine.sip.message import Request, Response
from engine.sip.transactions import ServerTransaction
from engine.ua.parts import reply


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
        place: Place,
        records: Records,
    ) -> None:
        self.config = config
        self._dialogs = dialogs
        self._ground = ground
        self._media = media
        self._is_down = is_down
        self._sides = Sides(ground.timers, lifetime_s, bridged)
        self._stand_ins: dict[DialogKey, StandIn] = {}
        self._keeping = Keeping(records)
        self._moves = Moves(config, ground, dialogs, media, place, self, self._keeping)

    # --- while the nodes live

    def mark(self, invite: Request, to_node: bool, mark: bytes) -> bytes:
        """Write an agent's mark into the INVITE for a node, or read and remove what the node made of it.

        ``mark`` is that of an earlier attempt at the same call, which stays.
        """
        if to_node:
            if not self._moves.is_ours(invite.call_id):
                invite.remove(RESCUED_HEADER)
            mark = mark or b"%032x" % self._ground.rng.getrandbits(128)
            invite.set(MARK_HEADER, b"X-Siptwin-Leg: " + mark)
            return mark
        mark = invite.get(MARK_HEADER) or b""
        invite.remove(MARK_HEADER)
        invite.remove(RESCUED_HEADER)  # copied like the mark
        return mark

    def begins(
        self,
        invite: Request,
        response: Response,
        numbers: Numbers,
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
            side = make(self._ground.here, invite, response, numbers, node, mark, agent_key, flow, now)
        except SipError:
            return
        stand_in = self._stand_ins.get(side.key)
        if stand_in is not None and not self._moves.stands(side.key):
            return  # a call of our own that nobody wants any more
        self._sides.add(side, now)
        if node_calls and self._is_down(node):  # it rang when the node died, and was answered before our CANCEL
            self._end(Origin(side, node, side.key), "it was answered when its node was gone", True, now)

    def passes(self, request: Request) -> None:
        """A request within a dialog goes by, to whom it may go."""
        side = self._sides.of(request)
        if side is not None:
            side.passes(request)

    def acknowledged(self, ack: Request) -> None:
        """So does an ACK."""
        side = self._sides.of(ack)
        if side is not None:
            side.acknowledged(ack)

    def answered(self, request: Request, response: Response, now: float) -> None:
        """A 2xx to a request within a dialog goes by."""
        side = self._sides.of(request)
        if side is not None:
            side.answered(request, response, now)
            return
        stand_in = self._stand_in_of(request)
        if stand_in is None or stand_in.side.faces_node or request.method != b"INVITE":
            return
        if stand_in.side.from_node(request):
            # A re-INVITE of the node, which died over it; the answer is to an offer that means nothing any more.
            stand_in.acknowledge(request.cseq.number)
            stand_in.renegotiate(now)

    def ended(self, key: DialogKey, now: float) -> None:
        """A dialog has ended, whoever said so."""
        side = self._sides.get(key)
        if side is not None:
            self._sides.remove(side)
        self._moves.ended(key, now)

    def over(self, request: Request) -> None:
        """The dialog of this request has ended."""
        side = self._sides.of(request)
        if side is not None:
            self._sides.remove(side)

    # --- when one dies

    def node_lost(self, node: str, now: float) -> None:
        """Take over what stands through this node."""
        left = dict.fromkeys(self._sides.at(node))
        for side in list(left):
            if self._moves.is_ours(side.key[0]):  # its answer waits for the store, and finds no dialog any more
                self._end_tables(side, now)
                del left[side]
                continue
            dialog = self._media.spoken(side.key, side.agent)
            if dialog is not None:
                side.went_on(dialog)
            side.transferred |= self._moves.was_transferred(side.key)
        while left:
            side = next(iter(left))
            del left[side]
            other = self._sides.partner(side, now)
            if isinstance(other, NodeSide) and self._sides.partner(other, now) is not side:
                other = Alone("its other half belongs to another call")
            if isinstance(other, Alone):
                self._alone(side, other, now)
                continue
            left.pop(other, None)
            self._rescue(*((other, side) if side.node_calls else (side, other)), now=now)

    def _rescue(self, one: NodeSide, other: NodeSide, *, now: float) -> None:
        """Let two agents go on; ``one`` has called, where one of them has."""
        try:
            media = self._media.join(one.key, one.agent, other.key, other.agent, now)
        except SipError as error:
            for each in (one, other):
                self._alone(each, Alone(error.why), now)
            return
        ground = self._ground
        conversation = RescuedConversation(ground.out, media, self._keeping.keep, self._over, self.forget, now)
        ends = (self._taken_over(one, conversation, now), self._taken_over(other, conversation, now))
        conversation.between(*ends)
        self._keeping.keep(*ends, now)
        ground.out.append(CallRescued(_text(ends[0].side), _text(ends[1].side), one.node))

    def _over(self, conversation: RescuedConversation, why: str, now: float) -> None:
        """Two agents have no more to do with each other."""
        self._keeping.drop(*conversation.stand_ins)

    def _taken_over(self, side: NodeSide, conversation: Conversation, now: float) -> StandIn:
        """The stand-in of an agent whose node is gone: a new one, or the one of a call that was moved there."""
        before = self._moves.behind(side.key, now)
        self._end_tables(side, now)
        if before is not None:
            return before[0]
        stand_in = StandIn(self._ground, side, conversation, now)
        self.stands_in(stand_in)
        return stand_in

    def _alone(self, side: NodeSide, alone: Alone, now: float) -> None:
        """A call goes on with nobody here."""
        why = alone.why
        if self.config.others == "move" and alone.application:
            if side.asked and not side.transferred:
                self._move(side, now)
                return
            why += ", and what it was transferred to is not known" if side.asked else ", and the node had called"
        self._end(Origin(side, side.node, side.key), why, self._hangs_up, now)

    def _move(self, side: NodeSide, now: float) -> None:
        before = self._moves.behind(side.key, now)
        if before is None:
            self._media.keep(side.key)
        self._end_tables(side, now)
        stand_in, origin = before or (None, Origin(side, side.node, side.key))
        self.stands_in(self._moves.begin(origin, stand_in, now))

    @property
    def _hangs_up(self) -> bool:
        config = self.config
        return (config.otherwise if config.others == "move" else config.others) == "end"

    def _end(self, origin: Origin, why: str, hang_up: bool, now: float) -> None:
        """An agent is left without anybody."""
        lost = LostCall(self.forget)
        before = self._moves.behind(origin.side.key, now)
        self._end_tables(origin.side, now)
        if before is None:
            stand_in = StandIn(self._ground, origin.side, lost, now)
            self.stands_in(stand_in)
        else:
            stand_in, origin = before
        self._leave(origin, stand_in, why, hang_up, now)

    def _leave(self, origin: Origin, stand_in: StandIn, why: str, hang_up: bool, now: float) -> None:
        stand_in.conversation = LostCall(self.forget)
        self._ground.out.append(CallNotRescued(_text(origin.side), origin.node, why))
        self._media.let_go(origin.media, now)
        if hang_up:
            stand_in.hang_up(NODE_LOST, now)

    def _end_tables(self, side: NodeSide, now: float) -> None:
        self._sides.remove(side)
        dialog = self._dialogs.get(*side.key)
        if dialog is not None:
            self._dialogs.end(dialog, now, "taken over")

    # --- StandIns

    def stands_in(self, stand_in: StandIn) -> None:
        self._stand_ins[stand_in.side.key] = stand_in

    def stand_in(self, key: DialogKey) -> StandIn | None:
        return self._stand_ins.get(key)

    def forget(self, stand_in: StandIn) -> None:
        if self._stand_ins.get(stand_in.side.key) is stand_in:
            del self._stand_ins[stand_in.side.key]

    def lost(self, origin: Origin, stand_in: StandIn, why: str, now: float) -> None:
        self._leave(origin, stand_in, f"not moved: {why}", self._hangs_up, now)

    # --- after a restart

    def restore(self, records: Iterable[RescueRecord], now: float) -> None:
        """Take over the conversations of an earlier life."""
        ground = self._ground
        for sides in self._keeping.read(records, now):
            if any(side.key in self._stand_ins for side in sides):
                continue
            moved = sides[1].faces_node
            over = self._moves.over if moved else self._over
            conversation = RescuedConversation(ground.out, LostMedia(), self._keeping.keep, over, self.forget, now)
            one, other = (StandIn(ground, side, conversation, now) for side in sides)
            conversation.between(one, other)
            for stand_in in (one, other):
                self.stands_in(stand_in)
                if not stand_in.side.faces_node:
                    ground.out.append(_restored(stand_in.side, now))
            if moved:
                ground.out.append(CallMoving(_text(one.side), _text(other.side), one.side.node))
                self._moves.restore(conversation, Origin(one.side, other.side.node, one.side.key))

    # --- operators

    def standing(self) -> Iterator[StandIn]:
        """The stand-ins towards agents whose calls stand; of nodes the dialogs know."""
        return (each for each in self._stand_ins.values() if not (each.over or each.side.faces_node))

    def end(self, call_id: str, now: float) -> bool:
        """An operator ends a call; False where nobody stands in for its node, nor has it been moved."""
        found = self.named(call_id)
        for stand_in in found:
            stand_in.dismiss(now)
        return bool(found)

    def named(self, call_id: str) -> list[StandIn]:
        """Who stands in for a node in dialogs of this Call-ID, or speaks to one in a call of our own."""
        return [each for each in self._stand_ins.values() if _text(each.side) == call_id]

    # --- requests

    def takes(self, transaction: ServerTransaction, from_node: bool, now: float, late: bool = False) -> bool:
        """Whether a request within a dialog is for a stand-in, which then answers it.

        A ``late`` one was on its way to the node, so that its number has been counted.
        """
        request = transaction.request
        if request.method == b"REFER" and self._stand_ins:
            try:
                rename(request, self._stand_in_between)
            except SipError as error:
                transaction.respond(reply(request, error.status), now)
                return True
        stand_in = self._stand_in_of(request)
        if stand_in is None:
            return False
        if from_node and not stand_in.side.faces_node:
            stand_in.from_node(transaction, now)
        else:
            stand_in.receive(transaction, now, late)
        return True

    def takes_ack(self, request: Request, now: float) -> bool:
        """Whether an ACK is for a stand-in."""
        stand_in = self._stand_in_of(request)
        if stand_in is not None:
            stand_in.acknowledged(request, now)
        return stand_in is not None

    def flow_lost(self, flow: Flow, reason: str, now: float) -> None:
        """An agent's connection is gone, on which answers to requests of ours were to come."""
        for errand in list(self._ground.on_streams.get(flow, ())):
            errand.flow_lost(reason, now)

    def _stand_in_of(self, request: Request) -> StandIn | None:
        if not self._stand_ins:
            return None
        return self._stand_in_between(request.call_id, request.to.tag, request.from_.tag)

    def _stand_in_between(self, call_id: bytes, to_tag: bytes, from_tag: bytes) -> StandIn | None:
        for key in ((call_id, to_tag), (call_id, from_tag)):
            found = self._stand_ins.get(key)
            if found is not None and found.side.is_of(from_tag, to_tag):
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


def _restored(side: NodeSide, now: float) -> CallRestored:
    """Who speaks in a dialog that is restored."""
    node, agent = (parse_name_addr(party).uri for party in (side.dialog.local_party, side.dialog.remote_party))
    caller, callee = (node, agent) if side.node_calls else (agent, node)
    age_s = now - side.began_at
    return CallRestored(
        _text(side), caller.decode("utf-8", "replace"), callee.decode("utf-8", "replace"), side.node, age_s
    )

"""All calls of one edge that are on their way to another node, and those that have arrived."""

from __future__ import annotations

from typing import Protocol

from engine.config import RescueConfig
from engine.dialogs import DialogTable
from engine.early import Numbers
from engine.notes import CallMoved
from engine.registrar.binding import NO_KEY
from engine.rescue.conversation import LostCall, RescuedConversation
from engine.rescue.ground import Ground
from engine.rescue.joining import Joiner
from engine.rescue.keeping import Keeping
from engine.rescue.moving import Asked, Move, Origin, Place, Placement
from engine.rescue.node_side import DialogKey, NodeSide
from engine.rescue.stand_in import StandIn
from engine.rescue.turns import Turns
from engine.sip.errors import SipError
from engine.sip.message import Request, Response

_NOT_WANTED = (b'Reason: SIP;cause=480;text="Temporarily Unavailable"',)


class StandIns(Protocol):
    """Who answers in which dialog (``engine.rescue.rescue``)."""

    def stands_in(self, stand_in: StandIn) -> None: ...

    def stand_in(self, key: DialogKey) -> StandIn | None: ...

    def forget(self, stand_in: StandIn) -> None: ...

    def lost(self, origin: Origin, stand_in: StandIn, why: str, now: float) -> None:
        """A call could not be moved."""
        ...


class Moves:
    """Places calls in the names of agents, and joins what answers with them."""

    def __init__(
        self,
        config: RescueConfig,
        ground: Ground,
        dialogs: DialogTable,
        media: Joiner,
        place: Place,
        stand_ins: StandIns,
        keeping: Keeping,
    ) -> None:
        self._config = config
        self._ground = ground
        self._dialogs = dialogs
        self._media = media
        self._place = place
        self._stand_ins = stand_ins
        self._keeping = keeping
        self._turns = Turns(ground.timers, config.moves_per_s)
        self._moved: dict[DialogKey, tuple[RescuedConversation, Origin]] = {}
        self._asked: set[bytes] = set()  # Call-IDs of ours that are being routed

    def begin(self, origin: Origin, stand_in: StandIn | None, now: float) -> StandIn:
        """The node of a call to an application died. Returns the stand-in of its agent."""
        move = Move(self._ground, self, origin, now + self._config.move_within_s, now)
        if stand_in is None:
            stand_in = StandIn(self._ground, origin.side, move, now)
        stand_in.conversation = move
        move.stand_in = stand_in
        self.queue(move, now, now)
        return stand_in

    def stands(self, key: DialogKey) -> bool:
        """Whether a call of ours is half of a conversation."""
        return key in self._moved

    def is_ours(self, call_id: bytes) -> bool:
        """Whether an INVITE is one of ours, and has no final response yet."""
        return call_id in self._asked

    # --- those that have arrived

    def behind(self, key: DialogKey, now: float) -> tuple[StandIn, Origin] | None:
        """Whose call stands at a node by this dialog of ours, which the node has lost: what is to be done for it
        is up to who asks."""
        found = self._moved.pop(key, None)
        if found is None:
            return None
        conversation, origin = found
        self._keeping.drop(*conversation.stand_ins)
        gone = conversation.stand_ins[1]
        stand_in = conversation.abandon(now)
        self._stand_ins.forget(gone)
        return stand_in, origin._replace(node=gone.side.node, media=key)

    def was_transferred(self, key: DialogKey) -> bool:
        found = self._moved.get(key)
        return found is not None and found[0].stand_ins[1].side.transferred

    def ended(self, key: DialogKey, now: float) -> None:
        """The node's dialog has ended without a word to us: its node says so, or its time is over."""
        found = self._moved.get(key)
        if found is not None:
            other = found[0].stand_ins[1]
            other.hang_up((), now)
            found[0].ended(other, (), "gone", now)

    def restore(self, conversation: RescuedConversation, origin: Origin) -> None:
        """One of an earlier life."""
        self._moved[conversation.stand_ins[1].side.key] = (conversation, origin)

    def over(self, conversation: RescuedConversation, why: str, now: float) -> None:
        """A conversation with a node is over, and its channel is free."""
        key = conversation.stand_ins[1].side.key
        self._moved.pop(key, None)
        self._media.forget(key)
        self._keeping.drop(*conversation.stand_ins)
        dialog = self._dialogs.get(*key)
        if dialog is not None:
            self._dialogs.end(dialog, now, why)

    # --- Mover

    def offer_of(self, origin: Origin) -> bytes:
        return self._media.offer_of(origin.media, origin.media_side)

    def queue(self, move: Move, at: float, now: float) -> None:
        self._turns.add(move, at, now)

    def place(self, asked: Asked, now: float) -> Placement:
        self._asked.add(asked.invite.call_id)
        return self._place(asked.invite, asked.move.origin.side.agent_flow, asked, now)

    def settled(self, invite: Request) -> None:
        self._asked.discard(invite.call_id)

    def answered(self, move: Move, invite: Request, response: Response, now: float) -> None:
        key = (invite.call_id, response.to.tag)
        known = self._stand_ins.stand_in(key)
        if known is not None:
            known.acknowledge(response.cseq.number)  # our ACK was lost
            return
        dialog = self._dialogs.get(*key)
        if dialog is None:  # its node died over the answer, or was none; without an ACK it ends by itself
            move.refused(503, now)
            return
        node, origin = dialog.node, move.origin
        try:
            numbers = Numbers(invite.cseq.number, 0)
            here, flow = self._ground.here, node.flow
            side = NodeSide.of_caller(here, invite, response, numbers, node.name, b"", NO_KEY, flow, now)
        except SipError as error:
            self._dialogs.end(dialog, now, "lost")
            if not move.over:
                move.fail(error.why, now)
            return
        side.faces_node = True
        other = StandIn(self._ground, side, LostCall(self._stand_ins.forget), now)  # which acknowledges
        self._stand_ins.stands_in(other)
        try:
            if move.over:
                raise SipError("nobody waits for it any more", 480)
            media = self._media.join(origin.media, origin.media_side, key, "callee", now)
        except SipError as error:
            other.hang_up(_NOT_WANTED, now)
            self._dialogs.end(dialog, now, "lost")
            if not move.over:
                move.fail(error.why, now)
            return
        move.stop((), now)
        self._media.keep(key, media)
        conversation = RescuedConversation(
            self._ground.out, media, self._keeping.keep, self.over, self._stand_ins.forget, now
        )
        conversation.between(move.stand_in, other)
        self._moved[key] = (conversation, origin)
        self._keeping.keep(move.stand_in, other, now)
        call_id, own = (each.decode("utf-8", "replace") for each in (origin.side.key[0], key[0]))
        self._ground.out.append(CallMoved(call_id, own, origin.node, node.name, now - move.began_at))

    def failed(self, move: Move, why: str, now: float) -> None:
        self._stand_ins.lost(move.origin, move.stand_in, why, now)

    def forget(self, stand_in: StandIn) -> None:
        self._stand_ins.forget(stand_in)

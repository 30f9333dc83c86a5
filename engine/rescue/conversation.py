"""Two ends of a conversation whose node is gone, and who go on by way of the edge; or one end without another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from engine.boundary import Effect
from engine.media.offer_answer import Side
from engine.media.relay import Answered, JoinedMedia
from engine.notes import RescuedCallEnded
from engine.rescue.stand_in import StandIn, Standing
from engine.sip.errors import SipError

NODE_LOST: Final = (b'Reason: Q.850;cause=27;text="DESTINATION_OUT_OF_ORDER"',)


class RescuedConversation:
    """The stand-ins of both dialogs over their joined media.

    ``keep`` is told of both, and when they began, when a next life must know something else of them; ``over`` of
    the end, ``forget`` of each stand-in that is of no use any more.
    """

    __slots__ = ("_began_at", "_forget", "_keep", "_media", "_out", "_over", "_stand_ins", "_told_over")

    def __init__(
        self,
        out: list[Effect],
        media: JoinedMedia,
        keep: Callable[[StandIn, StandIn, float], None],
        over: Callable[[RescuedConversation, str, float], None],
        forget: Callable[[StandIn], None],
        now: float,
    ) -> None:
        self._out = out
        self._media = media
        self._keep = keep
        self._told_over = over
        self._forget = forget
        self._began_at = now
        self._over = False
        self._stand_ins: tuple[StandIn, ...] = ()

    def between(self, one: StandIn, other: StandIn) -> None:
        """``one`` is of who is "caller" in the media."""
        self._stand_ins = (one, other)
        one.conversation = other.conversation = self
        self._media.changed = self._changed

    @property
    def stand_ins(self) -> tuple[StandIn, ...]:
        return self._stand_ins

    # --- Conversation

    def answer(self, stand_in: StandIn, offer: bytes, then: Answered, now: float) -> None:
        self._media.answer(self._side_of(stand_in), offer, then, now)

    def offer(self, stand_in: StandIn, now: float) -> bytes:
        return self._media.offer(self._side_of(stand_in), now)

    def answered(self, stand_in: StandIn, answer: bytes, now: float) -> None:
        self._media.answered(self._side_of(stand_in), answer, now)

    def _changed(self, side: Side, now: float) -> None:
        """An agent must hear of other ports."""
        self._stand_ins[0 if side == "caller" else 1].renegotiate(now)

    def _side_of(self, stand_in: StandIn) -> Side:
        return "caller" if stand_in is self._stand_ins[0] else "callee"

    def passes_on(self, stand_in: StandIn) -> StandIn | None:
        """An agent and a node have all to do with each other; two agents had it with the node that is gone."""
        one, other = self._stand_ins
        if not other.side.faces_node:
            return None
        return other if stand_in is one else one

    def changed(self, stand_in: StandIn, now: float) -> None:
        one, other = self._stand_ins
        self._keep(one, other, self._began_at)

    def standing(self, stand_in: StandIn) -> Standing:
        one, other = self._stand_ins
        beyond = other if stand_in is one else one
        moved = beyond.side.faces_node
        return Standing("moved" if moved else "rescued", beyond.side.node, beyond.side.key[0])

    def ended(self, stand_in: StandIn, reasons: tuple[bytes, ...], why: str, now: float) -> None:
        if self._over:
            return
        self._over = True
        for other in self._stand_ins:
            if other is not stand_in:
                other.hang_up(reasons, now)
        self._media.release(now)
        calls = [each.side.key[0].decode("utf-8", "replace") for each in self._stand_ins]
        self._out.append(RescuedCallEnded(calls[0], calls[1], why, now - self._began_at))
        self._told_over(self, why, now)

    def abandon(self, now: float) -> StandIn:
        """The node that one of the two is at has died as well: the other one's stand-in, who goes on elsewhere."""
        self._over = True
        one, other = self._stand_ins
        other.retire(now)
        return one

    def forget(self, stand_in: StandIn) -> None:
        self._forget(stand_in)


class LostCall:
    """One agent whose node was all that it spoke to. It is told of the end, or left to find out by itself."""

    __slots__ = ("_forget",)

    def __init__(self, forget: Callable[[StandIn], None]) -> None:
        self._forget = forget

    # --- Conversation

    def answer(self, stand_in: StandIn, offer: bytes, then: Answered, now: float) -> None:
        then(SipError("nobody is there to hear", 488), now)

    def offer(self, stand_in: StandIn, now: float) -> bytes:
        raise SipError("nobody is there to hear", 488)

    def answered(self, stand_in: StandIn, answer: bytes, now: float) -> None:
        raise SipError("nobody is there to hear", 488)

    def passes_on(self, stand_in: StandIn) -> StandIn | None:
        return None

    def changed(self, stand_in: StandIn, now: float) -> None:
        pass

    def standing(self, stand_in: StandIn) -> Standing:
        return Standing("left", stand_in.side.node)

    def ended(self, stand_in: StandIn, reasons: tuple[bytes, ...], why: str, now: float) -> None:
        pass

    def forget(self, stand_in: StandIn) -> None:
        self._forget(stand_in)

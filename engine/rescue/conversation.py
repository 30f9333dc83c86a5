"""Two agents whose node is gone, and who go on by way of the edge; or one agent whose node was an application."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from engine.boundary import Effect
from engine.media.offer_answer import Side
from engine.media.relay import JoinedMedia
from engine.notes import RescuedCallEnded
from engine.rescue.ground import Ground
from engine.rescue.node_side import NodeSide
from engine.rescue.stand_in import StandIn
from engine.sip.errors import SipError

_NODE_LOST: Final = (b'Reason: Q.850;cause=27;text="DESTINATION_OUT_OF_ORDER"',)


class RescuedConversation:
    """The stand-ins of both dialogs over their joined media."""

    __slots__ = ("_began_at", "_forget", "_media", "_out", "_over", "_stand_ins")

    def __init__(
        self,
        ground: Ground,
        sides: tuple[NodeSide, NodeSide],
        media: JoinedMedia,
        forget: Callable[[StandIn], None],
        now: float,
    ) -> None:
        self._out: list[Effect] = ground.out
        self._media = media
        self._forget = forget
        self._began_at = now
        self._over = False
        self._stand_ins = tuple(StandIn(ground, side, self, now) for side in sides)

    @property
    def stand_ins(self) -> tuple[StandIn, ...]:
        return self._stand_ins

    # --- Conversation

    def answer(self, stand_in: StandIn, offer: bytes, now: float) -> bytes:
        return self._media.answer(self._side_of(stand_in), offer, now)

    def offer(self, stand_in: StandIn, now: float) -> bytes:
        return self._media.offer(self._side_of(stand_in), now)

    def answered(self, stand_in: StandIn, answer: bytes, now: float) -> None:
        self._media.answered(self._side_of(stand_in), answer, now)

    def _side_of(self, stand_in: StandIn) -> Side:
        return "caller" if stand_in is self._stand_ins[0] else "callee"

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

    def forget(self, stand_in: StandIn) -> None:
        self._forget(stand_in)


class LostCall:
    """One agent whose node was all that it spoke to. It is told of the end, or left to find out by itself."""

    __slots__ = ("_forget", "stand_in")

    def __init__(
        self, ground: Ground, side: NodeSide, hang_up: bool, forget: Callable[[StandIn], None], now: float
    ) -> None:
        self._forget = forget
        self.stand_in = StandIn(ground, side, self, now)
        if hang_up:
            self.stand_in.hang_up(_NODE_LOST, now)

    # --- Conversation

    def answer(self, stand_in: StandIn, offer: bytes, now: float) -> bytes:
        raise SipError("nobody is there to hear", 488)

    def offer(self, stand_in: StandIn, now: float) -> bytes:
        raise SipError("nobody is there to hear", 488)

    def answered(self, stand_in: StandIn, answer: bytes, now: float) -> None:
        raise SipError("nobody is there to hear", 488)

    def ended(self, stand_in: StandIn, reasons: tuple[bytes, ...], why: str, now: float) -> None:
        pass

    def forget(self, stand_in: StandIn) -> None:
        self._forget(stand_in)

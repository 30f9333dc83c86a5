"""What a rescue asks of whoever relays the media."""

from __future__ import annotations

from typing import Protocol

from engine.media.offer_answer import Side
from engine.media.relay import JoinedMedia
from engine.rescue.node_side import DialogKey
from engine.ua.dialog import Dialog


class Joiner(Protocol):
    """The media of all dialogs (``engine.proxy.legs``)."""

    def spoken(self, key: DialogKey, side: Side) -> Dialog | None:
        """The dialog with a side, as requests of our own have left it; None where there can be none."""
        ...

    def join(self, one: DialogKey, one_side: Side, other: DialogKey, other_side: Side, now: float) -> JoinedMedia:
        """Let a side of one dialog and one of another hear each other, without what was between them.

        Raises
        ------
        SipError
            Where that can't be.
        """
        ...

    def keep(self, key: DialogKey, joined: JoinedMedia | None = None) -> None:
        """The media of a dialog outlive it, to be joined by its key: its own, or such as were joined since."""
        ...

    def let_go(self, key: DialogKey, now: float) -> None:
        """Give back what the media of a dialog hold: nobody is there to hear."""
        ...

    def forget(self, key: DialogKey) -> object:
        """Kept media are given back by who has joined them."""
        ...

    def offer_of(self, key: DialogKey, side: Side) -> bytes:
        """What a side speaks, as an offer of its own without an address. Raises SipError."""
        ...

"""What a node's events say of who is connected to whom."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from engine.events import NodeCalls


class Bridge(NamedTuple):
    """``call_id`` is the Call-ID of who this one is connected to, "" where that has none here. One that is not
    connected speaks with the node itself, with an application."""

    connected: bool
    call_id: bytes = b""


Bridged: TypeAlias = Callable[[str, bytes, float], Bridge | None]
"""Of a node and a Call-ID at a time; None where the events say nothing, or what they said is old by now."""


def bridge_of(
    calls_at: Callable[[str, float], NodeCalls | None], node: str, call_id: bytes, now: float
) -> Bridge | None:
    """As ``Bridged``."""
    calls = calls_at(node, now)
    leg = None if calls is None else calls.of_call(call_id.decode("utf-8", "replace"))
    if calls is None or leg is None:
        return None
    other = calls.partner(leg.call_id)
    return Bridge(bool(leg.peer), b"" if other is None else other.call_id.encode())

"""What a rescue asks of whoever relays the media."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from engine.media.relay import JoinedMedia
from engine.rescue.node_side import NodeSide

Joiner: TypeAlias = Callable[[NodeSide, NodeSide, float], JoinedMedia]
"""Joins the media of the agents of two dialogs: the first is the "caller" of what comes of it.

It raises SipError where that can't be.
"""

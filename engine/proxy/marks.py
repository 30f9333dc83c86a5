"""What the edge tells a node of a rescue in a request's headers, which nobody else may say."""

from __future__ import annotations

from typing import Final

from engine.proxy.core import ProxyCore
from engine.rescue.moving import RESCUED_HEADER
from engine.rescue.node_side import MARK_HEADER
from engine.sip.message import Request

_OURS: Final = (MARK_HEADER, RESCUED_HEADER)


def mark(core: ProxyCore, request: Request, to_node: bool, before: bytes) -> bytes:
    """Let the rescue write an INVITE's mark, or read it; ``before`` is that of an earlier attempt."""
    rescue = core.rescue
    if rescue is not None and request.method == b"INVITE" and not request.to.tag:
        return rescue.mark(request, to_node, before)
    if to_node:
        unmark(request)
    return before


def unmark(request: Request) -> None:
    """Take out what a stranger wrote there: a dialplan believes it, whether calls are rescued here or not."""
    names = request.names
    for name in _OURS:
        if name in names:
            request.remove(name)

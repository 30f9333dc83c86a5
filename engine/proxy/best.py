"""Which of several final responses goes back to the caller (RFC 3261 §16.7 steps 6 and 7)."""

from __future__ import annotations

from typing import Final

from engine.sip.message import REASONS, Response

_CHALLENGES: Final = ("www-authenticate", "proxy-authenticate")
# Within the 4xx these help the caller to try again, so they win over the others (step 6)
_HELPFUL: Final = (401, 407, 415, 420, 484)


def rank(status: int) -> tuple[int, int]:
    """Lower is better: 6xx first, else the lowest class; within 4xx the helpful ones."""
    if status >= 600:
        return 0, status
    if status // 100 == 4:
        return 4, 0 if status in _HELPFUL else 1
    return status // 100, status


def better(first: Response | None, second: Response) -> Response:
    """The better of two final responses; challenges of both are gathered in it (step 7)."""
    if first is None:
        return second
    winner, loser = (second, first) if rank(second.status) < rank(first.status) else (first, second)
    if winner.status in (401, 407) and loser.status in (401, 407):
        for name, line in zip(loser.names, loser.lines, strict=True):
            if name in _CHALLENGES:
                winner.append(name, line)
    return winner


def for_caller(response: Response) -> Response:
    """A 503 says that *this* element is overloaded, so another's becomes a 500 (step 6)."""
    if response.status == 503:
        response.status = 500
        response.reason = REASONS[500]
        response.remove("retry-after")
    return response

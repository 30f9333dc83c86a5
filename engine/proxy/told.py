"""What is told of a request's end: who called whom, and what came of it."""

from __future__ import annotations

import traceback

from engine.notes import CallAnswered, CallFailed, PolicyFailed
from engine.sip.message import Request


def answered(
    request: Request, call_id: str, node: str, status: int, attempts: int, setup_s: float
) -> CallAnswered:
    """A 2xx went back."""
    method = request.method.decode("ascii")
    return CallAnswered(call_id, method, node, status, attempts, setup_s, *_parties(request))


def failed(
    request: Request, call_id: str, node: str, status: int, reason: bytes, attempts: int, elapsed_s: float
) -> CallFailed:
    """Another final response went back."""
    method, text = request.method.decode("ascii"), reason.decode("utf-8", "replace")
    return CallFailed(call_id, method, node, status, text, attempts, elapsed_s, *_parties(request))


def policy_failed(call_id: str, policy: str, error: Exception, known: set[str]) -> PolicyFailed:
    """An error came out of a policy; ``known`` are the kinds whose traceback was told before."""
    kind = f"{type(error).__name__}: {error}"
    trace = "" if kind in known or len(known) >= 100 else "".join(traceback.format_exception(error))
    known.add(kind)
    return PolicyFailed(call_id, policy, kind, trace)


def _parties(request: Request) -> tuple[str, str]:
    """URIs of caller and called, nothing where it is no call."""
    if request.method != b"INVITE":
        return "", ""
    return request.from_.uri.decode("utf-8", "replace"), request.to.uri.decode("utf-8", "replace")

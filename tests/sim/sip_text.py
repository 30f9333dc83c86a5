"""SIP messages as short as they can be, for checkers."""

from __future__ import annotations

from sim.trace import Fate, MessageRecord


def request(
    method: str, branch: str = "z9hG4bK1", call_id: str = "call", *, to_tag: str = "", cseq: int = 1
) -> bytes:
    to = f"<sip:b@x>;tag={to_tag}" if to_tag else "<sip:b@x>"
    lines = (
        f"{method} sip:b@x SIP/2.0",
        f"Via: SIP/2.0/UDP x;rport;branch={branch}",
        "From: <sip:a@x>;tag=from",
        f"To: {to}",
        f"Call-ID: {call_id}",
        f"CSeq: {cseq} {method}",
    )
    return "\r\n".join((*lines, "", "")).encode()


def response(status: int, asked: bytes, to_tag: str = "to") -> bytes:
    lines = asked.decode().split("\r\n")
    lines[0] = f"SIP/2.0 {status} Reason"
    lines[3] = lines[3] if ";tag=" in lines[3] else f"{lines[3]};tag={to_tag}"
    return "\r\n".join(lines).encode()


def sent(time_s: float, way: str, data: bytes, fate: Fate = "delivered") -> MessageRecord:
    """``way`` is FROM>TO."""
    here, there = way.split(">")
    return MessageRecord(time_s, time_s, 1, here, there, ("127.0.0.1", 1), ("127.0.0.2", 1), "udp", data, fate)

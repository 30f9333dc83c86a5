"""What the next life of an edge must know of a dialog in which this one stands in for a node."""

from __future__ import annotations

import json
from typing import Any, Final

from engine.boundary import Flow
from engine.rescue.node_side import NodeSide, SessionInterval
from engine.ua.dialog import Dialog

# Requests of ours that nothing was kept of have been counted, too; a gap in the numbers is allowed (§12.2.1.1).
_SKIPPED: Final = 1_000


def write_half(side: NodeSide, wall_offset_s: float) -> bytes:
    """As text: it is read by nobody else, and seldom."""
    dialog, interval, flow = side.dialog, side.interval, side.agent_flow
    values: dict[str, Any] = {
        "node": side.node,
        "lines": [each.decode("latin-1") for each in dialog.lines],
        "routes": [each.decode("latin-1") for each in dialog.routes],
        "target": dialog.remote_target.decode("latin-1"),
        "tags": [dialog.local_tag.decode("latin-1"), dialog.remote_tag.decode("latin-1")],
        "number": dialog.local_number,
        "contact": side.contact.decode("latin-1"),
        "agent": side.agent_key.hex(),
        "flow": [flow.interface, *flow.peer, flow.stream],
        "calls": side.node_calls,
        "updates": side.updates,
        "faces_node": side.faces_node,
        "began_at": side.began_at + wall_offset_s,
    }
    if interval is not None:
        values["interval"] = [interval.interval_s, interval.by_node, interval.agreed_at + wall_offset_s]
    return json.dumps(values).encode("ascii")


def read_half(key: tuple[bytes, bytes], half: bytes, wall_offset_s: float) -> NodeSide:
    """The same again.

    Raises
    ------
    ValueError
        It was not written by ``write_half``.
    """
    try:
        values = json.loads(half)
        interface, host, port, stream = values["flow"]
        flow = Flow(interface, (host, port), stream)
        lines = [each.encode("latin-1") for each in values["lines"]]
        routes = [each.encode("latin-1") for each in values["routes"]]
        dialog = Dialog(lines[0], lines[1], lines[2], routes, values["target"].encode("latin-1"), flow)
        dialog.local_tag, dialog.remote_tag = (each.encode("latin-1") for each in values["tags"])
        dialog.local_number = values["number"] + _SKIPPED
        contact, agent = values["contact"].encode("latin-1"), bytes.fromhex(values["agent"])
        side = NodeSide(key, values["node"], b"", dialog, contact, agent, flow)
        side.node_calls, side.updates, side.faces_node = (
            values["calls"],
            values["updates"],
            values["faces_node"],
        )
        side.began_at = values["began_at"] - wall_offset_s
        if "interval" in values:
            interval_s, by_node, agreed_at = values["interval"]
            side.interval = SessionInterval(interval_s, by_node, agreed_at - wall_offset_s)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise ValueError(f"not the half of a dialog: {error}") from error
    return side

"""The answer to ``show channels as json``: which channels stand."""

from __future__ import annotations

import json


def uuids_of(body: bytes) -> dict[str, None]:
    """The channels' uuids in the node's order; none where the answer is not understood."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    rows = answer.get("rows") if isinstance(answer, dict) else None
    if not isinstance(rows, list):
        return {}
    return dict.fromkeys(str(row["uuid"]) for row in rows if isinstance(row, dict) and row.get("uuid"))

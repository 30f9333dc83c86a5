"""What became of each call of a recording, by its messages; and beside it what became of it in the replay."""

from __future__ import annotations

from dataclasses import dataclass, field

import pandas as pd

from engine.sip.message import Request, Response
from lab.facts import Facts
from lab.twin.recording import Recording
from lab.twin.roles import Roles
from lab.twin.scripts import CHALLENGES, read
from sim.agents.player.machine import user_of


@dataclass(slots=True)
class _Seen:
    """A call, as the messages of its agent and of the nodes tell it."""

    user: str
    to: str
    placed_at_s: float
    setup_s: float | None = None
    status: int | None = None
    challenge: int | None = None  # the status of a challenge that nobody has answered
    gave_up: bool = False
    nodes: list[str] = field(default_factory=list)

    @property
    def outcome(self) -> str:
        if self.final is None:
            return "gave up" if self.gave_up else "open"
        if self.final < 300:
            return "answered"
        return "gave up" if self.gave_up and self.final == 487 else "failed"

    @property
    def final(self) -> int | None:
        """The status that the call ended its setting up with."""
        return self.challenge if self.status is None else self.status


def calls_of(recording: Recording, roles: Roles, facts: Facts) -> pd.DataFrame:
    """One row for each call that an agent placed in the recording, then and now."""
    seen = _seen(recording, roles)
    now = {call.call_id: call for call in facts.calls}
    rows = []
    for call_id, then in seen.items():
        text = call_id.decode("latin-1")
        call = now.get(text)
        rows.append(
            {
                "call_id": text,
                "user": then.user,
                "to": then.to,
                "placed_at_s": then.placed_at_s,
                "recorded_outcome": then.outcome,
                "replayed_outcome": call.outcome if call else "not played",
                "recorded_status": then.final,
                "replayed_status": (200 if call.outcome == "answered" else call.status) if call else None,
                "recorded_setup_s": then.setup_s,
                "replayed_setup_s": call.setup_s if call else None,
                "recorded_attempts": len(then.nodes),
                "replayed_attempts": call.attempts if call else 0,
                "recorded_node": then.nodes[-1] if then.nodes else "",
                "replayed_node": call.node if call else "",
            }
        )
    types = {
        "placed_at_s": "float64",
        "recorded_status": "Int64",
        "replayed_status": "Int64",
        "recorded_setup_s": "float64",
        "replayed_setup_s": "float64",
        "recorded_attempts": "int64",
        "replayed_attempts": "int64",
    }
    columns = list(rows[0]) if rows else ["call_id", "recorded_outcome", "replayed_outcome", "user", "to", *types]
    return pd.DataFrame(rows, columns=columns).astype(types)


def _seen(recording: Recording, roles: Roles) -> dict[bytes, _Seen]:
    found: dict[bytes, _Seen] = {}
    tried: dict[bytes, int] = {}
    for heard in recording.messages:
        message = read(heard.data)
        if message is None or message.cseq.method not in (b"INVITE", b"CANCEL"):
            continue
        sender, receiver = roles.role(heard.source), roles.role(heard.destination)
        call = found.get(message.call_id)
        if isinstance(message, Request):
            if sender == "agent" and receiver == "edge" and not message.to.tag:
                if message.method == b"INVITE":
                    tried[message.call_id] = message.cseq.number
                    user, to = user_of(message.from_.uri), user_of(message.uri) or user_of(message.to.uri)
                    call = found.setdefault(message.call_id, _Seen(user, to, heard.time_s))
                    if call.challenge:
                        call.challenge, call.nodes = None, []
                elif call is not None:
                    call.gave_up = True
            elif call is not None and receiver == "node" and message.method == b"INVITE" and not message.to.tag:
                node = roles.node(heard.destination)
                if node not in call.nodes:
                    call.nodes.append(node)
        elif isinstance(message, Response) and call is not None and sender == "edge" and receiver == "agent":
            if message.cseq.method != b"INVITE" or message.cseq.number != tried.get(message.call_id):
                continue
            if message.status in (180, 183) or 200 <= message.status < 300:
                call.setup_s = call.setup_s or heard.time_s - call.placed_at_s
            if message.status in CHALLENGES:
                call.challenge = message.status
            elif message.status >= 200:
                call.status = call.status or message.status
    return found

"""One connection: since when it stands, when it was last heard of, and what its peer owes."""

from __future__ import annotations

from typing import Final, Protocol

from engine.boundary import NEVER, Flow
from engine.config import StreamsConfig
from engine.sip.framing import StreamFramer
from engine.wheel import Rider

REVISIT_S: Final = 30.0  # where there are no pings: new settings may ask for some


class Keeper(Protocol):
    """What a connection asks of the table that it stands in."""

    config: StreamsConfig
    idle_s: float

    def idle_due(self, connection: Connection, now: float) -> float:
        """When this connection has been idle for too long."""
        ...

    def close(self, flow: Flow, reason: str, now: float) -> None:
        """End this connection."""
        ...

    def ping(self, flow: Flow) -> None:
        """Ask the peer whether it lives."""
        ...


class Connection(Rider):
    """What an edge knows of one connection. It looks after itself when its deadline comes."""

    __slots__ = (
        "_keeper",
        "accepted",
        "flow",
        "framer",
        "heard_at",
        "leased_until",
        "opened_at",
        "owes_since",
        "ping_at",
        "pinged_at",
    )

    def __init__(
        self, keeper: Keeper, flow: Flow, accepted: bool, framer: StreamFramer | None, now: float
    ) -> None:
        super().__init__()
        self._keeper = keeper
        self.flow = flow
        self.accepted = accepted  # the peer opened it
        self.framer = framer  # None: whole messages come
        self.opened_at = now
        self.heard_at = now  # the last message or keep-alive; pings and parts of messages don't count
        self.leased_until = 0.0  # when the last registration over it expires, or has expired
        self.owes_since = now if accepted else NEVER  # the peer began a message, or is to begin its first
        self.ping_at = NEVER
        self.pinged_at = NEVER  # an unanswered ping

    def look(self, now: float) -> float:
        config = self._keeper.config
        message_due = self.owes_since + config.first_message_s
        if message_due <= now:
            return self._close(f"no whole message within {config.first_message_s:g} s", now)
        pong_due = self.pinged_at + config.ping_timeout_s
        if pong_due <= now:
            return self._close(f"ping unanswered for {config.ping_timeout_s:g} s", now)
        idle_due = self._keeper.idle_due(self, now)
        if idle_due <= now:
            return self._close(f"idle for {self._keeper.idle_s:g} s", now)
        if self.ping_at <= now:
            self.ping_at = now + (config.ping_interval_s or REVISIT_S)
            if self.pinged_at == NEVER and config.ping_interval_s:
                self._keeper.ping(self.flow)
                self.pinged_at = now
                pong_due = now + config.ping_timeout_s
        return min(message_due, pong_due, idle_due, self.ping_at)

    def _close(self, reason: str, now: float) -> float:
        self._keeper.close(self.flow, reason, now)
        return NEVER

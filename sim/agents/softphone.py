"""One user's phone. Orders: ``call 9196 for 20`` (seconds), ``hangup``, ``unregister``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from random import Random

from engine.boundary import AgentOrder, Drain, Effect, Input
from sim.agents.notes import OrderRefused
from sim.agents.phones import Phones, PhonesConfig

DEFAULT_HOLD_S = 20.0
PATIENCE_S = 60.0
_CALL = re.compile(r"\s*(\S+)(?:\s+for\s+([0-9]{1,9}(?:\.[0-9]{1,9})?))?\s*")


class Softphone:
    """A machine with one user, the first of ``config.users``."""

    def __init__(self, config: PhonesConfig, random: Random) -> None:
        self._phones = Phones(config, random)
        self._config = config
        self._placed = 0

    def start(self, now: float) -> Sequence[Effect]:
        """Register, if this phone does."""
        self._phones.start(now)
        return self._phones.take_effects()

    def receive(self, event: Input, now: float) -> Sequence[Effect]:
        """Take a message, or an order."""
        if isinstance(event, AgentOrder):
            self._carry_out(event, now)
        elif isinstance(event, Drain):
            self._phones.hang_up_all(now)
            self._phones.unregister_all(now)
        else:
            self._phones.receive(event, now)
        return self._phones.take_effects()

    def tick(self, now: float) -> Sequence[Effect]:
        """Let due timers fire."""
        self._phones.timers.fire_due(now)
        return self._phones.take_effects()

    def deadline(self) -> float:
        """When the next timer is due."""
        return self._phones.timers.deadline()

    @property
    def phones(self) -> Phones:
        """The user agent inside, for those who look after leaks."""
        return self._phones

    def _carry_out(self, order: AgentOrder, now: float) -> None:
        if order.order == "call":
            self._call(order.argument, now)
        elif order.order == "hangup":
            self._phones.hang_up_all(now)
        elif order.order == "unregister":
            self._phones.unregister_all(now)
        else:
            known = "call NUMBER [for SECONDS], hangup, unregister"
            self._phones.out.append(OrderRefused(self._config.name, order.order, f"known orders: {known}"))

    def _call(self, argument: str, now: float) -> None:
        match = _CALL.fullmatch(argument)
        if match is None:
            why = f"{argument!r} is not NUMBER [for SECONDS]"
            self._phones.out.append(OrderRefused(self._config.name, "call", why))
            return
        hold_s = float(match[2]) if match[2] else DEFAULT_HOLD_S
        self._placed += 1
        call_id = f"s{self._placed:06d}-{self._phones.token().decode()}@{self._config.name}"
        user = self._config.users[0]
        self._phones.place(user, match[1], call_id, hold_s=hold_s, patience_s=PATIENCE_S, now=now)

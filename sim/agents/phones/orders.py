"""What a person does with a phone, as orders: ``call 9196 for 20`` (seconds), ``hold``, ``retrieve``,
``hangup``, ``unregister``."""

from __future__ import annotations

import re
from typing import Final

from engine.boundary import AgentOrder
from sim.agents.notes import OrderRefused
from sim.agents.phones.phones import Phones

DEFAULT_HOLD_S: Final = 20.0
PATIENCE_S: Final = 60.0
KNOWN: Final = "call NUMBER [for SECONDS], hold, retrieve, hangup, unregister"
_CALL = re.compile(r"\s*(\S+)(?:\s+for\s+([0-9]{1,9}(?:\.[0-9]{1,9})?))?\s*")


class Person:
    """The first user of these phones."""

    __slots__ = ("_phones", "_placed")

    def __init__(self, phones: Phones) -> None:
        self._phones = phones
        self._placed = 0

    def carry_out(self, order: AgentOrder, now: float, *, also: str = "") -> None:
        """Do it, or tell that it is not understood; ``also`` names what else the machine knows."""
        phones = self._phones
        if order.order == "call":
            self._call(order.argument, now)
        elif order.order == "hangup":
            phones.hang_up_all(now)
        elif order.order in ("hold", "retrieve"):
            phones.hold_all(order.order == "hold", now)
        elif order.order == "unregister":
            phones.unregister_all(now)
        else:
            phones.out.append(OrderRefused(phones.config.name, order.order, f"known orders: {KNOWN}{also}"))

    def _call(self, argument: str, now: float) -> None:
        phones = self._phones
        config = phones.config
        match = _CALL.fullmatch(argument)
        if match is None:
            phones.out.append(OrderRefused(config.name, "call", f"{argument!r} is not NUMBER [for SECONDS]"))
            return
        hold_s = float(match[2]) if match[2] else DEFAULT_HOLD_S
        self._placed += 1
        call_id = f"s{self._placed:06d}-{phones.token().decode()}@{config.name}"
        phones.place(config.users[0], match[1], call_id, hold_s=hold_s, patience_s=PATIENCE_S, now=now)

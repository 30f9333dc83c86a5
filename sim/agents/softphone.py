"""One user's phone. Orders: ``call 9196 for 20`` (seconds), ``hangup``, ``unregister``, ``move HOST``."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from engine.boundary import AgentOrder, Drain, Effect, Input
from sim.agents.phones import Person, Phones, PhonesConfig


class Softphone:
    """A machine with one user, the first of ``config.users``. ``move`` tells it that it has another address."""

    def __init__(self, config: PhonesConfig, random: Random) -> None:
        self._phones = Phones(config, random)
        self._person = Person(self._phones)

    def start(self, now: float) -> Sequence[Effect]:
        """Register, if this phone does."""
        self._phones.start(now)
        return self._phones.take_effects()

    def receive(self, event: Input, now: float) -> Sequence[Effect]:
        """Take a message, or an order."""
        if isinstance(event, AgentOrder):
            if event.order == "move" and event.argument:
                self._phones.move(event.argument, now)
            else:
                self._person.carry_out(event, now, also=", move HOST")
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

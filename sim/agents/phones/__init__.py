"""User agents as people use them: they register, call, are called, and hang up.

``Phones`` is any number of users on one interface; the softphone (one user, orders), the browser (one user, one
connection) and the call generator (many users, arrivals) are machines around it.
"""

from __future__ import annotations

from sim.agents.phones.config import PhonesConfig
from sim.agents.phones.orders import Person
from sim.agents.phones.phones import Phones

__all__ = ["Person", "Phones", "PhonesConfig"]

"""The mid-registrar: agents register at the nodes through this edge, and are reached through it (RFC 3261 §10)."""

from __future__ import annotations

from engine.registrar.binding import Binding
from engine.registrar.bindings import Listener
from engine.registrar.registrar import Registrar
from engine.registrar.relay import Relay
from engine.registrar.targets import FlowFailedError, Target

__all__ = ["Binding", "FlowFailedError", "Listener", "Registrar", "Relay", "Target"]

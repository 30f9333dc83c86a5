"""Checkers: what must hold in every run, whatever the faults.

They watch the trace (messages and notes) while it goes by, ask the edges a few questions at the end, and keep no
more than what is open at the moment.
"""

from __future__ import annotations

from sim.checkers.agents import SilentLogOuts
from sim.checkers.answers import FinalResponses
from sim.checkers.balance import DialogBalance, SlotBalance
from sim.checkers.checker import Checker, Inspectable, Lifetimes, Violation
from sim.checkers.down import KnownDown
from sim.checkers.media import MediaBalance
from sim.checkers.timers import TransactionTimers

__all__ = [
    "Checker",
    "DialogBalance",
    "FinalResponses",
    "Inspectable",
    "KnownDown",
    "Lifetimes",
    "MediaBalance",
    "SilentLogOuts",
    "SlotBalance",
    "TransactionTimers",
    "Violation",
]

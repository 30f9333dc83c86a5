"""The ladder of checks against a deployment: agents register, are called, call each other, and listen.

Each step is green, or red with the cause, as SIP and SDP told it, and the remedy.
"""

from __future__ import annotations

from lab.doctor.examine import examine
from lab.doctor.verdict import Verdict, Verdicts

__all__ = ["Verdict", "Verdicts", "examine"]

"""What a finding is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Severity: TypeAlias = Literal["breaks", "risk"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that will break, or may."""

    severity: Severity
    where: str
    what: str
    remedy: str

"""Databases that outlive the edges: where the real ones are, and how the modelled ones behave."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import Field

from topologies.base import Section

_FILE = re.compile(r"sqlite(\+\w+)?:///(?!/|:memory:)(.+)")


class DatabaseModel(Section):
    """How a modelled database behaves, in simulation; without meaning for a real one."""

    latency_ms: float = Field(default=1.0, ge=0, description="Time of one transaction.")
    jitter_ms: float = Field(default=0.5, ge=0, description="Up to so much more, evenly spread.")


class Database(Section):
    """One database of records."""

    url: str = Field(
        default="",
        description="sqlite:///file.db, mysql://user@host/name or postgresql://user@host/name, without "
        "password; default: a SQLite file named after it, beside the topology's file.",
    )
    password_env: str | None = Field(default=None, description="Environment variable that holds the password.")
    password_file: str | None = Field(default=None, description="File that holds the password.")
    model: DatabaseModel = Field(default=DatabaseModel(), description="How its model behaves.")

    def located(self, name: str, base: Path | None) -> str:
        """The URL; a relative SQLite file counts from ``base``."""
        url = self.url or f"sqlite:///{name}.db"
        match = _FILE.fullmatch(url)
        return f"sqlite{match[1] or ''}:///{(base or Path()) / match[2]}" if match else url

"""The torture messages of RFC 4475 and RFC 5118, which lie beside the checkout, and what may become of each."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "torture"
MISSING = f"{FOLDER} is not there"


@dataclass(frozen=True)
class Torture:
    """One message. ``permitted`` holds statuses, "F" (forwarded), "F!" (forwarded, mended) and "D" (dropped)."""

    name: str
    data: bytes
    permitted: frozenset[str]

    def __str__(self) -> str:
        return self.name


def messages() -> list[Torture]:
    """All of them, none where the folder is missing."""
    if not FOLDER.is_dir():
        return []
    found = []
    for folder, columns in ((FOLDER, ("should_outcome", "tolerable")), (FOLDER / "rfc5118", ("allowed",))):
        with (folder / "index.csv").open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                path = folder / f"{row['name']}.dat"
                permitted = frozenset(" ".join(row[column] or "" for column in columns).split())
                found.append(Torture(row["name"], path.read_bytes(), permitted))
    return found

"""What was read lately, by its text: devices say the same words again and again.

Plain dictionaries rather than ``functools.lru_cache``: looking into one costs compiled code a fifth, and writes to
nothing. A full table starts anew, and long texts are not kept, so that strangers can't fill the memory.
"""

from __future__ import annotations

from typing import Final, TypeVar

T = TypeVar("T")

_MOST: Final = 4096
_LONGEST_BYTES: Final = 256


def remember(
    table: dict[bytes, T], text: bytes, value: T, most: int = _MOST, longest_bytes: int = _LONGEST_BYTES
) -> T:
    """Keep what a text was read as; the result is ``value``."""
    if len(text) <= longest_bytes:
        if len(table) >= most:
            table.clear()
        table[text] = value
    return value

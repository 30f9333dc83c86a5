"""Bencode, the encoding of the NG protocol: integers, byte strings, lists and dictionaries.

What comes in is a stranger's: depth and the number of values are bounded, and whatever is not bencode is a
``BencodeError``. Dictionaries may come in any order of keys, as rtpengine writes them; a key said twice counts
once, and the last one holds, as there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

Value: TypeAlias = "int | bytes | list[Value] | dict[bytes, Value]"
"""What comes in."""

Told: TypeAlias = "int | bytes | str | Sequence[Told] | Mapping[str, Told]"
"""What goes out; text as UTF-8."""

_MOST_DIGITS: Final = 20  # a signed 64-bit integer; lengths are bounded by the text itself
_DEEPEST: Final = 16  # a query's answer nests seven deep
_MOST_VALUES: Final = 20_000


class BencodeError(ValueError):
    """It is not bencode, or more than is taken. ``partial``: it may be the beginning of some."""

    def __init__(self, why: str, *, partial: bool = False) -> None:
        super().__init__(why)
        self.partial = partial


def encode(value: Told) -> bytes:
    """The text of a value."""
    out: list[bytes] = []
    _write(value, out)
    return b"".join(out)


def _write(value: Told, out: list[bytes]) -> None:
    if isinstance(value, int):
        out.append(b"i%de" % value)
    elif isinstance(value, str | bytes):
        text = value.encode() if isinstance(value, str) else value
        out += (b"%d:" % len(text), text)
    elif isinstance(value, Mapping):
        out.append(b"d")
        for key, item in value.items():
            _write(key, out)
            _write(item, out)
        out.append(b"e")
    else:
        out.append(b"l")
        for item in value:
            _write(item, out)
        out.append(b"e")


def decode(text: bytes) -> Value:
    """The value that a text is, from end to end.

    Raises
    ------
    BencodeError
        Where it is none.
    """
    value, end = decode_first(text)
    if end != len(text):
        raise BencodeError("something follows the value")
    return value


def decode_first(text: bytes, start: int = 0) -> tuple[Value, int]:
    """The value that begins at ``start``, and where it ends. A stack of our own takes the place of recursion.

    Raises
    ------
    BencodeError
        Where none begins there.
    """
    open_lists: list[tuple[bytes, list[Value]]] = []  # with the letter that opened each
    at, count = start, 0
    while True:
        kind = text[at : at + 1]
        count += 1
        if count > _MOST_VALUES:
            raise BencodeError("too many values")
        if kind in (b"l", b"d"):
            if len(open_lists) >= _DEEPEST:
                raise BencodeError("nested too deeply")
            open_lists.append((kind, []))
            at += 1
            continue
        value: Value
        if kind == b"e" and open_lists:
            opened, items = open_lists.pop()
            value = _dictionary(items) if opened == b"d" else items
            at += 1
        elif kind == b"i":
            value, at = _number(text, at + 1, b"e")
        elif kind.isdigit():
            length, at = _number(text, at, b":")
            if length > len(text) - at:
                raise BencodeError("string cut off", partial=True)
            value = text[at : at + length]
            at += length
        else:
            raise BencodeError("no value begins so" if kind else "cut off", partial=not kind)
        if not open_lists:
            return value, at
        open_lists[-1][1].append(value)


def _number(text: bytes, start: int, terminator: bytes) -> tuple[int, int]:
    """A number that ends with a letter, and where the next thing begins."""
    end = text.find(terminator, start, start + _MOST_DIGITS + 1)
    digits = text[start : end if end >= 0 else start + _MOST_DIGITS + 1]
    if not _is_number(digits, whole=end >= 0):
        raise BencodeError("number expected")
    if end < 0:
        raise BencodeError("number cut off", partial=len(digits) <= _MOST_DIGITS)
    return int(digits), end + 1


def _is_number(digits: bytes, *, whole: bool) -> bool:
    unsigned = digits.removeprefix(b"-")
    return unsigned.isdigit() or (not whole and not unsigned)


def _dictionary(items: list[Value]) -> dict[bytes, Value]:
    keys, values = items[::2], items[1::2]
    if len(keys) != len(values):
        raise BencodeError("key without a value")
    found: dict[bytes, Value] = {}
    for key, value in zip(keys, values, strict=True):
        if not isinstance(key, bytes):
            raise BencodeError("key that is no string")
        found[key] = value
    return found

"""A session description as its lines (RFC 8866): a session section and one section for each ``m=`` line.

Lines are kept as they came; a value is parsed when someone reads it. Written out, every line ends with CRLF, also
where it came with LF alone or the last one came with nothing: peers differ in what they forgive.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from itertools import pairwise
from typing import NamedTuple

from engine.media.sdp.errors import SdpError
from engine.media.sdp.fields import (
    Connection,
    MediaLine,
    Origin,
    check_bandwidth,
    parse_connection,
    parse_media,
    parse_origin,
)


class Limits(NamedTuple):
    """How large a description may be. Chromium's with audio and video has 7 KB and 150 lines."""

    total_bytes: int = 32_768
    line_bytes: int = 4_096
    lines: int = 1_000
    media: int = 16


_LIMITS = Limits()
_LINE_END = re.compile(rb"\r\n|\n|\r")

# A line is a letter, "=" without space around it, and a value (§5). An unknown letter must be refused: only
# attributes are there to be extended.
_SESSION_LETTERS = b"vosiuepcbtrzka"
_MEDIA_LETTERS = b"icbka"
_EQUAL, _V, _M, _O, _C, _B = b"=vmocb"


class Section:
    """The lines above the first ``m=`` line, and what a media section has in common with them."""

    __slots__ = ("lines",)

    def __init__(self, lines: list[bytes]) -> None:
        self.lines = lines

    def value(self, letter: bytes) -> bytes | None:
        """The value of the first line of a type."""
        prefix = letter + b"="
        for line in self.lines:
            if line.startswith(prefix):
                return line[2:]
        return None

    def attribute(self, name: bytes) -> bytes | None:
        """The first value of an attribute; empty for a property as ``a=rtcp-mux``, None where it is absent."""
        flag = b"a=" + name
        prefix = flag + b":"
        for line in self.lines:
            if line.startswith(flag):
                if line.startswith(prefix):
                    return line[len(prefix) :]
                if line == flag:
                    return b""
        return None

    def attributes(self, name: bytes) -> list[bytes]:
        """All values of an attribute, in order."""
        prefix = b"a=" + name + b":"
        return [line[len(prefix) :] for line in self.lines if line.startswith(prefix)]

    def drop(self, names: Collection[bytes]) -> None:
        """Take out all attributes of these names."""
        self.lines = [line for line in self.lines if _attribute_name(line) not in names]

    def add(self, name: bytes, value: bytes | None = None) -> None:
        """Append an attribute; without a value it is a property."""
        self.lines.append(b"a=" + name if value is None else b"a=" + name + b":" + value)

    @property
    def connection(self) -> Connection | None:
        """The section's own ``c=`` line."""
        value = self.value(b"c")
        return None if value is None else parse_connection(value)

    def connect(self, connection: Connection) -> None:
        """Write the ``c=`` line: in place of the one that is there, else where the order of §5 has it."""
        line = b"c=" + bytes(connection)
        position = 0
        for index, old in enumerate(self.lines):
            if old[0] == _C:
                self.lines[index] = line
                return
            if old[0] in b"mvosiuep":
                position = index + 1
        self.lines.insert(position, line)


class MediaSection(Section):
    """An ``m=`` line and what follows it up to the next."""

    __slots__ = ("media",)

    def __init__(self, lines: list[bytes]) -> None:
        super().__init__(lines)
        self.media: MediaLine = parse_media(lines[0][2:])

    def retarget(self, media: MediaLine) -> None:
        """Write another ``m=`` line in place of this one."""
        self.media = media
        self.lines[0] = b"m=" + bytes(media)

    def reject(self) -> None:
        """Refuse the stream (RFC 3264 §6): port 0, and of the attributes only the name in its group."""
        mid = self.attribute(b"mid")
        self.lines = [self.lines[0]]
        self.retarget(self.media._replace(port=0, port_count=1))
        if mid is not None:
            self.add(b"mid", mid)

    @property
    def rejected(self) -> bool:
        return self.media.port == 0


class Description:
    """A whole description. ``bytes()`` writes it."""

    __slots__ = ("media", "session")

    def __init__(self, session: Section, media: list[MediaSection]) -> None:
        self.session = session
        self.media = media

    def copy(self) -> Description:
        """A copy that can be edited without changing this one."""
        return Description(
            Section(list(self.session.lines)), [MediaSection(list(section.lines)) for section in self.media]
        )

    @property
    def origin(self) -> Origin:
        value = self.session.value(b"o")
        if value is None:
            raise SdpError("o= line is missing")
        return parse_origin(value)

    def sign(self, origin: Origin) -> None:
        """Write another ``o=`` line in place of this one."""
        self.session.lines = [b"o=" + bytes(origin) if line[0] == _O else line for line in self.session.lines]

    def connection_of(self, section: MediaSection) -> Connection | None:
        """The connection data that hold for a media section: its own, else the session's (§5.7)."""
        return section.connection or self.session.connection

    def attribute_of(self, section: MediaSection, name: bytes) -> bytes | None:
        """An attribute that may stand at either level; the media section's own goes first."""
        value = section.attribute(name)
        return self.session.attribute(name) if value is None else value

    def attributes_of(self, section: MediaSection, name: bytes) -> list[bytes]:
        """All values of an attribute that may stand at either level; a media section's own replace the others."""
        return section.attributes(name) or self.session.attributes(name)

    def __bytes__(self) -> bytes:
        lines = list(self.session.lines)
        for section in self.media:
            lines += section.lines
        lines.append(b"")
        return b"\r\n".join(lines)


def parse(text: bytes, limits: Limits = _LIMITS) -> Description:
    """Read a description. Line ends may be CRLF, LF or CR, the last may be missing, empty lines are passed over.

    Raises
    ------
    SdpError
        400 where the grammar is broken or a limit is passed.
    """
    if len(text) > limits.total_bytes:
        raise SdpError(f"description above {limits.total_bytes} bytes")
    if b"\x00" in text:
        raise SdpError("NUL in description")
    lines = [line for line in _LINE_END.split(text) if line]
    if len(lines) > limits.lines:
        raise SdpError(f"description above {limits.lines} lines")
    if not lines or lines[0].rstrip() != b"v=0":
        raise SdpError("description doesn't start with v=0")
    starts: list[int] = []
    letters = _SESSION_LETTERS
    for index, line in enumerate(lines):
        if len(line) > limits.line_bytes:
            raise SdpError(f"line above {limits.line_bytes} bytes in description")
        letter = line[0]
        if letter == _M:
            starts.append(index)
            letters = _MEDIA_LETTERS
        elif letter not in letters:
            raise SdpError("line of unknown type, or in the wrong place, in description")
        if len(line) < 2 or line[1] != _EQUAL:
            raise SdpError("line without = in description")
        if letter == _B:
            check_bandwidth(line[2:])
        elif letter == _C:
            parse_connection(line[2:])
        elif letter == _V and index:
            raise SdpError("second v= line in description")
    if len(starts) > limits.media:
        raise SdpError(f"description above {limits.media} m= lines")
    starts.append(len(lines))
    media = [MediaSection(lines[start:end]) for start, end in pairwise(starts)]
    description = Description(Section(lines[: starts[0]]), media)
    _ = description.origin  # it must be there and be readable
    return description


def _attribute_name(line: bytes) -> bytes:
    """The name of an attribute line; empty for any other line."""
    return line[2:].partition(b":")[0].rstrip() if line.startswith(b"a=") else b""

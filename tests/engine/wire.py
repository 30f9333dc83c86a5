"""SIP messages as they stand on the wire, read and written without the engine's own parser."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

from engine.boundary import Flow

_LONG = {"v": "via", "f": "from", "t": "to", "i": "call-id", "m": "contact", "l": "content-length"}


@dataclass(frozen=True)
class Wire:
    """One message that the edge sent: when, which way, and what it says."""

    data: bytes
    flow: Flow
    at: float

    @cached_property
    def start(self) -> str:
        return self.data.split(b"\r\n", 1)[0].decode()

    @cached_property
    def headers(self) -> list[tuple[str, str]]:
        head = self.data.split(b"\r\n\r\n", 1)[0].decode("utf-8", "replace")
        head = re.sub("\r\n[ \t]+", " ", head)
        pairs = [line.split(":", 1) for line in head.split("\r\n")[1:]]
        return [(_LONG.get(name.strip().lower(), name.strip().lower()), value.strip()) for name, value in pairs]

    @property
    def body(self) -> bytes:
        return self.data.split(b"\r\n\r\n", 1)[1]

    @property
    def is_request(self) -> bool:
        return not self.start.startswith("SIP/")

    @property
    def method(self) -> str:
        """Of a request its method, of a response that of its CSeq."""
        return self.start.split(" ")[0] if self.is_request else self["cseq"].split(" ")[1]

    @property
    def uri(self) -> str:
        return self.start.split(" ")[1]

    @property
    def status(self) -> int:
        return 0 if self.is_request else int(self.start.split(" ")[1])

    @property
    def reason(self) -> str:
        return self.start.split(" ", 2)[2]

    def all(self, name: str) -> list[str]:
        """Every value of a header, lists split."""
        return [part.strip() for known, value in self.headers if known == name for part in value.split(",")]

    def __contains__(self, name: str) -> bool:
        return any(known == name for known, _ in self.headers)

    def __getitem__(self, name: str) -> str:
        """The first value of a header."""
        return next(value for known, value in self.headers if known == name)

    @property
    def branch(self) -> str:
        return param(self.all("via")[0], "branch")


def param(value: str, name: str) -> str:
    """A parameter behind the address of a header's value; "" where it is missing."""
    for part in value.rpartition(">")[2].split(";") if ">" in value else value.split(";")[1:]:
        key, _, content = part.strip().partition("=")
        if key.lower() == name:
            return content
    return ""


def uri_of(value: str) -> str:
    """The URI of a name-addr."""
    return value.split("<", 1)[1].split(">", 1)[0] if "<" in value else value.split(";", 1)[0].strip()


def message(start: str, *lines: str, body: str | bytes = b"") -> bytes:
    """A message of these header lines; Content-Length is added where none is given."""
    content = body.encode() if isinstance(body, str) else body
    kept = [line for line in lines if line]
    if not any(line.lower().startswith("content-length") for line in kept):
        kept.append(f"Content-Length: {len(content)}")
    return "\r\n".join([start, *kept, "", ""]).encode() + content


def reply(request: Wire, status: int, *lines: str, tag: str = "", body: bytes = b"") -> bytes:
    """The response of a user agent to a request that it received."""
    copied = []
    for name, value in request.headers:
        if name in ("via", "from", "call-id", "cseq") or (name == "record-route" and 100 < status < 300):
            copied.append(f"{name.title()}: {value}")
        elif name == "to":
            tagged = f"{value};tag={tag}" if tag and not param(value, "tag") and status > 100 else value
            copied.append(f"To: {tagged}")
    content = "Content-Type: application/sdp" if body and not any("Content-Type" in line for line in lines) else ""
    return message(f"SIP/2.0 {status} Reason {status}", *copied, *lines, content, body=body)

"""What differs between two messages, in what a peer relies on: start line, header set, header values, SDP shape.

The order of headers and of SDP attributes does not count, nor do numbers that are made anew each time.
"""

from __future__ import annotations

import re
from collections import Counter

from engine.sip.message import Message, Request, Response
from tests.sim.agents.replayer import Pair

# Values that are another each time: only that they are there is compared.
_FRESH = frozenset(("date", "content-length"))
_NUMBER = re.compile(rb"^\d+ ")
_NONCE = re.compile(rb'nonce="[^"]+"')
_BRANCH = re.compile(rb"branch=z9hG4bK[^;]+")
_RANDOM_ATTRIBUTES = (b"a=ssrc", b"a=fingerprint", b"a=ice-", b"a=candidate", b"a=rtcp:", b"a=msid-semantic")


def differences(pair: Pair) -> list[tuple[str, str]]:
    """What differs, as (aspect, in words)."""
    recorded, modelled = pair.recorded, pair.modelled
    found = []
    if (theirs := _start_line(recorded)) != (ours := _start_line(modelled)):
        return [("start line", f"{theirs} became {ours}")]
    names = Counter(recorded.names)
    names.subtract(Counter(modelled.names))
    for name, count in names.items():
        if count:
            found.append((name, f"{abs(count)} {'missing' if count > 0 else 'too many'}"))
    for name in sorted(set(recorded.names) & set(modelled.names) - _FRESH):
        expected = sorted(_normal(name, value, recorded) for value in recorded.values(name))
        said = sorted(_normal(name, value, modelled) for value in modelled.values(name))
        if expected != said and not names[name]:
            found.append((name, f"{expected} became {said}"))
    return found + [("body", text) for text in _body_differences(recorded, modelled)]


def _start_line(message: Message) -> str:
    if isinstance(message, Response):
        return f"{message.status} {message.reason.decode()}"
    assert isinstance(message, Request)
    return f"{message.method.decode()} {message.uri.decode()}"


def _normal(name: str, value: bytes, message: Message) -> bytes:
    if name == "cseq" and isinstance(message, Request):
        return _NUMBER.sub(b"", value)
    if name == "via" and isinstance(message, Request):
        return b";".join(sorted(_BRANCH.sub(b"branch=", value).split(b";")))
    if name == "via":
        return b";".join(sorted(value.split(b";")))
    if name in ("www-authenticate", "proxy-authenticate"):
        return _NONCE.sub(b"nonce", value)
    return value


def _body_differences(recorded: Message, modelled: Message) -> list[str]:
    if recorded.get("content-type") != b"application/sdp":
        return [] if recorded.body == modelled.body else [f"{recorded.body!r} became {modelled.body!r}"]
    expected, said = (Counter(_description(message.body)) for message in (recorded, modelled))
    return [f"lacks {line.decode()}" for line in (expected - said)] + [
        f"has {line.decode()}" for line in (said - expected)
    ]


def _description(body: bytes) -> list[bytes]:
    lines = []
    for line in body.split(b"\r\n"):
        if line.startswith(b"o="):
            owner, _, _, *rest = line.split(b" ")
            line = b" ".join((owner, *rest))
        elif line.startswith(b"m=audio ") and not line.startswith(b"m=audio 0 "):
            line = b" ".join((b"m=audio PORT", *line.split(b" ")[2:]))
        elif line.startswith(_RANDOM_ATTRIBUTES):
            line = line[: min(line.index(b":"), 12)]
        if line:
            lines.append(line)
    return lines

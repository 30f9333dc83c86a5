"""The description inside a SIP body: alone, or a part of a multipart one (RFC 5621, RFC 2046 §5.1)."""

from __future__ import annotations

import re
from typing import NamedTuple

from engine.media.sdp.errors import SdpError
from engine.sip.grammar import PARAMS, SWS, TOKEN, parse_params, unquote

_MOST_PARTS = 16
_DEEPEST = 3
_MOST_BODY_BYTES = 65_535

# media-type = m-type SLASH m-subtype *( SEMI m-parameter )
_CONTENT_TYPE = re.compile(
    SWS + rb"(" + TOKEN + rb")" + SWS + rb"/" + SWS + rb"(" + TOKEN + rb")" + SWS + rb"(" + PARAMS + rb")"
)
# boundary := 0*69<bchars> bcharsnospace
_BOUNDARY = re.compile(rb"[A-Za-z0-9'()+_,\-./:=? ]{0,69}[A-Za-z0-9'()+_,\-./:=?]")
_HEADER_END = re.compile(rb"\r\n\r\n|\n\n")
_PART_TYPE = re.compile(rb"^content-type[ \t]*:[ \t]*([^\r\n]*)", re.IGNORECASE | re.MULTILINE)
_PART_LENGTH = re.compile(rb"^(content-length[ \t]*:[ \t]*)\d+", re.IGNORECASE | re.MULTILINE)


class SdpBody(NamedTuple):
    """Where a body's description stands: ``before`` and ``after`` are the other parts, byte for byte."""

    before: bytes
    sdp: bytes
    after: bytes

    def replaced(self, sdp: bytes) -> bytes:
        """The whole body with another description; a length that its part's head told is told anew."""
        return _tell_length(self.before, len(sdp)) + sdp + self.after


def find_sdp(content_type: bytes, body: bytes) -> SdpBody | None:
    """The description in a body of this Content-Type, or None where it holds none.

    Raises
    ------
    SdpError
        400 for a multipart body without a legal boundary, end or size.
    """
    return _find(content_type, body, _DEEPEST)


def _find(content_type: bytes, body: bytes, depth: int) -> SdpBody | None:
    match = _CONTENT_TYPE.fullmatch(content_type)
    if match is None:
        if content_type.lstrip()[:10].lower() == b"multipart/":
            raise SdpError("malformed type of multipart body")
        return None
    kind = match[1].lower()
    if kind == b"application" and match[2].lower() == b"sdp":
        return SdpBody(b"", body, b"")
    if kind != b"multipart":
        return None
    if depth == 0:
        raise SdpError("multipart body nested too deeply")
    if len(body) > _MOST_BODY_BYTES:
        raise SdpError("multipart body too long")
    boundary = unquote(parse_params(match[3]).get(b"boundary") or b"")
    if _BOUNDARY.fullmatch(boundary) is None:
        raise SdpError("multipart body without a legal boundary")
    for start, end in _parts(body, boundary):
        part = body[start:end]
        head_end = _HEADER_END.search(part)
        if head_end is None:
            continue  # a part without an empty line has no content that could be read
        kind_line = _PART_TYPE.search(part, 0, head_end.start())
        if kind_line is None:
            continue  # text/plain by default
        found = _find(kind_line[1].strip(), part[head_end.end() :], depth - 1)
        if found is not None:
            inside = start + head_end.end()
            return SdpBody(body[:inside] + found.before, found.sdp, found.after + body[end:])
    return None


def _parts(body: bytes, boundary: bytes) -> list[tuple[int, int]]:
    """Where the parts stand. The line end before a delimiter belongs to the delimiter."""
    delimiter = re.compile(rb"(?:\A|\r?\n)--" + re.escape(boundary) + rb"(--)?[ \t]*(?=\r?\n|\Z)")
    parts: list[tuple[int, int]] = []
    start = -1
    for match in delimiter.finditer(body):
        if start >= 0:
            parts.append((start, match.start()))
        if match[1]:
            return parts
        if len(parts) >= _MOST_PARTS:
            raise SdpError("too many parts in multipart body")
        start = match.end()
    raise SdpError("multipart body without its closing delimiter")


def _tell_length(before: bytes, length: int) -> bytes:
    """Correct the Content-Length in the head that ends ``before``; most parts have none."""
    heads = list(_HEADER_END.finditer(before))
    begin = heads[-2].end() if len(heads) > 1 else 0
    head, tail = before[:begin], before[begin:]
    return head + _PART_LENGTH.sub(rb"\g<1>%d" % length, tail)

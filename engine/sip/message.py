"""Requests and responses, parsed only where touched.

A message is its start line, its header lines as they came (``lines``, byte for byte, folds and all) with the
canonical name of each beside it (``names``), and its body. Reading a header parses it, once; forwarding a message
copies two lists, changes the few lines that a proxy must change, and joins. So what no one touches goes out as it
came in, as RFC 3261 §16.6 step 1 asks.

What follows from the names alone is found once for all messages alike (``Layout``).
"""

from __future__ import annotations

import re
from typing import Final, Self

from engine.sip.errors import SipError
from engine.sip.grammar import TOKEN, TOKEN_PATTERN, split_commas, unfold
from engine.sip.headers import CSeq, NameAddr, Via, parse_cseq, parse_name_addr, parse_via
from engine.sip.layout import Layout, canonical_name, layout_of

REASONS: Final = {
    100: b"Trying", 180: b"Ringing", 181: b"Call Is Being Forwarded", 182: b"Queued", 183: b"Session Progress",
    200: b"OK", 202: b"Accepted", 300: b"Multiple Choices", 301: b"Moved Permanently", 302: b"Moved Temporarily",
    305: b"Use Proxy", 380: b"Alternative Service", 400: b"Bad Request", 401: b"Unauthorized",
    402: b"Payment Required", 403: b"Forbidden", 404: b"Not Found", 405: b"Method Not Allowed",
    406: b"Not Acceptable", 407: b"Proxy Authentication Required", 408: b"Request Timeout", 410: b"Gone",
    413: b"Request Entity Too Large", 414: b"Request-URI Too Long", 415: b"Unsupported Media Type",
    416: b"Unsupported URI Scheme", 420: b"Bad Extension", 421: b"Extension Required",
    422: b"Session Interval Too Small",
    423: b"Interval Too Brief", 430: b"Flow Failed", 439: b"First Hop Lacks Outbound Support",
    440: b"Max-Breadth Exceeded", 480: b"Temporarily Unavailable", 481: b"Call/Transaction Does Not Exist",
    482: b"Loop Detected", 483: b"Too Many Hops", 484: b"Address Incomplete", 485: b"Ambiguous", 486: b"Busy Here",
    487: b"Request Terminated", 488: b"Not Acceptable Here", 491: b"Request Pending", 493: b"Undecipherable",
    500: b"Server Internal Error", 501: b"Not Implemented", 502: b"Bad Gateway", 503: b"Service Unavailable",
    504: b"Server Time-out", 505: b"Version Not Supported", 513: b"Message Too Large", 600: b"Busy Everywhere",
    603: b"Decline", 604: b"Does Not Exist Anywhere", 606: b"Not Acceptable",
}  # fmt: skip

# Request-Line = Method SP Request-URI SP SIP-Version; the URI is held against its grammar when it is used
_REQUEST_LINE: Final = re.compile(rb"(" + TOKEN + rb") ([^ \t\r\n]+) (?i:SIP)/([0-9]+\.[0-9]+)")
# What nearly all start lines are made of spares them the patterns.
KNOWN_METHODS: Final = frozenset(
    b"INVITE ACK BYE CANCEL OPTIONS REGISTER PRACK SUBSCRIBE NOTIFY PUBLISH INFO REFER MESSAGE UPDATE".split()
)
_USUAL_STATUSES: Final = {b"SIP/2.0 %d " % status: status for status in REASONS}
# Status-Line = SIP-Version SP Status-Code SP Reason-Phrase; a missing last space is tolerated
_STATUS_LINE: Final = re.compile(rb"(?i:SIP)/([0-9]+\.[0-9]+) ([1-6][0-9][0-9])(?: ([^\r\n]*))?")
_LINE_BREAK: Final = re.compile(rb"\r\n(?![ \t])")  # not one that folds a header
# Looking for an octet's number in bytes costs a tenth of looking for bytes in bytes.
_HTAB: Final = 0x09
_LF: Final = 0x0A
_CR: Final = 0x0D
_SP: Final = 0x20
_COMMA: Final = 0x2C
_COLON: Final = 0x3A
_METHOD_GUESS: Final = re.compile(rb"[ \t]*(" + TOKEN + rb")[ \t]")


class Message:
    """What requests and responses share: the list of header lines and the ways to read and change it."""

    __slots__ = ("_call_id", "_cseq", "_from", "_to", "_via", "body", "layout", "lines", "names")

    def __init__(self, names: list[str], lines: list[bytes], body: bytes = b"") -> None:
        self.names = names
        self.lines = lines
        self.body = body
        self.layout: Layout | None = None  # as long as ``names`` are as they came
        self._via: Via | None = None
        self._call_id: bytes | None = None
        self._cseq: CSeq | None = None
        self._from: NameAddr | None = None
        self._to: NameAddr | None = None

    def wire(self) -> bytes:
        """As it is sent."""
        raise NotImplementedError

    def __bytes__(self) -> bytes:
        return self.wire()

    # --- reading

    def get(self, name: str) -> bytes | None:
        """The value of the first header of this name, unfolded and stripped; None where there is none."""
        layout = self.layout
        if layout is not None:
            index = layout.first.get(name, -1)
            if index < 0:
                return None
            value = self.lines[index][layout.starts[index] :]
            # Nearly none has blanks around it, which two looks tell for less than the stripping costs.
            return value if value and value[0] > _SP and value[-1] > _SP else value.strip(b" \t")
        return _value(self.lines[self.names.index(name)]) if name in self.names else None

    def all(self, name: str) -> list[bytes]:
        """The value of each header line of this name, in order, lists not split."""
        layout = self.layout
        if layout is not None and name not in layout.repeated:
            value = self.get(name)
            return [] if value is None else [value]
        found: list[bytes] = []
        index = -1
        for _ in range(self.names.count(name)):
            index = self.names.index(name, index + 1)
            found.append(_value(self.lines[index]))
        return found

    def first(self, name: str) -> bytes:
        """The first value of this header, before a comma where its line has several; empty where there is none."""
        value = self.get(name) or b""
        return next(split_commas(value)) if _COMMA in value else value

    def values(self, name: str) -> list[bytes]:
        """Each value of this header, in order: lines joined, lists split at commas."""
        found: list[bytes] = []
        for value in self.all(name):
            found.extend(_split(value))
        return found

    def has(self, name: str) -> bool:
        """Whether there is a header of this name."""
        return name in self.names if self.layout is None else name in self.layout.first

    def count(self, name: str) -> int:
        """How many lines there are of this header."""
        layout = self.layout
        if layout is not None and name not in layout.repeated:
            return 1 if name in layout.first else 0
        return self.names.count(name)

    @property
    def call_id(self) -> bytes:
        """The Call-ID, empty where it is missing."""
        if self._call_id is None:
            self._call_id = self.get("call-id") or b""
        return self._call_id

    @property
    def via(self) -> Via:
        """The top Via."""
        if self._via is None:
            self._via = parse_via(self.first("via"))
        return self._via

    @property
    def cseq(self) -> CSeq:
        if self._cseq is None:
            self._cseq = parse_cseq(self.get("cseq") or b"")
        return self._cseq

    @property
    def from_(self) -> NameAddr:
        if self._from is None:
            self._from = parse_name_addr(self.get("from") or b"", "From")
        return self._from

    @property
    def to(self) -> NameAddr:
        if self._to is None:
            self._to = parse_name_addr(self.get("to") or b"", "To")
        return self._to

    # --- changing

    def shed(self, keep: frozenset[str] = frozenset()) -> None:
        """Let go of the body and of all headers but those named; the Call-ID can still be read.

        A request that was answered is kept for 32 s to know its repetitions by, and they need no header of it.
        """
        self._call_id = self.call_id
        kept = [pair for pair in zip(self.names, self.lines, strict=True) if pair[0] in keep] if keep else []
        self.names, self.lines = [name for name, _ in kept], [line for _, line in kept]
        self.body, self.layout = b"", None
        self._via = self._cseq = self._from = self._to = None

    def set(self, name: str, line: bytes) -> None:
        """Put this whole header line where the first of its name stands, else at the end; drop further ones."""
        self._forget(name)
        if name not in self.names:
            self.names.append(name)
            self.lines.append(line)
            return
        first = self.names.index(name)
        self.lines[first] = line
        for index in range(len(self.names) - 1, first, -1):
            if self.names[index] == name:
                del self.names[index], self.lines[index]

    def add_first(self, name: str, line: bytes) -> None:
        """Put this whole header line before the first of its name, else right behind the Vias."""
        self._forget(name)
        index = 0
        if name in self.names:
            index = self.names.index(name)
        else:
            while index < len(self.names) and self.names[index] == "via":
                index += 1
        self.names.insert(index, name)
        self.lines.insert(index, line)

    def append(self, name: str, line: bytes) -> None:
        """Put this whole header line at the end."""
        self._forget(name)
        self.names.append(name)
        self.lines.append(line)

    def remove(self, name: str) -> None:
        """Drop every header of this name."""
        self._forget(name)
        while name in self.names:
            index = self.names.index(name)
            del self.names[index], self.lines[index]

    def pop_value(self, name: str) -> None:
        """Drop the first value of this header, if there is one: its line, or the part before the first comma."""
        self._forget(name)
        while name in self.names:
            index = self.names.index(name)
            line = self.lines[index]
            values = _split(_value(line))
            if len(values) > 1:
                self.lines[index] = line[: line.index(b":")] + b": " + b", ".join(values[1:])
                return
            del self.names[index], self.lines[index]
            if values:
                return

    def replace_top_via(self, value: bytes, parsed: Via | None = None) -> None:
        """Write another value over the top Via; values behind a comma in its line stay.

        ``parsed`` is the same value, where it is known already.
        """
        index = self.names.index("via")
        line = self.lines[index]
        if _COMMA in line:
            value = b", ".join([value, *_split(_value(line))[1:]])
        layout = self.layout
        if layout is not None and (layout.starts[index] not in (len(b"Via:"), len(b"Via: ")) or _LF in value):
            self.layout = None  # it came in the compact form, say, or has a fold now
        self.lines[index] = b"Via: " + value
        self._via = parsed

    def _forget(self, name: str) -> None:
        """The lines are about to change: let go of what was found out of them."""
        self.layout = None
        if name == "via":
            self._via = None
        elif name == "to":
            self._to = None
        elif name == "from":
            self._from = None
        elif name == "cseq":
            self._cseq = None
        elif name == "call-id":
            self._call_id = None


class Request(Message):
    """A request. ``defect`` is set where the start line is wrong but an answer can still be sent."""

    __slots__ = ("defect", "method", "uri")

    def __init__(self, method: bytes, uri: bytes, names: list[str], lines: list[bytes], body: bytes = b"") -> None:
        super().__init__(names, lines, body)
        self.method = method
        self.uri = uri
        self.defect: SipError | None = None

    @classmethod
    def build(cls, method: bytes, uri: bytes, *lines: bytes, body: bytes = b"") -> Self:
        """A new request of these whole header lines; Content-Length is added."""
        all_lines = [*lines, b"Content-Length: %d" % len(body)]
        return cls(method, uri, [canonical_name(line[: line.index(b":")]) for line in all_lines], all_lines, body)

    def copy(self) -> Request:
        """A copy to change and send on; parsed parts that forwarding leaves alone are kept."""
        other = Request(self.method, self.uri, self.names.copy(), self.lines.copy(), self.body)
        other._call_id, other._cseq, other._from, other._to = self._call_id, self._cseq, self._from, self._to
        return other

    def wire(self) -> bytes:
        """As it is sent."""
        return b"\r\n".join([b"%s %s SIP/2.0" % (self.method, self.uri), *self.lines, b"", self.body])


class Response(Message):
    """A response."""

    __slots__ = ("reason", "status")

    def __init__(
        self, status: int, reason: bytes, names: list[str], lines: list[bytes], body: bytes = b""
    ) -> None:
        super().__init__(names, lines, body)
        self.status = status
        self.reason = reason

    def copy(self) -> Response:
        other = Response(self.status, self.reason, self.names.copy(), self.lines.copy(), self.body)
        other._call_id, other._cseq, other._from, other._to = self._call_id, self._cseq, self._from, self._to
        return other

    def wire(self) -> bytes:
        """As it is sent."""
        return b"\r\n".join([b"SIP/2.0 %d %s" % (self.status, self.reason), *self.lines, b"", self.body])


_COPIED: Final = frozenset(("via", "from", "to", "call-id", "cseq"))


def respond(request: Request, status: int, reason: bytes = b"", to_tag: bytes = b"", *extra: bytes) -> Response:
    """A server's response to a request (§8.2.6): Via, From, To, Call-ID and CSeq copied, ``extra`` lines added.

    ``to_tag`` is added to a To that has none yet; a 100 needs no tag.
    """
    names: list[str] = []
    lines: list[bytes] = []
    for name, line in zip(request.names, request.lines, strict=True):
        if name in _COPIED:
            if name == "to" and to_tag and _lacks_tag(request):
                line += b";tag=" + to_tag
            names.append(name)
            lines.append(line)
        elif status == 100 and name == "timestamp":  # §8.2.6.1
            names.append(name)
            lines.append(line)
    for line in extra:
        names.append(canonical_name(line[: line.index(b":")]))
        lines.append(line)
    names.append("content-length")
    lines.append(b"Content-Length: 0")
    return Response(status, reason or REASONS.get(status, b"Unknown"), names, lines)


def _split(value: bytes) -> list[bytes]:
    """The values of a list; empty ones, as in ``a,,b``, don't count."""
    if _COMMA in value:
        return [part for part in split_commas(value) if part]
    return [value] if value else []


def _lacks_tag(request: Request) -> bool:
    try:
        return not request.to.tag
    except SipError:
        return False  # nothing can be added to a value that can't be read


def _value(line: bytes) -> bytes:
    if _LF in line:
        line = unfold(line)
    return line[line.index(b":") + 1 :].strip(b" \t")


def parse_head(head: bytes, header_lines: int = 256) -> Request | Response:
    """Parse start line and headers, without the blank line that ends them; the body is the framing's business.

    Raises
    ------
    SipError
        Where this is not a SIP message at all. A request that is merely wrong comes back with ``defect`` set, so
        that it can be answered.
    """
    lines = head.split(b"\r\n")
    breaks = len(lines) - 1
    if breaks > header_lines:
        raise SipError("too many header lines")
    # Others take a CR or LF alone for the end of a line and would see headers that we don't; §25.1 forbids both.
    text = b"".join(lines)
    bare_break = _CR in text or _LF in text
    start = lines.pop(0)
    layout = layout_of(lines, head[0] if head else 0)
    if layout is not None:
        names = layout.names.copy()
    else:
        start, *lines = _LINE_BREAK.split(head)
        names = [canonical_name(line.partition(b":")[0]) if _COLON in line else "" for line in lines]
    message = _begin(start, names, lines, bare_break)
    message.layout = layout
    return message


def _begin(start: bytes, names: list[str], lines: list[bytes], bare_break: bool) -> Request | Response:
    """A message that begins with this line."""
    if not bare_break:
        usual_status = _USUAL_STATUSES.get(start[:12])
        if usual_status is not None:
            return Response(usual_status, start[12:], names, lines)
        parts = start.split(b" ")
        if len(parts) == 3 and parts[2] == b"SIP/2.0" and parts[0] in KNOWN_METHODS:
            uri = parts[1]
            if uri and _HTAB not in uri:
                return Request(parts[0], uri, names, lines)
    response = start[:4] == b"SIP/"
    match = None if response else _REQUEST_LINE.fullmatch(start)
    if match is not None:
        method, uri, version = match.groups()
        request = Request(method, uri, names, lines)
        if version != b"2.0":
            request.defect = SipError("SIP version other than 2.0", 505)
        elif bare_break:
            request.defect = SipError("CR or LF alone in the headers")
        return request
    match = _STATUS_LINE.fullmatch(start)
    if match is not None:
        version, status, reason = match.groups()
        if bare_break or version != b"2.0":
            raise SipError("malformed response")
        return Response(int(status), reason or b"", names, lines)
    guess = _METHOD_GUESS.match(start)
    if guess is None or start[:4].upper() == b"SIP/" or b"sip/" not in start.lower():
        raise SipError("neither a SIP request nor a response")
    request = Request(guess[1], b"", names, lines)
    request.defect = SipError("malformed Request-Line")
    return request


def is_token(text: bytes) -> bool:
    return TOKEN_PATTERN.fullmatch(text) is not None

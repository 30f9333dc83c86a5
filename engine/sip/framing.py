"""From bytes on the wire to messages: one datagram (RFC 3261 §18.3) or a stream of octets (TCP)."""

from __future__ import annotations

import re
from typing import Final

from engine.sip.errors import SipError
from engine.sip.headers import parse_number
from engine.sip.message import Request, Response, parse_head

# RFC 5626 §4.4.1 CRLF, and the zero bytes and blanks that some phones send to hold a NAT binding
_KEEPALIVES: Final = b"\r\n\x00 \t"
_HEAD_END: Final = b"\r\n\r\n"
_PING: Final = _HEAD_END
_BREAKS: Final = re.compile(rb"[\r\n]*+")


def parse_datagram(data: bytes, header_lines: int = 256) -> Request | Response | None:
    """The message in one datagram; None for a keep-alive.

    Octets behind Content-Length are dropped (§18.3). A body that falls short, or a Content-Length that is wrong,
    sets ``defect`` of a request. A missing blank line is forgiven where the last header is whole.

    Raises
    ------
    SipError
        Where there is no message, or a response that cannot be used.
    """
    if not data or data[0] in _KEEPALIVES:
        data = data.lstrip(_KEEPALIVES)
        if not data:
            return None
    head, blank, body = data.partition(_HEAD_END)
    message = parse_head(head if blank else head.rstrip(b"\r\n"), header_lines)
    try:
        if not blank and not data.endswith(b"\r\n"):
            raise SipError("headers do not end")
        length = content_length(message)
        if length is None or length == len(body):
            message.body = body
        elif length < len(body):
            message.body = body[:length]
        else:
            raise SipError("body shorter than Content-Length")
    except SipError as error:
        if isinstance(message, Response):
            raise
        message.defect = message.defect or error
    return message


def content_length(message: Request | Response) -> int | None:
    """Content-Length as a number of octets, None where the header is missing."""
    value = message.get("content-length")
    if value is None:
        return None
    if message.count("content-length") > 1:
        raise SipError("several Content-Length headers")  # RFC 4475 §3.3.9: a way to smuggle a second message
    return parse_number(value, "Content-Length", 2**31)


class StreamFramer:
    """Cuts a stream of octets into messages by Content-Length (§18.3); one per connection.

    Memory is bounded: head and body together may not exceed ``message_bytes``. However the stream is cut into
    pieces, the messages are the same, and no octet is looked at more than a few times.
    """

    __slots__ = (
        "_body_at",
        "_buffer",
        "_end",
        "_header_lines",
        "_message",
        "_message_bytes",
        "_scanned",
        "pongs_due",
    )

    def __init__(self, message_bytes: int = 65_535, header_lines: int = 256) -> None:
        self._message_bytes = message_bytes
        self._header_lines = header_lines
        self._buffer = bytearray()
        self._scanned = 0  # octets of the buffer in which no head ends
        self._message: Request | Response | None = None  # its head is read, its body still to come:
        self._body_at = 0  # where in the buffer that begins
        self._end = 0  # and ends
        self.pongs_due = 0  # CRLFCRLF pings not yet answered (RFC 5626 §3.5.1)

    def feed(self, data: bytes) -> list[Request | Response]:
        """The messages that this piece of the stream completes.

        Raises
        ------
        BoundaryLostError
            Where nothing tells where the next message begins: work on its ``messages``, then close the connection.
        """
        self._buffer += data
        messages: list[Request | Response] = []
        while True:
            message = self._message or self._read_head(messages)
            if message is None or len(self._buffer) < self._end:
                return messages
            message.body = bytes(self._buffer[self._body_at : self._end])
            del self._buffer[: self._end]
            self._message = None
            messages.append(message)

    @property
    def unfinished(self) -> bool:
        """Whether a message has begun that is not yet whole. Line breaks between messages begin none."""
        return self._message is not None or (bool(self._buffer) and self._buffer[0] not in _PING)

    def _read_head(self, before: list[Request | Response]) -> Request | Response | None:
        """The next message, without its body, if its head has come whole."""
        self._skip_keepalives()
        end = self._buffer.find(_HEAD_END, max(0, self._scanned - 3))
        self._scanned = 0 if end >= 0 else len(self._buffer)
        if max(end + 4, self._scanned) > self._message_bytes:
            raise BoundaryLostError("head larger than the limit", before, 513)
        if end < 0:
            return None
        message: Request | Response | None = None
        try:
            message = parse_head(bytes(self._buffer[:end]), self._header_lines)
            length = content_length(message)
            if length is None:  # §20.14: needed on streams; a guess could take a body for the next message
                raise SipError("Content-Length missing")
            if end + 4 + length > self._message_bytes:
                raise SipError("message larger than the limit", 513)
        except SipError as error:
            raise BoundaryLostError(error.why, before, error.status, message) from None
        self._message, self._body_at, self._end = message, end + 4, end + 4 + length
        return message

    def _skip_keepalives(self) -> None:
        """Drop the line breaks before a message; of a ping that is not yet whole, the octets stay."""
        match = _BREAKS.match(self._buffer)
        octets = match.end() if match else 0
        if not octets:
            return
        *pings, rest = bytes(self._buffer[:octets]).split(_PING)
        self.pongs_due += len(pings)
        if octets == len(self._buffer):
            octets -= next(length for length in (3, 2, 1, 0) if rest.endswith(_PING[:length]))
        del self._buffer[:octets]
        self._scanned = 0


class BoundaryLostError(SipError):
    """A stream's next message begins no one knows where. ``messages`` came before; ``culprit`` can be answered."""

    def __init__(
        self,
        why: str,
        messages: list[Request | Response],
        status: int = 400,
        culprit: Request | Response | None = None,
    ) -> None:
        super().__init__(why, status)
        self.messages = messages
        self.culprit = culprit

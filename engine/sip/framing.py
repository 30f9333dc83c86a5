"""From bytes on the wire to messages: one datagram (RFC 3261 §18.3) or a stream of octets (TCP)."""

from __future__ import annotations

from engine.sip.errors import SipError
from engine.sip.headers import parse_number
from engine.sip.message import Request, Response, parse_head

# RFC 5626 §4.4.1 CRLF, and the zero bytes that some phones send to hold a NAT binding
_KEEPALIVES = b"\r\n\x00 \t"


def parse_datagram(data: bytes, header_lines: int = 256) -> Request | Response | None:
    """The message in one datagram; None for a keep-alive.

    Octets behind Content-Length are dropped (§18.3). A body that falls short, or a Content-Length that is wrong,
    sets ``defect`` of a request.

    Raises
    ------
    SipError
        Where there is no message, or a response that cannot be used.
    """
    if data[:1] in _LEADING:
        data = data.lstrip(_KEEPALIVES)
        if not data:
            return None
    head, blank, body = data.partition(b"\r\n\r\n")
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


_LEADING = frozenset(bytes((octet,)) for octet in _KEEPALIVES) | {b""}


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

    Memory is bounded: head and body together may not exceed ``message_bytes``.
    """

    __slots__ = ("_buffer", "_header_lines", "_message_bytes", "_scanned", "pongs_due")

    def __init__(self, message_bytes: int = 65_535, header_lines: int = 256) -> None:
        self._buffer = bytearray()
        self._message_bytes = message_bytes
        self._header_lines = header_lines
        self._scanned = 0
        self.pongs_due = 0  # CRLFCRLF pings not yet answered (RFC 5626 §3.5.1)

    def feed(self, data: bytes) -> list[Request | Response]:
        """The messages that this piece of the stream completes.

        Raises
        ------
        SipError
            Where message boundaries are lost: the connection must be closed, after the messages in ``error.args``.
        """
        self._buffer += data
        messages: list[Request | Response] = []
        while True:
            self._skip_keepalives()
            if not self._buffer:
                break
            end = self._buffer.find(b"\r\n\r\n", max(0, self._scanned - 3))
            if end < 0:
                self._scanned = len(self._buffer)
                if self._scanned > self._message_bytes:
                    raise BoundaryLostError("head larger than the limit", messages, 513)
                break
            try:
                message = parse_head(bytes(self._buffer[:end]), self._header_lines)
                length = content_length(message)
            except SipError as error:
                raise BoundaryLostError(error.why, messages) from None
            if length is None:
                length = 0  # §20.14: required on streams; a message without it can only be one without body
            total = end + 4 + length
            if total > self._message_bytes:
                raise BoundaryLostError("message larger than the limit", messages, 513, message)
            if len(self._buffer) < total:
                break
            message.body = bytes(self._buffer[end + 4 : total])
            del self._buffer[:total]
            self._scanned = 0
            messages.append(message)
        return messages

    def _skip_keepalives(self) -> None:
        buffer = self._buffer
        skip = 0
        while skip < len(buffer) and buffer[skip] in b"\r\n":
            skip += 1
        if skip:
            self.pongs_due += buffer[:skip].count(b"\r\n\r\n")
            del buffer[:skip]
            self._scanned = 0


class BoundaryLostError(SipError):
    """Where the next message begins is unknown. ``messages`` came before; ``culprit`` can be answered."""

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

"""The opening hand-shake of a WebSocket (RFC 6455 §4, of SIP RFC 7118 §4), both sides of it.

HTTP is parsed by aiohttp; nothing here touches a socket.
"""

from __future__ import annotations

import asyncio
import binascii
import os
from base64 import b64decode, b64encode
from collections.abc import Collection, Mapping
from hashlib import sha1
from http import HTTPStatus
from typing import Final, NamedTuple, Protocol

from aiohttp.http import (
    HttpProcessingError,
    HttpRequestParser,
    HttpResponseParser,
    HttpVersion11,
    RawRequestMessage,
    RawResponseMessage,
)
from multidict import CIMultiDictProxy

from engine.boundary import SIP_SUBPROTOCOL

HEAD_BYTES_MAX: Final = 32 * 1024  # cookies of a web site come along

_GUID: Final = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 §1.3
_VERSION: Final = "13"
_WHAT_THIS_IS: Final = "this is a SIP WebSocket (RFC 7118)"


class Outcome(NamedTuple):
    """How a hand-shake ended."""

    reply: bytes = b""  # to be sent
    refusal: str = ""  # in words; "" where the WebSocket stands
    rest: bytes = b""  # frames that came with the hand-shake


class Handshake(Protocol):
    """One side of it."""

    def first_words(self) -> bytes:
        """What this side says unasked."""

    def feed(self, data: bytes) -> Outcome | None:
        """Take the peer's bytes; None while more is to come."""


class ServerHandshake:
    """Accepts those who speak SIP and come from where they may.

    Parameters
    ----------
    origins
        Web pages whose scripts may connect; empty: all.
    """

    __slots__ = ("_bytes", "_origins", "_parser", "_subprotocol")

    def __init__(
        self, origins: Collection[str], loop: asyncio.AbstractEventLoop, subprotocol: str = SIP_SUBPROTOCOL
    ) -> None:
        self._subprotocol = subprotocol
        self._origins = {each.lower() for each in origins}
        self._parser = HttpRequestParser(None, loop, HEAD_BYTES_MAX, response_with_body=False)
        self._bytes = 0

    def first_words(self) -> bytes:
        return b""

    def feed(self, data: bytes) -> Outcome | None:
        self._bytes += len(data)
        try:
            messages, _, rest = self._parser.feed_data(data)
        except HttpProcessingError:
            return _refused(HTTPStatus.BAD_REQUEST, "not an HTTP request")
        if messages:
            return self._answer(messages[0][0], rest)
        if self._bytes > HEAD_BYTES_MAX:
            return _refused(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"more than {HEAD_BYTES_MAX} bytes")
        return None

    def _answer(self, request: RawRequestMessage, rest: bytes) -> Outcome:
        headers = request.headers
        if (
            request.method != "GET"
            or request.version != HttpVersion11
            or "websocket" not in _words(headers, "Upgrade")
        ):
            more = {"Upgrade": "websocket", "Connection": "Upgrade"}
            return _refused(HTTPStatus.UPGRADE_REQUIRED, _WHAT_THIS_IS, more)
        if headers.get("Sec-WebSocket-Version") != _VERSION:
            return _refused(HTTPStatus.UPGRADE_REQUIRED, "unknown version", {"Sec-WebSocket-Version": _VERSION})
        key = headers.get("Sec-WebSocket-Key", "")
        if "upgrade" not in _words(headers, "Connection") or not _is_key(key):
            return _refused(HTTPStatus.BAD_REQUEST, "no WebSocket key")
        origin = headers.get("Origin")
        if self._origins and origin is not None and origin.lower() not in self._origins:
            return _refused(HTTPStatus.FORBIDDEN, "foreign origin")
        if self._subprotocol not in _words(headers, "Sec-WebSocket-Protocol"):
            return _refused(HTTPStatus.BAD_REQUEST, f"no subprotocol {self._subprotocol}: {_WHAT_THIS_IS}")
        accepted = {
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Accept": _accept_of(key),
            "Sec-WebSocket-Protocol": self._subprotocol,
        }
        return Outcome(_head(HTTPStatus.SWITCHING_PROTOCOLS, accepted), "", rest)


class ClientHandshake:
    """Asks ``host``, written as in a URI, for a WebSocket."""

    __slots__ = ("_bytes", "_host", "_key", "_parser", "_subprotocol")

    def __init__(self, host: str, loop: asyncio.AbstractEventLoop, subprotocol: str = SIP_SUBPROTOCOL) -> None:
        self._subprotocol = subprotocol
        self._host = host
        self._key = b64encode(os.urandom(16)).decode()
        self._parser = HttpResponseParser(None, loop, HEAD_BYTES_MAX, response_with_body=False)
        self._bytes = 0

    def first_words(self) -> bytes:
        asked = {
            "Host": self._host,
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Key": self._key,
            "Sec-WebSocket-Version": _VERSION,
            "Sec-WebSocket-Protocol": self._subprotocol,
        }
        return _lines("GET / HTTP/1.1", asked)

    def feed(self, data: bytes) -> Outcome | None:
        self._bytes += len(data)
        try:
            messages, _, rest = self._parser.feed_data(data)
        except HttpProcessingError:
            return Outcome(refusal="no HTTP answer")
        if messages:
            return Outcome(b"", self._fault_of(messages[0][0]), rest)
        return Outcome(refusal="an endless answer") if self._bytes > HEAD_BYTES_MAX else None

    def _fault_of(self, response: RawResponseMessage) -> str:
        if response.code != HTTPStatus.SWITCHING_PROTOCOLS:
            return f"{response.code} {response.reason}"
        if response.headers.get("Sec-WebSocket-Accept") != _accept_of(self._key):
            return "the key is not answered"
        if response.headers.get("Sec-WebSocket-Protocol") != self._subprotocol:
            return f"no subprotocol {self._subprotocol}"
        return ""


def _refused(status: HTTPStatus, why: str, more: Mapping[str, str] | None = None) -> Outcome:
    body = f"{why}\n".encode()
    headers = {
        **(more or {"Connection": "close"}),
        "Content-Type": "text/plain; charset=utf-8",
        "Content-Length": str(len(body)),
    }
    return Outcome(_head(status, headers) + body, f"{status.value} {why}")


def _accept_of(key: str) -> str:
    """What a server makes of a client's key, to show that it speaks the protocol."""
    return b64encode(sha1(f"{key}{_GUID}".encode(), usedforsecurity=False).digest()).decode()


def _words(headers: CIMultiDictProxy[str], name: str) -> set[str]:
    """The members of a list of tokens, which may stand in several lines, in lower case."""
    return {word.strip().lower() for line in headers.getall(name, ()) for word in line.split(",")}


def _is_key(key: str) -> bool:
    try:
        return len(b64decode(key, validate=True)) == 16
    except (binascii.Error, ValueError):
        return False


def _head(status: HTTPStatus, headers: Mapping[str, str]) -> bytes:
    return _lines(f"HTTP/1.1 {status.value} {status.phrase}", headers)


def _lines(first: str, headers: Mapping[str, str]) -> bytes:
    lines = [first, *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode()

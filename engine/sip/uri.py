"""SIP and SIPS URIs (RFC 3261 §19.1)."""

from __future__ import annotations

import re
from typing import Final

from engine.sip.errors import SipError
from engine.sip.grammar import HOST
from engine.sip.memory import remember

# SIP-URI = "sip:" [ userinfo ] hostport uri-parameters [ headers ]
# user = 1*( unreserved / escaped / user-unreserved )
# user-unreserved = "&" / "=" / "+" / "$" / "," / ";" / "?" / "/"
# "#" is outside the grammar, yet dialled (feature codes) and forwarded by every proxy in use.
_USER = rb"[A-Za-z0-9\-_.!~*'()&=+$,;?/%#]+"
_PASSWORD = rb"[A-Za-z0-9\-_.!~*'()&=+$,%]*"
# uri-parameter = pname [ "=" pvalue ], paramchar = "[" / "]" / "/" / ":" / "&" / "+" / "$" / unreserved / escaped
_PARAMCHARS = rb"[A-Za-z0-9\-_.!~*'()\[\]/:&+$%]+"
_PARAMS = rb"(?:;" + _PARAMCHARS + rb"(?:=" + _PARAMCHARS + rb")?)*+"
_HEADERS = rb"\?[A-Za-z0-9\-_.!~*'()\[\]/?:+$%=&]+"
_SIP_URI: Final = re.compile(
    rb"(?i:(sips?)):(?:(" + _USER + rb")(?::(" + _PASSWORD + rb"))?@)?"
    rb"(" + HOST + rb")(?::([0-9]{1,5}))?(" + _PARAMS + rb")(" + _HEADERS + rb")?"
)
_EQUAL: Final = ord("=")
_PERCENT: Final = ord("%")
_BAD_ESCAPE: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_SCHEME: Final = re.compile(rb"[A-Za-z][A-Za-z0-9+\-.]*:")
_ESCAPE: Final = re.compile(rb"%([0-9A-Fa-f]{2})")
_UNSAFE_IN_USER: Final = re.compile(rb"[^A-Za-z0-9\-_.!~*'()&=+$,;?/]")


# What nearly all URIs are made of; others are held against the grammar.
_PLAIN_HOST: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_"
_PLAIN_USER: Final = _PLAIN_HOST + b"!~*'()+"
_PLAIN_PARAMS: Final = _PLAIN_USER + b"[]/:&$;="


class SipUri:
    """A parsed URI. ``params`` holds names in lower case; ``host`` keeps the brackets of an IPv6 reference.

    ``host_text`` is the host as an Address has it: lower case, IPv6 without brackets.
    """

    __slots__ = ("headers", "host", "host_text", "params", "password", "port", "scheme", "user")

    def __init__(
        self,
        scheme: bytes,
        user: bytes | None,
        password: bytes | None,
        host: bytes,
        port: int | None,
        params: dict[bytes, bytes | None],
        headers: bytes = b"",
    ) -> None:
        self.scheme = scheme
        self.user = user
        self.password = password
        self.host = host
        self.host_text = host.decode("ascii").strip("[]").lower()
        self.port = port
        self.params = params
        self.headers = headers

    def __bytes__(self) -> bytes:
        text = self.scheme + b":"
        if self.user is not None:
            text += self.user + (b"" if self.password is None else b":" + self.password) + b"@"
        text += self.host
        if self.port is not None:
            text += b":%d" % self.port
        for name, value in self.params.items():
            text += b";" + name if value is None else b";" + name + b"=" + value
        return text + self.headers


_lately: Final[dict[bytes, SipUri]] = {}


def parse_uri(text: bytes) -> SipUri:
    """Parse a SIP or SIPS URI. The result is shared between calls: don't change its ``params``.

    Raises
    ------
    SipError
        400 where the grammar is broken, 416 for a scheme that isn't ours (RFC 3261 §8.2.2.1).
    """
    uri = _lately.get(text)
    return remember(_lately, text, _read_plain(text) or _read_uri(text)) if uri is None else uri


def _read_plain(text: bytes) -> SipUri | None:
    """A URI of nothing unusual; None for any other. A third of what the pattern costs."""
    if text[:4] != b"sip:":
        return None
    user: bytes | None = None
    before, at, rest = text[4:].partition(b"@")
    if at:
        user = before
        if not user or not (user.isalnum() or not user.translate(None, _PLAIN_USER)):
            return None
    else:
        rest = before
    place, semicolon, params = rest.partition(b";")
    host, colon, digits = place.partition(b":")
    if not host or host.translate(None, _PLAIN_HOST):
        return None
    port: int | None = None
    if colon:
        if not digits.isdigit() or len(digits) > 5:
            return None
        port = int(digits)
        if not 0 < port <= 65_535:
            return None
    table: dict[bytes, bytes | None] = {}
    if semicolon:
        if params.translate(None, _PLAIN_PARAMS):
            return None
        for param in params.split(b";"):
            name, equal, value = param.partition(b"=")
            if not name or (equal and (not value or _EQUAL in value)):
                return None
            table.setdefault(name.lower(), value if equal else None)
    return SipUri(b"sip", user, None, host, port, table)


def _read_uri(text: bytes) -> SipUri:
    match = _SIP_URI.fullmatch(text)
    if match is None:
        scheme = _SCHEME.match(text)
        if scheme is not None and scheme[0].lower() not in (b"sip:", b"sips:"):
            raise SipError("unknown URI scheme", 416)
        raise SipError("malformed URI")
    scheme_, user, password, host, port, params, headers = match.groups()
    if _PERCENT in text and _BAD_ESCAPE.search(text):
        raise SipError("malformed escape in URI")
    if port is not None and not 0 < int(port) <= 65_535:
        raise SipError("port in URI not from 1 to 65535")
    table: dict[bytes, bytes | None] = {}
    if params:
        for param in params[1:].split(b";"):
            name, equal, value = param.partition(b"=")
            table.setdefault(name.lower(), value if equal else None)
    return SipUri(scheme_.lower(), user, password, host, int(port) if port else None, table, headers or b"")


def unescape(text: bytes) -> bytes:
    """Replace %HH by the byte it stands for (§19.1.2), for comparing; never to build a message from."""
    if _PERCENT not in text:
        return text
    return _ESCAPE.sub(lambda match: bytes((int(match[1], 16),)), text)


def escape_user(text: bytes) -> bytes:
    """Escape what may not stand in the user part of a URI."""
    return _UNSAFE_IN_USER.sub(lambda match: b"%%%02X" % match[0][0], text)


def host_port(host: str, port: int) -> bytes:
    """``host:port`` as it stands in a URI or Via: IPv6 in brackets."""
    if ":" in host:
        return b"[%s]:%d" % (host.encode("ascii"), port)
    return b"%s:%d" % (host.encode("ascii"), port)

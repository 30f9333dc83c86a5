"""Digest authentication: challenges, credentials and the response (RFC 2617, RFC 7616, RFC 8760).

Both sides are here: a server builds a ``Challenge``, parses ``Credentials`` and checks them; a client parses the
challenge and answers it. Algorithms are MD5 and SHA-256; qop is ``auth`` or absent (RFC 2069), never ``auth-int``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import md5, sha256
from hmac import compare_digest

from engine.sip.errors import SipError
from engine.sip.grammar import QUOTED, TOKEN, quote, unquote

MD5 = b"MD5"
SHA_256 = b"SHA-256"

# challenge = ("Digest" LWS digest-cln *(COMMA digest-cln)), the credentials alike; digest-cln = name EQUAL value.
# A URI without quotes, as some phones send it, is tolerated.
_SCHEME = re.compile(rb"[ \t]*(?i:digest)[ \t]+(?=[^ \t])")
_PAIR = re.compile(rb"[ \t,]*(" + TOKEN + rb")[ \t]*=[ \t]*(" + QUOTED + rb"|[^\s,\"]+)[ \t]*(?=,|$)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """What a server asks to be answered. ``qop`` is empty for a server that knows RFC 2069 only."""

    realm: bytes
    nonce: bytes
    algorithm: bytes = MD5
    qop: tuple[bytes, ...] = (b"auth",)
    stale: bool = False
    opaque: bytes | None = None

    def __bytes__(self) -> bytes:
        text = b"Digest realm=%b, nonce=%b" % (quote(self.realm), quote(self.nonce))
        if self.stale:
            text += b", stale=true"
        if self.opaque is not None:
            text += b", opaque=" + quote(self.opaque)
        text += b", algorithm=" + self.algorithm
        return text + b", qop=" + quote(b",".join(self.qop)) if self.qop else text


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """A client's answer to a challenge. ``qop`` is empty in the manner of RFC 2069, then without cnonce and nc."""

    username: bytes
    realm: bytes
    nonce: bytes
    uri: bytes
    response: bytes
    algorithm: bytes = MD5
    qop: bytes = b""
    cnonce: bytes = b""
    nc: int = 0
    opaque: bytes | None = None

    def __bytes__(self) -> bytes:
        text = b'Digest username=%b, realm=%b, nonce=%b, uri="%b", response="%b", algorithm=%b' % (
            quote(self.username),
            quote(self.realm),
            quote(self.nonce),
            self.uri,
            self.response,
            self.algorithm,
        )
        if self.opaque is not None:
            text += b", opaque=" + quote(self.opaque)
        if self.qop:
            text += b", cnonce=%b, qop=%b, nc=%08x" % (quote(self.cnonce), self.qop, self.nc)
        return text


def parse_challenge(value: bytes) -> Challenge:
    """Read a WWW-Authenticate or Proxy-Authenticate value.

    Raises
    ------
    SipError
        Where it is no digest challenge, or one that cannot be answered: unknown algorithm, auth-int alone.
    """
    pairs = _parse_pairs(value)
    offered = tuple(part.strip().lower() for part in pairs.get(b"qop", b"").split(b",") if part.strip())
    if offered and b"auth" not in offered:
        raise SipError("digest qop without auth")
    return Challenge(
        realm=_need(pairs, b"realm"),
        nonce=_need(pairs, b"nonce"),
        algorithm=_algorithm(pairs),
        qop=offered,
        stale=pairs.get(b"stale", b"").lower() == b"true",
        opaque=pairs.get(b"opaque"),
    )


def choose(values: Iterable[bytes]) -> Challenge | None:
    """The first challenge that can be answered: a server puts what it prefers first (RFC 8760 §2.4)."""
    for value in values:
        try:
            return parse_challenge(value)
        except SipError:
            continue
    return None


def parse_credentials(value: bytes) -> Credentials:
    """Read an Authorization or Proxy-Authorization value.

    Raises
    ------
    SipError
        Where it is no digest, or lacks what a digest needs.
    """
    pairs = _parse_pairs(value)
    qop = pairs.get(b"qop", b"").lower()
    nc = 0
    if qop:
        if qop != b"auth":
            raise SipError("digest qop other than auth")
        text = _need(pairs, b"nc")
        if re.fullmatch(rb"[0-9A-Fa-f]{8}", text) is None:
            raise SipError("malformed digest nc")
        nc = int(text, 16)
    return Credentials(
        username=_need(pairs, b"username"),
        realm=_need(pairs, b"realm"),
        nonce=_need(pairs, b"nonce"),
        uri=_need(pairs, b"uri"),
        response=_need(pairs, b"response").lower(),
        algorithm=_algorithm(pairs),
        qop=qop,
        cnonce=_need(pairs, b"cnonce") if qop else b"",
        nc=nc,
        opaque=pairs.get(b"opaque"),
    )


def answer(
    challenge: Challenge,
    *,
    username: bytes,
    password: bytes,
    method: bytes,
    uri: bytes,
    cnonce: bytes = b"",
    nc: int = 1,
) -> Credentials:
    """The credentials for one request; ``nc`` counts the requests answered with this nonce, from 1."""
    qop = b"auth" if challenge.qop else b""
    blank = Credentials(
        username=username,
        realm=challenge.realm,
        nonce=challenge.nonce,
        uri=uri,
        response=b"",
        algorithm=challenge.algorithm,
        qop=qop,
        cnonce=cnonce if qop else b"",
        nc=nc if qop else 0,
        opaque=challenge.opaque,
    )
    return replace(blank, response=expected_response(blank, method, password))


def expected_response(credentials: Credentials, method: bytes, password: bytes) -> bytes:
    """The response that these credentials must bear (RFC 7616 §3.4.1), in lower-case hexadecimal."""
    algorithm = credentials.algorithm
    ha1 = _secret(algorithm, credentials.username, credentials.realm, password)
    ha2 = _hash(algorithm, method + b":" + credentials.uri)
    if not credentials.qop:
        return _hash(algorithm, b"%b:%b:%b" % (ha1, credentials.nonce, ha2))
    return _hash(
        algorithm,
        b"%b:%b:%08x:%b:%b:%b"
        % (ha1, credentials.nonce, credentials.nc, credentials.cnonce, credentials.qop, ha2),
    )


def verify(credentials: Credentials, method: bytes, password: bytes) -> bool:
    """Whether the sender of these credentials knows the password. Realm and nonce are the caller's to check."""
    return compare_digest(expected_response(credentials, method, password), credentials.response)


@lru_cache(maxsize=4096)
def _secret(algorithm: bytes, username: bytes, realm: bytes, password: bytes) -> bytes:
    return _hash(algorithm, b"%b:%b:%b" % (username, realm, password))


def _hash(algorithm: bytes, text: bytes) -> bytes:
    made = sha256(text) if algorithm == SHA_256 else md5(text, usedforsecurity=False)
    return made.hexdigest().encode("ascii")


def _parse_pairs(value: bytes) -> dict[bytes, bytes]:
    scheme = _SCHEME.match(value)
    if scheme is None:
        raise SipError("authentication other than digest")
    position = scheme.end()
    pairs: dict[bytes, bytes] = {}
    while position < len(value):
        match = _PAIR.match(value, position)
        if match is None:
            if not value[position:].strip(b", \t"):
                break
            raise SipError("malformed digest")
        name = match[1].lower()
        if name in pairs:
            raise SipError("malformed digest: parameter repeated")
        pairs[name] = unquote(match[2])
        position = match.end()
    return pairs


def _need(pairs: dict[bytes, bytes], name: bytes) -> bytes:
    try:
        return pairs[name]
    except KeyError:
        raise SipError(f"digest without {name.decode('ascii')}") from None


def _algorithm(pairs: dict[bytes, bytes]) -> bytes:
    algorithm = pairs.get(b"algorithm", MD5).upper()
    if algorithm not in (MD5, SHA_256):
        raise SipError("unknown digest algorithm")
    return algorithm

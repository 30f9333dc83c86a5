"""Flow tokens: where an agent is reached, written so that only an edge with the same secret can read or make one.

A token stands in the user part of a URI, where every element passes it on untouched. It is encrypted, because the
nodes have no business with an agent's NAT; authenticated, because a request goes where it says; and deterministic
(AES-SIV, RFC 5297), so that a refresh shows the nodes the same Contact as before.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import blake2b
from hmac import compare_digest
from struct import Struct
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from engine.boundary import Flow
from engine.sip.errors import SipError

PREFIX: Final = b"flow-"
"""How the user part of our URIs begins where it is a token."""

DIGEST_BYTES: Final = 8
MOST_CONTACT_BYTES: Final = 200  # a longer one is not carried: columns and buffers for a Contact end somewhere

_HEAD: Final = Struct("!B8s8s")  # form, key, digest of the Call-ID
_FLOW: Final = Struct("!HII")  # port, incarnation, stream; then interface, host and contact, parted by zeros
_FORM: Final = 1
_FORM_BETWEEN_EDGES: Final = 2
_FORM_NOTICE: Final = 4
_NOTICE: Final = Struct("!B8s8sdd")  # form, key, digest of the Call-ID, when said, since when; then who says so
_ANY_CALL: Final = bytes(DIGEST_BYTES)
_MARK_BYTES: Final = 12


class FlowToken(NamedTuple):
    """What a token says.

    ``key`` names the binding (``engine.registrar.binding``), all zero for an agent that has none. ``flow`` is None
    where it isn't told, or was a connection to an edge's earlier life. ``contact`` is the agent's own Contact URI,
    empty where it isn't told. A token with ``call`` is good within that call alone. One ``between_edges`` was
    shown to nobody else, so whoever brings it is an edge (``engine.peers``).
    """

    key: bytes
    flow: Flow | None = None
    contact: bytes = b""
    call: bytes = b""
    between_edges: bool = False


class Notice(NamedTuple):
    """That an agent is reached at ``edge`` since it was taken there, said ``at`` that time of the wall clock."""

    key: bytes
    edge: str
    at: float
    call: bytes
    taken_at: float


class Tokens:
    """Makes and reads the tokens of one edge, or of several that share ``secret``.

    ``incarnation`` (32 bits) tells the edge's lives apart: the numbers of connections begin anew in each.
    """

    __slots__ = ("_cipher", "_incarnation", "_marker")

    def __init__(self, secret: bytes, incarnation: int) -> None:
        self._cipher = AESSIV(blake2b(secret, digest_size=32, person=b"flow token").digest())
        self._incarnation = incarnation
        marking = blake2b(secret, digest_size=32, person=b"mark of a call").digest()
        self._marker = blake2b(key=marking, digest_size=_MARK_BYTES)

    # --- marks: a Route that leads to no flow was made for one call all the same

    def mark(self, call_id: bytes) -> bytes:
        """What shows that a Route is ours and was made for this call; a token shows it as well."""
        marker = self._marker.copy()
        marker.update(call_id)
        return urlsafe_b64encode(marker.digest())

    def made_for(self, call_id: bytes, marks: tuple[bytes, ...], users: tuple[bytes, ...]) -> bool:
        """Whether one of the marks, or of the tokens among the user parts, was made here for this call."""
        if marks:
            right = self.mark(call_id)
            if any(compare_digest(mark, right) for mark in marks):
                return True
        return any(is_token(user) and self._is_of(user, call_id) for user in users)

    def _is_of(self, user: bytes, call_id: bytes) -> bool:
        try:
            return self.open(user).call == digest_of(call_id)
        except SipError:
            return False

    # --- tokens

    def seal(self, token: FlowToken) -> bytes:
        """The text of a token, to stand in the user part of a URI."""
        form = _FORM_BETWEEN_EDGES if token.between_edges else _FORM
        plain = _HEAD.pack(form, token.key, token.call or _ANY_CALL)
        flow = token.flow
        if flow is not None:
            host, port = flow.peer
            contact = token.contact if len(token.contact) <= MOST_CONTACT_BYTES else b""
            plain += _FLOW.pack(port, self._incarnation if flow.stream else 0, flow.stream)
            plain += b"\0".join((flow.interface.encode(), host.encode(), contact))
        return self._encrypt(plain)

    def open(self, text: bytes) -> FlowToken:
        """Read a token.

        Raises
        ------
        SipError
            403 where no edge with our secret made it.
        """
        plain = self._decrypt(text[len(PREFIX) :])
        form, key, call = _HEAD.unpack_from(plain)
        if form not in (_FORM, _FORM_BETWEEN_EDGES):
            raise SipError("flow token of another form", 403)
        between = form == _FORM_BETWEEN_EDGES
        if call == _ANY_CALL:
            call = b""
        if len(plain) == _HEAD.size:
            return FlowToken(key, call=call, between_edges=between)
        port, incarnation, stream = _FLOW.unpack_from(plain, _HEAD.size)
        interface, host, contact = plain[_HEAD.size + _FLOW.size :].split(b"\0")
        if stream and incarnation != self._incarnation:
            return FlowToken(key, None, contact, call, between)
        return FlowToken(key, Flow(interface.decode(), (host.decode(), port), stream), contact, call, between)

    def seal_notice(self, notice: Notice) -> bytes:
        """The text of a notice. It leads nowhere: ``open`` refuses it."""
        plain = _NOTICE.pack(_FORM_NOTICE, notice.key, notice.call, notice.at, notice.taken_at)
        return self._encrypt(plain + notice.edge.encode())

    def open_notice(self, text: bytes) -> Notice:
        """Read a notice.

        Raises
        ------
        SipError
            403 where no edge with our secret made it.
        """
        plain = self._decrypt(text[len(PREFIX) :])
        if plain[0] != _FORM_NOTICE:
            raise SipError("flow token that is no notice", 403)
        _, key, call, at, taken_at = _NOTICE.unpack_from(plain)
        return Notice(key, plain[_NOTICE.size :].decode(), at, call, taken_at)

    def _encrypt(self, plain: bytes) -> bytes:
        return PREFIX + urlsafe_b64encode(self._cipher.encrypt(plain, None)).rstrip(b"=")

    def _decrypt(self, text: bytes) -> bytes:
        try:
            sealed = urlsafe_b64decode(text + b"=" * (-len(text) % 4))
            if urlsafe_b64encode(sealed).rstrip(b"=") != text:  # the decoder overlooks what is not in its alphabet
                raise ValueError
            return self._cipher.decrypt(sealed, None)
        except (ValueError, InvalidTag):
            raise SipError("flow token that was not made here", 403) from None


def is_token(user: bytes | None) -> bool:
    """Whether the user part of a URI of ours claims to be a token."""
    return user is not None and user.startswith(PREFIX)


def digest_of(call_id: bytes) -> bytes:
    """What stands for a Call-ID, which may be long, in a token and wherever it is remembered."""
    return blake2b(call_id, digest_size=DIGEST_BYTES).digest()

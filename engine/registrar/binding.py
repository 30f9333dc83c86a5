"""One registered contact: who it belongs to, on which flow it is reached, until when, and which node holds it."""

from __future__ import annotations

from hashlib import blake2b
from typing import Final, Protocol

from engine.boundary import NEVER, BindingRecord, Flow
from engine.here import port_of
from engine.nat import TRANSLATED
from engine.registrar.tokens import DIGEST_BYTES
from engine.sip.errors import SipError
from engine.sip.headers import NameAddr, parse_name_addr
from engine.sip.uri import parse_uri, unescape
from engine.wheel import Rider

NO_KEY: Final = bytes(DIGEST_BYTES)
"""The key of an agent that has registered nothing."""


class Keeper(Protocol):
    """Whom a binding tells that its time is over."""

    def expired(self, binding: Binding, now: float) -> None:
        """Its agent has not refreshed it."""
        ...


class Binding(Rider):
    """A contact that a node has accepted. It looks after its own expiry.

    ``value`` is the agent's Contact value as it wrote it, without ``expires``. ``flow`` is None while the
    connection that led to it is lost. ``granted_until`` is the node's word, ``expires_at`` what the agent was
    told. ``stale`` tells that the node may have lost it: its next refresh goes there and is not answered here.
    """

    __slots__ = (
        "_keeper",
        "aor",
        "call",
        "cseq",
        "expires_at",
        "flow",
        "granted_until",
        "key",
        "node",
        "signs",
        "stale",
        "value",
    )

    def __init__(self, keeper: Keeper, key: bytes, aor: bytes, value: bytes) -> None:
        super().__init__()
        self._keeper = keeper
        self.key = key
        self.aor = aor
        self.value = value
        self.flow: Flow | None = None
        self.call = b""  # digest of the Call-ID of its REGISTERs
        self.cseq = 0
        self.expires_at = 0.0
        self.granted_until = 0.0
        self.node = ""
        self.signs = 0  # of a NAT in front of the agent
        self.stale = False

    @property
    def address(self) -> NameAddr:
        """The agent's Contact."""
        return parse_name_addr(self.value, "Contact")

    @property
    def contact(self) -> bytes:
        """The agent's own Contact URI."""
        return self.address.uri

    @property
    def told(self) -> tuple[str, str]:
        """User and contact, as Notes name them."""
        return self.aor.decode("utf-8", "replace"), self.contact.decode("utf-8", "replace")

    @property
    def natted(self) -> bool:
        """Whether the agent is reached elsewhere than it says."""
        return self.signs & TRANSLATED != 0

    def record(self, edge: str, wall_offset_s: float) -> BindingRecord:
        """What the next life of ``edge`` is to know of it."""
        flow = self.flow or Flow("", ("", 0))
        return BindingRecord(
            self.key,
            edge,
            self.aor,
            self.value,
            flow.interface,
            flow.peer[0],
            flow.peer[1],
            flow.stream,
            self.call,
            self.cseq,
            self.expires_at + wall_offset_s,
            self.granted_until + wall_offset_s,
            self.node,
            self.signs,
            self.stale,
        )

    def take_over(self, record: BindingRecord, wall_offset_s: float) -> None:
        """Remember what an earlier life knew, but for the flow."""
        self.call, self.cseq = record.call, record.cseq
        self.granted_until = record.granted_until - wall_offset_s
        self.node = record.node
        self.signs = record.signs
        self.stale = record.stale

    def look(self, now: float) -> float:
        if self.expires_at > now:
            return self.expires_at
        self._keeper.expired(self, now)
        return NEVER


def is_elsewhere(contact: bytes, flow: Flow) -> bool:
    """Whether a Contact URI names another address than the flow's: a NAT stands between, or no address at all."""
    try:
        uri = parse_uri(contact)
    except SipError:
        return True
    return (uri.host_text, port_of(uri)) != flow.peer


def key_of(aor: bytes, instance: bytes, reg_id: bytes, contact: bytes) -> bytes:
    """What a binding is known by: the agent's instance where it has one (RFC 5626 §6), else its Contact.

    So an agent that comes back from another address, or under another ``.invalid`` name, is known again.
    """
    identity = (aor, b"i", instance, reg_id) if instance else (aor, b"c", contact)
    return blake2b(b"\0".join(identity), digest_size=DIGEST_BYTES).digest()


def aor_of(uri: bytes) -> bytes:
    """The address of record: ``user@host`` without escapes and parameters (RFC 3261 §10.3 step 5)."""
    parsed = parse_uri(uri)
    host = parsed.host.lower()
    if parsed.port is not None and parsed.port != 5060:
        host += b":%d" % parsed.port
    return unescape(parsed.user or b"") + b"@" + host

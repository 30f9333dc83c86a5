"""What a REGISTER asks for, and whether it may (RFC 3261 §10.3, RFC 5626 §6)."""

from __future__ import annotations

from typing import Final

from engine.config import RegistrarConfig
from engine.registrar.binding import aor_of, key_of
from engine.registrar.tokens import digest_of
from engine.sip.errors import RefusalError, SipError
from engine.sip.grammar import unquote
from engine.sip.headers import NameAddr, parse_name_addr
from engine.sip.message import Request
from engine.sip.uri import parse_uri

_MALFORMED_EXPIRES_S: Final = 3600  # what §10.3 has a malformed one count as
_NOT_KEPT: Final = (b"expires", b"pub-gruu", b"temp-gruu")
_MOST_CONTACT_BYTES: Final = 1024  # it is kept, and FreeSWITCH cuts longer ones


class Asked:
    """One contact that an agent wants to be reached at; ``expires_s`` 0: no longer.

    ``value`` is the Contact as the agent wrote it, without ``expires``.
    """

    __slots__ = ("address", "expires_s", "key", "value")

    def __init__(self, value: bytes, address: NameAddr, key: bytes, expires_s: int) -> None:
        self.value = value
        self.address = address
        self.key = key
        self.expires_s = expires_s


class Registration:
    """One REGISTER. ``everything`` stands for ``Contact: *``; without any contact it is a question."""

    __slots__ = ("aor", "call", "contacts", "cseq", "everything", "gruu", "outbound")

    def __init__(
        self,
        aor: bytes,
        contacts: list[Asked],
        everything: bool,
        call: bytes,
        cseq: int,
        outbound: bool,
        gruu: bool,
    ) -> None:
        self.aor = aor
        self.contacts = contacts
        self.everything = everything
        self.call = call
        self.cseq = cseq
        self.outbound = outbound  # RFC 5626
        self.gruu = gruu  # RFC 5627


def read(request: Request, config: RegistrarConfig, longest_s: int) -> Registration:
    """Read a valid REGISTER; no contact is bound for longer than ``longest_s``.

    Raises
    ------
    SipError
        400 where it contradicts itself or can't be kept, 403 for too many contacts, 423 with Min-Expires where it
        wants too short an expiry, 439 where outbound is wanted and can't be had.
    """
    _check_sip(request.to.uri, "To")
    aor = aor_of(request.to.uri)
    values = request.values("contact")
    everything = b"*" in values
    if everything and (len(values) > 1 or (request.get("expires") or b"1").strip(b"0")):
        raise SipError("'*' goes with no other Contact, and with Expires: 0 alone")  # §10.3 step 6
    if len(values) > config.contacts_per_aor:
        raise SipError(f"more than {config.contacts_per_aor} contacts", 403)
    addresses = [] if everything else [_address(value) for value in values]
    outbound = _outbound(request, addresses, config)
    contacts = [_asked(request, aor, address, outbound, config, longest_s) for address in addresses]
    if len(contacts) > 1 and len({asked.key for asked in contacts}) < len(contacts):
        raise SipError("one contact, or one instance, twice")
    gruu = config.gruu and b"gruu" in _options(request, "supported")
    return Registration(aor, contacts, everything, digest_of(request.call_id), request.cseq.number, outbound, gruu)


def written(address: NameAddr, uri: bytes, leave_out: tuple[bytes, ...]) -> bytes:
    """A Contact value with another URI, and without some of its parameters."""
    text = b"<" + uri + b">"
    if address.display:
        text = address.display + b" " + text
    for name, value in address.params.items():
        if name not in leave_out:
            text += b";" + name if value is None else b";" + name + b"=" + value
    return text


def _address(value: bytes) -> NameAddr:
    address = parse_name_addr(value, "Contact")
    if len(value) > _MOST_CONTACT_BYTES:
        raise SipError(f"Contact longer than {_MOST_CONTACT_BYTES} bytes")
    _check_sip(address.uri, "Contact")
    return address


def _check_sip(uri: bytes, name: str) -> None:
    """416 is about the Request-URI, so another scheme elsewhere is a bad request (RFC 4475 §3.3.4)."""
    try:
        parse_uri(uri)
    except SipError as error:
        raise SipError(f"{name}: {error.why}") from None


def _outbound(request: Request, addresses: list[NameAddr], config: RegistrarConfig) -> bool:
    """Whether the flows of RFC 5626 are wanted, and the agent is at our door."""
    if not config.outbound or not any(_has_flow(address) for address in addresses):
        return False
    if b"outbound" not in _options(request, "supported") and b"outbound" not in _options(request, "require"):
        return False
    if len(request.values("via")) > 1:
        # §6: behind another element only where that one keeps the flow
        first = request.values("path")[:1]
        if not first or b"ob" not in parse_uri(parse_name_addr(first[0], "Path").uri).params:
            raise SipError("outbound asked for over an element that doesn't support it", 439)
    lasting = [each for each in addresses if _expires_s(request, each, config)]
    if len(lasting) > 1 and any(_has_flow(address) for address in lasting):
        raise SipError("reg-id with more than one Contact")
    return True


def _asked(
    request: Request, aor: bytes, address: NameAddr, outbound: bool, config: RegistrarConfig, longest_s: int
) -> Asked:
    expires_s = _expires_s(request, address, config)
    if 0 < expires_s < config.agent_min_expires_s:
        least = b"Min-Expires: %d" % config.agent_min_expires_s
        raise RefusalError(423, f"expiry of {expires_s} s", least)
    reg_id = address.params.get(b"reg-id") or b"" if outbound else b""
    key = key_of(aor, unquote(address.params.get(b"+sip.instance") or b""), reg_id, address.uri)
    value = written(address, address.uri, _NOT_KEPT)
    return Asked(value, address, key, min(expires_s, longest_s))


def _has_flow(address: NameAddr) -> bool:
    return bool(address.params.get(b"reg-id") and address.params.get(b"+sip.instance"))


def _expires_s(request: Request, address: NameAddr, config: RegistrarConfig) -> int:
    text = address.params.get(b"expires", request.get("expires"))
    if text is None:
        return config.default_expires_s
    return int(text) if text.isdigit() else _MALFORMED_EXPIRES_S


def _options(request: Request, name: str) -> list[bytes]:
    return [value.lower() for value in request.values(name)]

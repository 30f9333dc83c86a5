"""REGISTER: digest always, one binding a user, one expiry for all."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from engine.boundary import Address
from engine.here import port_of
from engine.nat import is_private
from engine.sip.errors import SipError
from engine.sip.headers import parse_name_addr
from engine.sip.message import Request
from engine.sip.transactions import ServerTransaction
from engine.sip.uri import parse_uri
from engine.ua.parts import EMPTY, Block, block, reply
from sim.agents.freeswitch.authenticator import CHALLENGED, FORBIDDEN
from sim.agents.freeswitch.registrations import Binding
from sim.agents.notes import BindingRemoved, BindingStored

if TYPE_CHECKING:
    from sim.agents.freeswitch.node import Node

_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def register(node: Node, transaction: ServerTransaction, now: float) -> None:
    """Answer a REGISTER."""
    request, base = transaction.request, node.wording.base
    tag = node.tag()
    verdict = node.authenticator.check(request, "authorization", now)
    if verdict.outcome == CHALLENGED and verdict.challenge is not None:
        headers = base + block(b"WWW-Authenticate: " + bytes(verdict.challenge))
        transaction.respond(reply(request, 401, tag, headers), now)
        return
    if verdict.outcome == FORBIDDEN:
        transaction.respond(reply(request, 403, tag, base), now)  # no new challenge
        return
    user = verdict.user
    try:
        _change(node, transaction, user, now)
    except SipError as error:
        transaction.respond(reply(request, error.status, tag, base), now)
        return
    headers = _contact_of(node, user) + block(b"Date: " + http_date(now + node.wall_clock_offset_s)) + base
    transaction.respond(reply(request, 200, tag, headers), now)


def sweep(node: Node, now: float) -> None:
    """Forget the bindings that are overdue."""
    for user in node.registrations.sweep(now):
        node.out.append(BindingRemoved(node.config.name, user, "expired"))


def _change(node: Node, transaction: ServerTransaction, user: str, now: float) -> None:
    """Store or remove what the request says; one without Contact is a query."""
    request = transaction.request
    contacts = request.values("contact")
    if not contacts:
        return
    if contacts[0] == b"*":
        _remove(node, user)
        return
    contact = parse_name_addr(contacts[0], "Contact")
    if _asked_s(request, contact.params.get(b"expires")) == 0:
        _remove(node, user)  # whichever contact it names: all that the user has goes
        return
    config = node.config
    paths = tuple(parse_name_addr(value, "Path").uri for value in request.values("path"))
    expires_at = now + config.force_expires_s + config.late_margin_s
    peer = transaction.flow.peer
    received = peer if config.detects_nat and not paths and _behind_nat(contact.uri, peer) else None
    binding = Binding(contact.uri, paths, transaction.flow.interface, expires_at, config.name, received)
    node.registrations.save(user, binding)
    node.pings.watch(user, now)
    node.out.append(BindingStored(config.name, user, contact.uri.decode("utf-8", "replace")))


def _behind_nat(contact: bytes, peer: Address) -> bool:
    """Whether a Contact is private, and not where the request came from."""
    uri = parse_uri(contact)
    return is_private(uri.host_text) and (uri.host_text, port_of(uri)) != peer


def _remove(node: Node, user: str) -> None:
    if node.registrations.remove(user):
        node.out.append(BindingRemoved(node.config.name, user, "withdrawn"))


def _asked_s(request: Request, parameter: bytes | None) -> int | None:
    value = parameter or request.get("expires")
    return int(value) if value is not None and value.isdigit() else None


def _contact_of(node: Node, user: str) -> Block:
    binding = node.registrations.find(user)
    if binding is None:
        return EMPTY
    return block(b"Contact: <%b>;expires=%d" % (binding.contact, node.config.force_expires_s))


def http_date(unix_s: float) -> bytes:
    """A Date header's value (RFC 3261 §20.17), whatever the locale."""
    at = datetime.fromtimestamp(unix_s, UTC)
    day, month = _DAYS[at.weekday()], _MONTHS[at.month - 1]
    return f"{day}, {at.day:02d} {month} {at.year} {at:%H:%M:%S} GMT".encode()

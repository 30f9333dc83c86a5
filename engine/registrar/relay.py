"""A REGISTER on its way: what each node is asked, and what the agent is told of the answer (RFC 3261 §10)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.boundary import Flow
from engine.registrar.request import Asked, Registration
from engine.registrar.tokens import FlowToken, is_token
from engine.sip.errors import SipError
from engine.sip.headers import parse_name_addr
from engine.sip.layout import canonical_name
from engine.sip.message import Request, Response
from engine.sip.uri import parse_uri

if TYPE_CHECKING:
    from engine.registrar.registrar import Registrar


class Relay:
    """One REGISTER that is sent on. It changes nothing until a node has said 2xx.

    ``home`` is the node that holds the registration, or has asked for credentials; "" where there is none.
    """

    __slots__ = ("_flow", "_registrar", "_shown", "_signs", "home", "registration")

    def __init__(
        self, registrar: Registrar, registration: Registration, flow: Flow, home: str, signs: int
    ) -> None:
        self._registrar = registrar
        self._flow = flow
        self._signs = signs
        self._shown: dict[bytes, bytes] = {}  # keys of contacts by the URIs that nodes were shown of them
        self.registration = registration
        self.home = home

    # --- towards the node

    def address(self, request: Request, interface: str) -> None:
        """Write into the copy for a node, which leaves by ``interface``, what that node is to store."""
        registration, facing, flow = self.registration, self._registrar.facing, self._flow
        contacts = registration.contacts
        if not contacts:
            return
        if facing.config.mode == "path":
            path = facing.path(contacts[0], flow, interface, registration.outbound)
            request.add_first("path", b"Path: " + path)
        request.remove("contact")
        request.remove("expires")
        wanted = [facing.node_expires_s(asked.expires_s) for asked in contacts]
        for asked, expires_s in zip(contacts, wanted, strict=True):
            uri = facing.uri(asked, flow, interface)
            self._shown[uri] = asked.key
            request.append("contact", b"Contact: " + facing.value(asked, uri, expires_s))
        if len(set(wanted)) == 1:  # some look at the header first
            request.append("expires", b"Expires: %d" % wanted[0])

    # --- from the node

    def challenged(self, node: str) -> None:
        """The node wants credentials: they must come to it again, for its nonce is good nowhere else."""
        self._registrar.homes.remember(self.registration.call, node)

    def granted(self, response: Response, node: str, now: float) -> None:
        """The node's 2xx: bind what it accepted, and write the agent's own contacts into it."""
        registrar, registration = self._registrar, self.registration
        registrar.homes.forget(registration.call)
        listed, others = self._listed(response)
        before = registrar.bindings.of(registration.aor)
        if registration.everything:
            for binding in before:
                registrar.bindings.remove(binding, "withdrawn", now)
        usual_s = _expires_header(response)
        for asked in registration.contacts:
            granted_s = listed.get(asked.key)
            if granted_s is None:
                granted_s = usual_s
            if granted_s is None:
                granted_s = registrar.facing.node_expires_s(asked.expires_s)
            self._bind(asked, granted_s, node, now)
        asked_for = {asked.key for asked in registration.contacts}
        for binding in before:
            if binding.node == node and binding.key not in listed and binding.key not in asked_for:
                binding.stale = True  # FreeSWITCH keeps one contact a user unless told otherwise
        self._rewrite(response, others, now)

    def _bind(self, asked: Asked, granted_s: int, node: str, now: float) -> None:
        bindings, registration = self._registrar.bindings, self.registration
        known = bindings.get(asked.key)
        if known is not None and known.call == registration.call and known.cseq > registration.cseq:
            return  # a later REGISTER of the same agent was quicker
        if not asked.expires_s or not granted_s:
            if known is not None:
                bindings.remove(known, "withdrawn", now)
            return
        binding = bindings.make(asked.key, registration.aor, asked.value)
        if known is not None and known.node != node:
            self._registrar.rehomed(binding, node)
        binding.node = node
        binding.call, binding.cseq = registration.call, registration.cseq
        binding.granted_until = now + granted_s
        binding.stale = False
        binding.signs = self._signs
        self._registrar.hold(binding, self._flow, min(asked.expires_s, granted_s), now)

    # --- what the node lists

    def _listed(self, response: Response) -> tuple[dict[bytes, int | None], list[bytes]]:
        """The expiry of each contact of ours by its key, and what the agent is told of all others."""
        listed: dict[bytes, int | None] = {}
        others: list[bytes] = []
        shown = self._shown
        if self._registrar.facing.config.mode != "contact":
            self._show_others()
        ours = {asked.key for asked in self.registration.contacts}
        for value in response.values("contact"):
            try:
                address = parse_name_addr(value, "Contact")
            except SipError:
                continue
            token = self._read(address.uri, shown)
            if token is None:
                others.append(value)
                continue
            expires_s = listed[token.key] = _seconds(address.params.get(b"expires"))  # the newest comes last
            if token.contact and token.key not in ours and self._registrar.bindings.get(token.key) is None:
                # bound before this edge was started anew, or at another one
                left_s = min(expires_s or 0, self._registrar.facing.config.agent_max_expires_s)
                others.append(b"<" + token.contact + b">;expires=%d" % left_s)
        return listed, others

    def _read(self, uri: bytes, shown: dict[bytes, bytes]) -> FlowToken | None:
        """Whose contact a node lists; None where it is none of ours."""
        key = shown.get(uri)
        if key is not None:
            return FlowToken(key)
        try:
            user = parse_uri(uri).user
            return self._registrar.tokens.open(user) if user is not None and is_token(user) else None
        except SipError:
            return None

    def _show_others(self) -> None:
        """Add what the nodes see of the user's other contacts."""
        facing = self._registrar.facing
        for binding in self._registrar.bindings.of(self.registration.aor):
            if binding.flow is not None:
                self._shown.setdefault(facing.shown(binding.contact, binding.flow), binding.key)

    # --- what the agent is told

    def _rewrite(self, response: Response, others: list[bytes], now: float) -> None:
        """Put the user's own contacts in the place of what the node lists."""
        response.remove("contact")
        response.remove("expires")
        self._take_path(response)
        for line in self._registrar.answer_lines(self.registration, now):
            response.append(canonical_name(line.partition(b":")[0]), line)
        for value in others:
            response.append("contact", b"Contact: " + value)

    def _take_path(self, response: Response) -> None:
        """A registrar repeats the Path (RFC 3327 §5.3); our part of it is not for the agent."""
        values = response.values("path")
        if not values:
            return
        try:
            uri = parse_uri(parse_name_addr(values[0], "Path").uri)
        except SipError:
            return
        if self._registrar.here.interface_of(uri) is not None:
            response.pop_value("path")


def _expires_header(response: Response) -> int | None:
    return _seconds(response.get("expires"))


def _seconds(text: bytes | None) -> int | None:
    """An expiry as a node writes it, None where it isn't one."""
    return int(text) if text is not None and text.isdigit() and len(text) < 10 else None

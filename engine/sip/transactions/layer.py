"""Matching messages to transactions (RFC 3261 §17.1.3, §17.2.3), and the tables of those that live."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from engine.boundary import Address, Effect, Flow
from engine.config import TimersConfig
from engine.sip.headers import MAGIC_COOKIE
from engine.sip.message import Request, Response
from engine.sip.transactions import tables
from engine.sip.transactions.own import Asker, OwnInvite
from engine.sip.transactions.timing import Durations
from engine.sip.transactions.transaction import (
    ClientKey,
    ClientTransaction,
    ClientUser,
    ServerKey,
    ServerTransaction,
)
from engine.timers import TimerQueue


class TransactionUser(Protocol):
    """What stands above the layer: a proxy core, or a user agent's."""

    def on_request(self, transaction: ServerTransaction, now: float) -> None:
        """A new request, CANCEL included, ACK not."""
        ...

    def on_ack(self, request: Request, flow: Flow, now: float) -> None:
        """An ACK that belongs to no failed INVITE: the one that ends the three-way hand-shake of a 2xx."""
        ...

    def on_stray_response(self, response: Response, flow: Flow, now: float) -> None:
        """A response to nothing that was sent from here, or to something long forgotten."""
        ...


class TransactionLayer:
    """All transactions of one machine.

    ``out`` is the list to which the machine's effects are added; ``reliable`` tells of an interface's name whether
    its transport retransmits by itself.
    """

    __slots__ = (
        "_clients",
        "_durations",
        "_lossy",
        "_reliable",
        "_servers",
        "_streamed",
        "_user",
        "_waiting",
        "out",
        "timers",
    )

    def __init__(
        self,
        user: TransactionUser,
        out: list[Effect],
        timers: TimerQueue,
        config: TimersConfig,
        reliable: Callable[[str], bool],
    ) -> None:
        self._user = user
        self.out = out
        self.timers = timers
        self._reliable = reliable
        self._lossy = Durations(config, reliable=False)
        self._streamed = Durations(config, reliable=True)
        self._durations: dict[str, Durations] = {}  # by interface
        self._servers: dict[ServerKey, ServerTransaction] = {}
        self._clients: dict[ClientKey, ClientTransaction] = {}
        # By interface and peer, oldest first: those without any response, which an ICMP error ends at once
        self._waiting: dict[tuple[str, Address], dict[ClientTransaction, None]] = {}

    def receive(self, message: Request | Response, flow: Flow, now: float) -> None:
        """A valid message came in on ``flow``; a request's top Via bears received and rport already."""
        if isinstance(message, Response):
            self._receive_response(message, flow, now)
            return
        method = message.method
        key = server_key(message)
        transaction = self._servers.get(key)
        if transaction is not None:
            if method != b"ACK":
                transaction.step(tables.REQUEST, now)
            elif transaction.state == tables.ACCEPTED:
                self._user.on_ack(message, flow, now)  # §17.2.3 of RFC 3261 would want a branch of its own here
            else:
                transaction.step(tables.ACK, now)
        elif method == b"ACK":
            self._user.on_ack(message, flow, now)
        else:
            transaction = ServerTransaction(self, message, flow, self._durations_on(flow.interface), key)
            self._servers[key] = transaction
            self._user.on_request(transaction, now)

    def _receive_response(self, response: Response, flow: Flow, now: float) -> None:
        transaction = self._clients.get((response.via.branch, response.cseq.method))
        if transaction is None:
            self._user.on_stray_response(response, flow, now)
        else:
            transaction.receive(response, now)

    def send(
        self, request: Request, flow: Flow, user: ClientUser, now: float, branch: bytes = b""
    ) -> ClientTransaction:
        """Send a request, whose top Via bears a branch of its own, and see it through.

        ``branch`` is that branch; it is read from the Via where the caller does not say it.
        """
        key = (branch or request.via.branch, request.method)
        transaction = ClientTransaction(self, request, flow, self._durations_on(flow.interface), user, key)
        self._clients[key] = transaction
        self._waiting.setdefault((flow.interface, flow.peer), {})[transaction] = None
        transaction.begin(now)
        return transaction

    def own(self, invite: Request, flow: Flow, asker: Asker) -> OwnInvite:
        """The transaction of an INVITE of our own, whose responses are handed to ``asker``."""
        return OwnInvite(self, invite, flow, self._streamed, asker)

    def _durations_on(self, interface: str) -> Durations:
        durations = self._durations.get(interface)
        if durations is None:
            durations = self._streamed if self._reliable(interface) else self._lossy
            self._durations[interface] = durations
        return durations

    def invite_of(self, cancel: Request) -> ServerTransaction | None:
        """The INVITE transaction that this CANCEL means (§9.2)."""
        return self._servers.get(server_key(cancel, b"INVITE"))

    def unanswered(self, peer: Address) -> list[ServerTransaction]:
        """The requests that came from this address and have no final response yet, oldest first."""
        return [each for each in self._servers.values() if each.flow.peer == peer and not each.answered]

    def knows(self, request: Request) -> bool:
        """Whether this request belongs to a transaction that lives: a repetition, or the ACK of a failure."""
        return server_key(request) in self._servers

    def unreachable(self, flow: Flow, reason: str, now: float) -> None:
        """What was sent on this flow cannot arrive: what waits there for its first response has failed."""
        for transaction in list(self._waiting.get((flow.interface, flow.peer), ())):
            if transaction.heeds_errors:
                transaction.unreachable(reason, now)

    def waits_no_more(self, transaction: ClientTransaction) -> None:
        """It has had a response, or is gone."""
        way = (transaction.flow.interface, transaction.flow.peer)
        waiting = self._waiting.get(way)
        if waiting is not None:
            waiting.pop(transaction, None)
            if not waiting:
                del self._waiting[way]

    def forget_client(self, transaction: ClientTransaction) -> None:
        self._clients.pop(transaction.key, None)

    def forget_server(self, transaction: ServerTransaction) -> None:
        self._servers.pop(transaction.key, None)

    @property
    def servers(self) -> int:
        """How many server transactions live."""
        return len(self._servers)

    def __len__(self) -> int:
        return len(self._servers) + len(self._clients)


def server_key(request: Request, method: bytes = b"") -> ServerKey:
    """What identifies the server transaction of a request, or with ``method`` of another one in its place.

    §17.2.3: branch, sent-by and method, where the branch has the magic cookie; else the matching of RFC 2543 by
    Request-URI, tags, Call-ID, CSeq number and top Via. ACK matches its INVITE.
    """
    if not method:
        method = request.method
    if method == b"ACK":
        method = b"INVITE"
    via = request.via
    branch = via.params.get(b"branch") or b""
    if branch[:7] == MAGIC_COOKIE and len(branch) > 7:
        return (branch, via.host, via.port or 0, method)
    # An ACK's To tag is the response's, so it is left out for INVITE and ACK (§17.2.3 has it checked against the
    # response sent; Call-ID and CSeq make a mistake of that kind harmless).
    to_tag = b"" if method == b"INVITE" else request.to.tag
    number = b"%d" % request.cseq.number
    return (request.uri, to_tag, request.from_.tag, request.call_id, number, request.first("via"), method)

"""Every type that crosses into or out of a machine, and the Machine protocol itself.

A *machine* is a pure state machine: no socket, clock, thread or global randomness. Its *host* tells it what
happened (an input, with the present time) and carries out what it orders (effects). The simulated host
(``sim.host``) and the real one (``engine.live``) host the very same machines: the edge, and also the modelled
softphones and FreeSWITCH nodes.

Inputs and effects are named tuples rather than frozen dataclasses, which cost three times as much to make; those
that are made for each packet are in ``engine.packets``, to be compiled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar, Final, Literal, NamedTuple, Protocol, TypeAlias

from engine.packets import Address as Address
from engine.packets import Datagram as Datagram
from engine.packets import Flow as Flow
from engine.packets import Send as Send

if TYPE_CHECKING:  # the media's half of the boundary is made of keys and codecs, which stand above this file
    from engine.media.rules import MediaEffect, MediaInput

Transport: TypeAlias = Literal["udp", "tcp", "tls", "ws", "wss"]

SIP_SUBPROTOCOL: Final = "sip"  # RFC 7118 §4

NEVER = float("inf")
"""The deadline of a machine that wants no tick."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """What a secure interface shows and trusts: paths of PEM files, read by the real host alone."""

    certificate: str  # with its chain
    private_key: str
    trusted: str | None = None  # authorities for the peers that we connect to; None: the system's


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """One local address on which a machine talks; the host binds it before it starts the machine.

    ``host`` and ``port`` are bound; ``advertised_host`` and ``advertised_port`` are what peers are told in Via
    and Record-Route where the bound address is not the one they can reach. In live use port 0 takes a free one.
    ``tls`` is needed to listen on ``tls`` and ``wss``. One that does not listen (a browser's) only connects.
    ``origins`` are the web pages whose scripts may open a WebSocket here (RFC 6455 §10.2), such as
    ``https://phone.example.org``; empty: all. Clients other than browsers name none and are let in.
    ``subprotocol`` is what WebSockets carry here.
    """

    name: str
    transport: Transport
    host: str
    port: int
    advertised_host: str | None = None
    advertised_port: int | None = None
    tls: TlsFiles | None = None
    listens: bool = True
    origins: tuple[str, ...] = ()
    subprotocol: str = SIP_SUBPROTOCOL

    @property
    def public_host(self) -> str:
        return self.advertised_host or self.host

    @property
    def public_port(self) -> int:
        return self.advertised_port or self.port

    @property
    def reliable(self) -> bool:
        """Whether the transport retransmits by itself (RFC 3261 §17 leaves out timers A, E, G there)."""
        return self.transport != "udp"

    @property
    def secure(self) -> bool:
        """Whether it runs over TLS."""
        return self.transport in ("tls", "wss")

    @property
    def whole_messages(self) -> bool:
        """Whether each StreamData is one message, as WebSocket delivers them (RFC 7118 §5.2)."""
        return self.transport in ("ws", "wss")


# --- records: what outlives the process ----------------------------------------------------------------------
# Their times are seconds of the wall clock (since 1970), the one clock that two lives of a process share.

RecordKind: TypeAlias = Literal["bindings", "dialogs", "nodes", "rescues"]


class RecordKey(NamedTuple):
    """What a record is found by. A binding is one for all edges; ``edge`` tells whose word about it counts."""

    kind: RecordKind
    edge: str
    name: bytes


class BindingRecord(NamedTuple):
    """A contact that a node has accepted (``engine.registrar.binding``).

    ``edge`` is the one that reaches it. ``stream`` numbers a connection in the life that wrote it; 0: none.
    """

    key: bytes
    edge: str
    aor: bytes
    value: bytes
    interface: str
    host: str
    port: int
    stream: int
    call: bytes
    cseq: int
    expires_at: float
    granted_until: float
    node: str
    signs: int
    stale: bool

    @property
    def at(self) -> RecordKey:
        return RecordKey("bindings", self.edge, self.key)


class DialogRecord(NamedTuple):
    """A call that stands through a node, and holds a channel there."""

    edge: str
    call_id: bytes
    callee_tag: bytes
    node: str
    resource: str
    began_at: float
    caller: str = ""  # URIs, of an INVITE
    callee: str = ""

    @property
    def at(self) -> RecordKey:
        return RecordKey("dialogs", self.edge, self.call_id + b"\0" + self.callee_tag)


class NodeRecord(NamedTuple):
    """What an edge holds of a node: down, draining or disabled; active where nothing is held against it."""

    edge: str
    node: str
    state: str

    @property
    def at(self) -> RecordKey:
        return RecordKey("nodes", self.edge, self.node.encode())


class RescueRecord(NamedTuple):
    """One of the two dialogs of a rescued conversation. ``pair`` names both; ``half`` is what it takes to speak in
    it in its node's place, as ``engine.rescue.halves`` writes it."""

    edge: str
    call_id: bytes
    callee_tag: bytes
    pair: bytes
    half: bytes
    began_at: float

    @property
    def at(self) -> RecordKey:
        return RecordKey("rescues", self.edge, self.call_id + b"\0" + self.callee_tag)


Record: TypeAlias = BindingRecord | DialogRecord | NodeRecord | RescueRecord


# --- inputs: things that happened -------------------------------------------------------------------------


class StreamOpened(NamedTuple):
    """A connection stands, hand-shakes included; ``accepted`` where the peer opened it."""

    flow: Flow
    accepted: bool = True


class StreamData(NamedTuple):
    """Bytes came in on a connection; message boundaries are the machine's business, but for WebSocket, where this
    is one message."""

    flow: Flow
    data: bytes


class Pong(NamedTuple):
    """The peer answered a Ping on this connection."""

    flow: Flow


class StreamClosed(NamedTuple):
    """A connection ended; nothing can be sent on this flow any more.

    ``farewell``: the peer took its leave by WebSocket's close frame, as a page does that is left. One that was
    cut off may come back.
    """

    flow: Flow
    reason: str
    farewell: bool = False


class Unreachable(NamedTuple):
    """What was sent on this flow cannot arrive: ICMP unreachable, connection refused, unknown name."""

    flow: Flow
    reason: str


class NodeOrder(NamedTuple):
    """An operator's order to a node, a relay or the edge itself, by its name."""

    node: str
    order: Literal["drain", "resume", "disable", "enable"]


class CallOrder(NamedTuple):
    """An operator's order to ``end`` a call: by its node, where it has an event socket, else by the edge."""

    call_id: str
    order: Literal["end"]


class RegistrationOrder(NamedTuple):
    """An operator's order to ``kick`` a user: its contacts are forgotten, and connections of its own closed."""

    aor: str
    order: Literal["kick"]


class Drain(NamedTuple):
    """The whole machine is to take no new work and finish what it has (SIGTERM, ``siptwin`` orders)."""


class AgentOrder(NamedTuple):
    """An order to a modelled agent, for example ``originate`` or ``pause`` to a FreeSWITCH."""

    order: str
    argument: str = ""


class Reconfigure(NamedTuple):
    """New settings, checked before; of the type that the machine takes (``engine.edge.EdgeSettings``)."""

    settings: object


class Loaded(NamedTuple):
    """What the store held when this process began. It may come late; what has happened since counts more."""

    records: Sequence[Record]


class Committed(NamedTuple):
    """What was ordered before this Commit is in the store, or the store cannot say so soon enough."""

    ticket: int


Input: TypeAlias = (
    "Datagram | StreamOpened | StreamData | StreamClosed | Pong | Unreachable"
    " | NodeOrder | CallOrder | RegistrationOrder | Drain | AgentOrder | Reconfigure | Loaded | Committed"
    " | MediaInput"
)


# --- effects: orders to the host --------------------------------------------------------------------------


class Close(NamedTuple):
    """Close this connection; what was sent before goes out first."""

    flow: Flow


class Ping(NamedTuple):
    """Ask the peer of a WebSocket connection whether it lives (RFC 6455 §5.5.2); it answers with a Pong."""

    flow: Flow


class Save(NamedTuple):
    """Keep this record in the store, in the place of the one with its key. ``new``: there is none."""

    record: Record
    new: bool = False


class Drop(NamedTuple):
    """Forget the record with this key, unless another edge has written it since."""

    key: RecordKey


class Commit(NamedTuple):
    """Say by ``Committed`` when all Saves and Drops so far are in the store; soon, whatever ails the store."""

    ticket: int


class Level(StrEnum):
    """How much a Note matters to an operator; the live host's log levels."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Note:
    """A typed fact. The host turns it into a log line, a metric, a trace or a data-frame row.

    Subclasses (``engine.notes``) add the facts as fields and set ``level``. Nothing is logged in any other way.
    """

    level: ClassVar[Level] = Level.INFO


Effect: TypeAlias = "Send | Close | Ping | Save | Drop | Commit | Note | MediaEffect"


class Machine(Protocol):
    """What a host drives. Each call changes state once; the effects are carried out in order.

    ``now`` is in seconds on the host's clock, which never goes back; its zero means nothing.
    """

    def start(self, now: float) -> Sequence[Effect]:
        """Called once, after the interfaces are bound."""
        ...

    def receive(self, event: Input, now: float) -> Sequence[Effect]:
        """Something happened."""
        ...

    def tick(self, now: float) -> Sequence[Effect]:
        """The deadline has come (an early or late call is harmless)."""
        ...

    def deadline(self) -> float:
        """The one instant at which the machine next wants a tick, or NEVER."""
        ...

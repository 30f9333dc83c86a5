"""The trace: every message on the wire and every Note, in order, as a hash, as records, and to listeners.

The hash tells whether two runs were the same; it costs about a microsecond a message and needs no memory. Records
are kept only as far as asked for, so that a simulated week stays as small as a simulated minute.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from hashlib import blake2b
from operator import attrgetter
from struct import Struct
from typing import Literal, NamedTuple, TypeAlias

from engine.boundary import Address, Note, Transport

Fate: TypeAlias = Literal[
    "delivered", "duplicated", "lost", "partitioned", "unreachable", "overflowed", "filtered"
]
"""What became of a message. ``duplicated``: a second copy arrived; ``overflowed``: the socket buffer was full;
``filtered``: a NAT or balancer let it go no further."""

Seen: TypeAlias = tuple[Address, Address]
"""Source and destination as the receiver sees them."""

Recording: TypeAlias = Literal["none", "notes", "all"]
"""What is kept in memory; ``all`` is the messages as well as the notes."""

Departure: TypeAlias = tuple[float, int]
"""When a sender let go of a message, and the how-manyeth message of the run it was."""

MessageListener: TypeAlias = "Callable[[MessageRecord], None]"
NoteListener: TypeAlias = "Callable[[NoteRecord], None]"

_HEAD = Struct("<ddI")


class Wire:
    """The way of a message: who sends to whom, from which address to which. Made once, used for every packet.

    ``source`` and ``destination`` are the sender's; ``seen`` is what a NAT or balancer made of them.
    """

    __slots__ = ("destination", "from_place", "label", "seen", "source", "to_place", "transport")

    def __init__(
        self,
        from_place: str,
        to_place: str,
        source: Address,
        destination: Address,
        transport: Transport,
        seen: Seen | None = None,
    ) -> None:
        self.from_place = from_place
        self.to_place = to_place
        self.source = source
        self.destination = destination
        self.transport = transport
        self.seen = seen
        ends = (from_place, to_place, source, destination, transport)
        self.label = repr(ends if seen is None else (*ends, seen)).encode()


class MessageRecord(NamedTuple):
    """One message on the wire, told when its fate is settled: at its arrival, or at once when it never left.

    ``time_s`` is when the fate was settled, ``sent_s`` when the sender let go of it; ``order`` rises in the order
    of sending, also within one instant. ``to_place`` is "" for an address that nobody has. ``source`` and
    ``destination`` are as the sender wrote them; ``seen`` is what the receiver saw, where a NAT or a balancer was
    between.
    """

    time_s: float
    sent_s: float
    order: int
    from_place: str
    to_place: str
    source: Address
    destination: Address
    transport: Transport
    data: bytes
    fate: Fate
    seen: Seen | None = None


class NoteRecord(NamedTuple):
    """One Note, told by the machine (or the world) at ``place``."""

    time_s: float
    place: str
    note: Note


_readers: dict[type[Note], Callable[[Note], object]] = {}


def _facts(note: Note) -> object:
    """All fields of a Note, read at once: its own repr takes twice as long.

    One that is declared repr=False differs between machines (a traceback's paths) and stays out.
    """
    kind = type(note)
    read = _readers.get(kind)
    if read is None:
        names = [field.name for field in fields(kind) if field.repr]
        read = _readers[kind] = attrgetter(*names) if names else attrgetter("__doc__")
    return read(note)


class Trace:
    """Hashes everything, keeps what ``record`` says, tells listeners."""

    def __init__(self, record: Recording = "none") -> None:
        self.messages: list[MessageRecord] = []
        self.notes: list[NoteRecord] = []
        self._departures = 0
        self._hash = blake2b(digest_size=16)
        self._message_listeners: list[MessageListener] = []
        self._note_listeners: list[NoteListener] = []
        if record == "all":
            self._message_listeners.append(self.messages.append)
        if record != "none":
            self._note_listeners.append(self.notes.append)

    def listen(self, on_message: MessageListener | None = None, on_note: NoteListener | None = None) -> None:
        """Tell these callables of everything from now on, as it happens."""
        if on_message is not None:
            self._message_listeners.append(on_message)
        if on_note is not None:
            self._note_listeners.append(on_note)

    def departure(self, time_s: float) -> Departure:
        """A sender lets go of a message; ``message`` is told of this when the fate is settled."""
        self._departures += 1
        return time_s, self._departures

    def message(self, time_s: float, departure: Departure, wire: Wire, data: bytes, fate: Fate) -> None:
        sent_s, order = departure
        self._hash.update(_HEAD.pack(time_s, sent_s, len(data)) + wire.label + fate.encode() + data)
        if self._message_listeners:
            record = MessageRecord(
                time_s,
                sent_s,
                order,
                wire.from_place,
                wire.to_place,
                wire.source,
                wire.destination,
                wire.transport,
                data,
                fate,
                wire.seen,
            )
            for listener in self._message_listeners:
                listener(record)

    def note(self, time_s: float, place: str, note: Note) -> None:
        text = f"{place} {type(note).__name__}{_facts(note)!r}".encode()
        self._hash.update(_HEAD.pack(time_s, time_s, len(text)) + text)
        if self._note_listeners:
            record = NoteRecord(time_s, place, note)
            for listener in self._note_listeners:
                listener(record)

    @property
    def hash(self) -> str:
        """The hash of everything so far, in hexadecimal."""
        return self._hash.hexdigest()

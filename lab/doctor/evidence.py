"""What is seen while a step is tried: notes of the doctor's agents, and the messages that they send and get."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from typing import NamedTuple, TypeVar

from engine.boundary import Address, Note
from engine.config import EdgeConfig
from engine.live.capture.tap import Packet
from engine.media.profiles import Remote, read_remote
from engine.media.sdp import parse
from engine.sip.errors import SipError
from engine.sip.framing import parse_datagram
from engine.sip.message import Request, Response
from lab.doctor.cast import Agent
from lab.doctor.ladder import Call, Register
from lab.rehearsal.voices import Muted
from lab.rehearsal.webrtc import Secured

N = TypeVar("N", bound=Note)


class _Seen(NamedTuple):
    place: str
    note: Note


class Passed(NamedTuple):
    """A message that an agent sent (``outward``) or got."""

    place: str
    outward: bool
    message: Request | Response


class Evidence:
    """Everything since the doctor came; `mark` begins a new step."""

    def __init__(self) -> None:
        self._notes: list[_Seen] = []
        self._messages: list[Passed] = []
        self._behind: list[str] = []
        self._notes_from = 0
        self._messages_from = 0

    def mark(self) -> None:
        """What was seen before is of no interest to the next step."""
        self._notes_from = len(self._notes)
        self._messages_from = len(self._messages)
        self._behind.clear()

    def tell(self, place: str, note: Note) -> None:
        """An agent told something."""
        self._notes.append(_Seen(place, note))

    def passed(self, agent: Agent, packet: Packet) -> None:
        """A message went by."""
        try:
            message = parse_datagram(packet.data)
        except SipError:
            return
        if message is None:
            return
        self._messages.append(Passed(agent.place, packet.destination == agent.server, message))

    def said(self, node: Address, packet: Packet) -> None:
        """A message of a modelled node went by: agents at a relay don't see what it describes."""
        if packet.source == node and b"\r\n\r\nv=0" in packet.data:
            hosts = read_hosts(packet.data.partition(b"\r\n\r\n")[2])
            self._behind += [host for host in hosts if cannot_be_reached(host, node)]

    @property
    def behind(self) -> tuple[str, ...]:
        """What nodes described in this step, and cannot be reached."""
        return tuple(dict.fromkeys(self._behind))

    def notes(self, place: str, kind: type[N], *, ever: bool = False) -> list[N]:
        """What this agent told, of this kind; ``ever``: before this step as well."""
        seen = self._notes if ever else self._notes[self._notes_from :]
        return [each.note for each in seen if each.place == place and isinstance(each.note, kind)]

    def messages(self, place: str, *, outward: bool) -> Iterator[Request | Response]:
        """What this agent sent, or got, in this step."""
        for each in self._messages[self._messages_from :]:
            if each.place == place and each.outward == outward:
                yield each.message


@dataclass(frozen=True, slots=True)
class Description:
    """A session description that an agent was given."""

    agent: Agent
    protocol: str
    hosts: tuple[str, ...]  # where it would send: the candidates', else that of c=
    proven: bool  # whether a fingerprint is in it, by which DTLS proves the other side

    @property
    def webrtc(self) -> bool:
        """Whether a browser can take it."""
        return self.protocol.endswith("SAVPF")


def read_description(agent: Agent, body: bytes) -> Description | None:
    """None where it is no description of audio."""
    remote = _read(body)
    if remote is None:
        return None
    protocol = remote.profile.protocol.decode("ascii", "replace")
    return Description(agent, protocol, read_hosts(body), bool(remote.fingerprints))


def read_hosts(body: bytes) -> tuple[str, ...]:
    """Where the audio of a description is to be sent: the candidates, else what c= says."""
    remote = _read(body)
    if remote is None:
        return ()
    return tuple(each.host for each in remote.candidates) or (remote.address[:1] if remote.address else ())


def _read(body: bytes) -> Remote | None:
    try:
        session = parse(body)
        return read_remote(session, session.media[0])
    except (SipError, IndexError):
        return None


def cannot_be_reached(host: str, server: Address) -> bool:
    """Whether an address that was described is private, where the server's is not, or is of another kind.

    One beside a server that is private itself is believed: it may be a relay's.
    """
    try:
        described, known = ip_address(host), ip_address(server[0])
    except ValueError:  # a name
        return False
    if described == known or described.is_unspecified:
        return described.is_unspecified
    return _realm(str(described)) != "public" and _realm(str(described)) != _realm(str(known))


def _realm(host: str) -> str:
    address = ip_address(host)
    if address.is_loopback:
        return "loopback"
    return "public" if address.is_global else f"private IPv{address.version}"


class Transport(NamedTuple):
    """How far a browser came with ICE and DTLS."""

    agent: Agent
    told: Secured


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a red step shows, for the table of causes.

    ``status`` and ``reason`` are what the one who asked was told, 0 where nothing was; ``callee_status`` is what
    the called agent said, 0 where nothing came to it, for ``arrived`` tells. ``silent`` did not hear whom they
    should.
    """

    step: Register | Call
    edge: EdgeConfig
    status: int = 0
    reason: str = ""
    arrived: bool = False
    callee_status: int = 0
    answered: bool = False
    descriptions: tuple[Description, ...] = ()
    silent: tuple[Agent, ...] = ()
    instead: tuple[str, ...] = ()  # whom they heard, or what
    secured: tuple[Transport, ...] = ()
    muted: tuple[Muted, ...] = ()
    behind: tuple[str, ...] = ()  # described by nodes to the edge, and out of reach

    @property
    def agent(self) -> Agent:
        """Who asked."""
        return self.step.agent if isinstance(self.step, Register) else self.step.caller

    @property
    def callee(self) -> Agent | None:
        """Who was called."""
        return None if isinstance(self.step, Register) else self.step.callee

    @property
    def unreachable(self) -> tuple[str, ...]:
        """The addresses that were described, and lead nowhere."""
        found = [
            host
            for each in self.descriptions
            if all(cannot_be_reached(host, each.agent.server) for host in each.hosts)
            for host in each.hosts
        ]
        return tuple(dict.fromkeys((*found, *self.behind)))

    @property
    def unconnected(self) -> Transport | None:
        """The first browser that did not come through ICE and DTLS."""
        return next((each for each in self.secured if not each.told.done), None)

    @property
    def ice(self) -> str:
        """Why it did not come through ICE; empty where it did."""
        told = self.unconnected and self.unconnected.told
        return "" if told is None or told.ice == "done" else told.ice

    @property
    def dtls(self) -> str:
        """Why it did not come through DTLS; empty where it did, or never began."""
        told = self.unconnected and self.unconnected.told
        return "" if told is None or self.ice else told.dtls

    @property
    def unread(self) -> int:
        """Packets that came to browsers and could not be decrypted."""
        return sum(each.told.unread for each in self.secured)

    @property
    def misfit(self) -> tuple[Description, ...]:
        """Descriptions that a browser got and cannot take."""
        return tuple(each for each in self.descriptions if each.agent.web and not (each.webrtc and each.proven))

"""The data plane of a simulated world: agents' streams, relays' rules, and the ways between them."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, Final

from engine.boundary import Address
from engine.config import RelayConfig
from engine.media.rules import (
    AddRule,
    BindPorts,
    ChangeRule,
    Dtls,
    MediaEffect,
    MediaPacket,
    Port,
    ReleasePorts,
    RemoveRule,
    SecurePort,
    SendMedia,
)
from engine.media.sdp.attributes import Fingerprint, parse_fingerprints
from sim.agents.media import Talking, TalkOver
from sim.faults import FaultApplied
from sim.media.ends import AgentEnd, RelayPort
from sim.media.handshakes import Handshakes
from sim.media.hearing import MediaStrayed
from sim.media.trains import PACKET_S, PAYLOAD_BYTES, Flight, Stream, Train
from sim.media.ways import Ways
from sim.trace import NoteRecord

if TYPE_CHECKING:
    from sim.host import SimHost
    from sim.network import Network

_REPORT_S: Final = 5.0
_MOST_HOPS: Final = 16
_NO_CALL: Final = ""


class MediaPlane:
    """All media of one world. With ``one_by_one`` no train stands for more than one packet.

    What each agent heard is told when its call is over, and with ``finish`` of those that stand.
    """

    def __init__(
        self, network: Network, host_of: Callable[[str], SimHost], random: Random, *, one_by_one: bool = False
    ) -> None:
        self.network = network
        self.certificates: dict[str, Fingerprint] = {}  # of the relays, by place
        self._host_of = host_of
        self._ways = Ways(network, random, self._arrive, self._place_of)
        self._handshakes = Handshakes(self)
        self._one_by_one = one_by_one
        self._told_hosts: dict[tuple[str, str], tuple[str, str]] = {}  # bound and told, by place and interface
        self._at: dict[Address, AgentEnd | RelayPort] = {}
        self._ports: dict[tuple[str, Port], RelayPort] = {}
        self._agents: dict[tuple[str, str], AgentEnd] = {}  # by place and call
        self._calls: dict[str, dict[AgentEnd, None]] = {}
        self._joined: dict[str, str] = {}  # calls between whose agents a relay carries, by Call-ID

    # --- set-up -------------------------------------------------------------------------------------------

    def add_relay(self, place: str, config: RelayConfig) -> None:
        """An edge has a relay; raises ValueError where an address belongs to another place."""
        (certificate,) = parse_fingerprints([config.fingerprint.encode("ascii")])
        self.certificates[place] = certificate
        for each in config.interfaces:
            told = each.advertised_host or each.host
            for host in dict.fromkeys((each.host, told)):
                self.network.addresses.settle(host, place)
            self._told_hosts[place, each.name] = (each.host, told)

    # --- what machines tell, and order --------------------------------------------------------------------

    def on_note(self, record: NoteRecord) -> None:
        """An agent talks, or a fault is about to be applied."""
        time_s, place, note = record
        if isinstance(note, Talking):
            self._talk(place, note, time_s)
        elif isinstance(note, TalkOver):
            self._over(place, note.call_id)
        elif isinstance(note, FaultApplied):
            for call in list(self._calls):
                self._changing(call)

    def obey(self, host: SimHost, effect: MediaEffect) -> None:
        """Carry out an edge's order."""
        if isinstance(effect, BindPorts):
            self._bind(host, effect.port)
            return
        if isinstance(effect, ReleasePorts):
            self._release(host, effect.port)
            return
        port = self._ports.get((host.place, effect.port))
        if port is None:
            return
        if isinstance(effect, SendMedia):
            self._ways.carry(effect.data, host.place, port.address, effect.target)
            return
        self._changing(effect.rule.call if isinstance(effect, (AddRule, ChangeRule)) else self._call_at(port))
        if isinstance(effect, (AddRule, ChangeRule)):
            port.rule = effect.rule
            self._join(port)
            self._look(port)
        elif isinstance(effect, RemoveRule):
            port.rule = None
        elif isinstance(effect, SecurePort):
            port.security = effect.security
            if isinstance(effect.security, Dtls):
                self._handshakes.secured(port, effect.security)

    def _join(self, port: RelayPort) -> None:
        """What comes to a port of one call may leave by a port of another."""
        rule = port.rule
        way = self._ports.get((port.place, rule.rtp.port)) if rule is not None and rule.rtp is not None else None
        one, other = self._call_at(port), _NO_CALL if way is None else self._call_at(way)
        if other not in (_NO_CALL, one):
            self._joined[one], self._joined[other] = other, one

    def died(self, place: str) -> None:
        """The process at a place is gone, and its sockets with it."""
        for key in [key for key in self._ports if key[0] == place]:
            self._forget_port(self._ports[key])
        for end in [end for (where, _), end in self._agents.items() if where == place]:
            self._over(place, end.talking.call_id)

    def finish(self) -> None:
        """The run is over, and with it the calls that stand."""
        for place, call in list(self._agents):
            self._over(place, call)

    def bound(self, place: str) -> int:
        """Ports that the edge at a place has bound."""
        return sum(where == place for where, _ in self._ports)

    def rules(self, place: str) -> int:
        """Rules that the edge at a place has set."""
        return sum(where == place and port.rule is not None for (where, _), port in self._ports.items())

    @property
    def talking(self) -> int:
        """Agents in calls."""
        return len(self._agents)

    # --- agents -------------------------------------------------------------------------------------------

    def _talk(self, place: str, talking: Talking, now: float) -> None:
        key = (place, talking.call_id)
        end = self._agents.get(key)
        self._changing(talking.call_id)
        if talking.bridged_to:
            self._changing(talking.bridged_to)
        if end is None:
            end = self._agents[key] = AgentEnd(self._host_of(place), talking, now)
            self._calls.setdefault(talking.call_id, {})[end] = None
        else:
            before = end.talking
            end.talking = talking
            if before.target != talking.target:
                end.pair = None
            if before.told != talking.told:
                self._at.pop(before.told, None)
        for port in (talking.told[1], talking.source_port):
            self._at[talking.told[0], port] = end
        self._handshakes.talks(end)
        if talking.content in ("speech", "tone") and end.stream is None:
            end.stream = Stream(end, now)
            self._plan(end.stream)

    def _over(self, place: str, call_id: str) -> None:
        end = self._agents.get((place, call_id))
        if end is None:
            return
        self._changing(call_id)
        del self._agents[place, call_id]
        ends = self._calls[call_id]
        del ends[end]
        if not ends:
            del self._calls[call_id]
            self._joined.pop(call_id, None)
        end.asks += 1
        if end.stream is not None:
            end.stream.over = True
        host, port = end.talking.told
        for number in (port, end.talking.source_port):
            if self._at.get((host, number)) is end:
                del self._at[host, number]
        for heard in end.told():
            self.network.trace.note(self.network.env.now, place, heard)

    # --- streams ------------------------------------------------------------------------------------------

    def _plan(self, stream: Stream) -> None:
        """Send the next train when its last packet is due."""
        now = self.network.env.now
        span = 1 if self._one_by_one else stream.span()
        at_s = stream.next_at(span) + (stream.lag_s if span > 1 else 0.0)
        stream.due = due = max(at_s, now)
        self.network.later(due - now, self._emit_due, stream, due, span)

    def _emit_due(self, stream: Stream, due: float, span: int) -> None:
        if stream.over or stream.due != due:
            return
        now = self.network.env.now
        self._emit(stream, now - stream.lag_s if span > 1 else now)
        self._plan(stream)

    def _emit_all(self, stream: Stream) -> None:
        """Something changes: what has arrived went the old way, what is under way is looked at one by one."""
        now = self.network.env.now
        self._emit(stream, now - stream.lag_s)
        while stream.next_at(1) <= now:
            self._emit(stream, stream.next_at(1))

    def _emit(self, stream: Stream, until_s: float) -> None:
        """Send the packets that were due until then: one as it is, several as a train that is there at once."""
        first_s = stream.next_at(1)
        count = stream.take_due(until_s)
        end = stream.end
        if count <= 0 or not end.host.works or not end.speaks:
            return
        talking, number = end.talking, stream.sent
        stream.sent += count
        stream.missed += count
        train = Train(
            stream, talking.call_id, first_s, number, count, count, talking.payload_type, end.certificate
        )
        self._depart(end, train)

    def _depart(self, end: AgentEnd, train: Train) -> None:
        """An agent sends, what it says or what it passes on."""
        target = end.target
        if target is not None and end.speaks and train.hops < _MOST_HOPS:
            source = (end.talking.told[0], end.talking.source_port)
            self._ways.carry(train, end.place, source, target)

    def _changing(self, call: str, seen: frozenset[str] = frozenset()) -> None:
        """Something about a call is about to change: what was sent so far goes the old way."""
        if call in seen:
            return
        for end in list(self._calls.get(call, ())):
            if end.stream is not None:
                self._emit_all(end.stream)
                end.stream.unsettle()
                self._plan(end.stream)
            if end.talking.bridged_to:
                self._changing(end.talking.bridged_to, seen | {call})
        if call in self._joined:
            self._changing(self._joined[call], seen | {call})

    # --- relays -------------------------------------------------------------------------------------------

    def _bind(self, host: SimHost, pair: Port) -> None:
        bound, told = self._told_hosts[host.place, pair.interface]
        for name in (pair, pair._replace(number=pair.number + 1)):
            port = RelayPort(host, name, (told, name.number), self.network.env.now)
            self._ports[host.place, name] = port
            self._at[bound, name.number] = self._at[told, name.number] = port
        self.network.later(_REPORT_S, self._report, self._ports[host.place, pair])

    def _release(self, host: SimHost, pair: Port) -> None:
        for name in (pair, pair._replace(number=pair.number + 1)):
            port = self._ports.get((host.place, name))
            if port is not None:
                self._changing(self._call_at(port))
                self._forget_port(port)
                if name == pair:
                    self.network.later(0.0, host.receive, port.report(self.network.env.now))

    def _forget_port(self, port: RelayPort) -> None:
        port.asks += 1
        del self._ports[port.place, port.name]
        for host in dict.fromkeys(self._told_hosts[port.place, port.name.interface]):
            if self._at.get((host, port.name.number)) is port:
                del self._at[host, port.name.number]

    def _report(self, port: RelayPort) -> None:
        if self._ports.get((port.place, port.name)) is not port:
            return
        if port.rule is not None:
            for end in list(self._calls.get(port.rule.call, ())):
                self._catch_up(end)
            port.host.receive(port.report(self.network.env.now))
        self.network.later(_REPORT_S, self._report, port)

    def _look(self, port: RelayPort) -> None:
        """Reports (RTCP) are not sent one by one: they come to a pair where the rules let them pass both ways, for
        a round trip is what one side says of the other's report."""
        pair = self._ports.get((port.place, port.name._replace(number=port.name.number & ~1)))
        back = None if pair is None else self._rtcp_way(pair)
        for one, other in ((pair, back), (back, pair)):
            if one is not None:
                one.is_reported = other is not None and self._rtcp_way(other) is one

    def _rtcp_way(self, port: RelayPort) -> RelayPort | None:
        """The pair to whose side goes the RTCP that comes to this one; None: nobody gets it."""
        second = self._ports.get((port.place, port.name._replace(number=port.name.number + 1)))
        for each in (port, second):  # multiplexed with RTP, or at the port beside it
            rule = each.rule if each is not None else None
            if rule is not None and rule.rtcp is not None:
                number = rule.rtcp.port.number & ~1
                return self._ports.get((port.place, rule.rtcp.port._replace(number=number)))
        return None

    def _catch_up(self, end: AgentEnd) -> None:
        """Count what was sent so far, also over the other leg of a bridge, or of what a relay has joined."""
        now = self.network.env.now
        others = (end.talking.bridged_to, self._joined.get(end.talking.call_id, _NO_CALL))
        for each in (end, *(each for call in others for each in self._calls.get(call, ()))):
            if each.stream is not None:
                self._emit(each.stream, now - each.stream.lag_s)

    def _call_at(self, port: RelayPort) -> str:
        return port.rule.call if port.rule is not None else _NO_CALL

    # --- arrivals -----------------------------------------------------------------------------------------

    def send(self, what: bytes | Flight, end: AgentEnd | RelayPort, target: Address) -> None:
        """Send a check or a message of a hand-shake."""
        source = end.address if isinstance(end, RelayPort) else (end.talking.told[0], end.talking.source_port)
        self._ways.carry(what, end.place, source, target)

    def end_at(self, address: Address) -> AgentEnd | RelayPort | None:
        """Who has this address."""
        return self._at.get(address)

    def inject(self, place: str, source: Address, target: Address, data: bytes) -> None:
        """A stranger at a place sends a packet to a media port."""
        self._ways.carry(data, place, source, target)

    def _place_of(self, address: Address) -> str:
        end = self._at.get(address)
        return end.place if end is not None else self.network.addresses.place(address[0])

    def _arrive(self, what: Train | Flight | bytes, source: Address, destination: Address) -> None:
        end = self._at.get(destination)
        if end is None or not end.host.works:
            return
        if isinstance(what, Train):
            if isinstance(end, RelayPort):
                self._relay(end, what, source)
            else:
                self._hear(end, what, source)
        elif isinstance(what, Flight):
            self._handshakes.flight(end, what, source)
        elif isinstance(end, RelayPort):
            port_packet = MediaPacket(end.name, source, what)
            end.host.receive(port_packet)
        else:
            self._handshakes.stun(end, what, source)

    def _hear(self, end: AgentEnd, train: Train, source: Address) -> None:
        talking = end.talking
        if train.call_id != talking.call_id:
            stray = MediaStrayed(talking.call_id, talking.agent, train.call_id, train.speaker)
            self.network.trace.note(self.network.env.now, end.place, stray)
            return
        if not end.understands(train):
            return
        end.noticed(source, train.left)
        if not talking.hears:
            return
        stream = train.stream
        stream.settled += train.left
        stream.missed = 0
        stream.lag_s = max(stream.lag_s, train.delay_s)
        end.hear(train)
        if talking.content == "echo":
            self._depart(end, train.onwards(talking.call_id, talking.payload_type, end.certificate))
        elif talking.content == "bridge":
            other = self._agents.get((end.place, talking.bridged_to))
            if other is not None:
                there = other.talking
                self._depart(other, train.onwards(there.call_id, there.payload_type, other.certificate))

    def _relay(self, port: RelayPort, train: Train, source: Address) -> None:
        rule = port.rule
        if not port.understands(train):
            port.drop(train.left)
            return
        if rule is None or source not in rule.sources:
            port.drop(train.left)
            packet = MediaPacket(port.name, source, _rtp(train), isinstance(port.security, Dtls))
            self.network.later(0.0, port.host.receive, packet)
            return
        payload = None if rule.payloads is None else rule.payloads.get(train.payload_type)
        if rule.payloads is not None and payload is None:
            port.drop(train.left)
            return
        port.count(train)
        if rule.rtp is None:
            train.stream.settled += train.left  # on hold: it is taken, and goes nowhere
            return
        way = self._ports.get((port.place, rule.rtp.port))
        if way is None or train.hops >= _MOST_HOPS:
            return
        certificate = None
        if isinstance(way.security, Dtls):
            if way.keyed_with is None:
                return
            certificate = self.certificates[way.place]
        kind = train.payload_type if payload is None else payload.payload_type
        call = rule.call if way.rule is None else way.rule.call
        self._ways.carry(train.onwards(call, kind, certificate), way.place, way.address, rule.rtp.target)


def _rtp(train: Train) -> bytes:
    """A packet as the engine sees it."""
    head = bytes((0x80, train.payload_type)) + (train.number & 0xFFFF).to_bytes(2)
    return head + int(train.first_s / PACKET_S * PAYLOAD_BYTES).to_bytes(8)[-4:] + bytes(4 + PAYLOAD_BYTES)

"""What modelled agents say and hear in a rehearsal: RTP on real sockets, by what they tell (`sim.agents.media`).

Those who speak WebRTC do so under the certificate that they describe (`webrtc.py`); without it they are mute.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import ClassVar, Final

from OpenSSL import SSL

from engine.boundary import NEVER, Address, Level, Note
from engine.live.errors import reason_of
from engine.live.relay.certificate import Certificate
from engine.live.relay.dtls import new_context
from engine.media.mos import mos, rating
from engine.media.packets import packet_kind
from lab.rehearsal.speech import Names, Speech, Voice
from lab.rehearsal.webrtc import Packet, WebRtc
from sim.agents.media import Talking, TalkOver
from sim.media import Heard
from sim.trace import NoteRecord

_PACKET_S: Final = 0.02
_PACKETS_PER_S: Final = 2_000
"""What all agents together may say, for this one process touches each packet up to four times on its way. Where
they are too many for 50 packets a second each, all speak more slowly."""
_HEADER_BYTES: Final = 12
_GAP_S: Final = 0.1
_BUFFER_MS: Final = 40.0
_CLOCKS_HZ: Final = {"opus": 48_000}  # of time stamps; 8,000 for all else here (RFC 7587 §4.1, RFC 3551 §4.5)


@dataclass(frozen=True, slots=True)
class Muted(Note):
    """An agent can neither speak nor hear: its address for media is not to be had."""

    level: ClassVar[Level] = Level.WARNING
    call_id: str
    agent: str
    address: Address
    reason: str


class _Ear:
    """One speaker as one agent hears it."""

    def __init__(self, now_s: float, number: int) -> None:
        self.first_s = self.last_s = now_s
        self.lowest = self.highest = number
        self.packets = 0
        self.gaps = 0
        self.longest_gap_s = 0.0

    def hear(self, now_s: float, number: int, packet_s: float) -> None:
        gap_s = now_s - self.last_s - packet_s
        if self.packets and gap_s > _GAP_S:
            self.gaps += 1
            self.longest_gap_s = max(self.longest_gap_s, gap_s)
        self.last_s = now_s
        self.packets += 1
        self.highest = max(self.highest, number)


class _Agent(asyncio.DatagramProtocol):
    """One agent in one call, on a socket of its own."""

    def __init__(self, voices: Voices, place: str, talking: Talking, began_s: float) -> None:
        self.talking = talking
        self._voices = voices
        self._place = place
        self._began_s = began_s
        self._ears: dict[str, _Ear] = {}
        self._number = 0
        self._voice: Voice = voices.speech.voice(talking.codec, talking.payload_type)
        self._ssrc = voices.random.randbytes(4)
        self._secure: WebRtc | None = None
        if talking.own.profile.security == "dtls" and voices.context is not None:
            self._secure = WebRtc(voices.context, talking, voices.random, asyncio.get_running_loop().time())
        self._transport: asyncio.DatagramTransport | None = None
        self._over = False
        self._timer: asyncio.TimerHandle | None = None
        self._secure_timer: asyncio.TimerHandle | None = None

    async def begin(self) -> None:
        """Open the socket, and speak if there is something to say."""
        loop = asyncio.get_running_loop()
        address = (self.talking.told[0], self.talking.source_port)
        try:
            self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=address)
        except OSError as error:
            self._voices.tell(
                self._place, Muted(self.talking.call_id, self.talking.agent, address, reason_of(error))
            )
            return
        if self._over:  # the call was shorter than it took to open the socket
            self._transport.close()
            return
        self._look()
        if self.talking.content in ("speech", "tone"):
            self._speak(loop.time())

    def change(self, talking: Talking) -> None:
        """A new agreement."""
        before, self.talking = self.talking, talking
        if (talking.codec, talking.payload_type) != (before.codec, before.payload_type):
            self._voice = self._voices.speech.voice(talking.codec, talking.payload_type)
        if self._secure is not None:
            self._secure.change(talking, asyncio.get_running_loop().time())
            self._look()

    def end(self) -> list[Note]:
        """Close the socket; what was heard, and how it was secured."""
        self._over = True
        for timer in (self._timer, self._secure_timer):
            if timer is not None:
                timer.cancel()
        found: list[Note] = [self._row(speaker, ear) for speaker, ear in self._ears.items()]
        if self._secure is not None:
            found.insert(0, self._secure.told())
        if self._transport is not None:
            self._transport.close()
            self._transport = None
        talking = self.talking
        return found if self._ears else [*found, Heard(talking.call_id, talking.agent, "", self._began_s)]

    def _row(self, speaker: str, ear: _Ear) -> Heard:
        expected = ear.highest - ear.lowest + 1
        lost = max(expected - ear.packets, 0)
        r = rating(_BUFFER_MS, lost / expected, self.talking.codec.encode("ascii"))
        return Heard(
            self.talking.call_id,
            self.talking.agent,
            speaker,
            self._began_s,
            ear.first_s,
            ear.last_s,
            max(ear.first_s - self._began_s, 0.0),
            ear.packets,
            lost,
            ear.gaps,
            ear.longest_gap_s,
            None,
            mos(r),
        )

    def _speak(self, due: float) -> None:
        loop = asyncio.get_running_loop()
        due = max(
            due + self._voices.packet_s, loop.time() - _GAP_S
        )  # a process that was held up doesn't make up for it
        self._timer = loop.call_at(due, self._speak, due)
        self._send(self._voice.say(self.talking.agent, self._number), self._number)
        self._number += 1

    def relay(self, payload: bytes, codec: str, name: str, number: int) -> None:
        """What was heard of this speaker elsewhere: as it is, or said anew where this leg has another codec."""
        as_it_is = codec == self.talking.codec
        self._send([payload] if as_it_is else self._voice.say(name, number), number)

    def _send(self, payloads: Sequence[bytes], number: int) -> None:
        talking = self.talking
        if self._transport is None or not talking.sends:
            return
        step = _CLOCKS_HZ.get(talking.codec, 8_000) // 50
        head = bytes((0x80, talking.payload_type)) + (number & 0xFFFF).to_bytes(2)
        head += (number * step & 0xFFFF_FFFF).to_bytes(4) + self._ssrc
        for payload in payloads:
            if self._secure is not None:
                packet = self._secure.protect(head + payload)
                self._sendto([] if packet is None else [packet])
            elif talking.target is not None:
                self._sendto([(head + payload, talking.target)])

    def datagram_received(self, data: bytes, source: Address) -> None:
        if self._secure is None:
            self._hear(data)
            return
        opened = self._secure.receive(data, source, asyncio.get_running_loop().time())
        self._sendto(opened.replies)
        self._look()
        if opened.rtp is not None:
            self._hear(opened.rtp)

    def _hear(self, packet: bytes) -> None:
        if not self.talking.hears or packet_kind(packet) != "rtp":
            return
        number = int.from_bytes(packet[2:4])
        payload = packet[_HEADER_BYTES:]
        speaker = self._voice.recognise(packet[1] & 0x7F, payload)
        if not speaker:
            return
        now_s = self._voices.now_s()
        self._ears.setdefault(speaker, _Ear(now_s, number)).hear(now_s, number, self._voices.packet_s)
        if self.talking.content == "echo":
            self._send([payload], number)
        elif self.talking.content == "bridge":
            other = self._voices.leg(self._place, self.talking.bridged_to)
            if other is not None:
                other.relay(payload, self.talking.codec, speaker, number)

    def _look(self) -> None:
        """Let ICE and DTLS have their time; they say when they want to be asked again."""
        if self._secure is None or self._over:
            return
        loop = asyncio.get_running_loop()
        if self._secure.deadline <= loop.time():
            self._sendto(self._secure.tick(loop.time()))
        if self._secure_timer is not None:
            self._secure_timer.cancel()
        due = self._secure.deadline
        self._secure_timer = None if due == NEVER else loop.call_at(due, self._look)

    def _sendto(self, packets: Sequence[Packet]) -> None:
        if self._transport is not None:
            for data, target in packets:
                self._transport.sendto(data, target)


class Voices:
    """All agents of a rehearsal that are in calls. ``tell`` is given what each has heard, and where.

    ``certificate`` is that of all who speak WebRTC.
    """

    def __init__(
        self,
        now_s: Callable[[], float],
        tell: Callable[[str, Note], None],
        random: Random,
        speech: Speech | None = None,
        certificate: Certificate | None = None,
    ) -> None:
        self.now_s = now_s
        self.random = random
        self.speech = speech or Names()
        self.context: SSL.Context | None = None if certificate is None else new_context(certificate)
        self.tell = tell
        self._agents: dict[tuple[str, str], _Agent] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def packet_s(self) -> float:
        """How often each agent says a packet."""
        return max(_PACKET_S, len(self._agents) / 2 / _PACKETS_PER_S)  # half of them are legs of nodes, as a rule

    def on_note(self, record: NoteRecord) -> None:
        """An agent talks, or has talked."""
        time_s, place, note = record
        if isinstance(note, Talking):
            self._talk(place, note, time_s)
        elif isinstance(note, TalkOver):
            self._over(place, note.call_id)

    def leg(self, place: str, call_id: str) -> _Agent | None:
        """An agent of this place in another call."""
        return self._agents.get((place, call_id))

    def close(self) -> None:
        """All fall silent."""
        for place, call_id in list(self._agents):
            self._over(place, call_id)

    def _talk(self, place: str, talking: Talking, time_s: float) -> None:
        security = talking.own.profile.security
        if security == "sdes" or (security == "dtls" and self.context is None):
            return
        known = self._agents.get((place, talking.call_id))
        if known is not None:
            known.change(talking)
            return
        agent = self._agents[place, talking.call_id] = _Agent(self, place, talking, time_s)
        task = asyncio.get_running_loop().create_task(agent.begin())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _over(self, place: str, call_id: str) -> None:
        agent = self._agents.pop((place, call_id), None)
        if agent is not None:
            for note in agent.end():
                self.tell(place, note)

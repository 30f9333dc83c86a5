"""What modelled agents say and hear in a rehearsal: RTP on real sockets, by what they tell (`sim.agents.media`).

Each packet of speech bears its speaker's name in place of sound, so that whoever hears it knows whom. Agents that
speak WebRTC are mute here: they would need a stack of their own for ICE and DTLS, which real browsers have.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from engine.boundary import Address, Note
from engine.media.mos import mos, rating
from sim.agents.media import Talking, TalkOver
from sim.media import Heard
from sim.trace import NoteRecord

_PACKET_S: Final = 0.02
_PACKETS_PER_S: Final = 2_000
"""What all agents together may say, for this one process touches each packet up to four times on its way. Where
they are too many for 50 packets a second each, all speak more slowly."""
_SAMPLES: Final = 160
_HEADER_BYTES: Final = 12
_GAP_S: Final = 0.1
_BUFFER_MS: Final = 40.0
_MARK: Final = b"siptwin:"
SOUND: Final = "sound"
"""What is heard of those who say no name: a real node's ring-back tone, or speech that was transcoded."""


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
        self._transport: asyncio.DatagramTransport | None = None
        self._over = False
        self._timer: asyncio.TimerHandle | None = None

    async def begin(self) -> None:
        """Open the socket, and speak if there is something to say."""
        loop = asyncio.get_running_loop()
        address = (self.talking.told[0], self.talking.source_port)
        with suppress(OSError):  # who can't speak is not heard, which the rows will say
            self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=address)
            if self._over:  # the call was shorter than it took to open the socket
                self._transport.close()
            elif self.talking.content in ("speech", "tone"):
                self._speak(loop.time())

    def end(self) -> list[Heard]:
        """Close the socket; what was heard."""
        self._over = True
        if self._timer is not None:
            self._timer.cancel()
        if self._transport is not None:
            self._transport.close()
            self._transport = None
        talking = self.talking
        if not self._ears:
            return [Heard(talking.call_id, talking.agent, "", self._began_s)]
        return [self._row(speaker, ear) for speaker, ear in self._ears.items()]

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
        self.send(self.talking.agent.encode(), self._number)
        self._number += 1

    def send(self, name: bytes, number: int) -> None:
        """A packet with this name in it."""
        talking, transport = self.talking, self._transport
        if transport is None or not talking.sends or talking.target is None:
            return
        head = bytes((0x80, talking.payload_type)) + (number & 0xFFFF).to_bytes(2)
        head += (number * _SAMPLES & 0xFFFF_FFFF).to_bytes(4) + b"voic"
        transport.sendto(head + (_MARK + name).ljust(_SAMPLES, b"\x00"), talking.target)

    def datagram_received(self, data: bytes, source: Address) -> None:
        if not self.talking.hears or len(data) != _HEADER_BYTES + _SAMPLES:
            return
        number = int.from_bytes(data[2:4])
        said = data[_HEADER_BYTES:]
        name = said[len(_MARK) :].rstrip(b"\x00") if said.startswith(_MARK) else SOUND.encode()
        now_s = self._voices.now_s()
        speaker = name.decode("utf-8", "replace")
        self._ears.setdefault(speaker, _Ear(now_s, number)).hear(now_s, number, self._voices.packet_s)
        if self.talking.content == "echo":
            self.send(name, number)
        elif self.talking.content == "bridge":
            other = self._voices.leg(self._place, self.talking.bridged_to)
            if other is not None:
                other.send(name, number)


class Voices:
    """All agents of a rehearsal that are in calls. ``tell`` is given what each has heard, and where."""

    def __init__(self, now_s: Callable[[], float], tell: Callable[[str, Note], None]) -> None:
        self.now_s = now_s
        self._tell = tell
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
        if talking.own.profile.security != "none":
            return
        known = self._agents.get((place, talking.call_id))
        if known is not None:
            known.talking = talking
            return
        agent = self._agents[place, talking.call_id] = _Agent(self, place, talking, time_s)
        task = asyncio.get_running_loop().create_task(agent.begin())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _over(self, place: str, call_id: str) -> None:
        agent = self._agents.pop((place, call_id), None)
        if agent is not None:
            for heard in agent.end():
                self._tell(place, heard)

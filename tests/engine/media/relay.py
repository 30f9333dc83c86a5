"""A relayed call under test: it speaks for both sides, and keeps the data plane's table as a host would."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from hashlib import sha1
from hmac import digest
from random import Random
from zlib import crc32

from engine.boundary import Address
from engine.media.call import RelayedCall, Rewritten
from engine.media.offer_answer import Carrier, Side
from engine.media.ports import PortPool
from engine.media.profiles import Kind, Remote, read_remote
from engine.media.rules import MediaPacket, Port, Rule
from engine.media.sdp import parse
from engine.media.sdp.attributes import Fingerprint, IceNames
from engine.media.settings import MediaSettings, Party
from engine.media.targets import Targets
from tests.engine.media.table import Table
from tests.engine.media.written import BARESIP, BROWSER, BROWSER_ANSWER, freeswitch

HOSTS = {"outside": "203.0.113.9", "inside": "10.9.0.1"}
OURS = Fingerprint(b"sha-256", bytes(range(32)))
SETTINGS = MediaSettings(fingerprint=OURS)
LOCAL = replace(SETTINGS, targets=Targets(loopback=True))

PHONE = ("198.51.100.30", 50_000)  # where baresip's packets really come from
NODE = freeswitch("31_hold_bridged")  # a node's offer or answer, at 127.0.1.1
OFFERS: dict[Kind, bytes] = {"softphone": BARESIP, "browser": BROWSER, "node": NODE}
ANSWERS: dict[Kind, bytes] = {"softphone": BARESIP, "browser": BROWSER_ANSWER, "node": NODE}


def carrier(text: str) -> Carrier:
    """A message in short: ``> INVITE 1`` from the caller, ``< 183 INVITE 1 reliable`` from the callee."""
    arrow, *words = text.split()
    sender: Side = "caller" if arrow == ">" else "callee"
    reliable = words[-1] == "reliable"
    words = words[: len(words) - reliable]
    status = int(words.pop(0)) if words[0].isdigit() else 0
    return Carrier(sender, words[0], int(words[1]), status, reliable)


class Relay:
    """The pools of one edge, and one call between two parties. Agents are outside, nodes inside."""

    def __init__(
        self,
        caller: Kind,
        callee: Kind,
        settings: MediaSettings = SETTINGS,
        *,
        signalling: tuple[str | None, str | None] = (None, None),
        pairs: int = 500,
    ) -> None:
        self.pools = {
            name: PortPool(name, 30_000, 30_000 + 2 * pairs - 1, Random(index))
            for index, name in enumerate(("outside", "inside"))
        }
        sides = [
            Party(kind, name, HOSTS[name], self.pools[name], host)
            for kind, host in zip((caller, callee), signalling, strict=True)
            for name in ["inside" if kind == "node" else "outside"]
        ]
        self.table = Table()
        self._make = partial(RelayedCall, caller=sides[0], callee=sides[1], settings=settings, random=Random(5))
        self.call = self._make("call-1")
        self.now = 0.0

    def next_call(self) -> None:
        """The call ends, and another begins between the same two."""
        self.table.obey(self.call.release(self.now))
        self.call = self._make("next")

    def say(self, message: str, text: bytes, tag: str = "") -> Rewritten:
        """A message passes; what it is told to carry on."""
        rewritten = self.call.described(carrier(message), tag, text, self.now)
        self.table.obey(rewritten.effects)
        return rewritten

    def told(self, message: str, text: bytes, tag: str = "") -> bytes:
        body = self.say(message, text, tag).body
        assert body is not None
        return body

    def packet(
        self, port: int, source: Address, data: bytes, *, proven: bool = False, inside: bool = False
    ) -> str:
        """A packet that no rule covers; why it wasn't believed."""
        event = MediaPacket(Port("inside" if inside else "outside", port), source, data, proven)
        effects, refused = self.call.packet(event, self.now)
        self.table.obey(effects)
        return refused

    def advance(self, seconds: float) -> None:
        """Time passes, and with it what was waited for."""
        end_s = self.now + seconds
        while (due := self.call.deadline()) <= end_s:
            self.now = max(due, self.now)
            self.table.obey(self.call.tick(self.now))
        self.now = end_s

    def rule_at(self, body: bytes, index: int = 0) -> Rule:
        """The rule of the port that a side was told."""
        return self.table.rules[port_of(body, index)]


def read(body: bytes, index: int = 0) -> Remote:
    description = parse(body)
    return read_remote(description, description.media[index])


def port_of(body: bytes, index: int = 0) -> Port:
    """The port of ours that a description tells."""
    address = read(body, index).address
    assert address is not None
    return Port(next(name for name, host in HOSTS.items() if host == address[0]), address[1])


def rtp(payload_type: int = 0) -> bytes:
    return bytes((0x80, payload_type)) + bytes(10) + bytes(160)


def check(ours: IceNames | None, theirs: IceNames | None, priority: int = 100) -> bytes:
    """A nominating check of a full agent."""
    assert ours is not None
    assert theirs is not None

    def attribute(kind: int, value: bytes) -> bytes:
        return kind.to_bytes(2) + len(value).to_bytes(2) + value + bytes(-len(value) % 4)

    body = attribute(0x0006, ours.ufrag + b":" + theirs.ufrag) + attribute(0x0024, priority.to_bytes(4))
    body += attribute(0x802A, bytes(8)) + attribute(0x0025, b"")
    start, end = b"\x00\x01", b"\x21\x12\xa4\x42transaction!"
    body += attribute(0x0008, digest(ours.password, start + (len(body) + 24).to_bytes(2) + end + body, sha1))
    message = start + (len(body) + 8).to_bytes(2) + end + body
    return message + attribute(0x8028, (crc32(message) ^ 0x5354554E).to_bytes(4))

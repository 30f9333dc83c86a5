"""Plays the recorded peers' part to the model, and pairs what it says with what FreeSWITCH said.

The recorded messages of the peers bear FreeSWITCH's tags, branches, nonces and Call-IDs; here the model's stand in
their places, and digests are computed anew.
"""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

from engine.boundary import Address
from engine.sip.digest import answer, parse_challenge, parse_credentials, verify
from engine.sip.framing import parse_datagram
from engine.sip.message import Request, Response
from tests.sim.agents.recordings import Recorded
from tests.sim.agents.wires import Bench

PASSWORD = b"1234"
PATIENCE_S = 1.0  # how much later than FreeSWITCH the model may speak before the replay gives up

Message = Request | Response
Way = tuple[Address, Address]


class Pair(NamedTuple):
    """What FreeSWITCH said, and what the model said in its place."""

    recorded_s: float
    recorded: Message
    modelled_s: float
    modelled: Message


class SilentModelError(AssertionError):
    """FreeSWITCH said something here, the model nothing."""


class Replayer:
    """One case, played step by step."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.pairs: list[Pair] = []
        self._seen = 0
        self._said: dict[Way, list[tuple[float, bytes]]] = defaultdict(list)
        self._taken: dict[Way, int] = defaultdict(int)
        self._stands_for: dict[bytes, bytes] = {}
        self._numbers: dict[bytes, int] = {}  # CSeq numbers of the model's requests, by branch

    def play(self, record: Recorded) -> None:
        """The next recorded message: send a peer's, expect FreeSWITCH's."""
        self.bench.run(max(record.time_s, self.bench.now))
        if record.by_node:
            self._expect(record)
        else:
            self.bench.send(record.source, record.destination, self._translate(record.data))

    def left_over(self) -> list[bytes]:
        """What the model said beyond the recording."""
        self._listen()
        return [data for way, said in self._said.items() for _, data in said[self._taken[way] :]]

    def _expect(self, record: Recorded) -> None:
        way = (record.source, record.destination)
        give_up_at = self.bench.now + PATIENCE_S
        while True:
            self._listen()
            said = self._said[way]
            index = self._taken[way]
            if index < len(said):
                break
            if self.bench.now >= give_up_at:
                first = record.data.partition(b"\r\n")[0].decode()
                raise SilentModelError(f"at {record.time_s} s FreeSWITCH sent {record.destination} {first!r}")
            self.bench.run(self.bench.now + 0.005)
        self._taken[way] += 1
        time_s, data = said[index]
        recorded, modelled = parse_datagram(record.data), parse_datagram(data)
        assert recorded is not None
        assert modelled is not None
        self._learn(recorded, modelled)
        self.pairs.append(Pair(record.time_s, self._renamed(record.data), time_s, modelled))

    def _listen(self) -> None:
        for time_s, source, destination, data in self.bench.sent[self._seen :]:
            self._said[source, destination].append((time_s, data))
        self._seen = len(self.bench.sent)

    def _renamed(self, data: bytes) -> Message:
        for old, new in self._stands_for.items():
            data = data.replace(old, new)
        message = parse_datagram(data)
        assert message is not None
        return message

    def _learn(self, recorded: Message, modelled: Message) -> None:
        """Note what stands for what: FreeSWITCH's own tags, branches, Call-IDs and nonces."""
        for name in ("www-authenticate", "proxy-authenticate"):
            old, new = recorded.get(name), modelled.get(name)
            if old and new:
                self._put(parse_challenge(old).nonce, parse_challenge(new).nonce)
        if isinstance(recorded, Response):
            self._put(recorded.to.tag, modelled.to.tag)
        else:
            self._put(recorded.from_.tag, modelled.from_.tag)
            self._put(recorded.call_id, modelled.call_id)
            self._put(recorded.via.branch, modelled.via.branch)
            self._numbers[modelled.via.branch] = modelled.cseq.number

    def _put(self, old: bytes, new: bytes) -> None:
        if old and new and old != new:
            self._stands_for.setdefault(old, new)

    def _translate(self, data: bytes) -> bytes:
        """A peer's message, as that peer would have sent it to the model."""
        recorded = parse_datagram(data)
        if recorded is None:
            return data
        message = self._renamed(data)
        if isinstance(message, Response):
            number = self._numbers.get(message.via.branch)
            if number is not None:
                message.set("cseq", b"CSeq: %d %b" % (number, message.cseq.method))
            return bytes(message)
        for name, written in (
            ("authorization", b"Authorization"),
            ("proxy-authorization", b"Proxy-Authorization"),
        ):
            value = recorded.get(name)
            if value is not None:
                message.set(name, written + b": " + self._sign(value, recorded))
        return bytes(message)

    def _sign(self, value: bytes, request: Message) -> bytes:
        """The same credentials with the model's nonce; who had the password wrong has it wrong again."""
        assert isinstance(request, Request)
        given = parse_credentials(value)
        right = verify(given, request.method, PASSWORD)
        challenge = parse_challenge(
            b'Digest realm="%b", nonce="%b", algorithm=%b, qop="auth"'
            % (given.realm, self._stands_for.get(given.nonce, given.nonce), given.algorithm)
        )
        return bytes(
            answer(
                challenge,
                username=given.username,
                password=PASSWORD if right else b"wrong",
                method=request.method,
                uri=given.uri,
                cnonce=given.cnonce,
                nc=given.nc,
            )
        )

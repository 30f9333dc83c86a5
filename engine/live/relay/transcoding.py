"""One way of a stream whose packets can't pass as they are: transcoded, or on another clock. No socket, no thread.

The sender's SSRC stays. Sequence numbers are our own, for packets may last longer or shorter than they did; gaps
stay visible in them. Time stamps follow the sender's, in the clock of who listens.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from engine.media.codecs import PayloadRule

if TYPE_CHECKING:
    from engine.live.relay.chain import Chain

_MOST_GAP: Final = 3_000  # beyond it is a new beginning (RFC 3550 A.1)
_EVENT_BLOCK: Final = 4  # octets of RFC 4733 §2.3
_SENDER_REPORT: Final = 200


class TranscodedStream:
    """What comes from one side, as the other is to get it."""

    __slots__ = (
        "_base",
        "_chains",
        "_event",
        "_expected",
        "_highest",
        "_lasted_s",
        "_next_stamp",
        "_octets",
        "_packets",
        "_rules",
        "_scale",
        "_sequence",
        "_speech_hz",
        "_ssrc",
    )

    def __init__(self, rules: Mapping[int, PayloadRule]) -> None:
        self._rules = rules
        self._chains: dict[int, Chain] = {}
        self._ssrc = b""
        self._highest = 0  # of incoming sequence numbers
        self._sequence = 0  # the next outgoing one
        self._base = (0, 0)  # time stamps that mean the same instant, incoming and outgoing
        self._scale = (1, 1)  # clocks, likewise
        self._speech_hz = 0
        self._expected: int | None = None  # the time stamp that continues the speech
        self._next_stamp = 0  # of the next outgoing packet of speech
        self._lasted_s = 0.02  # the last packet of speech
        self._event = (0, 0)  # time stamps of the last event
        self._packets = self._octets = 0

    def change(self, rules: Mapping[int, PayloadRule]) -> None:
        """Other rules; what the listener gets stays one stream."""
        if rules != self._rules:
            self._rules = rules
            self._chains.clear()
            self._expected = None

    def rtp(self, packet: bytes) -> list[bytes]:
        """A packet came; those that leave."""
        rule = self._rules.get(packet[1] & 0x7F)
        body = _payload(packet)
        if rule is None or body is None:
            return []
        sequence, stamp = int.from_bytes(packet[2:4]), int.from_bytes(packet[4:8])
        if packet[8:12] != self._ssrc:
            self._begin(packet[8:12], sequence, stamp)
        gap = (sequence - self._highest - 1) & 0xFFFF
        if gap >= 0x8000:
            return []  # late: what came after it has gone out
        self._highest = sequence
        marker = packet[1] & 0x80
        if rule.decode is not None and rule.encode is not None:
            return self._speech(rule, packet[1] & 0x7F, marker, gap, stamp, body)
        self._skip(gap)
        if not self._speech_hz:
            self._take_clocks(rule, stamp)
        if rule.clock_in_hz != rule.clock_out_hz and len(body) >= _EVENT_BLOCK:
            body = _scaled_event(rule, body)
        return [self._packet(rule, marker, self._event_stamp(rule, stamp), body)]

    def rtcp(self, compound: bytes) -> bytes:
        """A sender report speaks of the stream as it goes out (RFC 3550 §7.2); all else stays."""
        if len(compound) < 28 or compound[1] != _SENDER_REPORT or compound[4:8] != self._ssrc:
            return compound
        stamp = self._mapped(int.from_bytes(compound[16:20]))
        counts = (self._packets & 0xFFFF_FFFF).to_bytes(4) + (self._octets & 0xFFFF_FFFF).to_bytes(4)
        return compound[:16] + stamp.to_bytes(4) + counts + compound[28:]

    # --- speech ---

    def _speech(
        self, rule: PayloadRule, number: int, marker: int, gap: int, stamp: int, body: bytes
    ) -> list[bytes]:
        chain = self._chains.get(number)
        if chain is None:
            from engine.live.relay.chain import Chain  # FFmpeg, for those alone who need it

            assert rule.decode is not None
            assert rule.encode is not None
            self._chains.clear()  # a sender speaks one codec at a time
            chain = self._chains[number] = Chain(rule.decode, rule.encode, rule.packet_ms)
            self._expected = None
        if self._speech_hz != rule.clock_in_hz:
            self._take_clocks(rule, stamp)
        if stamp != self._expected:
            chain.restart()
            self._next_stamp = self._mapped(stamp)
            self._skip(min(round(gap * self._lasted_s / chain.packet_s), _MOST_GAP))
        lasts_s, payloads = chain.pass_on(body)
        if lasts_s:
            self._lasted_s = lasts_s
        self._expected = (stamp + round(lasts_s * rule.clock_in_hz)) & 0xFFFF_FFFF
        packets = []
        for payload in payloads:
            packets.append(self._packet(rule, marker, self._next_stamp, payload))
            self._next_stamp = (self._next_stamp + round(chain.packet_s * rule.clock_out_hz)) & 0xFFFF_FFFF
            marker = 0
        return packets

    # --- numbers ---

    def _begin(self, ssrc: bytes, sequence: int, stamp: int) -> None:
        """A source that is new to us. Where nothing changes its numbers stay as they are."""
        self._ssrc = ssrc
        self._highest = (sequence - 1) & 0xFFFF
        self._sequence = sequence
        self._base = (stamp, stamp)
        self._speech_hz = 0
        self._expected = None
        self._packets = self._octets = 0

    def _take_clocks(self, rule: PayloadRule, stamp: int) -> None:
        """The first packet on these clocks: time goes on from here."""
        self._base = (stamp, self._mapped(stamp))
        self._scale = (rule.clock_out_hz, rule.clock_in_hz)
        self._speech_hz = rule.clock_in_hz

    def _mapped(self, stamp: int) -> int:
        incoming, outgoing = self._base
        ahead = ((stamp - incoming + 0x8000_0000) & 0xFFFF_FFFF) - 0x8000_0000
        multiply, divide = self._scale
        return (outgoing + ahead * multiply // divide) & 0xFFFF_FFFF

    def _event_stamp(self, rule: PayloadRule, stamp: int) -> int:
        """Where an event runs on another clock than the speech it begins where the speech stands."""
        if not self._speech_hz or rule.clock_in_hz == self._speech_hz:
            return self._mapped(stamp)
        if stamp != self._event[0]:
            self._event = (stamp, self._next_stamp)
        return self._event[1]

    def _skip(self, packets: int) -> None:
        if packets < _MOST_GAP:
            self._sequence = (self._sequence + packets) & 0xFFFF

    def _packet(self, rule: PayloadRule, marker: int, stamp: int, body: bytes) -> bytes:
        head = bytes((0x80, rule.payload_type | marker)) + self._sequence.to_bytes(2) + stamp.to_bytes(4)
        self._sequence = (self._sequence + 1) & 0xFFFF
        self._packets += 1
        self._octets += len(body)
        return head + self._ssrc + body


def _payload(packet: bytes) -> bytes | None:
    """Without header, extension and padding; None where these don't fit."""
    begin = 12 + 4 * (packet[0] & 0x0F)
    if packet[0] & 0x10:
        begin += 4 + 4 * int.from_bytes(packet[begin + 2 : begin + 4])
    end = len(packet)
    if packet[0] & 0x20:
        end -= packet[-1]
    return packet[begin:end] if begin <= end else None


def _scaled_event(rule: PayloadRule, body: bytes) -> bytes:
    """RFC 4733 §2.3.5: the duration counts in units of the clock; the longest stands for longer."""
    duration = int.from_bytes(body[2:4]) * rule.clock_out_hz // rule.clock_in_hz
    return body[:2] + min(duration, 0xFFFF).to_bytes(2) + body[4:]

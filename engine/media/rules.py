"""What crosses between the engine and the media data plane: a table of forward rules, and the exceptional packets.

The engine decides, the host forwards. A host keeps, for each port that it was told to bind, how packets are
secured there, and at most one rule; by these alone it forwards established packets, in its fastest loop or as
streams in simulated time. The engine is given what no rule covers.

On its way a packet is: taken from a port; decrypted as that port is secured; matched with the port's rule by its
source; sent to the way's target, from the way's port, encrypted as that one is secured.

Addresses to bind are named by *interface*, a name in the topology; ports are the even ones of their pairs where
both are meant.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple, TypeAlias

from engine.boundary import Address
from engine.media.codecs import PayloadRule
from engine.media.profiles import Setup
from engine.media.sdp.attributes import Crypto, Fingerprint


class Port(NamedTuple):
    """One UDP port of ours."""

    interface: str
    number: int


class Way(NamedTuple):
    """Where packets go: out of one of our ports, to a target."""

    port: Port
    target: Address


# --- how a port is secured -------------------------------------------------------------------------------------


class Sdes(NamedTuple):
    """SRTP by keys from the descriptions (RFC 4568): the peer's for what comes in, ours for what goes out."""

    receive: Crypto
    send: Crypto


class Dtls(NamedTuple):
    """SRTP by keys from a DTLS hand-shake on the port (RFC 5764), which the host conducts.

    ``part`` is ours: an ``active`` host says ClientHello once there is a ``peer``, a ``passive`` one waits. Only
    packets from ``peer`` belong to the hand-shake; None: nobody has proven to be there yet, and all are dropped.
    The peer's certificate must fit one of the fingerprints, else no key is used. A value that differs only in
    ``peer`` leaves a hand-shake, or an association, as it stands.
    """

    part: Setup
    fingerprints: tuple[Fingerprint, ...]
    peer: Address | None


Security: TypeAlias = Sdes | Dtls | None


# --- effects: orders to the host -------------------------------------------------------------------------------


class BindPorts(NamedTuple):
    """Bind a pair: this port and the next."""

    port: Port


class ReleasePorts(NamedTuple):
    """Close a pair. What belongs to it - rule, keys, statistics - goes with it, after a last MediaStats."""

    port: Port


class SecurePort(NamedTuple):
    """From now on packets at this port are secured so; given again where keys change, as in a re-INVITE.

    A new value keeps the streams' roll-over counters where the keys of their way are the same (RFC 3711 §3.3.1).
    """

    port: Port
    security: Security


class Rule(NamedTuple):
    """What becomes of packets that come to a port.

    ``sources`` are believed; packets from others, and all that aren't RTP or RTCP, go to the engine as
    MediaPacket. ``rtp`` and ``rtcp`` are where each goes, None: nowhere, it is counted and dropped, as on hold.
    The two differ where one side multiplexes them and the other doesn't. RTP of a payload type that isn't in
    ``payloads`` is dropped; None: all pass as they are, as video does.
    ``call`` is the Call-ID, for statistics.
    """

    sources: frozenset[Address]
    rtp: Way | None
    rtcp: Way | None
    payloads: Mapping[int, PayloadRule] | None
    call: str


class AddRule(NamedTuple):
    """The first rule of a port."""

    port: Port
    rule: Rule


class ChangeRule(NamedTuple):
    """Another rule in place of the port's; its statistics go on."""

    port: Port
    rule: Rule


class RemoveRule(NamedTuple):
    """No rule any more: every packet goes to the engine."""

    port: Port


class SendMedia(NamedTuple):
    """Send these bytes as they are: the answer to a STUN check."""

    port: Port
    target: Address
    data: bytes


MEDIA_EFFECTS: Final = (BindPorts, ReleasePorts, SecurePort, AddRule, ChangeRule, RemoveRule, SendMedia)
MediaEffect: TypeAlias = BindPorts | ReleasePorts | SecurePort | AddRule | ChangeRule | RemoveRule | SendMedia


# --- inputs: things that happened ------------------------------------------------------------------------------


class MediaPacket(NamedTuple):
    """A packet that no rule covers: from a source that isn't believed, or STUN.

    ``proven`` says that SRTP keys stand at the port and the packet was authenticated with them; what was not is
    not given to the engine at all. DTLS is the host's business (see Dtls). A host may give only a share of what a
    stranger sends, at least fifty packets a second of each port.
    """

    port: Port
    source: Address
    data: bytes
    proven: bool = False


class MediaStats(NamedTuple):
    """What came to a pair since the last of these; given every few seconds, and at the end."""

    port: Port
    packets: int
    octets: int
    lost: int  # by gaps in sequence numbers; late ones are taken off again
    jitter_ms: float  # RFC 3550 §6.4.1
    round_trip_ms: float | None  # to the peer, from RTCP; None: not known
    silent_s: float  # since the last RTP packet
    dropped: int  # from sources not believed, unauthenticated, or of unknown payload types


class PortsFailed(NamedTuple):
    """A pair could not be bound, or was lost."""

    port: Port
    reason: str


HELD_S: Final = 2.0
"""DTLS that comes before its peer is named at a port waits for that so long.

An agent that answers a call begins the hand-shake at once, while its answer is under way through the signalling;
it would repeat its first flight only a second later (RFC 6347 §4.2.4.1).
"""


class DtlsEnded(NamedTuple):
    """A hand-shake ended: keys stand, or why they don't (``certificate``, ``timeout``, ...)."""

    port: Port
    reason: str = ""


MediaInput: TypeAlias = MediaPacket | MediaStats | PortsFailed | DtlsEnded

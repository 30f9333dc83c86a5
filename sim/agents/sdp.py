"""The session descriptions of the models: one audio stream, as much as an edge and its relay look at."""

from __future__ import annotations

from typing import Literal, NamedTuple

_STATIC = {b"0": b"PCMU/8000", b"3": b"GSM/8000", b"8": b"PCMA/8000", b"9": b"G722/8000", b"18": b"G729/8000"}


class Audio(NamedTuple):
    """The audio stream of an offer: its ``protocol`` (RTP/AVP, ...), and encoding by payload type, in order."""

    protocol: bytes
    encodings: dict[bytes, bytes]


def read_audio(body: bytes) -> Audio | None:
    """The first audio stream of a session description that is not refused (port 0); None where there is none."""
    protocol = b""
    encodings: dict[bytes, bytes] = {}
    for line in body.replace(b"\r\n", b"\n").split(b"\n"):
        if line.startswith(b"m="):
            if protocol:
                break
            parts = line[2:].split()
            if len(parts) >= 4 and parts[0] == b"audio" and parts[1].partition(b"/")[0] != b"0":
                protocol = parts[2]
                encodings = {payload: _STATIC.get(payload, b"") for payload in parts[3:]}
        elif protocol and line.startswith(b"a=rtpmap:"):
            payload, _, encoding = line[9:].partition(b" ")
            if payload in encodings:
                encodings[payload] = encoding.strip()
    return Audio(protocol, encodings) if protocol else None


def read_direction(body: bytes) -> bytes:
    """Which ways the first stream goes, from the side of who says it."""
    for line in body.replace(b"\r\n", b"\n").split(b"\n"):
        if line in (b"a=sendrecv", b"a=sendonly", b"a=recvonly", b"a=inactive"):
            return line[2:]
    return b"sendrecv"


def unfit(body: bytes, takes: Literal["any", "rtp", "webrtc"]) -> int:
    """The status with which a client refuses an offer that it cannot take, 0 where it can.

    A softphone that only knows plain RTP says 488 Not Acceptable Here, JsSIP 603 (Failed to get local SDP).
    """
    audio = read_audio(body)
    if audio is None or takes == "any":
        return 0
    webrtc = audio.protocol.endswith(b"SAVPF")
    if takes == "rtp":
        return 488 if webrtc else 0
    return 0 if webrtc else 603


def phone_description(host: str, port: int) -> bytes:
    """What a plain softphone offers and answers: both G.711 laws and digits."""
    address = host.encode("ascii")
    family = b"IP6" if ":" in host else b"IP4"
    return b"\r\n".join(
        [
            b"v=0",
            b"o=- 4711 1 IN %b %b" % (family, address),
            b"s=-",
            b"c=IN %b %b" % (family, address),
            b"t=0 0",
            b"m=audio %d RTP/AVP 0 8 101" % port,
            b"a=rtpmap:0 PCMU/8000",
            b"a=rtpmap:8 PCMA/8000",
            b"a=rtpmap:101 telephone-event/8000",
            b"a=fmtp:101 0-15",
            b"a=ptime:20",
            b"a=sendrecv",
            b"",
        ]
    )

"""What modelled agents say in their packets, and whom others know by it."""

from __future__ import annotations

from typing import Final, Protocol

SOUND: Final = "sound"
"""What is heard of those who cannot be told apart: a real node's ring-back tone, or speech that was transcoded."""

_SAMPLES: Final = 160  # of G.711, 20 ms
_MARK: Final = b"siptwin:"


class Voice(Protocol):
    """One agent's mouth and ears in one call."""

    def say(self, name: str, number: int) -> list[bytes]:
        """The payloads by which this speaker goes on; ``number`` counts them."""

    def recognise(self, payload_type: int, payload: bytes) -> str:
        """Who says this; empty where it is no sound."""


class Speech(Protocol):
    """What is spoken."""

    def voice(self, codec: str, payload_type: int) -> Voice:
        """That of an agent whose call has come to this codec."""


class Names:
    """The speaker's name in place of sound, so that each packet tells by itself whom one hears. It takes no codec,
    and survives none."""

    def voice(self, codec: str, payload_type: int) -> Voice:
        return self

    def say(self, name: str, number: int) -> list[bytes]:
        return [(_MARK + name.encode()).ljust(_SAMPLES, b"\x00")]

    def recognise(self, payload_type: int, payload: bytes) -> str:
        if len(payload) != _SAMPLES:
            return ""
        if not payload.startswith(_MARK):
            return SOUND
        return payload[len(_MARK) :].rstrip(b"\x00").decode("utf-8", "replace")

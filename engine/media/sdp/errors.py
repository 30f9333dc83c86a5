"""What is wrong with a session description, and what its sender is to be told."""

from __future__ import annotations

from engine.sip.errors import SipError


class SdpError(SipError):
    """A description that can't be used: 400 where its grammar is broken, 488 where what it asks for can't be."""

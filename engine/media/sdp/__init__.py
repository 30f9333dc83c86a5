"""Session descriptions (RFC 8866): read what is needed, edit what must change, keep the rest byte for byte."""

from __future__ import annotations

from engine.media.sdp.body import SdpBody, find_sdp
from engine.media.sdp.description import Description, Limits, MediaSection, Section, parse
from engine.media.sdp.errors import SdpError

__all__ = ["Description", "Limits", "MediaSection", "SdpBody", "SdpError", "Section", "find_sdp", "parse"]

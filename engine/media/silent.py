"""An offer in the name of somebody whose media are elsewhere: what it speaks, and nothing to send to."""

from __future__ import annotations

from engine.media.codecs import read_codecs, write_codecs
from engine.media.sdp.description import Limits, parse
from engine.media.sdp.errors import SdpError

_FRAME = b"""\
v=0\r
o=- 1 1 IN IP4 %b\r
s=-\r
c=IN IP4 %b\r
t=0 0\r
m=audio 9 RTP/AVP 0\r
a=sendrecv\r
"""


def silent_offer(told: bytes, limits: Limits) -> bytes:
    """Of who was told this description last. Port 9 is where nobody listens (RFC 863, as RFC 8840 §4.1.1 has it).

    Raises
    ------
    SdpError
        488 where there is no audio in it.
    """
    if not told:
        raise SdpError("no audio that could go on", 488)
    description = parse(told, limits)
    for section in description.media:
        connection = description.connection_of(section)
        if section.media.kind == b"audio" and not section.rejected and connection is not None:
            host = connection.host.encode("ascii")
            out = parse(_FRAME % (host, host), limits)
            write_codecs(out.media[0], read_codecs(section))
            return bytes(out)
    raise SdpError("no audio that could go on", 488)

"""What the models write beyond a user agent's usual messages."""

from __future__ import annotations

from random import Random

from engine.sip.message import REASONS, Request, Response
from engine.ua.parts import Block, line_of


def trying(request: Request, headers: Block) -> Response:
    """A 100 as FreeSWITCH sends it: for the next hop alone, so with the top Via alone."""
    names = ["via", "from", "to", "call-id", "cseq"]
    lines = [line_of(request, name) for name in names]
    lines[0] = b"Via: " + request.first("via")
    return Response(
        100,
        REASONS[100],
        [*names, *headers.names, "content-length"],
        [*lines, *headers.lines, b"Content-Length: 0"],
    )


def uuid_text(random: Random) -> bytes:
    """A random identifier in the form of a UUID, as FreeSWITCH's nonces and the clients' instances have."""
    digits = b"%032x" % random.getrandbits(128)
    return b"-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))

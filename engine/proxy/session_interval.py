"""Session intervals that the nodes take (RFC 4028).

FreeSWITCH answers 422 to a Session-Expires below its Min-SE of 120 s, and JsSIP, which asks for 90 s, then gives
up. FreeSWITCH would also refuse a second branch of the same INVITE with 482. So the value is raised before, as
§8.1 has it done for callers that know no session timers; the 2xx tells the caller what it has become.
"""

from __future__ import annotations

import re
from typing import Final

from engine.sip.message import Request

_METHODS: Final = frozenset((b"INVITE", b"UPDATE"))
_DELTA: Final = re.compile(rb"[0-9]{1,9}(?=[ \t]*(?:;|$))")


def raise_session_interval(request: Request, least_s: int) -> None:
    """Raise Session-Expires, and Min-SE where there is one, to ``least_s``."""
    if request.method not in _METHODS or not request.has("session-expires"):
        return
    for name, title in (("session-expires", b"Session-Expires: "), ("min-se", b"Min-SE: ")):
        value = request.get(name)
        match = _DELTA.match(value) if value is not None else None
        if value is not None and match is not None and int(match[0]) < least_s:
            request.set(name, title + b"%d" % least_s + value[match.end() :])

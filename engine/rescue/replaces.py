"""A transfer to another call of the same agent: a REFER whose Refer-To names that one's dialog (RFC 3891)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final
from urllib.parse import quote_from_bytes, unquote_to_bytes

from engine.rescue.stand_in import StandIn
from engine.sip.errors import SipError
from engine.sip.message import Request

# The header of a SIP URI (RFC 3261 §19.1.1): hname "=" hvalue, escaped
_REPLACES: Final = re.compile(rb"([?&]Replaces=)([^&>\s]*)", re.IGNORECASE)


def rename(refer: Request, of: Callable[[bytes, bytes, bytes], StandIn | None]) -> None:
    """Name a dialog in which we stand in for a node as that node's successor knows it.

    ``of`` finds who stands in, by a Call-ID and both tags.

    Raises
    ------
    SipError
        603: no node knows that call any more.
    """
    value = refer.get("refer-to")
    match = None if value is None else _REPLACES.search(value)
    if value is None or match is None:
        return
    call_id, *params = (part.strip() for part in unquote_to_bytes(match[2]).split(b";"))
    tags = {name.lower(): tag for name, _, tag in (param.partition(b"=") for param in params)}
    to_tag, from_tag = tags.pop(b"to-tag", b""), tags.pop(b"from-tag", b"")
    named = of(call_id, to_tag, from_tag)
    if named is None:
        return
    other = named.conversation.passes_on(named)
    if other is None:
        raise SipError("no node knows the call that is to be replaced", 603)
    here, there = named.side.dialog, other.side.dialog
    renamed = {here.local_tag: there.remote_tag, here.remote_tag: there.local_tag}
    rest = b"".join(b";" + (name + b"=" + tag if tag else name) for name, tag in tags.items())
    text = b"%b;to-tag=%b;from-tag=%b%b" % (other.side.key[0], renamed[to_tag], renamed[from_tag], rest)
    escaped = quote_from_bytes(text, safe="").encode("ascii")
    refer.set("refer-to", b"Refer-To: " + value[: match.end(1)] + escaped + value[match.end(2) :])

"""Reasonable syntax (RFC 3261 §16.3 step 1): what a message must have before anything looks at it further.

Only what this element relies on, or must not pass on, is held against the grammar; all else is another
element's business. What passes here can be read without errors: ``via``, ``from_``, ``to``, ``cseq``, ``call_id``,
and of a request the URI, Max-Forwards, each Route, and, in INVITE and REGISTER, each Contact and Expires.
"""

from __future__ import annotations

import re
from typing import Final

from engine.sip.errors import SipError
from engine.sip.grammar import TOKEN, split_commas
from engine.sip.headers import is_bracketed, parse_name_addr, parse_number
from engine.sip.layout import USUAL_NAMES
from engine.sip.message import KNOWN_METHODS, Message, Request, Response
from engine.sip.uri import parse_uri

_COMMA: Final = 0x2C
_NEEDED: Final = frozenset(("via", "from", "to", "call-id", "cseq"))
_SINGLE: Final = ("from", "to", "call-id", "cseq", "max-forwards", "expires", "content-type")
_NAME: Final = re.compile(TOKEN.decode())
# callid = word [ "@" word ]; any printable octets are let through, for it is only compared
_NOT_PRINTABLE: Final = bytes([*range(0x21), 0x7F])
_CONTACT_METHODS: Final = frozenset((b"INVITE", b"REGISTER"))


def validate_request(request: Request) -> None:
    """Raise SipError, with the status to answer, where this request must not be worked on."""
    if request.defect is not None:
        raise request.defect
    _check_headers(request)
    method = request.method
    if request.cseq.method != method:
        # RFC 4475 §3.1.2.18: an unknown method whose CSeq disagrees gets 501, a known one 400
        raise SipError("CSeq method differs from the request's", 400 if method in KNOWN_METHODS else 501)
    if parse_uri(request.uri).headers:
        raise SipError("headers in the Request-URI")  # §19.1.1 table 1
    value = request.get("max-forwards")
    if value is not None:
        parse_number(value, "Max-Forwards", 255)
    if request.has("route"):
        for value in request.all("route"):
            for route in split_commas(value) if _COMMA in value else (value,):
                if not is_bracketed(route):
                    parse_name_addr(route, "Route")
    if method in _CONTACT_METHODS:
        _check_contacts(request)


def validate_response(response: Response) -> None:
    """Raise SipError where a response cannot be matched or passed on."""
    _check_headers(response)
    response.cseq  # noqa: B018 - parsed for its errors


def _check_headers(message: Message) -> None:
    """Each header that must be there once is, none has a malformed name, and those needed everywhere parse."""
    layout = message.layout
    if layout is None:
        flaw = _flaw(message.names)
    elif layout.flaw is None:
        flaw = layout.flaw = _flaw(layout.names)
    else:
        flaw = layout.flaw
    if flaw:
        raise SipError(flaw)
    call_id = message.call_id
    if not call_id or len(call_id.translate(None, _NOT_PRINTABLE)) != len(call_id):
        raise SipError("malformed Call-ID")
    message.via  # noqa: B018 - parsed for their errors
    message.from_  # noqa: B018
    message.to  # noqa: B018


def _flaw(names: list[str]) -> str:
    """What is wrong with the headers of a message by their names alone, in words; "" for nothing."""
    unique = set(names)
    if not unique >= _NEEDED:
        return ", ".join(sorted(_NEEDED - unique)) + " missing"
    if len(unique) != len(names):
        for name in _SINGLE:
            if names.count(name) > 1:
                return f"{name} repeated"
    if not unique <= USUAL_NAMES and not all(map(_NAME.fullmatch, unique)):
        return "malformed header name"
    return ""


def _check_contacts(request: Request) -> None:
    if request.has("expires"):
        parse_number(request.get("expires") or b"", "Expires", 2**32 - 1)
    for contact in request.values("contact"):
        if is_bracketed(contact):
            continue
        if contact == b"*" and request.method == b"REGISTER":
            continue
        expires = parse_name_addr(contact, "Contact").params.get(b"expires")
        if expires is not None and expires.isdigit():  # a malformed one counts as 3600 (§10.3)
            parse_number(expires, "Contact expires", 2**32 - 1)

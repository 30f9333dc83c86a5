"""Reasonable syntax (RFC 3261 §16.3 step 1): what a request must have before anything looks at it further.

Only what this element relies on, or must not pass on, is held against the grammar; all else is another
element's business.
"""

from __future__ import annotations

from engine.sip.errors import SipError
from engine.sip.grammar import TOKEN_PATTERN
from engine.sip.headers import parse_name_addr, parse_number
from engine.sip.message import Message, Request, Response
from engine.sip.uri import parse_uri

_SINGLE = ("from", "to", "call-id", "cseq")
_SINGLE_OPTIONAL = ("max-forwards", "expires", "content-type")
KNOWN_METHODS = frozenset(
    b"INVITE ACK BYE CANCEL OPTIONS REGISTER PRACK SUBSCRIBE NOTIFY PUBLISH INFO REFER MESSAGE UPDATE".split()
)
# Each name that canonicalisation did not know is checked as a token; names already seen good are remembered by
# the table of canonical names itself.
_USUAL_NAMES = frozenset(
    b"via from to call-id cseq contact max-forwards route record-route content-type content-length user-agent "
    b"server allow supported require proxy-require expires path authorization proxy-authorization accept date "
    b"allow-events reason session-expires min-se subject event refer-to".decode().split()
)


def validate_request(request: Request) -> None:
    """Raise SipError, with the status to answer, where this request must not be worked on."""
    if request.defect is not None:
        raise request.defect
    _check_single(request)
    cseq = request.cseq
    if cseq.method != request.method:
        # RFC 4475 §3.1.2.18: an unknown method whose CSeq disagrees gets 501, a known one 400
        raise SipError("CSeq method differs from the request's", 400 if request.method in KNOWN_METHODS else 501)
    request.via  # noqa: B018 - parsed for its errors
    request.from_  # noqa: B018
    request.to  # noqa: B018
    uri = parse_uri(request.uri)
    if uri.headers:
        raise SipError("headers in the Request-URI")  # §19.1.1 table 1
    value = request.get("max-forwards")
    if value is not None:
        parse_number(value, "Max-Forwards", 255)
    if request.method in (b"INVITE", b"REGISTER"):
        if "expires" in request.names:
            parse_number(request.get("expires") or b"", "Expires", 2**32 - 1)
        for contact in request.values("contact"):
            if contact == b"*" and request.method == b"REGISTER":
                continue
            expires = parse_name_addr(contact, "Contact").params.get(b"expires")
            if expires is not None and expires.isdigit() and int(expires) >= 2**32:
                raise SipError("Contact expires above 2^32-1")


def validate_response(response: Response) -> None:
    """Raise SipError where a response cannot be matched or passed on."""
    _check_single(response)
    response.cseq  # noqa: B018 - parsed for its errors
    response.via  # noqa: B018


def _check_single(message: Message) -> None:
    names = message.names
    for name in _SINGLE:
        found = names.count(name)
        if found != 1:
            raise SipError(f"{name} {'missing' if found == 0 else 'repeated'}")
    for name in _SINGLE_OPTIONAL:
        if names.count(name) > 1:
            raise SipError(f"{name} repeated")
    if not message.get("call-id"):
        raise SipError("call-id empty")
    for name in names:
        if name not in _USUAL_NAMES and TOKEN_PATTERN.fullmatch(name.encode("latin-1")) is None:
            raise SipError("malformed header name")

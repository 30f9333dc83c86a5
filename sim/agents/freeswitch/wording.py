"""The header lines that FreeSWITCH writes, made once per node."""

from __future__ import annotations

from typing import Final

from engine.boundary import Interface
from engine.sip.uri import host_port
from engine.ua.parts import DEFAULT_PORT, block

_RELEASES: Final = {
    "1.10.12": b"1.10.12-release+git~20240802T210227Z~a88d069d6f~64bit",
    "1.11.2": b"1.11.2-release~64bit",
}
_ACCEPT = b"Accept: application/sdp"
_ALLOW = b"Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, MESSAGE, INFO, UPDATE, REGISTER, REFER, NOTIFY"
_SUPPORTED = b"Supported: timer, path, replaces"
_ALLOW_EVENTS = b"Allow-Events: talk, hold, conference, refer"

SESSION: Final = block(b"Content-Type: application/sdp", b"Content-Disposition: session")
OFFER: Final = SESSION + block(b"X-FS-Support: update_display,send_info")
RETRY_AFTER: Final = block(b"Retry-After: 300")
FULL_REASON: Final = b"Maximum Calls In Progress"
NO_DIALOG_REASON: Final = b"Call Does Not Exist"


class Wording:
    """The header sets that recur, by what they hold.

    ``agent``: User-Agent alone. ``base``: with Allow and Supported. ``events``: also Allow-Events. ``rich``: also
    Accept, which FreeSWITCH leaves out once media was negotiated.
    """

    __slots__ = ("accepting", "agent", "base", "events", "rich")

    def __init__(self, version: str) -> None:
        agent = b"User-Agent: FreeSWITCH-mod_sofia/" + _RELEASES[version]
        self.agent = block(agent)
        self.base = block(agent, _ALLOW, _SUPPORTED)
        self.events = block(agent, _ALLOW, _SUPPORTED, _ALLOW_EVENTS)
        self.accepting = block(agent, _ACCEPT, _ALLOW, _SUPPORTED)
        self.rich = block(agent, _ACCEPT, _ALLOW, _SUPPORTED, _ALLOW_EVENTS)


class Place:
    """One interface as FreeSWITCH writes it into Via and Contact."""

    __slots__ = ("_contact_end", "host", "interface", "media_host", "own_contact", "profile_contact", "via_start")

    def __init__(self, interface: Interface, media_host: str = "") -> None:
        host, port = interface.public_host, interface.public_port
        sent_by = host_port(host, port)
        self.interface = interface
        self.media_host = (media_host or host).encode("ascii")
        self.host = (b"[%b]" if ":" in host else b"%b") % host.encode("ascii")
        protocol = interface.transport.upper().encode()
        shown = self.host if port == DEFAULT_PORT else sent_by  # its Via omits the default port
        self.via_start = b"Via: SIP/2.0/%b %b;rport;branch=z9hG4bK" % (protocol, shown)
        parameter = b";transport=" + interface.transport.encode()
        self._contact_end = b"@" + sent_by + parameter + b">"
        self.own_contact = block(b"Contact: <sip:mod_sofia@" + sent_by + b">")
        self.profile_contact = block(b"Contact: <sip:" + sent_by + b">")

    def contact(self, user: bytes) -> bytes:
        """The Contact line of a call to this user or number."""
        return b"Contact: <sip:" + user + self._contact_end


def party(display: bytes, uri: bytes, screened: bytes) -> bytes:
    """A Remote-Party-ID line."""
    return b'Remote-Party-ID: "%b" <%b>;party=calling;%b' % (display, uri, screened)

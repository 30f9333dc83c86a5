"""A re-INVITE by a user: to hold the other side, or to take it back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from engine.boundary import Send
from engine.media.sdp.attributes import SENDRECV
from engine.sip.errors import SipError
from engine.sip.message import Response
from engine.sip.transactions import ClientTransaction
from engine.ua.parts import block
from sim.agents.phones.audio import HELD

if TYPE_CHECKING:
    from engine.ua.dialog import Dialog
    from sim.agents.phones.audio import CallAudio
    from sim.agents.phones.phones import Phones

_CONTENT_TYPE: Final = b"Content-Type: application/sdp"


class Renegotiation:
    """One re-INVITE. What is refused leaves the call as it was (RFC 3261 §14.1)."""

    __slots__ = ("_audio", "_before", "_dialog", "_number", "_phones")

    def __init__(self, phones: Phones, dialog: Dialog, audio: CallAudio) -> None:
        self._phones = phones
        self._dialog = dialog
        self._audio = audio
        self._before = audio.wanted
        self._number = 0

    def begin(self, held: bool, contact_line: bytes, now: float) -> None:
        """Ask the other side."""
        phones, dialog = self._phones, self._dialog
        self._audio.wanted = HELD if held else SENDRECV
        self._number = dialog.next_number()
        headers = phones.user_agent + block(contact_line, _CONTENT_TYPE)
        request = dialog.request(b"INVITE", phones.via_line(), self._number, headers, self._audio.offer())
        try:
            phones.layer.send(request, phones.flow_of(dialog), self, now)
        except SipError:
            self._audio.wanted = self._before

    # --- ClientUser

    def on_response(self, transaction: ClientTransaction, response: Response, now: float) -> None:
        if response.status >= 300:
            self._audio.wanted = self._before
        elif response.status >= 200:
            phones = self._phones
            acknowledgement = self._dialog.request(b"ACK", phones.via_line(), self._number)
            phones.out.append(Send(phones.flow_of(self._dialog), bytes(acknowledgement)))
            self._audio.heard(response.body, now)

    def on_timeout(self, transaction: ClientTransaction, now: float) -> None:
        self._audio.wanted = self._before

    def on_unreachable(self, transaction: ClientTransaction, reason: str, now: float) -> None:
        self._audio.wanted = self._before

"""A WebRTC phone of Python: aiortc for the media, and as much of SIP over WebSocket as it takes beside."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from fractions import Fraction
from functools import partial
from importlib.util import find_spec
from random import Random
from typing import Any

import numpy as np
from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType

from engine.sip.digest import answer, choose
from engine.sip.framing import parse_datagram
from engine.sip.headers import parse_name_addr
from engine.sip.message import Request, Response, respond
from tests.live.sound.phones import STILL_S
from tests.live.sound.stage import PASSWORD, Stage
from tests.live.sound.tones import PACKET, RATE_HZ, share, tone

MISSING = "" if find_spec("aiortc") else "aiortc is not installed"
_HEARD_PACKETS = 50
EXPIRES_S = 60


def _description(body: bytes, kind: str) -> Any:
    from aiortc import RTCSessionDescription

    return RTCSessionDescription(body.decode(), kind)


class AiortcPhone:
    """One user. Its re-INVITEs change directions within the one peer connection; aiortc cannot restart ICE."""

    deaf_after_hold = False

    def __init__(self, stage: Stage, user: str, hz: float, socket: ClientWebSocketResponse) -> None:
        self.user, self.hz = user, hz
        self._stage = stage
        self._socket = socket
        self._random = Random()
        self._events: list[str] = []
        self._heard: deque[tuple[Any, int]] = deque(maxlen=_HEARD_PACKETS)
        self._heard_at = 0.0
        self._peer: Any = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._contact = b"<sip:%012x@%012x.invalid;transport=ws>" % (self._bits(), self._bits())
        self._invite: Request | None = None  # the one that stands: theirs, or ours
        # From, To, Call-ID, routes and remote target
        self._dialog: tuple[bytes, bytes, bytes, list[bytes], bytes] | None = None
        self._awaited: str | None = None  # what happens by the 200 that our INVITE waits for
        self._number = 0

    def _bits(self) -> int:
        return self._random.getrandbits(48)

    # --- Phone

    def order(self, order: str, argument: str = "") -> None:
        work = {
            "call": partial(self._call, argument.encode()),
            "answer": self._answer,
            "reject": self._reject,
            "hangup": self._hang_up,
            "hold": partial(self._renew, "sendonly", "hold"),
            "resume": partial(self._renew, "sendrecv", "unhold"),
            "renew": partial(self._renew, "sendrecv", "renewed"),
        }[order]
        self._start(work())

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def happened(self, event: str) -> int:
        return self._events.count(event)

    def heard(self, hz: float) -> float:
        if len(self._heard) < _HEARD_PACKETS // 2 or asyncio.get_running_loop().time() - self._heard_at > STILL_S:
            return 0.0
        return share(np.concatenate([samples for samples, _ in self._heard]), hz, self._heard[-1][1])

    def forget(self) -> None:
        self._events.clear()
        self._heard.clear()

    # --- SIP

    async def listen(self) -> None:
        """Take what the edge says, until the end."""
        async for received in self._socket:
            if received.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                continue
            data = received.data.encode() if isinstance(received.data, str) else received.data
            message = parse_datagram(data)
            if isinstance(message, Request):
                await self._asked(message)
            elif isinstance(message, Response):
                await self._told(message)

    async def _send(self, message: Request | Response) -> None:
        await self._socket.send_str(bytes(message).decode())

    def _request(self, method: bytes, uri: bytes, *lines: bytes, body: bytes = b"") -> Request:
        via = b"Via: SIP/2.0/WS %012x.invalid;branch=z9hG4bK%012x" % (self._bits(), self._bits())
        return Request.build(method, uri, via, b"Max-Forwards: 70", *lines, body=body)

    async def register(self, authorization: bytes = b"") -> None:
        """Once, and once more with credentials."""
        domain = self._stage.host.encode()
        me = b"<sip:%b@%b>" % (self.user.encode(), domain)
        lines = [b"From: %b;tag=%x" % (me, self._bits()), b"To: " + me, b"Call-ID: r%s" % self.user.encode()]
        lines += [b"CSeq: %d REGISTER" % self._next(), b"Contact: " + self._contact, b"Expires: %d" % EXPIRES_S]
        if authorization:
            lines.append(authorization)
        await self._send(self._request(b"REGISTER", b"sip:" + domain, *lines))

    def _refresh(self) -> None:
        if not self._socket.closed:
            self._start(self.register())

    def _credentials(self, challenges: list[bytes]) -> bytes:
        challenge = choose(challenges)
        assert challenge is not None
        uri = b"sip:" + self._stage.host.encode()
        credentials = answer(
            challenge,
            method=b"REGISTER",
            uri=uri,
            username=self.user.encode(),
            password=PASSWORD.encode(),
            cnonce=b"c",
        )
        return b"Authorization: " + bytes(credentials)

    async def _asked(self, request: Request) -> None:
        if request.method == b"INVITE" and request.to.tag:
            await self._send(await self._accepted(request))
            self._events.append("reinvite")
        elif request.method == b"INVITE":
            self._invite = request
            await self._send(respond(request, 180, b"", b"t", b"Contact: " + self._contact))
            self._events.append("incoming")
        elif request.method == b"CANCEL" and self._invite is not None:
            await self._send(respond(request, 200))
            await self._send(respond(self._invite, 487, b"", b"t"))
            await self._over()
        elif request.method == b"BYE":
            await self._send(respond(request, 200))
            await self._over()
        elif request.method != b"ACK":
            await self._send(respond(request, 200, b"", b"t", b"Contact: " + self._contact))

    async def _told(self, response: Response) -> None:
        status, method = response.status, response.cseq.method
        if method == b"REGISTER":
            if status == 401:
                await self.register(self._credentials(response.all("www-authenticate")))
            elif status == 200:  # the edge closes the connection of one that has run out
                asyncio.get_running_loop().call_later(EXPIRES_S / 2, self._refresh)
        elif method == b"INVITE" and self._invite is not None:
            if 100 < status < 200:
                self._events.append("progress")
            elif 200 <= status < 300:
                await self._confirmed(response)
            elif status >= 300:
                self._events.append(f"refused {status}")
                if self._dialog is None:
                    await self._over()

    async def _confirmed(self, response: Response) -> None:
        if self._dialog is None:
            contact = parse_name_addr(response.values("contact")[0], "Contact").uri
            routes = response.values("record-route")[::-1]
            self._dialog = (response.first("from"), response.first("to"), response.call_id, routes, contact)
        await self._within(b"ACK", response.cseq.number)
        if self._awaited is not None:  # not for the second time
            event, self._awaited = self._awaited, None
            await self._peer.setRemoteDescription(_description(response.body, "answer"))
            self._events.append(event)

    async def _within(self, method: bytes, number: int, *lines: bytes, body: bytes = b"") -> None:
        assert self._dialog is not None
        ours, theirs, call_id, routes, target = self._dialog
        ends = [b"Route: " + route for route in routes]
        ends += [b"From: " + ours, b"To: " + theirs, b"Call-ID: " + call_id, b"CSeq: %d %b" % (number, method)]
        await self._send(self._request(method, target, *ends, *lines, body=body))

    async def _accepted(self, invite: Request) -> Response:
        """A 200 with our answer to its offer."""
        await self._peer.setRemoteDescription(_description(invite.body, "offer"))
        await self._peer.setLocalDescription(await self._peer.createAnswer())
        tag = b"" if invite.to.tag else b"t"
        lines = [b"Record-Route: " + value for value in invite.all("record-route")]  # RFC 3261 §12.1.1
        lines += [b"Contact: " + self._contact, b"Content-Type: application/sdp"]
        accepted = respond(invite, 200, b"", tag, *lines)
        accepted.body = self._peer.localDescription.sdp.encode()
        accepted.set("content-length", b"Content-Length: %d" % len(accepted.body))
        return accepted

    # --- orders

    async def _call(self, uri: bytes) -> None:
        peer = self._new_peer()
        await peer.setLocalDescription(await peer.createOffer())
        me = b"<sip:%b@%b>" % (self.user.encode(), self._stage.host.encode())
        self._invite = self._request(
            b"INVITE",
            uri,
            b"From: %b;tag=%x" % (me, self._bits()),
            b"To: <%b>" % uri,
            b"Call-ID: %012x" % self._bits(),
            b"CSeq: %d INVITE" % self._next(),
            b"Contact: " + self._contact,
            b"Content-Type: application/sdp",
            body=peer.localDescription.sdp.encode(),
        )
        self._awaited = "confirmed"
        await self._send(self._invite)

    async def _answer(self) -> None:
        invite = self._invite
        assert invite is not None
        self._new_peer()
        accepted = await self._accepted(invite)
        contact = parse_name_addr(invite.values("contact")[0], "Contact").uri
        routes = invite.values("record-route")
        self._dialog = (accepted.first("to"), invite.first("from"), invite.call_id, routes, contact)
        await self._send(accepted)
        self._events.append("confirmed")

    async def _renew(self, direction: str, event: str) -> None:
        (transceiver,) = self._peer.getTransceivers()
        transceiver.direction = direction
        await self._peer.setLocalDescription(await self._peer.createOffer())
        self._awaited = event
        lines = [b"Contact: " + self._contact, b"Content-Type: application/sdp"]
        await self._within(b"INVITE", self._next(), *lines, body=self._peer.localDescription.sdp.encode())

    async def _reject(self) -> None:
        assert self._invite is not None
        await self._send(respond(self._invite, 486, b"", b"t"))

    async def _hang_up(self) -> None:
        if self._dialog is None:
            await self._give_up()
            return
        await self._within(b"BYE", self._next())
        await self._over()

    async def _give_up(self) -> None:
        """CANCEL (RFC 3261 §9.1): with the INVITE's own Via. Its 487 ends the call."""
        invite = self._invite
        assert invite is not None
        lines = [invite.lines[invite.names.index(name)] for name in ("via", "from", "to", "call-id")]
        lines += [b"Max-Forwards: 70", b"CSeq: %d CANCEL" % invite.cseq.number]
        await self._send(Request.build(b"CANCEL", invite.uri, *lines))

    def _next(self) -> int:
        self._number += 1
        return self._number

    async def _over(self) -> None:
        self._events.append("ended")
        self._invite = self._dialog = self._awaited = None
        peer, self._peer = self._peer, None
        if peer is not None:
            await peer.close()

    # --- media

    def _new_peer(self) -> Any:
        from aiortc import MediaStreamTrack, RTCPeerConnection
        from aiortc.mediastreams import AudioFrame

        samples = (tone(self.hz, 2.0) * 32_767).astype(np.int16)

        class Tone(MediaStreamTrack):
            kind = "audio"

            def __init__(self) -> None:
                super().__init__()
                self._began = asyncio.get_running_loop().time()
                self._number = 0

            async def recv(self) -> Any:
                number, self._number = self._number, self._number + 1
                await asyncio.sleep(max(0.0, self._began + 0.02 * number - asyncio.get_running_loop().time()))
                at = number * PACKET % len(samples)
                frame = AudioFrame(format="s16", layout="mono", samples=PACKET)
                frame.planes[0].update(samples[at : at + PACKET].tobytes())
                frame.sample_rate, frame.pts, frame.time_base = RATE_HZ, number * PACKET, Fraction(1, RATE_HZ)
                return frame

        peer = self._peer = RTCPeerConnection()
        peer.addTrack(Tone())
        peer.on("track", self._hear)
        return peer

    def _hear(self, track: Any) -> None:
        async def work() -> None:
            from aiortc.mediastreams import MediaStreamError

            try:
                while True:
                    frame = await track.recv()
                    samples = frame.to_ndarray().reshape(-1)[:: len(frame.layout.channels)]
                    self._heard.append((samples / 32_768, frame.sample_rate))
                    self._heard_at = asyncio.get_running_loop().time()
            except MediaStreamError:
                return

        self._start(work())


@asynccontextmanager
async def registering(stage: Stage, user: str, hz: float, transport: str) -> AsyncIterator[AiortcPhone]:
    """One that registers over ws or wss."""
    import aioice.ice

    aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]  # it leaves loopback out otherwise
    trust = ssl.create_default_context(cafile=str(stage.files.authority)) if transport == "wss" else None
    url = f"{transport}://{stage.host}:{stage.ports[transport]}"
    async with (
        ClientSession() as session,
        session.ws_connect(url, protocols=("sip",), ssl=trust or True) as socket,
    ):
        phone = AiortcPhone(stage, user, hz, socket)
        listening = asyncio.get_running_loop().create_task(phone.listen())
        await phone.register()
        try:
            yield phone
        finally:
            listening.cancel()

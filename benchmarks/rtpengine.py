"""rtpengine of Debian in user space, and as much of its NG protocol as calls take."""

from __future__ import annotations

import re
import socket
from base64 import b64encode
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any, TypeAlias

from benchmarks.processes import BenchmarkError, Program, require, wait_until

Secured: TypeAlias = Callable[[str], list[str]]
"""The lines that secure a callee's answer, given its offer."""

Bencoded: TypeAlias = "str | bytes | int | list[Any] | dict[str, Any]"


def bencode(value: Bencoded) -> bytes:
    """BitTorrent's encoding, which NG uses."""
    if isinstance(value, str):
        value = value.encode()
    if isinstance(value, bytes):
        return b"%d:%b" % (len(value), value)
    if isinstance(value, int):
        return b"i%de" % value
    if isinstance(value, list):
        return b"l" + b"".join(map(bencode, value)) + b"e"
    return b"d" + b"".join(bencode(key) + bencode(value[key]) for key in sorted(value)) + b"e"


def bdecode(data: bytes) -> Any:
    """The value of the whole text; strings stay octets, but for keys."""
    return _decode(data, 0)[0]


def _decode(data: bytes, at: int) -> tuple[Any, int]:
    first = data[at : at + 1]
    if first == b"i":
        end = data.index(b"e", at)
        return int(data[at + 1 : end]), end + 1
    if first == b"l" or first == b"d":
        items = []
        at += 1
        while data[at : at + 1] != b"e":
            item, at = _decode(data, at)
            items.append(item)
        if first == b"l":
            return items, at + 1
        return {key.decode(): value for key, value in zip(items[::2], items[1::2], strict=True)}, at + 1
    colon = data.index(b":", at)
    end = colon + 1 + int(data[at:colon])
    return data[colon + 1 : end], end


def sdp(host: str, port: int, protocol: str, codec: str = "0 PCMU/8000", *lines: str) -> str:
    """The description of a phone that speaks one codec: its payload type, and what it is mapped to."""
    text = ["v=0", f"o=- 1 1 IN IP4 {host}", "s=-", f"c=IN IP4 {host}", "t=0 0"]
    text += [f"m=audio {port} {protocol} {codec.partition(' ')[0]}", f"a=rtpmap:{codec}", "a=sendrecv", *lines]
    return "\r\n".join(text) + "\r\n"


def port_of(description: str) -> int:
    found = re.search(r"^m=audio (\d+)", description, re.MULTILINE)
    if found is None:
        raise BenchmarkError(f"rtpengine answered without a port: {description!r}")
    return int(found[1])


def plain(_offered: str) -> list[str]:
    return []


def keyed(suite: str, key: bytes) -> Secured:
    """An answer that takes the line of a suite, with a key of ours."""

    def lines(offered: str) -> list[str]:
        tag = re.search(rf"^a=crypto:(\d+) {suite} ", offered, re.MULTILINE)
        if tag is None:
            raise BenchmarkError(f"rtpengine does not offer {suite}")
        return [f"a=crypto:{tag[1]} {suite} inline:{b64encode(key).decode()}"]

    return lines


def calling(fingerprint: str) -> Secured:
    """An answer of the active side of DTLS."""
    return lambda _offered: [f"a=fingerprint:{fingerprint}", "a=setup:active"]


class Rtpengine:
    """One that runs, and our side of its control port."""

    def __init__(self, host: str, control_host: str, core: int, folder: Path) -> None:
        require("rtpengine", "rtpengine-daemon")
        self._control = (host, 22_222)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((control_host, 0))
        self._socket.settimeout(2.0)
        self._cookies = count(1)
        argv = ["rtpengine", "--config-file=none", "--table=-1", "--foreground", "--log-stderr", "--log-level=3"]
        argv += [f"--interface={host}", f"--listen-ng={host}:{self._control[1]}", "--num-threads=1"]
        argv += ["--port-min=10000", "--port-max=30000", "--timeout=3600", f"--pidfile={folder / 'rtpengine.pid'}"]
        self.program = Program(argv, core=core, log=folder / "rtpengine.log")

    def wait_until_up(self) -> None:
        def up() -> bool:
            if not self.program.running:
                raise BenchmarkError(f"rtpengine ended at once - {self.program.last_words()}")
            try:
                return bool(self.ask(command="ping")["result"] == b"pong")
            except OSError:
                return False

        wait_until(up, deadline_s=10.0, what="rtpengine does not answer a ping")

    def ask(self, **request: Bencoded) -> dict[str, Any]:
        cookie = b"%d" % next(self._cookies)
        self._socket.sendto(cookie + b" " + bencode(request), self._control)
        while True:
            answer, _, text = self._socket.recv(65_535).partition(b" ")
            if answer == cookie:
                found: dict[str, Any] = bdecode(text)
                if found.get("result") == b"error":
                    raise BenchmarkError(f"rtpengine refuses {request['command']!r}: {found}")
                return found

    def set_up(
        self,
        caller: tuple[str, int],
        callee: tuple[str, int],
        protocol: str,
        secured: Secured,
        *,
        opus: bool,
    ) -> tuple[int, int]:
        """One call of a plain caller with PCMU; its ports for caller and callee. ``opus``: all the callee has."""
        common: dict[str, Bencoded] = {
            "call-id": f"call-{next(self._cookies)}",
            "from-tag": "a",
            "flags": ["trust-address"],
            "replace": ["origin", "session-connection"],
            "ICE": "remove",
        }
        wanted: dict[str, Bencoded] = {"transport-protocol": protocol}
        if not protocol.startswith("UDP/TLS/"):
            wanted["DTLS"] = "off"
        if opus:
            wanted["codec"] = {"mask": ["all"], "transcode": ["opus"]}
        offer = self.ask(command="offer", sdp=sdp(*caller, "RTP/AVP"), **common, **wanted)
        offered = offer["sdp"].decode()
        codec = re.search(r"^a=rtpmap:(.*)$", offered.replace("\r", ""), re.MULTILINE)
        if codec is None or opus != ("opus/" in codec[1]):
            raise BenchmarkError(f"rtpengine offers another codec: {offered!r}")
        text = sdp(*callee, protocol, codec[1], *secured(offered))
        answer = self.ask(command="answer", sdp=text, **common, **{"to-tag": "b"})
        return port_of(answer["sdp"].decode()), port_of(offered)

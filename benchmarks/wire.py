"""What passes on the loopback interface: which call was tried at which node, and when. Needs root."""

from __future__ import annotations

import re
import socket
import threading
import time
from types import TracebackType

from benchmarks.ground import Place

_ETH_P_IP = 0x0800  # such a socket sees a loopback packet once, as it arrives; ETH_P_ALL would see it twice
_UDP = 17
_CALL_ID = re.compile(rb"^Call-ID:\s*(\S+)", re.MULTILINE | re.IGNORECASE)


class Wire:
    """Notes when each call's first INVITE went to each destination, for the length of a ``with`` block."""

    def __init__(self) -> None:
        self._tried: dict[Place, dict[bytes, float]] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="wire", daemon=True)
        try:
            self._socket: socket.socket | None = socket.socket(
                socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_IP)
            )
        except PermissionError:
            self._socket = None

    @property
    def permitted(self) -> bool:
        return self._socket is not None

    def __enter__(self) -> Wire:
        if self._socket:
            self._socket.bind(("lo", _ETH_P_IP))
            self._socket.settimeout(0.1)
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._socket:
            self._thread.join()
            self._socket.close()

    def between(self, place: Place, from_s: float, to_s: float) -> list[float]:
        """When calls were tried at this place, in that time."""
        return [moment for moment in self._tried.get(place, {}).values() if from_s < moment < to_s]

    def _listen(self) -> None:
        assert self._socket
        while not self._stop.is_set():
            try:
                packet = self._socket.recv(2048)
            except TimeoutError:
                continue
            header_bytes = (packet[0] & 0x0F) * 4
            payload = packet[header_bytes + 8 :]
            if packet[9] == _UDP and payload.startswith(b"INVITE "):
                port = int.from_bytes(packet[header_bytes + 2 : header_bytes + 4])
                call_id = _CALL_ID.search(payload)
                calls = self._tried.setdefault(Place(socket.inet_ntoa(packet[16:20]), port), {})
                calls.setdefault(call_id[1] if call_id else b"", time.monotonic())  # repeats are no new attempt

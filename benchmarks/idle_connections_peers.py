"""Idle peers on bare sockets: ``TRANSPORT HOST PORT COUNT``, until standard input ends."""

from __future__ import annotations

import socket
import ssl
import sys

REQUEST = (
    b"GET / HTTP/1.1\r\nHost: edge.example.org\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: sip\r\n"
    b"Origin: https://phone.example.org\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n\r\n"
)


def main() -> None:
    transport, host, port, count = sys.argv[1:]
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    open_ones = []
    for _ in range(int(count)):
        sock = socket.create_connection((host, int(port)))
        if transport in ("tls", "wss"):
            sock = context.wrap_socket(sock)
        if transport in ("ws", "wss"):
            sock.sendall(REQUEST)
            sock.recv(4096)
        open_ones.append(sock)
    sys.stdin.read()


if __name__ == "__main__":
    main()

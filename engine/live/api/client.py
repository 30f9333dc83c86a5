"""Asks a running ``serve``, over its Unix socket or over TCP with a token."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, quote, urlencode, urlsplit

from engine.live.control import find_path
from engine.live.errors import LiveError, reason_of

_CHUNK = 64 * 1024


class ApiClient:
    """One edge. Each call is one connection; all raise LiveError with what is wrong.

    Parameters
    ----------
    control
        Its Unix socket; None takes the first default that exists.
    url
        Its address instead, as http://127.0.0.1:8080; then ``token`` is needed.
    timeout_s
        For each step: to connect, to send, to hear.

    Raises
    ------
    LiveError
        The address is none, or no header can carry the token.
    """

    def __init__(
        self,
        control: Path | None = None,
        *,
        url: str | None = None,
        token: str | None = None,
        timeout_s: float = 10.0,
    ) -> None:
        self._control = control or find_path()
        self._url = _split(url) if url else None
        if token and not (token.isascii() and token.isprintable()):
            raise LiveError("the token has characters that no HTTP header carries - take one of printable ASCII")
        self._token = token
        self._timeout_s = timeout_s

    def get(self, *parts: str, **query: Any) -> Any:
        return self._ask("GET", parts, query)

    def post(self, *parts: str, body: Any = None) -> Any:
        return self._ask("POST", parts, {}, body)

    def delete(self, *parts: str) -> Any:
        return self._ask("DELETE", parts, {})

    def health(self) -> dict[str, Any]:
        """Whether new calls are taken; that they are not is no error."""
        health: dict[str, Any] = self._ask("GET", ("health",), {}, accepted=http.client.SERVICE_UNAVAILABLE)
        return health

    def stream(self, *parts: str, **query: Any) -> Iterator[bytes]:
        """The bytes of an answer as they come."""
        connection = self._connection()
        try:
            with self._one_line():
                response = self._send(connection, "GET", parts, query, None)
                if connection.sock is not None:
                    connection.sock.settimeout(None)  # nothing may come for long
                if response.status != http.client.OK:
                    self._read(response)
                while chunk := response.read1(_CHUNK):
                    yield chunk
        finally:
            connection.close()

    def _ask(
        self, method: str, parts: tuple[str, ...], query: dict[str, Any], body: Any = None, accepted: int = 0
    ) -> Any:
        connection = self._connection()
        try:
            with self._one_line():
                return self._read(self._send(connection, method, parts, query, body), accepted)
        finally:
            connection.close()

    @contextmanager
    def _one_line(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self._unreachable(error) from None
        except http.client.IncompleteRead:
            raise LiveError(f"the answer from {self._where} broke off - is siptwin still running?") from None
        except http.client.HTTPException:
            raise LiveError(f"no answer of siptwin's API from {self._where}: is it its address?") from None

    def _connection(self) -> http.client.HTTPConnection:
        if self._url is None:
            return _UnixConnection(self._control, self._timeout_s)
        kind = http.client.HTTPSConnection if self._url.scheme == "https" else http.client.HTTPConnection
        try:
            return kind(self._url.hostname or "", self._url.port, timeout=self._timeout_s)
        except (ValueError, http.client.InvalidURL):
            raise LiveError(f"{self._where} is no address - write http://HOST:PORT") from None

    def _send(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        parts: tuple[str, ...],
        query: dict[str, Any],
        body: Any,
    ) -> http.client.HTTPResponse:
        path = "".join("/" + quote(part, safe="") for part in parts)
        if given := {name: value for name, value in query.items() if value is not None}:
            path += "?" + urlencode(given)
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        data = None
        if body is not None:
            data, headers["Content-Type"] = json.dumps(body).encode(), "application/json"
        connection.request(method, path, data, headers)
        return connection.getresponse()

    def _read(self, response: http.client.HTTPResponse, accepted: int = 0) -> Any:
        try:
            answer = json.loads(response.read())
        except ValueError:
            raise LiveError(f"no answer of siptwin's API from {self._where}: is it its address?") from None
        if response.status >= 400 and response.status != accepted:
            said = answer.get("error") if isinstance(answer, dict) else None
            raise LiveError(str(said or f"refused with {response.status}"))
        return answer

    @property
    def _where(self) -> str:
        return str(self._control) if self._url is None else self._url.geturl()

    def _unreachable(self, error: OSError) -> LiveError:
        return LiveError(
            f"cannot reach a running siptwin at {self._where}: {reason_of(error)} - start `siptwin serve`, "
            "or name its control socket or its API"
        )


def _split(url: str) -> SplitResult:
    try:
        split = urlsplit(url)
        host = (split.hostname or "").encode("idna")  # as a look-up will
        if split.scheme in ("http", "https") and host and split.port != 0:  # ValueError where the port is none
            return split
    except ValueError:
        pass
    raise LiveError(f"{url} is no address - write http://HOST:PORT")


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__("siptwin", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))

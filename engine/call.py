"""One call in the hands of a policy, and what it can wait for. See ``engine.policy``; this part is compiled."""

from __future__ import annotations

import random
from collections.abc import Generator, Iterable, Iterator
from typing import Protocol

from engine.boundary import Flow
from engine.nodes import Node, Pool
from engine.sip.errors import SipError
from engine.sip.message import Request
from engine.sip.uri import parse_uri


class Answer:
    """What became of an attempt.

    ``status`` is the final status; 408 where nothing or no final answer came in time, 503 where the node could not
    be reached, 487 where the caller gave up. ``silent`` tells that the node said nothing at all.
    """

    __slots__ = ("cancelled", "node", "silent", "status")

    def __init__(self, status: int, node: str, silent: bool = False, cancelled: bool = False) -> None:
        self.status = status
        self.node = node
        self.silent = silent
        self.cancelled = cancelled

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    @property
    def failed_over(self) -> bool:
        """Whether the next node should be tried: 408 or 5xx, which are about the node, not about the callee."""
        return not self.cancelled and (self.status == 408 or 500 <= self.status < 600)


class Attempt:
    """An awaitable: the request goes to one or several targets at once; the result is an Answer."""

    __slots__ = ("leave_when_down", "resource", "ring_s", "targets", "timeout_s")

    def __init__(
        self,
        targets: tuple[Node | str, ...],
        resource: str,
        timeout_s: float | None,
        ring_s: float | None,
        leave_when_down: bool,
    ) -> None:
        self.targets = targets
        self.resource = resource
        self.timeout_s = timeout_s
        self.ring_s = ring_s
        self.leave_when_down = leave_when_down

    def __await__(self) -> Generator[Attempt, Answer, Answer]:
        return (yield self)


class Pause:
    """An awaitable: nothing happens for ``duration_s``. The result tells whether the call is still wanted."""

    __slots__ = ("duration_s",)

    def __init__(self, duration_s: float) -> None:
        self.duration_s = duration_s

    def __await__(self) -> Generator[Pause, Answer, bool]:
        answer = yield self
        return not answer.cancelled


Waiting = Attempt | Pause


class CallDriver(Protocol):
    """What a Call stands on: the engine's response context."""

    request: Request
    flow: Flow
    cancelled: bool

    @property
    def now(self) -> float: ...
    @property
    def pool(self) -> Pool: ...
    @property
    def rng(self) -> random.Random: ...
    def choose(
        self, group: str, resource: str, by: str, key: bytes, tried: set[str], ignore_health: bool
    ) -> Node | None: ...
    def reject(self, status: int, reason: bytes, lines: tuple[bytes, ...]) -> None: ...


class Call:
    """One out-of-dialog request (INVITE, REGISTER, ...) in the hands of a policy."""

    __slots__ = ("_driver", "_resource", "tried")

    def __init__(self, driver: CallDriver) -> None:
        self._driver = driver
        self._resource = ""
        self.tried: set[str] = set()  # names of the nodes tried so far; FreeSWITCH answers a second branch by 482

    # --- reading

    @property
    def now(self) -> float:
        """Seconds on the host's clock."""
        return self._driver.now

    @property
    def random(self) -> random.Random:
        """The engine's random source: reproducible in simulation."""
        return self._driver.rng

    @property
    def method(self) -> str:
        return self._driver.request.method.decode("ascii")

    @property
    def uri(self) -> str:
        """The Request-URI."""
        return self._driver.request.uri.decode("utf-8", "replace")

    @property
    def user(self) -> str:
        """The user part of the Request-URI, "" where there is none: what was dialled."""
        return _user(self._driver.request.uri)

    @property
    def from_user(self) -> str:
        return _user(self._driver.request.from_.uri)

    @property
    def to_user(self) -> str:
        return _user(self._driver.request.to.uri)

    @property
    def call_id(self) -> str:
        return self._driver.request.call_id.decode("utf-8", "replace")

    @property
    def source(self) -> tuple[str, int]:
        """Address and port that the request came from."""
        return self._driver.flow.peer

    @property
    def cancelled(self) -> bool:
        """Whether the caller has given up."""
        return self._driver.cancelled

    def header(self, name: str) -> str | None:
        """The first value of a header, None where it is missing."""
        value = self._driver.request.get(name.lower())
        return None if value is None else value.decode("utf-8", "replace")

    # --- changing what is sent on

    def set_header(self, name: str, value: str) -> None:
        """Set a header of the request as attempts from now on send it."""
        self._driver.request.set(name.lower(), _line(name, value))

    def add_header(self, name: str, value: str) -> None:
        self._driver.request.append(name.lower(), _line(name, value))

    def remove_header(self, name: str) -> None:
        self._driver.request.remove(name.lower())

    def set_uri(self, uri: str) -> None:
        """Send the request on under another Request-URI."""
        encoded = uri.encode()
        parse_uri(encoded)
        self._driver.request.uri = encoded

    # --- choosing and trying

    def nodes(
        self,
        group: str,
        *,
        resource: str = "",
        by: str = "most_free",
        key: str | None = None,
        ignore_health: bool = False,
    ) -> Iterator[Node]:
        """The nodes of a group worth trying, one after the other, each chosen when it is asked for.

        ``resource`` names the kind of channel needed; the attempt reserves one. ``by`` is one of
        ``engine.nodes.selection.ALGORITHMS``; ``key`` is what hashing ones hash, the Call-ID by default.
        Draining and disabled nodes are never offered, and those that are down only with ``ignore_health``.
        """
        self._resource = resource
        hashed = self._driver.request.call_id if key is None else key.encode()
        offered = set(self.tried)
        while not self._driver.cancelled:
            node = self._driver.choose(group, resource, by, hashed, offered, ignore_health)
            if node is None:
                return
            offered.add(node.name)
            yield node

    def has_others(self, node: Node, group: str, *, resource: str = "") -> bool:
        """Whether a node of a group is left to try, should this one not answer."""
        driver = self._driver
        return driver.pool.any_left(group, resource, self.tried | {node.name}, driver.now)

    def try_(
        self,
        target: Node | str,
        *,
        timeout_s: float | None = None,
        ring_s: float | None = None,
        leave_when_down: bool = True,
    ) -> Attempt:
        """Send the request to a node, or to a SIP URI, and wait for what becomes of it.

        ``timeout_s`` bounds the wait for any first answer (OpenSIPS' ``fr_timer``), ``ring_s`` the ringing after
        it (``fr_inv_timer``; timer C where None). With ``leave_when_down`` the attempt also ends when the network
        says that nothing listens there (ICMP), or when the pool learns from elsewhere that the node is down. A 2xx
        and what rings go to the caller by themselves.
        """
        return self.fork([target], timeout_s=timeout_s, ring_s=ring_s, leave_when_down=leave_when_down)

    def fork(
        self,
        targets: Iterable[Node | str],
        *,
        timeout_s: float | None = None,
        ring_s: float | None = None,
        leave_when_down: bool = True,
    ) -> Attempt:
        """As ``try_``, to several targets at once: the first to accept wins, the others are cancelled."""
        chosen = tuple(targets)
        self.tried.update(target.name for target in chosen if isinstance(target, Node))
        return Attempt(chosen, self._resource, timeout_s, ring_s, leave_when_down)

    def pause(self, duration_s: float) -> Pause:
        """Wait; the result is False when the caller gave up meanwhile."""
        if not 0 <= duration_s < float("inf"):
            raise ValueError(f"pause() takes seconds from 0, not {duration_s}")
        return Pause(duration_s)

    def reject(self, status: int, reason: str = "", *, retry_after_s: int | None = None) -> None:
        """Answer the caller with a final response of our own, instead of the best that the attempts brought."""
        if not 300 <= status <= 699:
            raise ValueError(f"reject() takes a final status from 300 to 699, not {status}")
        lines = () if retry_after_s is None else (b"Retry-After: %d" % retry_after_s,)
        self._driver.reject(status, _clean(reason), lines)

    def redirect(self, *uris: str) -> None:
        """Send the caller elsewhere: 302 with these Contacts."""
        self._driver.reject(302, b"", tuple(b"Contact: <%s>" % _clean(uri) for uri in uris))


def _user(uri: bytes) -> str:
    try:
        user = parse_uri(uri).user
    except SipError:
        return ""
    return (user or b"").decode("utf-8", "replace")


def _clean(text: str) -> bytes:
    """Text for a header: a line break would begin another one."""
    return text.replace("\r", " ").replace("\n", " ").encode()


def _line(name: str, value: str) -> bytes:
    return _clean(name) + b": " + _clean(value)

"""Keep-alives from the edge to registered UDP agents: OPTIONS that ask for a sign of life, or four octets.

An OPTIONS request here has no transaction: it is not repeated, for the next one follows, and its answer is known
by the branch, which says whose it is and bears a number that can't be guessed. So tens of thousands of agents cost
one small object each, and no timer but the wheel's.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from typing import Final, Generic, Protocol, TypeVar

from engine.boundary import NEVER, Effect, Flow, Send
from engine.config import KeepAliveConfig
from engine.here import Here
from engine.sip.headers import MAGIC_COOKIE
from engine.wheel import Rider, Wheel

KEEP_ALIVE_BRANCH: Final = MAGIC_COOKIE + b"k"
"""How the branch of each OPTIONS of ours begins; no other branch of an edge does."""

_BRANCH: Final = re.compile(re.escape(KEEP_ALIVE_BRANCH) + rb"([0-9a-f]{8})([0-9a-f]{16})")
_CRLFCRLF: Final = b"\r\n\r\n"


class Reachable(Protocol):
    """What is asked of the binding of a registered agent. It is known by its identity."""

    @property
    def flow(self) -> Flow | None:
        """The way to it, None while there is none."""
        ...

    @property
    def contact(self) -> bytes:
        """The agent's own Contact URI."""
        ...

    @property
    def natted(self) -> bool:
        """Whether it is reached elsewhere than it says."""
        ...


B = TypeVar("B", bound=Reachable)


class KeepAlive(Generic[B]):
    """Sends each binding its keep-alives, each at its own instants.

    Parameters
    ----------
    unreachable
        Told, with the reason in words, of a binding that left several OPTIONS in a row unanswered; nothing is sent
        to it any more.
    """

    __slots__ = (
        "_by_number",
        "_free",
        "_here",
        "_out",
        "_requests",
        "_rng",
        "_unreachable",
        "_watches",
        "_wheel",
        "config",
    )

    def __init__(
        self,
        config: KeepAliveConfig,
        here: Here,
        wheel: Wheel,
        out: list[Effect],
        rng: random.Random,
        unreachable: Callable[[B, str, float], None],
    ) -> None:
        self.config = config
        self._here = here
        self._wheel = wheel
        self._out = out
        self._rng = rng
        self._unreachable = unreachable
        self._watches: dict[B, Watch[B]] = {}
        self._by_number: list[Watch[B] | None] = []
        self._free: list[int] = []
        self._requests: dict[str, bytes] = {}  # by interface

    # --- what happens

    def bound(self, binding: B, now: float) -> None:
        """A binding was made or refreshed: its agent is alive."""
        config = self.config
        flow = binding.flow
        if config.method == "none" or not flow or flow.stream or (config.natted_only and not binding.natted):
            self.unbound(binding, now)
            return
        watch = self._watches.get(binding)
        if watch is not None:
            watch.alive()
            return
        if self._free:
            number = self._free.pop()
        else:
            number = len(self._by_number)
            self._by_number.append(None)
        watch = self._watches[binding] = self._by_number[number] = Watch(self, binding, number)
        # spread over the interval: thousands may register at one instant, as after a restart
        watch.due = now + self._rng.random() * config.interval_s
        self._wheel.look_by(watch, watch.due, now)

    def unbound(self, binding: B, now: float) -> None:
        """A binding is gone."""
        watch = self._watches.pop(binding, None)
        if watch is not None:
            self._wheel.leave(watch)
            self._by_number[watch.number] = None
            self._free.append(watch.number)

    def answered(self, branch: bytes) -> None:
        """A response came whose branch begins like ours. Whatever it says, there is someone to say it."""
        match = _BRANCH.fullmatch(branch)
        if match is None:
            return
        number = int(match[1], 16)
        watch = self._by_number[number] if number < len(self._by_number) else None
        if watch is not None and watch.nonce == int(match[2], 16):
            watch.alive()

    # --- what is done

    def beat(self, watch: Watch[B], now: float) -> float:
        """One keep-alive is due; the result is when the next one is."""
        config = self.config
        binding = watch.binding
        flow = binding.flow
        if config.method == "none" or flow is None:
            self.unbound(binding, now)
            return NEVER
        if watch.nonce:
            watch.missed += 1
            if watch.missed >= config.missed:
                self.unbound(binding, now)
                self._unreachable(binding, f"{watch.missed} keep-alives unanswered", now)
                return NEVER
        if config.method == "options":
            watch.nonce = self._rng.getrandbits(64) | 1
            self._out.append(Send(flow, self._options(watch, flow.interface)))
        else:
            watch.nonce = 0
            self._out.append(Send(flow, _CRLFCRLF))
        return now + config.interval_s * (1.0 + config.jitter * (self._rng.random() - 0.5))

    def _options(self, watch: Watch[B], interface: str) -> bytes:
        contact, nonce = watch.binding.contact, watch.nonce
        request = self._requests.get(interface)
        if request is None:
            request = self._requests[interface] = self._template(interface)
        return request % (contact, watch.number, nonce, nonce & 0xFFFFFFFF, contact, nonce)

    def _template(self, interface: str) -> bytes:
        here = self._here.address(interface).replace(b"%", b"%%")
        via = self._here.via(interface, KEEP_ALIVE_BRANCH).replace(b"%", b"%%")
        return (
            b"OPTIONS %b SIP/2.0\r\n"
            + (via + b"%08x%016x;rport\r\n")
            + b"Max-Forwards: 70\r\n"
            + (b"From: <sip:keepalive@" + here + b">;tag=%08x\r\n")
            + b"To: <%b>\r\n"
            + (b"Call-ID: keepalive-%016x@" + here + b"\r\n")
            + b"CSeq: 1 OPTIONS\r\n"
            + b"Content-Length: 0\r\n\r\n"
        )

    def __len__(self) -> int:
        """How many bindings are kept alive."""
        return len(self._watches)


class Watch(Rider, Generic[B]):
    """One binding that is kept alive."""

    __slots__ = ("_keep_alive", "binding", "due", "missed", "nonce", "number")

    def __init__(self, keep_alive: KeepAlive[B], binding: B, number: int) -> None:
        super().__init__()
        self._keep_alive = keep_alive
        self.binding = binding
        self.number = number
        self.nonce = 0  # of the OPTIONS that waits for its answer; 0: none does
        self.missed = 0  # unanswered ones in a row
        self.due = NEVER

    def alive(self) -> None:
        """There was a sign of life."""
        self.nonce = 0
        self.missed = 0

    def look(self, now: float) -> float:
        if now >= self.due:
            self.due = self._keep_alive.beat(self, now)
        return self.due

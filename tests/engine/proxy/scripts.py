"""Small policies that tests route by."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from engine.policy import Answer, Call, Policy

Script = Callable[[Call], Awaitable[None]]


class Scripted(Policy):
    """Routes INVITE as a function says, and keeps the answers that ``fork`` below brought."""

    def __init__(self, script: Script) -> None:
        self._script = script

    async def invite(self, call: Call) -> None:
        await self._script(call)


class Parallel(Policy):
    """All nodes at once."""

    def __init__(self, timeout_s: float | None = None, ring_s: float | None = None) -> None:
        self.timeout_s = timeout_s
        self.ring_s = ring_s
        self.answers: list[Answer] = []

    async def invite(self, call: Call) -> None:
        nodes = list(call.nodes("fs"))
        self.answers.append(await call.fork(nodes, timeout_s=self.timeout_s, ring_s=self.ring_s))

    request = invite


class Serial(Policy):
    """One node after the other, whatever each of them answers but 2xx."""

    def __init__(self, timeout_s: float | None = 0.6, ring_s: float | None = None) -> None:
        self.timeout_s = timeout_s
        self.ring_s = ring_s
        self.answers: list[Answer] = []

    async def invite(self, call: Call) -> None:
        for node in call.nodes("fs", by="first"):
            answer = await call.try_(node, timeout_s=self.timeout_s, ring_s=self.ring_s)
            self.answers.append(answer)
            if answer.ok or answer.cancelled:
                return

    request = invite


class Pausing(Policy):
    """Waits, then tries the first node."""

    def __init__(self, pause_s: float) -> None:
        self.pause_s = pause_s
        self.wanted: list[bool] = []

    async def invite(self, call: Call) -> None:
        self.wanted.append(await call.pause(self.pause_s))
        for node in call.nodes("fs", by="first"):
            await call.try_(node)
            return

"""What an author of routing logic sees.

A policy is a short coroutine per call. It asks for nodes, tries them, and looks at the answers; transactions,
forks, CANCEL and time-outs are the engine's business. It awaits nothing but what ``Call`` offers, so it runs
unchanged in simulated and in real time::

    class LeastLoaded(Policy):
        async def invite(self, call: Call) -> None:
            for node in call.nodes("fs", resource="pstn"):
                answer = await call.try_(node, timeout_s=0.4)
                if not answer.failed_over:
                    return
            call.reject(503, "No node can take the call")
"""

from __future__ import annotations

from typing import ClassVar, Final

from engine.call import Answer, Attempt, Call, CallDriver, Pause, Waiting

__all__ = ["Answer", "Attempt", "Call", "CallDriver", "Pause", "Policy", "Waiting"]

LAST_TIMEOUT_S: Final = 16.0
"""How long the last node is waited for: the sender, who gives up after 64*T1, is still told what it came to."""


class Policy:
    """Base of all policies: subclasses route INVITE; REGISTER and other methods have a sensible default.

    One object routes all calls of an edge, so state that a policy keeps lives in its attributes.
    """

    honours_health: ClassVar[bool] = True
    """False: calls tell the pool nothing of a node's health, only probes do, and they go to nodes known to be down
    too; the checkers of the simulation then allow for that."""

    group = "fs"

    async def invite(self, call: Call) -> None:
        """Route a new call."""
        raise NotImplementedError

    async def register(self, call: Call) -> None:
        """Route a registration: a user's stay at one node while it lives, and move when it doesn't."""
        await self.first_that_answers(call, key=call.to_user)

    async def request(self, call: Call) -> None:
        """Route any other request outside a dialog (OPTIONS, SUBSCRIBE, MESSAGE, ...)."""
        await self.first_that_answers(call, key=call.from_user)

    async def first_that_answers(self, call: Call, *, key: str, timeout_s: float = 0.6) -> None:
        """Try the nodes in the order of a hash of ``key`` until one answers for itself.

        The last one gets more time: thousands of agents that come back at once keep a node busy for seconds, and
        who is refused then may stay away. One that is known to be dead is not waited for.
        """
        for node in call.nodes(self.group, by="rendezvous", key=key):
            wait_s = timeout_s if call.has_others(node, self.group) else LAST_TIMEOUT_S
            answer = await call.try_(node, timeout_s=wait_s)
            if not answer.failed_over:
                return
        call.reject(503, "No node available", retry_after_s=5)

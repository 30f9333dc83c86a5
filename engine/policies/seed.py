"""The routing script of the source design, faults included, to be compared with."""

from __future__ import annotations

from typing import ClassVar

from engine.policy import Call, Policy


class Seed(Policy):
    """OpenSIPS 2.4: ``load_balancer`` for INVITE, ``dispatcher`` for REGISTER, 405 for the rest.

    Its three faults, each kept on purpose:

    - ``lb_start`` and ``lb_next`` know nothing of the dispatcher's probes, and with probe mode 1 the load balancer
      itself probes only what was disabled, which nothing does. So a dead node, whose load falls to 0, is the least
      loaded one and attracts every new INVITE; each pays ``fr_timer``.
    - REGISTER has no failure route: the node that the hash names is the only one tried.
    - The failure route tries the next node on 6xx as well.

    Parameters
    ----------
    group, resource
        Of ``lb_start``.
    fr_timer_s
        Seconds until a silent node is given up (``fr_timer``).
    """

    honours_health: ClassVar[bool] = False

    def __init__(self, group: str = "fs", resource: str = "pstn", fr_timer_s: float = 2.0) -> None:
        self.group = group
        self.resource = resource
        self.fr_timer_s = fr_timer_s

    async def invite(self, call: Call) -> None:
        # lb_start; none free: 500
        tried = False
        for node in call.nodes(self.group, resource=self.resource, by="most_free_first_wins", ignore_health=True):
            tried = True
            answer = await call.try_(node, timeout_s=self.fr_timer_s, leave_when_down=False)
            # lb_next on 408, 5xx and 6xx, unless the caller has hung up
            if answer.cancelled or not (answer.status == 408 or answer.status >= 500):
                return
        call.reject(500, "All GW are down" if tried else "Service full")

    async def register(self, call: Call) -> None:
        # ds_select_dst(1, hash), no failure route; no node: 503
        for node in call.nodes(self.group, by="hash", key=call.to_user):
            await call.try_(node, timeout_s=self.fr_timer_s, leave_when_down=False)
            return
        call.reject(503)

    async def request(self, call: Call) -> None:
        call.reject(405)

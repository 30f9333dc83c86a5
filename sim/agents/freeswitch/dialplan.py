"""What each number does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from engine.sip.errors import SipError
from sim.agents.freeswitch import causes
from sim.agents.freeswitch.outbound import bridge, target_of, target_of_bridge
from sim.agents.media import Content

if TYPE_CHECKING:
    from sim.agents.freeswitch.caller import CallerLeg
    from sim.agents.freeswitch.node import Node


class Application(NamedTuple):
    """Something that the node itself answers with; 0 means no early media, and no hang-up by itself."""

    content: Content = "tone"
    early_media_s: float = 0.0
    hangs_up_after_s: float = 0.0


APPLICATIONS: Final = {
    "9100": Application(hangs_up_after_s=2.0),  # answers and hangs up
    "9196": Application(content="echo"),
    "9198": Application(early_media_s=1.5),  # a tone before the answer
    "9664": Application(),  # playback
}


def route(node: Node, leg: CallerLeg, now: float) -> None:
    """Do with this caller what its number asks for."""
    outcome = node.config.outcomes.get(leg.call_id)
    application = APPLICATIONS.get(leg.number)
    if outcome is not None:
        leg.repeat(outcome, now)
    elif application is not None:
        leg.play(
            application.content,
            early_media_s=application.early_media_s,
            hangs_up_after_s=application.hangs_up_after_s,
            now=now,
        )
    elif leg.number in node.config.bridges:
        target = target_of_bridge(node.config.bridges[leg.number], leg.transaction.flow.interface)
        if leg.may_bridge(now):
            bridge(node, leg, target, now)
    elif leg.number in node.users:
        _call_user(node, leg, now)
    else:
        leg.hang_up(causes.NO_ROUTE, now)


def _call_user(node: Node, leg: CallerLeg, now: float) -> None:
    binding = node.registrations.find(leg.number)
    if binding is None:
        leg.hang_up(causes.NOT_REGISTERED, now)
        return
    try:
        target = target_of(node, leg.number, binding)
    except SipError:
        leg.hang_up(causes.NOT_REGISTERED, now)
        return
    if leg.may_bridge(now):
        bridge(node, leg, target, now)

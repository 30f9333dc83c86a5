"""What goes wrong in a scenario, and when; what users do; and the orders that an operator gives."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from topologies.base import IpAddress, Positive, Seconds, Section, Share, SipUser

_BETWEEN = "Two places, as in links:."
_AGENTS = "Softphones or browsers: a client, or one of its users as client/user."


class _At(Section):
    at_s: Seconds = Field(description="When, in seconds from the scenario's start.")


class ProcessFault(_At):
    """kill: the process is gone, its port closed. freeze: it answers nothing, its socket stays. thaw: it wakes."""

    kind: Literal["kill", "freeze", "thaw"] = Field(description="kill, freeze or thaw.")
    target: str = Field(description="An edge, a node, a group of nodes, or a database.")


class Start(_At):
    """A killed process is started again, with empty memory."""

    kind: Literal["start"] = Field(description="start.")
    target: str = Field(description="An edge, a node, a group of nodes, or a database.")
    keep_registrations: bool = Field(
        default=False,
        description="Whether a node still knows its registrations, as FreeSWITCH does from its SQLite file.",
    )


class Flap(_At):
    """Killed and started again, over and over: down for the first half of each period."""

    kind: Literal["flap"] = Field(description="flap.")
    target: str = Field(description="An edge, a node, a group of nodes, or a database.")
    period_s: Positive = Field(default=10.0, description="From one kill to the next.")
    times: int = Field(default=3, ge=1, description="How many times.")


class Slow(_At):
    """A node takes longer over everything."""

    kind: Literal["slow"] = Field(description="slow.")
    target: str = Field(description="An edge, a node, a group of nodes, or a database.")
    delay_s: Positive = Field(description="What every input waits before it is looked at.")


class LoadFault(_At):
    """normal: slow no more. full: a node answers 503 to new calls. not_full: it takes calls again.

    pause and unpause do the same by order of its operator (fsctl pause), of which its event socket tells.
    """

    kind: Literal["normal", "full", "not_full", "pause", "unpause"] = Field(
        description="normal, full, not_full, pause or unpause."
    )
    target: str = Field(description="A node or a group of nodes; normal also an edge or a database.")


class Partition(_At):
    """Nothing passes between two places."""

    kind: Literal["partition"] = Field(description="partition.")
    between: tuple[str, str] = Field(description=_BETWEEN)
    one_way: bool = Field(default=False, description="Only what the first sends to the second is stopped.")


class Loss(_At):
    """Packets between two places are lost, besides what the link itself loses."""

    kind: Literal["loss"] = Field(description="loss.")
    between: tuple[str, str] = Field(default=("*", "*"), description=_BETWEEN)
    share: Share = Field(description="Share of packets lost; 0 ends it.")


class Cut(_At):
    """Connections between two places end, once; new ones can be made."""

    kind: Literal["cut"] = Field(description="cut.")
    between: tuple[str, str] = Field(description=_BETWEEN)
    silent: bool = Field(default=False, description="Whether neither end is told, as when a NAT forgets.")


class Reboot(_At):
    """A NAT or a balancer forgets all that it knew."""

    kind: Literal["reboot"] = Field(description="reboot.")
    target: str = Field(description="A NAT or a balancer.")


class Heal(_At):
    """Partitions and losses between two places end."""

    kind: Literal["heal"] = Field(description="heal.")
    between: tuple[str, str] = Field(default=("*", "*"), description=_BETWEEN)


class Order(_At):
    """An operator's order about a node, to the edges that serve it."""

    kind: Literal["drain", "resume", "disable", "enable"] = Field(description="drain, resume, disable or enable.")
    target: str = Field(description="A node or a group of nodes.")
    edges: tuple[str, ...] = Field(
        default=("edges",), min_length=1, description="Edges that get the order; default: all."
    )


class ChangeNetwork(_At):
    """Agents get another address; what came over the old one vanishes, and only they know."""

    kind: Literal["change_network"] = Field(description="change_network.")
    target: str = Field(description=_AGENTS)
    host: IpAddress = Field(description="Their new IP address; no one else may have it.")


class Sleep(_At):
    """sleep: a computer is suspended, it neither works nor hears. wake: it goes on."""

    kind: Literal["sleep", "wake"] = Field(description="sleep or wake.")
    target: str = Field(description=_AGENTS)


class Deed(_At):
    """What a user does: holds the far end and takes it back, ends all calls, un-registers, closes the tab without
    a word, turns to another one."""

    kind: Literal["hold", "retrieve", "hangup", "unregister", "close_tab", "open_tab", "hide", "show"] = Field(
        description="hold, retrieve, hangup, unregister; of browsers also close_tab, open_tab, hide, show."
    )
    target: str = Field(description=_AGENTS)


class Call(_At):
    """A user calls."""

    kind: Literal["call"] = Field(description="call.")
    target: str = Field(description=_AGENTS)
    to: SipUser = Field(description="Number or user that is called.")
    hold_s: Seconds = Field(default=20.0, description="From answer to BYE.")


class Originate(_At):
    """A node calls a registered user, who hears an echo (FreeSWITCH's originate)."""

    kind: Literal["originate"] = Field(description="originate.")
    target: str = Field(description="A node.")
    user: SipUser = Field(description="The user that is called.")


Fault: TypeAlias = Annotated[
    ProcessFault
    | Start
    | Flap
    | Slow
    | LoadFault
    | Partition
    | Loss
    | Heal
    | Cut
    | Reboot
    | ChangeNetwork
    | Sleep
    | Deed
    | Call
    | Originate
    | Order,
    Field(discriminator="kind"),
]

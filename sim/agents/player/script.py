"""The part of one agent. All times are in seconds from the start of the run, delays from what they follow."""

from __future__ import annotations

from dataclasses import dataclass

from engine.boundary import Address, Interface


@dataclass(frozen=True, slots=True)
class Said:
    """A message of the agent, as it went over the wire, and when or how long after its cue."""

    after_s: float
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """What began with a request of the agent: a call, a registration, an OPTIONS.

    Attributes
    ----------
    at_s : float
        When the first request went out.
    tries : tuple of bytes
        That request, and those that followed its refusals at once: with credentials, or without what was refused.
    user : str
        Who asked: the user part of From.
    to : str
        The number or user that was asked for.
    cancel_s : float or None
        When the agent gave up, after its last try.
    in_dialog : tuple of Said
        Its later requests; their cue is the 2xx.
    hold_s : float or None
        How long after the 2xx the far end hung up; None where the agent did so itself, or the call never stood.
    """

    at_s: float
    tries: tuple[bytes, ...]
    user: str
    to: str
    cancel_s: float | None = None
    in_dialog: tuple[Said, ...] = ()
    hold_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """A call to the agent: what it answered, each so long after the INVITE; then as for outgoing ones."""

    user: str
    answers: tuple[Said, ...]
    in_dialog: tuple[Said, ...] = ()
    hold_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """The whole part of one agent.

    Attributes
    ----------
    name : str
        Of the agent.
    interface : Interface
        Where it talks.
    server : Address
        The edge that it talks to.
    outgoing, incoming : tuple
        Its stories in the order of time.
    password : str
        Of its users at the nodes: credentials are computed anew.
    usual_hold_s : float
        How long a call lasts that was not answered then and is now.
    """

    name: str
    interface: Interface
    server: Address
    outgoing: tuple[Outgoing, ...] = ()
    incoming: tuple[Incoming, ...] = ()
    password: str = "1234"
    usual_hold_s: float = 20.0

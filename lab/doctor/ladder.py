"""The steps as data: what each tries, and which ones it stands on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lab.doctor.cast import Agent


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step; ``needs`` are the names of those before it."""

    name: str
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(Step):
    """What can be told from the file alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Register(Step):
    """An agent registers."""

    agent: Agent


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Step):
    """An agent calls a number at the node, or another agent, who answers; each listens.

    ``wants`` is whose voice the caller is to hear from a number: its own (an echo), or anybody's (a tone).
    """

    caller: Agent
    number: str
    callee: Agent | None = None
    wants: str = ""


def ladder(agents: Sequence[Agent], *, echo: str, tone: str) -> Iterator[Step]:
    """All steps, in order: door by door, then from door to door.

    Parameters
    ----------
    agents : sequence of Agent
        Two at each door.
    echo, tone : str
        Numbers at the node that send back what they hear, and that play something.
    """
    yield Settings(name="timers agree")
    pairs = list(zip(agents[::2], agents[1::2], strict=True))
    for one, other in pairs:
        for agent in (one, other):
            yield Register(name=_registers(agent), agent=agent)
        stands = (_registers(one),)
        yield Call(name=f"{one.kind} calls the echo {echo}", needs=stands, caller=one, number=echo, wants=one.user)
        yield Call(name=f"{one.kind} calls the tone {tone}", needs=stands, caller=one, number=tone)
        yield _between(one, other)
    phones = next((pair for pair in pairs if not pair[0].web), None)
    for pair in pairs:
        if phones is not None and pair[0].web:
            yield _between(phones[0], pair[0])
            yield _between(pair[1], phones[1])


def _registers(agent: Agent) -> str:
    return f"{agent.kind} registers over {agent.transport}"


def _between(caller: Agent, callee: Agent) -> Call:
    return Call(
        name=f"{caller.kind} calls {callee.kind}",
        needs=(_registers(caller), _registers(callee)),
        caller=caller,
        number=callee.user,
        callee=callee,
    )

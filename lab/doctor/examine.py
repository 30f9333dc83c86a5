"""Climbs the ladder: each step after those that it stands on, on real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from secrets import randbits
from tempfile import TemporaryDirectory
from typing import Final, TypeVar

from engine.boundary import AgentOrder
from engine.config import EdgeConfig
from engine.live.capture.tap import Capture, Wanted
from engine.live.relay.certificate import new_certificate
from engine.sip.message import Request, Response
from lab.asked import GivenTopology, topology_from
from lab.doctor.cast import LISTENS, Agent, live_parts, with_agents
from lab.doctor.causes import diagnose
from lab.doctor.evidence import Description, Evidence, Facts, Transport, read_description
from lab.doctor.ladder import Call, Register, Settings, Step, ladder
from lab.doctor.verdict import Verdict, Verdicts
from lab.errors import InputError
from lab.findings.registrations import registrations
from lab.loops import run_apart
from lab.rehearsal.addresses import onto_loopback
from lab.rehearsal.certificates import relay_certificates, with_certificates
from lab.rehearsal.stage import Stage
from lab.rehearsal.tones import Tones, producible
from lab.rehearsal.voices import Muted
from lab.rehearsal.webrtc import Secured
from sim.agents.notes import (
    CallEnded,
    CallLost,
    CallPlaced,
    CallSetUp,
    Disconnected,
    Registered,
    RegistrationFailed,
    Unregistered,
)
from sim.build import parts
from sim.media import Heard
from sim.nodes import node_host
from sim.part import AgentMedia
from sim.trace import NoteRecord, Trace
from topologies import Topology
from topologies.errors import did_you_mean

Told = TypeVar("Told", CallSetUp, CallLost)

ECHO: Final = "9196"
TONE: Final = "9664"
LISTEN_S: Final = 2.0

_LOOK_EVERY_S: Final = 0.02
_PATIENCE_S: Final = 15.0  # a silent node has let the edge go on to another one by then
_GOOD_BYE_S: Final = 3.0
_PACKETS_MIN: Final = 3  # fewer are chance


def examine(
    topology: GivenTopology,
    *,
    rehearse: bool = False,
    edge: str | None = None,
    users: Sequence[str] = (),
    password: str | None = None,
    echo: str = ECHO,
    tone: str = TONE,
    listen_s: float = LISTEN_S,
    on_step: Callable[[str], None] | None = None,
) -> Verdicts:
    """Try a deployment, step by step.

    Parameters
    ----------
    topology : Topology, str or path
        The deployment, or its name or path; its agents are not needed, but for their users and passwords.
    rehearse : bool
        Start edges and modelled nodes on free loopback addresses first; else all run already.
    edge : str, optional
        The edge whose doors are tried; default: the first.
    users : sequence of str
        The accounts that are used, two for each door of the edge; default: those of the topology's clients.
    password : str, optional
        Of these users; default: the topology's.
    echo, tone : str
        Numbers that the node answers itself: one sends back what it hears, one plays something.
    listen_s : float
        How long each call lasts.
    on_step : callable, optional
        Told the name of each step as it begins.

    Returns
    -------
    Verdicts
        A list of them, one a step; its ``frame`` is a table.

    Raises
    ------
    InputError
        If there are too few users, or no way to the edge.
    LiveError
        If an address is taken.
    """
    read = topology_from(topology)
    name = edge or next(iter(read.edges))
    if name not in read.edges:
        raise InputError(f"{read.name} has no edge {name!r} - {did_you_mean(name, read.edges)}")
    staged, agents = with_agents(read.without_middleboxes(), name, users, password, live=not rehearse)
    if rehearse:
        staged = onto_loopback(staged, private=True)
        agents = _moved(staged, agents)
    steps = list(ladder(agents, echo=echo, tone=tone))
    climbed = attend(staged, name, agents, steps, rehearse=rehearse, listen_s=listen_s, on_step=on_step)
    return Verdicts(run_apart(climbed))


async def attend(
    staged: Topology,
    edge: str,
    agents: Sequence[Agent],
    steps: Sequence[Step],
    *,
    rehearse: bool,
    listen_s: float,
    on_step: Callable[[str], None] | None = None,
) -> list[Verdict]:
    """As `examine`, for those who have agents, steps and an event loop."""
    with TemporaryDirectory(prefix="siptwin-") as folder:
        evidence = Evidence()
        stage = _stage(staged, agents, evidence, Path(folder), rehearse=rehearse)
        return await _Doctor(stage, evidence, staged, edge, agents, listen_s).climb(steps, on_step)


def _moved(staged: Topology, agents: Sequence[Agent]) -> list[Agent]:
    """The same agents; where they knock has another address now."""
    return [
        Agent(each.place, each.user, each.door, each.transport, staged.server(each.place.partition("/")[0]))
        for each in agents
    ]


def _stage(
    staged: Topology, agents: Sequence[Agent], evidence: Evidence, folder: Path, *, rehearse: bool
) -> Stage:
    def on_note(record: NoteRecord) -> None:
        evidence.tell(record.place, record.note)

    trace = Trace("none")
    trace.listen(None, on_note)
    own = new_certificate()
    media = AgentMedia(certificate=own.fingerprint, codecs=producible())
    speech = Tones([each.user for each in agents])
    if not rehearse:
        # What runs may remember the words of the doctor who came before: each has names of its own.
        return Stage(live_parts(staged, media), randbits(64), trace, folder, agents=own, speech=speech)
    certificates = relay_certificates(staged)
    fingerprints = {name: bytes(each.fingerprint).decode() for name, each in certificates.items()}
    cast = parts(staged, LISTENS, fingerprints=fingerprints, media=media)
    return Stage(with_certificates(cast, folder), 0, trace, folder, certificates, agents=own, speech=speech)


@dataclass(frozen=True, slots=True)
class _Doctor:
    stage: Stage
    evidence: Evidence
    topology: Topology
    edge: str
    agents: Sequence[Agent]
    listen_s: float

    @property
    def config(self) -> EdgeConfig:
        return self.topology.edge_config(self.edge)

    async def climb(self, steps: Sequence[Step], on_step: Callable[[str], None] | None) -> list[Verdict]:
        """All steps; one whose base failed is not tried."""
        await self.stage.open()
        try:
            for agent in self.agents:
                take = partial(self.evidence.passed, agent)
                self.stage.host(agent.place).tap.add(Capture(Wanted(everything=True), take))
            for name, node in self.topology.nodes.items():
                if self.stage.runs(name):
                    said = partial(self.evidence.said, (node_host(self.topology, name), node.port))
                    self.stage.host(name).tap.add(Capture(Wanted(everything=True), said))
            verdicts: dict[str, Verdict] = {}
            for step in steps:
                if on_step is not None:
                    on_step(step.name)
                failed = [name for name in step.needs if verdicts[name].outcome != "green"]
                if failed:
                    verdicts[step.name] = Verdict(step.name, "skipped", f"not tried: {failed[0]} - that failed")
                else:
                    verdicts[step.name] = await self._try(step)
            await self._leave()
        finally:
            self.stage.close()
        return list(verdicts.values())

    async def _leave(self) -> None:
        """Nothing of the doctor's is left at the nodes."""
        here = [each for each in self.agents if self.evidence.notes(each.place, Registered, ever=True)]
        self.stage.stop_calling()
        await self._until(
            lambda: all(self.evidence.notes(each.place, Unregistered, ever=True) for each in here), _GOOD_BYE_S
        )

    async def _try(self, step: Step) -> Verdict:
        match step:
            case Settings():
                return self._read(step)
            case Register():
                return await self._register(step)
            case Call():
                return await self._call(step)
        raise ValueError(f"{step} is no step")

    async def _until(self, done: Callable[[], bool], patience_s: float) -> None:
        end_s = self.stage.now_s + patience_s
        while not done() and self.stage.now_s < end_s:
            await asyncio.sleep(_LOOK_EVERY_S)

    # --- the steps

    def _read(self, step: Settings) -> Verdict:
        breaks = [each for each in registrations(self.topology, self.config) if each.severity == "breaks"]
        if breaks:
            worst = breaks[0]
            return Verdict(step.name, "red", "read from the settings", "timers", worst.what, worst.remedy)
        return Verdict(step.name, "green", "an agent that registers stays reachable, by the settings")

    async def _register(self, step: Register) -> Verdict:
        place, seen = step.agent.place, self.evidence
        kinds = (Registered, RegistrationFailed, Disconnected)  # its machine began when it was started
        await self._until(lambda: any(seen.notes(place, kind, ever=True) for kind in kinds), _PATIENCE_S)
        if granted := seen.notes(place, Registered, ever=True):
            return Verdict(step.name, "green", f"200, for {granted[-1].expires_s:g} s")
        status, reason = 0, ""
        if refused := seen.notes(place, RegistrationFailed, ever=True):
            status, reason = refused[-1].status, refused[-1].reason
        elif lost := seen.notes(place, Disconnected, ever=True):
            reason = lost[-1].reason
        return _red(Facts(step=step, edge=self.config, status=status, reason=reason))

    async def _call(self, step: Call) -> Verdict:
        seen, caller, callee = self.evidence, step.caller, step.callee
        ends = [caller] if callee is None else [caller, callee]
        seen.mark()
        self.stage.host(caller.place).deliver(AgentOrder("call", f"{step.number} for {self.listen_s:g}"))
        await self._until(lambda: self._decided(caller), _PATIENCE_S)
        if self._of_call(caller, CallSetUp):
            patience_s = _PATIENCE_S + self.listen_s
            await self._until(lambda: all(seen.notes(each.place, CallEnded) for each in ends), patience_s)
        else:
            self.stage.host(caller.place).deliver(AgentOrder("hangup"))
            await self._until(lambda: self._decided(caller), _GOOD_BYE_S)
        facts = self._facts(step, ends)
        if facts.answered and not facts.silent and not facts.misfit:
            return Verdict(step.name, "green", self._told(step, ends))
        return _red(facts)

    def _decided(self, caller: Agent) -> bool:
        return bool(self._of_call(caller, CallSetUp) or self._of_call(caller, CallLost))

    def _of_call(self, caller: Agent, kind: type[Told]) -> list[Told]:
        """What the caller told of the call of this step; one before may still be on its way to its end."""
        placed = self.evidence.notes(caller.place, CallPlaced)
        return [note for note in self.evidence.notes(caller.place, kind) if note.call_id == placed[0].call_id]

    def _facts(self, step: Call, ends: Sequence[Agent]) -> Facts:
        seen = self.evidence
        lost = self._of_call(step.caller, CallLost)
        answered = bool(self._of_call(step.caller, CallSetUp))
        callee = step.callee
        invites = [
            message
            for message in (seen.messages(callee.place, outward=False) if callee is not None else ())
            if isinstance(message, Request) and message.method == b"INVITE"
        ]
        statuses = [
            message.status
            for message in (seen.messages(callee.place, outward=True) if callee is not None else ())
            if isinstance(message, Response) and message.cseq.method == b"INVITE"
        ]
        silent = tuple(end for end in ends if answered and self._wanted(step, end) is None)
        heard = [each.speaker for end in silent for each in seen.notes(end.place, Heard) if each.speaker]
        return Facts(
            step=step,
            edge=self.config,
            status=lost[-1].status if lost else 0,
            reason=lost[-1].reason if lost else "" if answered else f"no final answer in {_PATIENCE_S:g} s",
            arrived=bool(invites),
            callee_status=max(statuses, default=0),
            answered=answered,
            descriptions=tuple(each for end in ends for each in self._descriptions(end)),
            silent=silent,
            instead=tuple(dict.fromkeys(heard)),
            secured=tuple(
                Transport(end, note) for end in ends for note in seen.notes(end.place, Secured) if answered
            ),
            muted=tuple(note for end in ends for note in seen.notes(end.place, Muted)),
            behind=seen.behind,
        )

    def _descriptions(self, agent: Agent) -> list[Description]:
        bodies = [message.body for message in self.evidence.messages(agent.place, outward=False) if message.body]
        return [found for body in bodies if (found := read_description(agent, body)) is not None]

    def _wanted(self, step: Call, listener: Agent) -> Heard | None:
        """How it heard whom it should, known by his tone; None where it did not."""
        other = step.callee if listener is step.caller else step.caller
        wanted = step.wants if other is None else other.user
        for heard in self.evidence.notes(listener.place, Heard):
            fits = heard.speaker == wanted if wanted else heard.speaker not in ("", listener.user)
            if fits and heard.packets >= _PACKETS_MIN:
                return heard
        return None

    def _told(self, step: Call, ends: Sequence[Agent]) -> str:
        heard = [found for end in ends if (found := self._wanted(step, end)) is not None]
        packets, lost = sum(each.packets for each in heard), sum(each.lost for each in heard)
        after_s = max(each.after_s or 0.0 for each in heard)
        return f"answered, {packets} packets heard, {lost} lost, the first after {after_s:.1f} s"


def _red(facts: Facts) -> Verdict:
    cause = diagnose(facts)
    told = f"{facts.status} {facts.reason}" if facts.status else ("answered" if facts.answered else facts.reason)
    return Verdict(facts.step.name, "red", told, cause.name, cause.why(facts), cause.remedy(facts))

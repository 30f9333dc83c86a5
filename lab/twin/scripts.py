"""From a recording to the parts that its agents play, and to what became of their calls."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Final, NamedTuple

from engine.boundary import Address
from engine.sip.errors import SipError
from engine.sip.framing import parse_datagram
from engine.sip.headers import parse_name_addr
from engine.sip.message import Message, Request, Response
from lab.twin.recording import Heard, Recording
from lab.twin.roles import Roles
from sim.agents.freeswitch import Outcome
from sim.agents.player import Incoming, Outgoing, Said, Script
from sim.agents.player.machine import user_of
from sim.recorded import Recorded
from topologies import Topology
from topologies.faults import Originate

USUAL_HOLD_S: Final = 20.0
"""Where no call of the recording was ever answered and ended."""

_AT_ONCE_S: Final = 2.0  # a request so soon after a refusal is the agent's answer to it
_BRIDGED_WITHIN_S: Final = 60.0  # from a caller's INVITE to the one that its node sends to an agent
CHALLENGES: Final = (401, 407, 422)
"""Refusals that an agent answers by another try."""

_UNKNOWN_S: Final = 60.0  # whom nobody waited for any longer may have answered then
_STRAY: Final = frozenset((b"ACK", b"CANCEL"))


class Spoken(NamedTuple):
    """A message of a dialog between an agent and an edge, the first time it was sent."""

    time_s: float
    by_agent: bool
    message: Message
    data: bytes


@dataclass(slots=True)
class _Call:
    """What an agent and an edge said under one Call-ID."""

    agent: Address
    edge: Address
    spoken: list[Spoken] = field(default_factory=list)


class _Came(NamedTuple):
    """A call that came to an agent."""

    at_s: float
    invite: Request
    story: Incoming


class Told(NamedTuple):
    """A recording, taken apart.

    ``originated`` are calls that nodes began by themselves; ``left_out`` counts the calls that began before the
    recording, or that nobody can play.
    """

    recorded: Recorded
    originated: tuple[Originate, ...]
    left_out: int


def scripts_of(recording: Recording, topology: Topology) -> Told:
    """Take a recording apart.

    Raises
    ------
    InputError
        If the topology has other addresses than the recording.
    """
    roles = Roles(topology)
    calls = _calls(recording, roles)
    outgoing: dict[Address, list[Outgoing]] = {}
    incoming: dict[Address, list[_Came]] = {}
    servers: dict[Address, Address] = {}
    left_out = 0
    for call in calls:
        servers.setdefault(call.agent, call.edge)
        first = call.spoken[0].message
        if not isinstance(first, Request) or first.to.tag or first.method in _STRAY:
            left_out += 1
        elif call.spoken[0].by_agent:
            outgoing.setdefault(call.agent, []).extend(_told(call))
        elif first.method == b"INVITE":
            incoming.setdefault(call.agent, []).append(_Came(call.spoken[0].time_s, first, _taken(call, first)))
    bridged, originated = _cues(outgoing, incoming, recording, roles, topology)
    outcomes = _outcomes(recording, roles, outgoing, bridged)
    hold_s = _usual_hold_s(outgoing)
    scripts = []
    for agent, server in servers.items():
        stories = [each.story for each in sorted(incoming.get(agent, ()), key=lambda each: each.at_s)]
        if agent not in outgoing and not stories:
            continue
        scripts.append(_script(agent, server, roles, outgoing.get(agent, ()), stories, topology, hold_s))
    return Told(Recorded(scripts=tuple(scripts), outcomes=outcomes), tuple(originated), left_out)


def _calls(recording: Recording, roles: Roles) -> list[_Call]:
    """By agent and Call-ID, in the order in which they began; repeated messages count once."""
    found: dict[tuple[Address, bytes], _Call] = {}
    seen: set[tuple[Address, bool, bytes]] = set()
    for heard, agent, by_agent in roles.agents_ways(recording):
        if (agent, by_agent, heard.data) in seen:
            continue
        seen.add((agent, by_agent, heard.data))
        message = read(heard.data)
        if message is None:
            continue
        edge = heard.destination if by_agent else heard.source
        call = found.setdefault((agent, message.call_id), _Call(agent, edge))
        call.spoken.append(Spoken(heard.time_s, by_agent, message, heard.data))
    return list(found.values())


def read(data: bytes) -> Message | None:
    """A message that has what belongs to each; None where it has not."""
    try:
        message = parse_datagram(data)
        if message is None:
            return None
        message.call_id, message.cseq, message.from_, message.to, message.via  # noqa: B018 - reading checks them
    except SipError:
        return None
    return message


# --- what agents began ----------------------------------------------------------------------------------------


def _told(call: _Call) -> Iterator[Outgoing]:
    """A call, or each round of a registration."""
    story: Outgoing | None = None
    tried_s = refused_s = answered_s = ended_s = None
    for time_s, by_agent, message, data in call.spoken:
        if isinstance(message, Request) and by_agent:
            if message.method == b"ACK":
                continue
            if message.method == b"CANCEL":
                if story is not None and tried_s is not None:
                    story = replace(story, cancel_s=time_s - tried_s)
            elif message.to.tag:
                if story is not None and answered_s is not None:
                    story = replace(story, in_dialog=(*story.in_dialog, Said(time_s - answered_s, data)))
                    if message.method == b"BYE":
                        ended_s = time_s
            elif story is not None and refused_s is not None and time_s - refused_s < _AT_ONCE_S:
                story, tried_s, refused_s = replace(story, tries=(*story.tries, data)), time_s, None
            else:
                if story is not None:
                    yield story
                tried_s, refused_s = time_s, None
                user, to = user_of(message.from_.uri), user_of(message.uri) or user_of(message.to.uri)
                story = Outgoing(at_s=time_s, tries=(data,), user=user, to=to)
        elif isinstance(message, Response) and not by_agent:
            if message.status >= 300:
                refused_s = time_s
            elif message.status >= 200 and message.cseq.method == b"INVITE" and answered_s is None:
                answered_s = time_s
        elif data.startswith(b"BYE ") and answered_s is not None and ended_s is None and story is not None:
            story = replace(story, hold_s=time_s - answered_s)
    if story is not None:
        yield story


def _usual_hold_s(outgoing: dict[Address, list[Outgoing]]) -> float:
    """How long calls lasted, in the median."""
    holds_s = []
    for story in (story for stories in outgoing.values() for story in stories):
        byes = [said.after_s for said in story.in_dialog if said.data.startswith(b"BYE ")]
        holds_s += byes or ([] if story.hold_s is None else [story.hold_s])
    return median(holds_s) if holds_s else USUAL_HOLD_S


# --- what came to agents --------------------------------------------------------------------------------------


def _taken(call: _Call, invite: Request) -> Incoming:
    began_s = call.spoken[0].time_s
    answers: list[Said] = []
    own: list[Said] = []
    answered_s = hold_s = None
    for time_s, by_agent, message, data in call.spoken[1:]:
        if isinstance(message, Response) and by_agent:
            if message.cseq == invite.cseq and answered_s is None:
                answers.append(Said(time_s - began_s, data))
                answered_s = time_s if 200 <= message.status < 300 else None
        elif isinstance(message, Request) and answered_s is not None:
            if by_agent and message.method not in _STRAY:
                own.append(Said(time_s - answered_s, data))
            elif message.method == b"BYE" and not by_agent:
                hold_s = time_s - answered_s
    user = user_of(invite.uri) or user_of(invite.to.uri)
    return Incoming(user=user, answers=tuple(answers), in_dialog=tuple(own), hold_s=hold_s)


def _cues(
    outgoing: dict[Address, list[Outgoing]],
    incoming: dict[Address, list[_Came]],
    recording: Recording,
    roles: Roles,
    topology: Topology,
) -> tuple[set[bytes], list[Originate]]:
    """The Call-IDs of calls that a node passed on to an agent, and the calls that nodes began by themselves."""
    known = {user for node in topology.nodes.values() for user in node.model.users.names}
    asked = sorted(
        (story for stories in outgoing.values() for story in stories if story.tries[0].startswith(b"INVITE ")),
        key=lambda story: story.at_s,
    )
    bridged: set[bytes] = set()
    originated = []
    nodes = _senders(recording, roles)
    contacts = _contacts(outgoing)
    for came in sorted((each for each_of in incoming.values() for each in each_of), key=lambda each: each.at_s):
        names = {came.story.user, user_of(came.invite.to.uri), *contacts.get(came.story.user, ())}
        callers = [
            call_id
            for each in asked
            if each.to in names and 0 <= came.at_s - each.at_s < _BRIDGED_WITHIN_S
            if (call_id := _call_id(each)) not in bridged
        ]
        if callers:
            bridged.add(callers[-1])
            continue
        node = nodes.get(came.invite.call_id, "")
        user = next((name for name in sorted(names) if name in known), "")
        if node and user:
            originated.append(Originate(at_s=came.at_s, kind="originate", target=node, user=user))
    return bridged, originated


def _contacts(outgoing: dict[Address, list[Outgoing]]) -> dict[str, set[str]]:
    """The users that registered a contact with this user part: browsers' are random."""
    found: dict[str, set[str]] = {}
    for story in (story for stories in outgoing.values() for story in stories):
        message = read(story.tries[0])
        if message is None or message.cseq.method != b"REGISTER":
            continue
        with suppress(SipError):
            for value in message.values("contact"):
                found.setdefault(user_of(parse_name_addr(value).uri), set()).add(user_of(message.to.uri))
    return found


def _senders(recording: Recording, roles: Roles) -> dict[bytes, str]:
    """The node from which each call to an agent came, by Call-ID."""
    found: dict[bytes, str] = {}
    for heard in recording.messages:
        if heard.data.startswith(b"INVITE ") and (node := roles.node(heard.source)):
            message = read(heard.data)
            if message is not None:
                found.setdefault(message.call_id, node)
    return found


def _call_id(story: Outgoing) -> bytes:
    message = read(story.tries[0])
    return message.call_id if message is not None else b""


# --- what became of calls -------------------------------------------------------------------------------------


def _outcomes(
    recording: Recording, roles: Roles, outgoing: dict[Address, list[Outgoing]], bridged: set[bytes]
) -> dict[bytes, Outcome]:
    """How the far end took each call that was not passed on to an agent.

    The last node that had an answer tells; where none had, the call would have fared as most did.
    """
    asked: dict[tuple[bytes, Address], float] = {}
    rang_s: dict[tuple[bytes, Address], float] = {}
    found: dict[bytes, Outcome] = {}
    for heard in recording.messages:
        if roles.role(heard.destination) == "node" and heard.data.startswith(b"INVITE "):
            message = read(heard.data)
            if message is not None and not message.to.tag:
                asked[message.call_id, heard.destination] = heard.time_s
        elif roles.role(heard.source) == "node" and heard.data.startswith(b"SIP/2.0 "):
            _learn(heard, asked, rang_s, found)
    usual = _usual(list(found.values()))
    calls = [_call_id(s) for stories in outgoing.values() for s in stories if s.tries[0].startswith(b"INVITE ")]
    return {call_id: found.get(call_id, usual) for call_id in calls if call_id not in bridged}


def _learn(
    heard: Heard,
    asked: dict[tuple[bytes, Address], float],
    rang_s: dict[tuple[bytes, Address], float],
    found: dict[bytes, Outcome],
) -> None:
    message = read(heard.data)
    if not isinstance(message, Response) or message.cseq.method != b"INVITE":
        return
    key = (message.call_id, heard.source)
    if key not in asked:
        return
    after_s = heard.time_s - asked[key]
    if message.status in (180, 183):
        rang_s.setdefault(key, after_s)
    elif message.status >= 200 and message.status not in CHALLENGES:
        alert_s = rang_s.get(key)
        if message.status == 487:  # the caller gave up first
            found[message.call_id] = Outcome(480, after_s + _UNKNOWN_S, alert_s)
        elif message.call_id not in found or found[message.call_id].status != 200:
            found[message.call_id] = Outcome(200 if message.status < 300 else message.status, after_s, alert_s)


def _usual(outcomes: Sequence[Outcome]) -> Outcome:
    """As most calls that were answered went; at once where none was."""
    answered = [each for each in outcomes if each.status == 200]
    if not answered:
        return Outcome(200, 0.0)
    rang_s = [each.alert_s for each in answered if each.alert_s is not None]
    final_s = median(each.final_s for each in answered)
    return Outcome(200, final_s, min(median(rang_s), final_s) if 2 * len(rang_s) > len(answered) else None)


# --- agents ---------------------------------------------------------------------------------------------------


def _script(
    agent: Address,
    server: Address,
    roles: Roles,
    outgoing: Sequence[Outgoing],
    incoming: Sequence[Incoming],
    topology: Topology,
    hold_s: float,
) -> Script:
    entry = roles.interface(server)
    host, port = agent
    interface = replace(
        entry,
        name="sip",
        host=host,
        port=port if entry.transport == "udp" else 0,
        advertised_host=None,
        advertised_port=None,
        tls=None,
        origins=(),
        listens=entry.transport == "udp",
    )
    passwords = [node.model.users.password for node in topology.nodes.values()]
    return Script(
        name=f"{host}:{port}",
        interface=interface,
        server=(entry.public_host, entry.public_port),
        outgoing=tuple(sorted(outgoing, key=lambda story: story.at_s)),
        incoming=tuple(incoming),
        password=next(iter(passwords), ""),
        usual_hold_s=hold_s,
    )

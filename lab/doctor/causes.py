"""From what was seen to the cause and the remedy: the first row that fits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from engine.live.errors import endpoint
from lab.doctor.evidence import Facts
from lab.doctor.ladder import Register


class Cause(NamedTuple):
    """``why`` is filled in from the facts; ``name`` is what scripts may rely on."""

    name: str
    fits: Callable[[Facts], bool]
    why: Callable[[Facts], str]
    remedy: Callable[[Facts], str]


def _is(text: str) -> Callable[[Facts], str]:
    return lambda _facts: text


def _at(facts: Facts) -> str:
    return f"{facts.agent.transport} {endpoint(*facts.agent.server)}"


def _said(facts: Facts) -> str:
    return f"{facts.status} {facts.reason}".strip() if facts.status else (facts.reason or "nothing")


def _registering(facts: Facts) -> bool:
    return isinstance(facts.step, Register)


def _heard_of(*words: str) -> Callable[[Facts], bool]:
    return lambda facts: any(word in facts.reason.lower() for word in words)


def _refused_media(facts: Facts) -> bool:
    return bool({facts.status, facts.callee_status} & {415, 488, 603, 606})


def _not_stripped(facts: Facts) -> bool:
    registrar = facts.edge.registrar
    to_web = facts.callee is not None and facts.callee.web
    return to_web and not facts.arrived and (registrar.mode == "direct" or not registrar.strip_transport)


def _lost_on_the_way(facts: Facts) -> bool:
    return facts.callee is not None and not facts.arrived


def _silent_hosts(facts: Facts) -> str:
    hosts = [host for each in facts.descriptions if each.agent in facts.silent for host in each.hosts]
    return ", ".join(dict.fromkeys(hosts)) or "anywhere"


def _browser(facts: Facts) -> str:
    return "" if facts.unconnected is None else facts.unconnected.agent.kind


def _peers(facts: Facts) -> str:
    return "" if facts.unconnected is None else ", ".join(facts.unconnected.told.peers)


def _named(facts: Facts) -> str:
    return " and ".join(agent.kind for agent in facts.silent)


_PASSWORD: Final = (
    "give the password that the node has for this user (--password-env, or the client's password:); the user must "
    "be in FreeSWITCH's directory"
)

CAUSES: Final[Sequence[Cause]] = (
    Cause(
        "wrong_password",
        lambda facts: facts.status in (401, 403, 407),
        lambda facts: f"the node does not take the password of {facts.agent.user}: {_said(facts)}",
        _is(_PASSWORD),
    ),
    Cause(
        "closed_port",
        _heard_of("refused"),
        lambda facts: f"nothing listens at {_at(facts)}: {facts.reason}",
        lambda facts: f"start `siptwin serve`, and have it listen on port {facts.agent.server[1]}",
    ),
    Cause(
        "certificate",
        _heard_of("certificate", "tls:"),
        lambda facts: f"TLS with {_at(facts)} fails: {facts.reason}",
        _is(
            "have the edge show a certificate for this name; for one of your own: SSL_CERT_FILE=ca.pem siptwin ..."
        ),
    ),
    Cause(
        "name",
        _heard_of("resolve"),
        lambda facts: f"{facts.agent.server[0]} is not in DNS: {facts.reason}",
        _is("add the name to DNS, or correct domains: and advertised_host:"),
    ),
    Cause(
        "no_answer",
        lambda facts: _registering(facts) and facts.status in (0, 408),
        lambda facts: f"no answer from {_at(facts)}: {_said(facts)}",
        _is("open the port in the firewall; `siptwin nodes list` says whether the edge has a node that lives"),
    ),
    Cause(
        "transport_not_stripped",
        _not_stripped,
        lambda facts: (
            f"the INVITE never came to {facts.callee.kind if facts.callee else ''}: nodes are shown its own "
            f"address, or ;transport=ws, and cannot call that ({_said(facts)})"
        ),
        _is("registrar: {mode: contact, strip_transport: true}, so that nodes call the edge"),
    ),
    Cause(
        "no_node",
        lambda facts: facts.status == 503,
        lambda facts: f"the edge has no node to go to, or no way there: {_said(facts)}",
        _is("`siptwin nodes list` says which nodes are down, full or drained"),
    ),
    Cause(
        "not_reached",
        _lost_on_the_way,
        lambda facts: (
            f"the INVITE never came to {facts.callee.kind if facts.callee else ''}, though it is registered: the "
            f"caller got {_said(facts)}"
        ),
        _is(
            "look at the Contact that the node holds (sofia status profile internal reg): it must be the edge's "
            "inside address, within reach of the node; nodes share their registrations, or set registrar: "
            "shared: false"
        ),
    ),
    Cause(
        "own_port",
        lambda facts: facts.answered and bool(facts.muted),
        lambda facts: (
            f"{endpoint(*facts.muted[0].address)}, for sound, is not to be had here: {facts.muted[0].reason}"
        ),
        _is("run doctor again, which takes other ports; end what else uses them"),
    ),
    Cause(
        "private_address",
        lambda facts: facts.answered and bool(facts.unreachable),
        lambda facts: f"SDP describes {', '.join(facts.unreachable)}, which cannot be reached",
        _is(
            "where a node describes it: ext-rtp-ip in its profile; where the edge does: advertised_host: at its "
            "relay; where there is none: relay: builtin"
        ),
    ),
    Cause(
        "relay_off",
        lambda facts: (
            facts.edge.relay is None and (_refused_media(facts) or bool(facts.misfit) or bool(facts.silent))
        ),
        lambda facts: f"the edge relays no media, so each side gets what the other speaks: {_media(facts)}",
        _is("relay: builtin at the edge"),
    ),
    Cause(
        "media_refused",
        lambda facts: _refused_media(facts) or bool(facts.misfit),
        lambda facts: f"what was described cannot be taken: {_media(facts)}",
        _is("look at relay: profiles: and codecs: of the edge, and at the node's codec-prefs"),
    ),
    Cause(
        "ice_no_candidates",
        lambda facts: facts.ice == "no candidates",
        lambda facts: f"SDP names no candidate to {_browser(facts)}, so it has nowhere to go",
        _is("relay: builtin at the edge, which names its own; a node that speaks to browsers itself: ext-rtp-ip"),
    ),
    Cause(
        "ice_no_answer",
        lambda facts: facts.ice == "no answer",
        lambda facts: f"nobody answers the ICE checks of {_browser(facts)} at {_peers(facts)}",
        _is(
            "open the relay's UDP ports in the firewall (ports:, 30000-39999), and have advertised_host: name the "
            "address that agents reach"
        ),
    ),
    Cause(
        "ice_refused",
        lambda facts: bool(facts.ice),
        lambda facts: f"{_peers(facts)} refuses the ICE checks of {_browser(facts)} with {facts.ice}",
        _is("SDP is changed on its way, or another process has these ports: compare a=ice-ufrag on both sides"),
    ),
    Cause(
        "dtls_certificate",
        lambda facts: facts.dtls == "certificate",
        lambda facts: f"who shakes hands with {_browser(facts)} has another certificate than a=fingerprint tells",
        _is("SDP is changed on its way, or somebody sits in between: compare a=fingerprint on both sides"),
    ),
    Cause(
        "dtls",
        lambda facts: bool(facts.dtls),
        lambda facts: f"the DTLS hand-shake of {_browser(facts)} with {_peers(facts)} fails: {facts.dtls}",
        _is("let UDP packets of 1,200 octets pass; the edge's log says what its side saw (MediaFailed)"),
    ),
    Cause(
        "srtp",
        lambda facts: bool(facts.silent and facts.unread),
        lambda facts: f"{facts.unread} packets came that the keys of the hand-shake do not open",
        _is("another sender uses these ports, or one kept the keys of an earlier hand-shake: restart it"),
    ),
    Cause(
        "other_sound",
        lambda facts: bool(facts.silent and facts.instead),
        lambda facts: f"{_named(facts)} heard {' and '.join(facts.instead)} in place of the other side's tone",
        _is("the node plays something itself, or joins other legs: look at its dialplan (bridge, hold music)"),
    ),
    Cause(
        "no_sound",
        lambda facts: bool(facts.silent),
        lambda facts: f"{_named(facts)} heard nothing from {_silent_hosts(facts)}, though the call was answered",
        _is(
            "open the relay's UDP ports in the firewall (ports:, 30000-39999), both ways; check advertised_host:, "
            "and that the address that nodes describe (ext-rtp-ip) can be reached from the edge"
        ),
    ),
    Cause(
        "no_such_number",
        lambda facts: facts.status in (404, 480, 484),
        lambda facts: f"the node knows nobody there: {_said(facts)}",
        _is("add the number to the dialplan, or name another one by --echo and --tone"),
    ),
)


def diagnose(facts: Facts) -> Cause:
    """The first cause that fits; what SIP said where none does."""
    return next((cause for cause in CAUSES if cause.fits(facts)), _UNKNOWN)


def _media(facts: Facts) -> str:
    if facts.callee is not None and facts.callee_status >= 300:
        return f"{facts.callee.kind} answered {facts.callee_status}"
    if facts.misfit:
        return f"{facts.misfit[0].agent.kind} got {facts.misfit[0].protocol}"
    if facts.silent:
        return f"{_named(facts)} heard nothing from {_silent_hosts(facts)}"
    return _said(facts)


_UNKNOWN: Final = Cause(
    "unknown",
    lambda _facts: True,
    lambda facts: (
        f"answered, but not as expected: {_said(facts)}" if facts.answered else f"SIP said {_said(facts)}"
    ),
    _is("`siptwin calls trace --user USER` shows the messages"),
)

"""The doctor: green on what works, and by the name of its cause on what doesn't."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from engine.boundary import Address
from engine.live.relay.certificate import new_certificate
from lab.cli.app import app
from lab.doctor import Verdict, examine
from lab.doctor.cast import LISTENS, with_agents
from lab.doctor.causes import diagnose
from lab.doctor.evidence import Facts, Transport, cannot_be_reached
from lab.doctor.examine import attend
from lab.doctor.ladder import Call, ladder
from lab.errors import InputError
from lab.rehearsal.addresses import onto_loopback
from lab.rehearsal.certificates import relay_certificates
from lab.rehearsal.stage import Stage
from lab.rehearsal.voices import Muted
from lab.rehearsal.webrtc import Secured
from sim.build import parts
from sim.trace import Trace
from topologies import Topology, parse
from topologies.base import Table

SMALL = """
name: small
edges:
  edge1:
    interfaces:
      web: {transport: ws, host: 127.0.0.1, port: 7443}
      phones: {host: 127.0.0.1}
      inside: {host: 127.0.0.2}
    registrar: {mode: contact, strip_transport: true}
    streams: {lifetime: follows_registration}
    relay: builtin
nodes:
  FS1: {host: 127.0.1.1, interface: inside, model: {trusts_edges: true}}
clients:
  browsers: {kind: browser, transport: ws, host: 127.0.2.1, users: 1000-1001, password: "1234"}
  phones: {kind: softphone, host: 127.0.2.2, users: 1010-1011, interface: phones}
"""
LISTEN_S = 1.0


def small(*changes: tuple[str, str]) -> Topology:
    text = SMALL
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return parse(text.encode(), "small")


def rehearsed(*changes: tuple[str, str]) -> dict[str, Verdict]:
    return {each.step: each for each in examine(small(*changes), rehearse=True, listen_s=LISTEN_S)}


def colours(verdicts: dict[str, Verdict]) -> set[str]:
    return {verdict.outcome for verdict in verdicts.values()}


WEB_ALONE = (("      phones: {host: 127.0.0.1}\n", ""), (", interface: phones", ", interface: inside"))
PHONES_ALONE = (
    ("      web: {transport: ws, host: 127.0.0.1, port: 7443}\n", ""),
    ('  browsers: {kind: browser, transport: ws, host: 127.0.2.1, users: 1000-1001, password: "1234"}\n', ""),
)


SECURE_TOO = (
    ("      phones: {host", "      secure: {transport: wss, host: 127.0.0.3, port: 7443}\n      phones: {host"),
    ("users: 1000-1001", "users: 1000-1003"),
)


def test_a_rehearsal_that_works_is_green_at_each_step_and_heard_in_it() -> None:
    verdicts = rehearsed(*SECURE_TOO)
    assert colours(verdicts) == {"green"}, verdicts
    assert list(verdicts)[:4] == [
        "timers agree",
        "softphone 1010 registers over udp",
        "softphone 1011 registers over udp",
        "softphone 1010 calls the echo 9196",
    ]
    assert {
        "softphone 1010 calls softphone 1011",
        "browser 1000 calls browser 1001",
        "softphone 1010 calls browser 1000",
        "browser 1001 calls softphone 1011",
        "browser 1002 registers over wss",
        "softphone 1010 calls browser 1002",
    } <= set(verdicts)
    calls = [each for each in verdicts.values() if " calls " in each.step]
    assert len(calls) == 13
    assert all("packets heard" in each.told for each in calls)


class TestNamesTheCause:
    def test_wrong_password_and_what_stands_on_it_is_not_tried(self) -> None:
        verdicts = rehearsed(*WEB_ALONE, ('password: "1234"', "password: wrong"))
        step = verdicts["browser 1000 registers over ws"]
        assert (step.outcome, step.cause) == ("red", "wrong_password")
        assert "403" in step.told
        assert "--password-env" in step.remedy
        assert verdicts["browser 1000 calls browser 1001"].outcome == "skipped"

    def test_timers_without_waiting_for_them(self) -> None:
        verdicts = rehearsed(
            *WEB_ALONE,
            ("follows_registration", "fixed, idle_s: 120"),
            ('password: "1234"', "password: wrong"),
        )
        step = verdicts["timers agree"]
        assert (step.outcome, step.cause) == ("red", "timers")
        assert "180 s" in step.why
        assert "120 s" in step.why
        assert "above_expiry" in step.remedy

    def test_transport_not_stripped(self) -> None:
        verdicts = rehearsed(
            *WEB_ALONE, ("mode: contact, strip_transport: true", "mode: direct, strip_transport: false")
        )
        assert verdicts["browser 1001 registers over ws"].outcome == "green"
        assert verdicts["browser 1000 calls the echo 9196"].outcome == "green"
        step = verdicts["browser 1000 calls browser 1001"]
        assert (step.outcome, step.cause) == ("red", "transport_not_stripped")
        assert "strip_transport: true" in step.remedy

    def test_relay_off(self) -> None:
        verdicts = rehearsed(("relay: builtin", "relay: off"))
        step = verdicts["softphone 1010 calls browser 1000"]
        assert (step.outcome, step.cause) == ("red", "relay_off")
        assert "603" in step.why
        assert verdicts["softphone 1010 calls softphone 1011"].outcome == "green"

    def test_private_address_in_sdp(self) -> None:
        verdicts = rehearsed(
            *PHONES_ALONE,
            ("relay: builtin", "relay: off"),
            ("trusts_edges: true", "trusts_edges: true, media_host: 192.168.77.1"),
        )
        step = verdicts["softphone 1010 calls the echo 9196"]
        assert (step.outcome, step.cause) == ("red", "private_address")
        assert "192.168.77.1" in step.why
        assert "ext-rtp-ip" in step.remedy

    def test_private_address_that_a_node_describes_to_a_relay(self) -> None:
        verdicts = rehearsed(*PHONES_ALONE, ("trusts_edges: true", "trusts_edges: true, media_host: 192.168.77.1"))
        step = verdicts["softphone 1010 calls the tone 9664"]
        assert (step.outcome, step.cause) == ("red", "private_address")
        assert "192.168.77.1" in step.why

    def test_no_sound_where_nothing_explains_it(self) -> None:
        topology, agents = with_agents(small(), "edge1", (), None, live=False)
        step = next(each for each in ladder(agents, echo="9196", tone="9664") if isinstance(each, Call))
        facts = Facts(step=step, edge=topology.edge_config("edge1"), answered=True, silent=(step.caller,))
        assert diagnose(facts).name == "no_sound"

    def test_relay_that_shows_another_certificate_than_sdp_tells(self, tmp_path: Path) -> None:
        written = onto_loopback(small(*WEB_ALONE), private=True)
        foreign = {"edge1": bytes(new_certificate().fingerprint).decode()}
        verdicts = asyncio.run(_live(written, written, tmp_path, fingerprints=foreign))
        step = verdicts["browser 1000 calls the echo 9196"]
        assert (step.outcome, step.cause) == ("red", "dtls_certificate")
        assert "a=fingerprint" in step.remedy

    def test_relay_that_nobody_reaches(self, tmp_path: Path) -> None:
        written = onto_loopback(small(*WEB_ALONE), private=True)
        edge = written.edges["edge1"]
        web = edge.interfaces["web"].model_copy(update={"advertised_host": "127.77.78.9"})
        edge = edge.model_copy(update={"interfaces": Table({**edge.interfaces, "web": web})})
        served = written.model_copy(update={"edges": Table({"edge1": edge})})
        verdicts = asyncio.run(_live(served, written, tmp_path))
        step = verdicts["browser 1000 calls the echo 9196"]
        assert (step.outcome, step.cause) == ("red", "ice_no_answer")
        assert "127.77.78.9:" in step.why
        assert "advertised_host" in step.remedy

    def test_ice_that_is_refused_and_a_handshake_that_fails(self) -> None:
        refused = diagnose(secured(ice="401", dtls=""))
        assert refused.name == "ice_refused"
        assert diagnose(secured(ice="no candidates", dtls="")).name == "ice_no_candidates"
        failed = secured(ice="done", dtls="no answer")
        assert diagnose(failed).name == "dtls"
        assert "no answer" in diagnose(failed).why(failed)
        assert diagnose(secured(ice="done", dtls="done", unread=7)).name == "srtp"

    def test_a_port_of_its_own_that_another_program_has(self) -> None:
        facts = secured(ice="no answer", dtls="")
        taken = Muted("call", facts.agent.user, ("127.0.0.1", 20_000), "address already in use")
        cause = diagnose(replace(facts, muted=(taken,)))
        assert cause.name == "own_port"
        assert "127.0.0.1:20000" in cause.why(replace(facts, muted=(taken,)))

    def test_other_sound_than_the_other_sides(self) -> None:
        facts = replace(secured(ice="done", dtls="done"), instead=("sound",))
        assert diagnose(facts).name == "other_sound"
        assert "sound in place of" in diagnose(facts).why(facts)

    def test_a_doctor_who_comes_again_at_once_is_nobodys_repetition(self, tmp_path: Path) -> None:
        for verdicts in asyncio.run(_live_again(onto_loopback(small(*PHONES_ALONE), private=True), tmp_path)):
            assert colours(verdicts) == {"green"}, verdicts

    def test_a_closed_port_of_a_deployment_that_runs(self, tmp_path: Path) -> None:
        written = onto_loopback(small(), private=True)
        edge = written.edges["edge1"]
        inside = {name: each for name, each in edge.interfaces.items() if name != "web"}
        edge = edge.model_copy(update={"interfaces": Table(inside)})
        served = written.model_copy(update={"edges": Table({"edge1": edge}), "clients": Table()})
        verdicts = asyncio.run(_live(served, written, tmp_path))
        step = verdicts["browser 1000 registers over ws"]
        assert (step.outcome, step.cause) == ("red", "closed_port")
        assert "7443: connection refused" in step.why
        green = [name for name, verdict in verdicts.items() if verdict.outcome == "green"]
        assert "softphone 1010 calls softphone 1011" in green
        assert "softphone 1010 calls the echo 9196" in green


def secured(*, ice: str, dtls: str, unread: int = 0) -> Facts:
    """A browser that calls the echo and hears nothing."""
    topology, agents = with_agents(small(), "edge1", (), None, live=False)
    step = next(
        each for each in ladder(agents, echo="9196", tone="9664") if isinstance(each, Call) and each.caller.web
    )
    told = Secured("call", step.caller.user, ice, dtls, ("127.0.0.1:30000",), unread)
    return Facts(
        step=step,
        edge=topology.edge_config("edge1"),
        answered=True,
        silent=(step.caller,),
        secured=(Transport(step.caller, told),),
    )


async def _live(
    served: Topology, written: Topology, folder: Path, *, fingerprints: Mapping[str, str] | None = None
) -> dict[str, Verdict]:
    """What the doctor says of a deployment that is described by one topology, and made by another."""
    (verdicts,) = await _visits(served, written, folder, fingerprints, visits=1)
    return verdicts


async def _live_again(written: Topology, folder: Path) -> list[dict[str, Verdict]]:
    alone = written.model_copy(update={"clients": Table()})
    return await _visits(alone, written, folder, None, visits=2)


async def _visits(
    served: Topology, written: Topology, folder: Path, fingerprints: Mapping[str, str] | None, *, visits: int
) -> list[dict[str, Verdict]]:
    certificates = relay_certificates(served)
    if fingerprints is None:
        fingerprints = {name: bytes(each.fingerprint).decode() for name, each in certificates.items()}
    deployment = Stage(parts(served, LISTENS, fingerprints=fingerprints), 0, Trace("none"), folder, certificates)
    await deployment.open()
    try:
        staged, agents = with_agents(written, "edge1", (), None, live=True)
        steps = list(ladder(agents, echo="9196", tone="9664"))
        found = [
            await attend(staged, "edge1", agents, steps, rehearse=False, listen_s=LISTEN_S) for _ in range(visits)
        ]
    finally:
        deployment.close()
    return [{each.step: each for each in verdicts} for verdicts in found]


class TestAccounts:
    def test_are_the_given_ones_in_turn(self) -> None:
        _, agents = with_agents(small(), "edge1", ["1003", "1004", "1005", "1006"], None, live=False)
        assert [(agent.user, agent.web) for agent in agents] == [
            ("1003", False),
            ("1004", False),
            ("1005", True),
            ("1006", True),
        ]

    @pytest.mark.parametrize(
        ("users", "words"),
        [
            (["1003"], "4 users are needed, but 1 are known"),
            (["alice"], "'alice' is no number"),
            (["2000", "2001", "2002", "2003"], "no client of small has user 2000"),
        ],
    )
    def test_too_few_or_unknown_are_refused(self, users: list[str], words: str) -> None:
        with pytest.raises(InputError, match=words):
            with_agents(small(), "edge1", users, None, live=False)


@pytest.mark.parametrize(
    ("host", "server", "expected"),
    [
        ("192.168.1.5", ("93.184.216.34", 5060), True),
        ("127.0.0.1", ("192.168.1.1", 5060), True),
        ("10.0.0.5", ("10.0.0.1", 5060), False),  # a relay beside the edge
        ("93.184.216.34", ("192.168.1.1", 5060), False),
        ("0.0.0.0", ("192.168.1.1", 5060), True),
        ("sip.example.test", ("192.168.1.1", 5060), False),
    ],
)
def test_private_addresses_are_told_from_those_within_reach(host: str, server: Address, expected: bool) -> None:
    assert cannot_be_reached(host, server) is expected


def test_the_command_tells_by_table_json_and_exit_code(tmp_path: Path) -> None:
    text = SMALL.replace('password: "1234"', "password: wrong")
    for old, new in WEB_ALONE:
        text = text.replace(old, new)
    (tmp_path / "small.yaml").write_text(text)
    arguments = ["doctor", str(tmp_path / "small.yaml"), "--rehearse", "--listen", "0.3"]
    table = CliRunner().invoke(app, arguments)
    assert table.exit_code == 1, table.output
    assert "give the password" in table.output
    as_json = CliRunner().invoke(app, [*arguments, "--json"])
    assert as_json.exit_code == 1
    told = {each["step"]: each for each in json.loads(as_json.stdout)}
    assert told["browser 1000 registers over ws"]["cause"] == "wrong_password"
    refused = CliRunner().invoke(app, [*arguments, "--edge", "edge9"])
    assert refused.exit_code == 2
    assert "edge9" in refused.stderr

"""The checker of silent log-outs: who believes to be registered is bound, and answers."""

from __future__ import annotations

import pytest

from engine.boundary import Note
from engine.notes import ContactBound, ContactUnbound
from sim.agents.notes import Registered, RegistrationLost, Unregistered, UserPinged
from sim.checkers import SilentLogOuts
from sim.faults import FaultApplied
from sim.trace import NoteRecord

AGENT = "web/1000"
BOUND = ("edge1", ContactBound("1000@lab.test", "sip:x", "127.0.0.1:1", "FS1", ()))
FORGOTTEN = ("edge1", ContactUnbound("1000@lab.test", "sip:x", "expired"))
REGISTERED = (AGENT, Registered("1000", 180.0, 0.1))


def verdict(*told: tuple[float, tuple[str, Note]], until_s: float = 5000.0) -> list[str]:
    checker = SilentLogOuts(["web"])
    for time_s, (place, note) in told:
        checker.on_note(NoteRecord(time_s, place, note))
    checker.finish(until_s, {})
    return [f"{each.time_s:g}: {each.text}" for each in checker.violations]


def pinged(status: int, elapsed_s: float = 0.1) -> tuple[str, Note]:
    return "FS1", UserPinged("FS1", "1000", status, elapsed_s)


def test_an_agent_that_no_edge_holds_and_that_does_not_know_it_is_told_of() -> None:
    (text,) = verdict((1, BOUND), (1.1, REGISTERED), (181, FORGOTTEN), (200, REGISTERED))
    assert text == "181: web/1000 believes to be registered, but edge1 forgot it: expired, for 19.0 s"
    assert len(verdict((1, BOUND), (1.1, REGISTERED), (181, FORGOTTEN))) == 1  # nor does it learn of it later


@pytest.mark.parametrize(
    "then",
    [
        (181.1, (AGENT, RegistrationLost("1000", "closed by peer"))),
        (181.1, (AGENT, Unregistered("1000"))),
        (184.0, REGISTERED),
        (184.0, BOUND),
    ],
)
def test_one_that_learns_of_it_or_comes_back_at_once_is_fine(then: tuple[float, tuple[str, Note]]) -> None:
    assert verdict((1, BOUND), (1.1, REGISTERED), (181, FORGOTTEN), then) == []


def test_one_that_is_pinged_in_vain_is_told_of() -> None:
    (text,) = verdict((1, BOUND), (1.1, REGISTERED), (60, pinged(200)), (90.1, pinged(430)))
    assert text == "90: web/1000 believes to be registered, but FS1 gets 430 for its OPTIONS"
    assert verdict((1, BOUND), (1.1, REGISTERED), (3, pinged(430))) == []  # it has just come


def test_faults_excuse_for_a_while_and_what_users_do_does_not() -> None:
    def told(kind: str, at_s: float) -> list[str]:
        fault = ("world", FaultApplied(kind, "edge1", "", ""))
        return verdict((1, BOUND), (1.1, REGISTERED), (at_s, fault), (900, FORGOTTEN))

    assert told("partition", 500) == []
    assert len(told("partition", 200)) == 1
    assert len(told("call", 500)) == 1


def test_clients_behind_something_that_forgets_and_users_of_two_phones_are_left_out() -> None:
    behind = ("home/1000", Registered("1000", 180.0, 0.1))
    assert verdict((1, BOUND), (1.1, behind), (181, FORGOTTEN)) == []
    second = ("web/1000b", Registered("1000", 180.0, 0.1))
    assert verdict((1, BOUND), (1.1, REGISTERED), (2, second), (181, FORGOTTEN)) == []

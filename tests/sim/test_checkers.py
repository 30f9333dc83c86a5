"""Checkers catch what they are for, and are silent where an edge is excused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from engine.config import TimersConfig
from engine.notes import AttemptEnded, AttemptStarted, NodeStateChanged
from sim.checkers import (
    Checker,
    DialogBalance,
    FinalResponses,
    KnownDown,
    Lifetimes,
    SlotBalance,
    TransactionTimers,
)
from sim.checkers.checker import MOST_TOLD
from sim.faults import FaultApplied
from sim.trace import NoteRecord
from tests.sim.sip_text import request, response, sent

LIFETIMES = {"edge": Lifetimes.of(TimersConfig())}


@dataclass
class Node:
    name: str
    in_use: Mapping[str, int]


@dataclass
class Edge:
    """An edge that answers as it is told."""

    transactions: int = 0
    dialogs: int = 0
    attempts: int = 0
    relayed: int = 0
    nodes: list[Node] = field(default_factory=list)

    def open_transactions(self) -> int:
        return self.transactions

    def open_dialogs(self) -> int:
        return self.dialogs

    def relayed_calls(self) -> int:
        return self.relayed

    def open_attempts(self) -> int:
        return self.attempts

    def nodes_snapshot(self) -> list[Node]:
        return self.nodes


def verdict(checker: Checker, edge: Edge | None = None, now: float = 1000.0) -> list[str]:
    checker.finish(now, {"edge": edge or Edge()})
    return [violation.text for violation in checker.violations]


def killed(target: str) -> NoteRecord:
    return NoteRecord(5.0, "world", FaultApplied("kill", target, "", ""))


class TestFinalResponses:
    @pytest.fixture
    def checker(self) -> FinalResponses:
        return FinalResponses(LIFETIMES)

    @pytest.mark.parametrize("method", ["INVITE", "REGISTER", "BYE", "CANCEL"])
    def test_a_request_without_answer_is_a_violation(self, checker: FinalResponses, method: str) -> None:
        checker.on_message(sent(1.0, "phone>edge", request(method)))
        assert verdict(checker) == [f"edge never answered {method} call of phone"]

    def test_a_provisional_response_is_not_enough(self, checker: FinalResponses) -> None:
        invite = request("INVITE")
        checker.on_message(sent(1.0, "phone>edge", invite))
        checker.on_message(sent(1.1, "edge>phone", response(180, invite)))
        assert len(verdict(checker)) == 1

    @pytest.mark.parametrize("fate", ["delivered", "lost", "unreachable"])
    def test_an_answer_counts_once_it_is_sent(self, checker: FinalResponses, fate: str) -> None:
        invite = request("INVITE")
        checker.on_message(sent(1.0, "phone>edge", invite))
        checker.on_message(sent(1.1, "edge>phone", response(486, invite), fate))
        checker.on_message(sent(1.2, "phone>edge", invite, "duplicated"))  # absorbed
        assert verdict(checker) == []

    def test_a_request_that_never_arrived_needs_no_answer(self, checker: FinalResponses) -> None:
        checker.on_message(sent(1.0, "phone>edge", request("INVITE"), "lost"))
        assert verdict(checker) == []

    def test_an_ack_needs_no_answer(self, checker: FinalResponses) -> None:
        checker.on_message(sent(1.0, "phone>edge", request("ACK")))
        assert verdict(checker) == []

    def test_an_edge_that_was_killed_owes_nothing(self, checker: FinalResponses) -> None:
        checker.on_message(sent(1.0, "phone>edge", request("INVITE")))
        checker.on_note(killed("edge"))
        assert verdict(checker) == []

    def test_a_forwarded_register_that_nobody_answered_is_excused(self, checker: FinalResponses) -> None:
        checker.on_message(sent(1.0, "phone>edge", request("REGISTER")))
        checker.on_message(sent(1.0, "edge>FS1", request("REGISTER", "z9hG4bK2")))
        assert verdict(checker) == []

    def test_an_answer_from_below_must_be_passed_on(self, checker: FinalResponses) -> None:
        below = request("REGISTER", "z9hG4bK2")
        checker.on_message(sent(1.0, "phone>edge", request("REGISTER")))
        checker.on_message(sent(1.0, "edge>FS1", below))
        checker.on_message(sent(1.2, "FS1>edge", response(200, below)))
        assert verdict(checker) == ["edge never answered REGISTER call of phone"]

    def test_an_answer_after_the_attempt_was_given_up_need_not(self, checker: FinalResponses) -> None:
        below = request("REGISTER", "z9hG4bK2")
        checker.on_message(sent(1.0, "phone>edge", request("REGISTER")))
        checker.on_message(sent(1.0, "edge>FS1", below))
        checker.on_note(NoteRecord(3.0, "edge", AttemptEnded("call", "FS1", 1, 408, "no answer", 2.0)))
        checker.on_message(sent(3.2, "FS1>edge", response(200, below)))
        assert verdict(checker) == []

    def test_a_forwarded_invite_is_not_excused(self, checker: FinalResponses) -> None:
        checker.on_message(sent(1.0, "phone>edge", request("INVITE")))
        checker.on_message(sent(1.0, "edge>FS1", request("INVITE", "z9hG4bK2")))
        assert len(verdict(checker)) == 1

    def test_a_young_request_is_not_overdue(self, checker: FinalResponses) -> None:
        checker.on_message(sent(990.0, "phone>edge", request("INVITE")))
        assert verdict(checker) == []

    def test_memory_is_bounded(self, checker: FinalResponses) -> None:
        for index in range(1000):
            invite = request("INVITE", f"z9hG4bK{index}", f"call{index}")
            checker.on_message(sent(float(index), "phone>edge", invite))
            checker.on_message(sent(float(index), "edge>phone", response(200, invite)))
        assert not checker._pending
        assert len(checker._answered) < 200


class TestTransactionTimers:
    def test_transactions_that_the_wire_accounts_for_are_fine(self) -> None:
        checker = TransactionTimers(LIFETIMES)
        checker.on_message(sent(990.0, "edge>FS1", request("OPTIONS")))
        assert verdict(checker, Edge(transactions=1)) == []

    def test_more_of_them_have_outlived_their_timers(self) -> None:
        checker = TransactionTimers(LIFETIMES)
        checker.on_message(sent(100.0, "phone>edge", request("BYE")))
        checker.on_message(sent(990.0, "edge>FS1", request("OPTIONS")))
        checker.on_message(sent(990.1, "FS1>edge", response(200, request("OPTIONS"))))
        assert verdict(checker, Edge(transactions=2)) == [
            "edge has 2 transactions, 1 of them can be accounted for"
        ]

    def test_ringing_keeps_an_invite_alive(self) -> None:
        checker = TransactionTimers(LIFETIMES)
        checker.on_message(sent(100.0, "phone>edge", request("INVITE")))
        checker.on_message(sent(900.0, "FS1>edge", response(180, request("INVITE"))))
        assert verdict(checker, Edge(transactions=1)) == []


class TestDialogBalance:
    @pytest.fixture
    def checker(self) -> DialogBalance:
        checker = DialogBalance(["edge"])
        checker.on_message(sent(1.0, "FS1>edge", response(200, request("INVITE"))))
        return checker

    def test_a_dialog_whose_bye_never_came_may_stand(self, checker: DialogBalance) -> None:
        checker.on_message(sent(2.0, "phone>edge", request("BYE", to_tag="to"), "lost"))
        assert verdict(checker, Edge(dialogs=1)) == []

    @pytest.mark.parametrize(
        "bye", [request("BYE", to_tag="to"), request("BYE", to_tag="from").replace(b"=from", b"=to")]
    )
    def test_a_dialog_that_was_ended_by_either_side_may_not(self, checker: DialogBalance, bye: bytes) -> None:
        checker.on_message(sent(2.0, "phone>edge", bye))
        assert len(verdict(checker, Edge(dialogs=1))) == 1

    def test_a_late_copy_of_the_200_makes_no_new_dialog(self, checker: DialogBalance) -> None:
        checker.on_message(sent(2.0, "phone>edge", request("BYE", to_tag="to")))
        checker.on_message(sent(2.1, "FS1>edge", response(200, request("INVITE")), "duplicated"))
        assert len(verdict(checker, Edge(dialogs=1))) == 1

    def test_forks_are_dialogs_of_their_own(self, checker: DialogBalance) -> None:
        checker.on_message(sent(1.1, "FS2>edge", response(200, request("INVITE"), "other")))
        checker.on_message(sent(2.0, "phone>edge", request("BYE", to_tag="to")))
        assert verdict(checker, Edge(dialogs=1)) == []

    @pytest.mark.parametrize(("kept", "told"), [([], 1), (["edge"], 0)])
    def test_a_killed_edge_may_hold_what_its_database_kept(self, kept: list[str], told: int) -> None:
        """The end of a call may not have been written yet; an edge without a database knows nothing of before."""
        checker = DialogBalance(["edge"], kept)
        checker.on_message(sent(1.0, "FS1>edge", response(200, request("INVITE"))))
        checker.on_message(sent(2.0, "phone>edge", request("BYE", to_tag="to")))
        checker.on_note(NoteRecord(2.1, "world", FaultApplied("kill", "edge", "", "")))
        assert len(verdict(checker, Edge(dialogs=1))) == told
        assert len(verdict(checker, Edge(dialogs=2))) > told


class TestSlotBalance:
    @pytest.mark.parametrize(("dialogs", "attempts"), [(2, 0), (1, 1), (0, 3)])
    def test_channels_that_are_in_use_are_fine(self, dialogs: int, attempts: int) -> None:
        edge = Edge(dialogs=dialogs, attempts=attempts, nodes=[Node("FS1", {"pstn": 1}), Node("FS2", {"conf": 1})])
        assert verdict(SlotBalance(), edge) == []

    def test_a_channel_that_nobody_uses_has_leaked(self) -> None:
        edge = Edge(dialogs=1, nodes=[Node("FS1", {"pstn": 2}), Node("FS2", {})])
        assert verdict(SlotBalance(), edge) == ["edge holds channels (2 of FS1) for 1 dialogs and attempts"]

    def test_no_count_falls_below_zero(self) -> None:
        edge = Edge(nodes=[Node("FS1", {"pstn": -1})])
        assert verdict(SlotBalance(), edge) == ["edge holds -1 channels of FS1"]


class TestKnownDown:
    def attempt_after(self, state: str, heedless: tuple[str, ...] = (), *, reborn: bool = False) -> list[str]:
        checker = KnownDown(heedless)
        checker.on_note(NoteRecord(1.0, "edge", NodeStateChanged("FS1", "active", state, "")))
        if reborn:
            checker.on_note(killed("edge"))
        checker.on_note(NoteRecord(2.0, "edge", AttemptStarted("call", "FS1", 1)))
        return verdict(checker)

    @pytest.mark.parametrize("state", ["active", "suspect", "returning", "draining"])
    def test_other_nodes_may_be_tried(self, state: str) -> None:
        assert self.attempt_after(state) == []

    @pytest.mark.parametrize("state", ["down", "disabled"])
    def test_a_node_known_to_be_down_may_not(self, state: str) -> None:
        assert self.attempt_after(state) == [f"edge sent call to FS1, which is {state}"]

    def test_a_policy_that_disregards_health_is_only_bound_by_orders(self) -> None:
        assert self.attempt_after("down", ("edge",)) == []
        assert len(self.attempt_after("disabled", ("edge",))) == 1

    def test_an_edge_that_was_started_anew_knows_nothing(self) -> None:
        assert self.attempt_after("down", reborn=True) == []


def test_a_flood_of_violations_is_counted_but_not_kept() -> None:
    checker = SlotBalance()
    for index in range(1000):
        checker.violated(float(index), "again")
    assert len(checker.violations) == MOST_TOLD + 1
    assert checker.violations[-1].text == "and 900 more"

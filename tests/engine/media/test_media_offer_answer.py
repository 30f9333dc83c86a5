"""What is an offer and what its answer, in every exchange that RFC 6337 §2 lists, and in those that break it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.media.offer_answer import (
    OFFER_ANSWER,
    STABLE,
    Carrier,
    Negotiation,
    OfferPendingError,
    Role,
    Signature,
    align,
)
from engine.media.sdp import Description, SdpError, parse
from tests.engine.media.relay import carrier
from tests.engine.media.written import LINPHONE
from tests.engine.sip.written_at_random import calm


def description(version: int = 1, media: int = 1, session: int = 7, more: bytes = b"") -> Description:
    text = (
        b"v=0\r\no=- %d %d IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n" % (session, version) + more
    )
    return parse(text + b"m=audio 4000 RTP/AVP 0\r\n" * media)


def roles(*messages: str) -> list[str]:
    """What the description in each of these messages is."""
    negotiation = Negotiation()
    return [str(negotiation.said(carrier(message), description()).role) for message in messages]


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        # RFC 6337 Table 1, pattern by pattern
        (["> INVITE 1", "< 200 INVITE 1"], ["offer", "answer"]),
        (["< 200 INVITE 1", "> ACK 1"], ["offer", "answer"]),
        # the ACK was lost: the 2xx comes again, and its ACK is to bear the same answer
        (["< 200 INVITE 1", "> ACK 1", "< 200 INVITE 1", "> ACK 1"], ["offer", "answer", "repeat", "repeat"]),
        (["> INVITE 1", "< 183 INVITE 1 reliable", "> PRACK 2", "< 200 PRACK 2"], ["offer", "answer"] * 2),
        (["< 183 INVITE 1 reliable", "> PRACK 2"], ["offer", "answer"]),
        (["> INVITE 1", "< 183 INVITE 1 reliable", "> UPDATE 2", "< 200 UPDATE 2"], ["offer", "answer"] * 2),
        (["> INVITE 1", "< 183 INVITE 1 reliable", "< UPDATE 9", "> 200 UPDATE 9"], ["offer", "answer"] * 2),
        # a preview, and the 2xx that says it again
        (
            ["> INVITE 1", "< 183 INVITE 1", "< 183 INVITE 1", "< 200 INVITE 1"],
            ["offer", "preview", "preview", "answer"],
        ),
        # the 2xx repeats what a reliable 1xx has answered; 2xx are retransmitted as well
        (
            ["> INVITE 1", "< 183 INVITE 1 reliable", "< 200 INVITE 1", "< 200 INVITE 1"],
            ["offer", "answer", "repeat", "repeat"],
        ),
        (["> INVITE 1", "< 183 INVITE 1 reliable", "< 180 INVITE 1"], ["offer", "answer", "repeat"]),
        (["> INVITE 1", "> INVITE 1", "< 200 INVITE 1"], ["offer", "repeat", "answer"]),
        # a delayed offer that is previewed against the rules
        (["< 183 INVITE 1", "< 200 INVITE 1", "> ACK 1"], ["offer", "repeat", "answer"]),
        # re-INVITE by either side, after either kind of exchange
        (["> INVITE 1", "< 200 INVITE 1", "> INVITE 2", "< 200 INVITE 2"], ["offer", "answer"] * 2),
        (["> INVITE 1", "< 200 INVITE 1", "< INVITE 90", "> 200 INVITE 90"], ["offer", "answer"] * 2),
        (["> INVITE 1", "< 200 INVITE 1", "> 200 INVITE 90", "< ACK 90"], ["offer", "answer"] * 2),
        # bodies where none may stand
        (["> INVITE 1", "< 200 INVITE 1", "> ACK 1"], ["offer", "answer", "stray"]),
        (["> ACK 1"], ["stray"]),
        (["> INVITE 1", "< 200 OPTIONS 5", "< 200 INVITE 1"], ["offer", "stray", "answer"]),
        (["> INVITE 1", "< 488 INVITE 1"], ["offer", "stray"]),
    ],
)
def test_each_description_has_its_role(messages: list[str], expected: list[str]) -> None:
    assert roles(*messages) == expected


def test_a_previewed_offer_does_not_bind() -> None:
    negotiation = Negotiation()
    negotiation.said(carrier("< 183 INVITE 1"), description(1))
    assert negotiation.said(carrier("< 200 INVITE 1"), description(2)).role is Role.OFFER
    negotiation.said(carrier("> ACK 1"), description(5))
    assert negotiation.agreed["callee"].origin.version == 2


@pytest.mark.parametrize(
    ("messages", "status"),
    [
        (["> INVITE 1", "< UPDATE 9"], 491),  # the two cross
        (["> INVITE 1", "> UPDATE 2"], 500),  # one doesn't wait
        (["> INVITE 1", "< 200 INVITE 1", "> INVITE 2", "< INVITE 9"], 491),
        (["< 200 INVITE 1", "> UPDATE 2"], 491),
        (["< 200 INVITE 1", "< UPDATE 9"], 500),
    ],
)
def test_an_offer_while_another_is_open_is_refused_and_changes_nothing(messages: list[str], status: int) -> None:
    negotiation = Negotiation()
    for message in messages[:-1]:
        negotiation.said(carrier(message), description())
    state, offer = negotiation.state, negotiation.offer
    with pytest.raises(OfferPendingError) as pending:
        negotiation.said(carrier(messages[-1]), description(2))
    assert pending.value.status == status
    assert (negotiation.state, negotiation.offer) == (state, offer)


def talking() -> Negotiation:
    negotiation = Negotiation()
    negotiation.said(carrier("> INVITE 1"), description(1))
    negotiation.said(carrier("< 200 INVITE 1"), description(1, session=8))
    return negotiation


@pytest.mark.parametrize("refusal", ["< 488 INVITE 2", "< 491 INVITE 2", "< 408 INVITE 2"])
def test_a_refused_reinvite_leaves_what_was_agreed(refusal: str) -> None:
    negotiation = talking()
    before = dict(negotiation.agreed)
    negotiation.said(carrier("> INVITE 2"), description(2))
    assert negotiation.ended(carrier(refusal))
    assert (negotiation.state, negotiation.agreed, negotiation.offer) == (STABLE, before, None)
    assert negotiation.said(carrier("> INVITE 3"), description(2)).role is Role.OFFER


def test_a_reinvite_refused_after_a_reliable_answer_takes_that_back() -> None:
    negotiation = talking()
    before = dict(negotiation.agreed)
    negotiation.said(carrier("> INVITE 2"), description(2))
    negotiation.said(carrier("< 183 INVITE 2 reliable"), description(2, session=8))
    assert negotiation.agreed != before
    assert negotiation.ended(carrier("< 503 INVITE 2"))
    assert negotiation.agreed == before


def test_a_refused_update_leaves_the_invite_open() -> None:
    negotiation = Negotiation()
    negotiation.said(carrier("> INVITE 1"), description(1))
    negotiation.said(carrier("< 183 INVITE 1 reliable"), description(1, session=8))
    negotiation.said(carrier("> UPDATE 3"), description(2))
    assert negotiation.ended(carrier("< 504 UPDATE 3"))
    assert negotiation.agreed["caller"].origin.version == 1
    assert negotiation.said(carrier("< 200 INVITE 1"), description(1, session=8)).role is Role.REPEAT


def test_a_preview_that_the_2xx_does_not_repeat_is_the_answer() -> None:
    negotiation = Negotiation()
    negotiation.said(carrier("> INVITE 1"), description(1))
    answer = description(1, session=8)
    negotiation.said(carrier("< 183 INVITE 1"), answer)
    assert not negotiation.ended(carrier("< 200 INVITE 1"))
    assert negotiation.agreed["callee"] is answer
    assert negotiation.state == STABLE


def test_an_ack_without_the_answer_that_it_owes_voids_the_offer() -> None:
    negotiation = talking()
    negotiation.said(carrier("< 200 INVITE 2"), description(2, session=8))
    assert negotiation.ended(carrier("> ACK 2"))
    assert negotiation.agreed["callee"].origin.version == 1
    assert negotiation.said(carrier("> UPDATE 3"), description(2)).role is Role.OFFER


def test_a_response_to_something_else_ends_nothing() -> None:
    negotiation = Negotiation()
    negotiation.said(carrier("> INVITE 1"), description(1))
    assert not negotiation.ended(carrier("< 481 PRACK 2"))
    assert not negotiation.ended(carrier("> ACK 1"))
    assert negotiation.said(carrier("< 200 INVITE 1"), description(1)).role is Role.ANSWER


@pytest.mark.parametrize("first", ["< 183 INVITE 1", "< 183 INVITE 1 reliable", "< 200 INVITE 1"])
def test_each_fork_answers_the_one_offer(first: str) -> None:
    negotiation = Negotiation()
    offer = description(1)
    negotiation.said(carrier("> INVITE 1"), offer)
    untouched = negotiation.fork()
    negotiation.said(carrier(first), description(1, session=8))
    for sibling in (untouched, negotiation.fork()):
        answer = description(1, session=9)
        assert sibling.said(carrier("< 200 INVITE 1"), answer).role is Role.ANSWER
        assert sibling.agreed == {"caller": offer, "callee": answer}
    assert negotiation.agreed.get("callee") is None or negotiation.agreed["callee"].origin.session_id == 8


# --- descriptions beside each other ---


def test_an_answer_that_leaves_streams_out_rejects_them() -> None:
    negotiation = Negotiation()
    negotiation.said(carrier("> INVITE 1"), parse(LINPHONE))
    answer = description()
    said = negotiation.said(carrier("< 200 INVITE 1"), answer)
    assert said.fault == "answer leaves streams out"
    assert [section.lines[0] for section in answer.media] == [b"m=audio 4000 RTP/AVP 0", b"m=video 0 RTP/AVP 96"]


@pytest.mark.parametrize("answer", [description(media=3), parse(LINPHONE.replace(b"m=audio", b"m=video"))])
def test_an_answer_with_other_streams_than_offered_is_refused(answer: Description) -> None:
    with pytest.raises(SdpError) as refused:
        align(answer, parse(LINPHONE))
    assert refused.value.status == 488


def test_a_session_never_loses_streams() -> None:
    negotiation = Negotiation()
    negotiation.said(carrier("> INVITE 1"), description(1, media=2))
    negotiation.said(carrier("< 200 INVITE 1"), description(1, media=2))
    with pytest.raises(SdpError) as refused:
        negotiation.said(carrier("> INVITE 2"), description(2, media=1))
    assert refused.value.status == 488
    assert negotiation.state == STABLE


@pytest.mark.parametrize(
    ("new", "fault"),
    [
        (description(1), ""),
        (description(2, more=b"a=x\r\n"), ""),
        (description(5), ""),
        (description(0), "o= version went back"),
        (description(1, more=b"a=x\r\n"), "description changed, o= version did not"),
        (description(1, session=8), "o= names another session"),
    ],
)
def test_versions_are_checked_and_forgiven(new: Description, fault: str) -> None:
    negotiation = talking()
    said = negotiation.said(carrier("> INVITE 2"), new)
    assert (said.role, said.fault) == (Role.OFFER, fault)


def test_our_own_version_goes_up_with_the_description_and_only_then() -> None:
    signature = Signature(4711)
    versions = []
    for more, host in [(b"", "192.0.2.9")] * 2 + [(b"a=x\r\n", "192.0.2.9")] * 2 + [(b"a=x\r\n", "2001:db8::9")]:
        shown = description(99, session=5, more=more)
        signature.sign(shown, host)
        versions.append(shown.origin.version)
        assert shown.origin.session_id == 4711
    assert versions == [1, 1, 2, 2, 3]
    assert bytes(shown).startswith(b"v=0\r\no=- 4711 3 IN IP6 2001:db8::9\r\n")


def test_every_state_of_the_table_can_be_reached() -> None:
    reached = {state for events in OFFER_ANSWER.values() for _, state in events.values()}
    assert reached == set(OFFER_ANSWER)


MESSAGES = st.builds(
    Carrier,
    st.sampled_from(["caller", "callee"]),
    st.sampled_from(["INVITE", "ACK", "PRACK", "UPDATE"]),
    st.integers(1, 3),
    st.sampled_from([0, 0, 183, 200, 200, 488]),
    st.booleans(),
)


@calm
@given(st.lists(st.tuples(MESSAGES, st.booleans(), st.integers(1, 2)), max_size=20))
def test_any_order_of_messages_ends_in_a_known_state(steps: list[tuple[Carrier, bool, int]]) -> None:
    negotiation = Negotiation()
    for message, has_description, media in steps:
        try:
            if has_description:
                negotiation.said(message, description(media=media))
            elif message.status >= 200 or message.method == "ACK":
                negotiation.ended(message)
        except (OfferPendingError, SdpError):
            pass
        assert negotiation.state in OFFER_ANSWER
        assert (negotiation.offer is None) == (negotiation.state == STABLE)
        assert len(negotiation.agreed) in (0, 2)

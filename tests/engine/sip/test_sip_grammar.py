"""The grammar's helpers: folds, lists, parameters, quoting (RFC 3261 §7.3.1, §25.1)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.sip.grammar import TOKEN_PATTERN, parse_params, quote, split_commas, unfold, unquote
from tests.engine.sip.written_at_random import calm


@pytest.mark.parametrize("text", [b"INVITE", b"RE%47IST%45R", b"!interesting-Method0123456789_*+`.%indeed'~"])
def test_a_token_may_hold_these(text: bytes) -> None:
    assert TOKEN_PATTERN.fullmatch(text)


@pytest.mark.parametrize("text", [b"", b"a b", b"a\x00", b"a:b", b"a/b", b'"a"', b"a@b", "ä".encode(), b"a\n"])
def test_a_token_may_not_hold_those(text: bytes) -> None:
    assert TOKEN_PATTERN.fullmatch(text) is None


@pytest.mark.parametrize(
    ("folded", "flat"),
    [
        (b"Subject: a\r\n b", b"Subject: a b"),
        (b"Subject: a\r\n\t \tb", b"Subject: a b"),
        (b"Subject:\r\n a\r\n b\r\n c", b"Subject: a b c"),
        (b"Subject: nothing folded", b"Subject: nothing folded"),
    ],
)
def test_a_fold_is_one_space(folded: bytes, flat: bytes) -> None:
    assert unfold(folded) == flat


@pytest.mark.parametrize(
    ("value", "parts"),
    [
        (b"a", [b"a"]),
        (b"a, b ,c", [b"a", b"b", b"c"]),
        (b'"Bell, Alexander" <sip:a@x>, <sip:b@x>', [b'"Bell, Alexander" <sip:a@x>', b"<sip:b@x>"]),
        (b"<sip:a,b@x>,<sip:c@x;m=1,2>", [b"<sip:a,b@x>", b"<sip:c@x;m=1,2>"]),
        (rb'"a\", b" <sip:a@x>, <sip:b@x>', [rb'"a\", b" <sip:a@x>', b"<sip:b@x>"]),
        (b'"<", b', [b'"<"', b"b"]),
        (b"", [b""]),
        (b"a,", [b"a", b""]),
        (b",,", [b"", b"", b""]),
    ],
)
def test_commas_in_quotes_and_brackets_separate_nothing(value: bytes, parts: list[bytes]) -> None:
    assert list(split_commas(value)) == parts


@pytest.mark.parametrize("value", [b'"a, <sip:b@x>', b"<sip:a@x, <sip:b@x", b'"a, b\\', b'a"b, c'])
def test_what_is_never_closed_takes_the_rest_with_it(value: bytes) -> None:
    assert list(split_commas(value)) == [value]


@calm
@given(st.lists(st.binary().filter(lambda part: not set(part) & set(b',"<') and part == part.strip())))
def test_joined_parts_split_again(parts: list[bytes]) -> None:
    assert list(split_commas(b" , ".join(parts))) == (parts or [b""])


@pytest.mark.parametrize(
    ("text", "params"),
    [
        (b"", {}),
        (b";lr", {b"lr": None}),
        (b";branch=z9hG4bK1;rport", {b"branch": b"z9hG4bK1", b"rport": None}),
        (b";TAG=AbC", {b"tag": b"AbC"}),
        (b"; tag = 1 ;x", {b"tag": b"1", b"x": None}),
        (b';a="x;y=\\"z";b=1', {b"a": b'"x;y=\\"z"', b"b": b"1"}),
        (b";received=2001:db8::9:255", {b"received": b"2001:db8::9:255"}),
        (b";received=[2001:db8::9:255]", {b"received": b"[2001:db8::9:255]"}),
        (b";a=b=c", {b"a": b"b=c"}),
        (b";tag=1;tag=2", {b"tag": b"1"}),
    ],
)
def test_parameters_have_names_in_lower_case_and_values_as_written(
    text: bytes, params: dict[bytes, bytes | None]
) -> None:
    assert parse_params(text) == params


@calm
@given(st.binary())
def test_quoting_comes_undone(text: bytes) -> None:
    assert unquote(quote(text)) == text


def test_what_is_not_quoted_stays_as_it_is() -> None:
    assert [unquote(text) for text in (b"abc", b'"', b"", b'"a')] == [b"abc", b'"', b"", b'"a']

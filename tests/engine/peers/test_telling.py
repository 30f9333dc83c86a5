"""What another edge has not heard yet: how much of it is kept, and how much is said at once."""

from __future__ import annotations

from engine.sip.transactions.transaction import ClientUser
from engine.telling import Telling


class Line:
    """The other edge."""

    def __init__(self, most: int) -> None:
        self.lives = False
        self.gone: set[bytes] = set()
        self.said: list[tuple[bytes, float]] = []
        self.users: list[ClientUser] = []
        self.telling = Telling(most, lambda: self.lives, lambda key: key not in self.gone, self._send)

    def _send(self, key: bytes, taken_at: float, user: ClientUser, now: float) -> None:
        self.said.append((key, taken_at))
        self.users.append(user)

    def returns(self, now: float) -> None:
        self.lives = True
        self.telling.begin_again(now)


def test_no_more_is_kept_than_bindings_may_stand_and_the_oldest_are_given_up() -> None:
    line = Line(10)
    for number in range(1000):
        line.telling.took(b"%d" % number, float(number))
    assert len(line.telling) == 10
    line.returns(1000.0)
    assert line.said == [(b"%d" % number, float(number)) for number in range(990, 1000)]


def test_a_thousand_are_said_at_once_and_each_that_ends_lets_the_next_go() -> None:
    line = Line(5000)
    for number in range(1500):
        line.telling.took(b"%d" % number, 0.0)
    line.returns(1.0)
    assert len(line.said) == 1000
    for user in line.users[:300]:
        user.on_timeout(None, 2.0)  # type: ignore[arg-type]
    assert len(line.said) == 1300
    assert len(line.telling) == 1500


def test_what_is_true_no_more_is_not_said() -> None:
    line = Line(10)
    line.telling.took(b"left", 0.0)
    line.telling.took(b"taken", 0.0)
    line.gone.add(b"left")
    line.telling.forget(b"taken")
    line.returns(1.0)
    assert line.said == []
    assert len(line.telling) == 0


def test_what_comes_to_nothing_is_said_again_and_only_by_its_last_word() -> None:
    line = Line(10)
    line.returns(0.0)
    line.telling.took(b"1", 1.0)
    line.returns(2.0)
    first, second = line.users
    first.on_timeout(None, 3.0)  # type: ignore[arg-type]
    assert len(line.said) == 2
    second.on_timeout(None, 4.0)  # type: ignore[arg-type]
    assert line.said == [(b"1", 1.0)] * 3

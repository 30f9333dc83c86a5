"""The four transaction state machines of RFC 3261 §17, as corrected by RFC 6026, as tables.

Each state names the timers that run in it and, for each event, the next state and what is done on the way. A timer
that two states share goes on when one follows the other; any other timer of the left state stops.
"""

from __future__ import annotations

from typing import Final

# States
CALLING: Final = "calling"
TRYING: Final = "trying"
PROCEEDING: Final = "proceeding"
ACCEPTED: Final = "accepted"
COMPLETED: Final = "completed"
CONFIRMED: Final = "confirmed"
TERMINATED: Final = "terminated"

# Events
PROVISIONAL: Final = "1xx"
SUCCESS: Final = "2xx"
FAILURE: Final = "3xx-6xx"
FINAL: Final = "2xx-6xx"  # non-INVITE transactions don't tell success from failure
REQUEST: Final = "request again"
ACK: Final = "ACK"
RESEND: Final = "resend timer"
EXPIRE: Final = "expiry timer"
UNREACHABLE: Final = "transport error"

# Actions
SEND_ACK: Final = "send ACK"
SEND_RESPONSE: Final = "send response"
PASS_UP: Final = "tell the user"
RETRANSMIT: Final = "retransmit"
TIME_OUT: Final = "tell the user: time-out"
REPORT: Final = "tell the user: unreachable"


# Timers at whose end nothing is sent or told: until then repetitions are absorbed.
_ABSORBING: Final = frozenset("DIJKLM")


class Step:
    """Where an event leads, and what is done."""

    __slots__ = ("actions", "state")

    def __init__(self, state: str, actions: tuple[str, ...] = ()) -> None:
        self.state = state
        self.actions = actions


class State:
    """One state: its timers by RFC 3261 letter ("" for none), and what each event does; others do nothing."""

    __slots__ = ("absorbs", "expire", "on", "resend")

    def __init__(self, on: dict[str, Step], resend: str = "", expire: str = "") -> None:
        self.on = on
        self.resend = resend
        self.expire = expire
        self.absorbs = expire in _ABSORBING


Table = dict[str, State]

# §17.1.1 figure 5, with ACCEPTED of RFC 6026 §7.2
INVITE_CLIENT: Final[Table] = {
    CALLING: State(
        resend="A",
        expire="B",
        on={
            PROVISIONAL: Step(PROCEEDING, (PASS_UP,)),
            SUCCESS: Step(ACCEPTED, (PASS_UP,)),
            FAILURE: Step(COMPLETED, (SEND_ACK, PASS_UP)),
            RESEND: Step(CALLING, (RETRANSMIT,)),
            EXPIRE: Step(TERMINATED, (TIME_OUT,)),
            UNREACHABLE: Step(TERMINATED, (REPORT,)),
        },
    ),
    PROCEEDING: State(
        on={
            PROVISIONAL: Step(PROCEEDING, (PASS_UP,)),
            SUCCESS: Step(ACCEPTED, (PASS_UP,)),
            FAILURE: Step(COMPLETED, (SEND_ACK, PASS_UP)),
            EXPIRE: Step(TERMINATED, (TIME_OUT,)),  # runs from a CANCEL only (§9.1)
            # nothing was sent that could fail, but a host that is gone says so for what was sent before
            UNREACHABLE: Step(TERMINATED, (REPORT,)),
        },
    ),
    ACCEPTED: State(
        expire="M",
        on={
            SUCCESS: Step(ACCEPTED, (PASS_UP,)),  # each 2xx, repeated or of another fork, is the user's (RFC 6026)
            EXPIRE: Step(TERMINATED),
        },
    ),
    COMPLETED: State(
        expire="D",
        on={
            FAILURE: Step(COMPLETED, (SEND_ACK,)),
            EXPIRE: Step(TERMINATED),
            UNREACHABLE: Step(TERMINATED),
        },
    ),
}

# §17.1.2 figure 6
NON_INVITE_CLIENT: Final[Table] = {
    TRYING: State(
        resend="E",
        expire="F",
        on={
            PROVISIONAL: Step(PROCEEDING, (PASS_UP,)),
            FINAL: Step(COMPLETED, (PASS_UP,)),
            RESEND: Step(TRYING, (RETRANSMIT,)),
            EXPIRE: Step(TERMINATED, (TIME_OUT,)),
            UNREACHABLE: Step(TERMINATED, (REPORT,)),
        },
    ),
    PROCEEDING: State(
        resend="E",
        expire="F",
        on={
            PROVISIONAL: Step(PROCEEDING, (PASS_UP,)),
            FINAL: Step(COMPLETED, (PASS_UP,)),
            RESEND: Step(PROCEEDING, (RETRANSMIT,)),
            EXPIRE: Step(TERMINATED, (TIME_OUT,)),
            UNREACHABLE: Step(TERMINATED, (REPORT,)),
        },
    ),
    COMPLETED: State(expire="K", on={EXPIRE: Step(TERMINATED)}),
}

# §17.2.1 figure 7, with ACCEPTED of RFC 6026 §7.1
INVITE_SERVER: Final[Table] = {
    PROCEEDING: State(
        on={
            REQUEST: Step(PROCEEDING, (RETRANSMIT,)),
            PROVISIONAL: Step(PROCEEDING, (SEND_RESPONSE,)),
            SUCCESS: Step(ACCEPTED, (SEND_RESPONSE,)),
            FAILURE: Step(COMPLETED, (SEND_RESPONSE,)),
            UNREACHABLE: Step(PROCEEDING, ()),
        },
    ),
    ACCEPTED: State(
        expire="L",
        on={
            SUCCESS: Step(ACCEPTED, (SEND_RESPONSE,)),  # a further 2xx, or one repeated by the user
            ACK: Step(ACCEPTED, (PASS_UP,)),
            EXPIRE: Step(TERMINATED),
        },
    ),
    COMPLETED: State(
        resend="G",
        expire="H",
        on={
            REQUEST: Step(COMPLETED, (RETRANSMIT,)),
            RESEND: Step(COMPLETED, (RETRANSMIT,)),
            ACK: Step(CONFIRMED),
            EXPIRE: Step(TERMINATED),
            UNREACHABLE: Step(TERMINATED),
        },
    ),
    CONFIRMED: State(expire="I", on={EXPIRE: Step(TERMINATED)}),
}

# §17.2.2 figure 8
NON_INVITE_SERVER: Final[Table] = {
    TRYING: State(
        on={
            PROVISIONAL: Step(PROCEEDING, (SEND_RESPONSE,)),
            FINAL: Step(COMPLETED, (SEND_RESPONSE,)),
        },
    ),
    PROCEEDING: State(
        on={
            REQUEST: Step(PROCEEDING, (RETRANSMIT,)),
            PROVISIONAL: Step(PROCEEDING, (SEND_RESPONSE,)),
            FINAL: Step(COMPLETED, (SEND_RESPONSE,)),
            UNREACHABLE: Step(TERMINATED),
        },
    ),
    COMPLETED: State(
        expire="J",
        on={
            REQUEST: Step(COMPLETED, (RETRANSMIT,)),
            EXPIRE: Step(TERMINATED),
            UNREACHABLE: Step(TERMINATED),
        },
    ),
}

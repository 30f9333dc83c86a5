"""Why a call ends: Q.850 causes as FreeSWITCH writes them, and the SIP status of each (sofia_glue.c)."""

from __future__ import annotations

from typing import Final, NamedTuple


class Cause(NamedTuple):
    """A hang-up cause: the Reason header's value, and the status for a leg that was not answered."""

    reason: bytes
    status: int


def _q850(number: int, text: bytes, status: int) -> Cause:
    return Cause(b'Q.850;cause=%d;text="%b"' % (number, text), status)


NORMAL_CLEARING: Final = _q850(16, b"NORMAL_CLEARING", 480)
NO_ROUTE: Final = _q850(3, b"NO_ROUTE_DESTINATION", 404)
NO_ANSWER: Final = _q850(19, b"NO_ANSWER", 480)
CONGESTION: Final = _q850(42, b"SWITCH_CONGESTION", 503)
INCOMPATIBLE: Final = _q850(88, b"INCOMPATIBLE_DESTINATION", 488)
TIMER_EXPIRED: Final = _q850(102, b"RECOVERY_ON_TIMER_EXPIRE", 504)
TEMPORARY_FAILURE: Final = _q850(41, b"NORMAL_TEMPORARY_FAILURE", 503)
ROUTING_ERROR: Final = _q850(25, b"EXCHANGE_ROUTING_ERROR", 483)
ORIGINATOR_CANCEL: Final = Cause(b'SIP;cause=487;text="ORIGINATOR_CANCEL"', 487)
NOT_REGISTERED: Final = Cause(b'SIP;cause=806;text="USER_NOT_REGISTERED"', 480)
SHUTDOWN: Final = Cause(b'SIP;cause=701;text="SYSTEM_SHUTDOWN"', 503)
ACK_TIMEOUT: Final = Cause(b'SIP;cause=408;text="ACK Timeout"', 408)

_REJECTED = _q850(21, b"CALL_REJECTED", 603)
_UNALLOCATED = _q850(1, b"UNALLOCATED_NUMBER", 404)
_BUSY = _q850(17, b"USER_BUSY", 486)
_NOT_IMPLEMENTED = _q850(79, b"SERVICE_NOT_IMPLEMENTED", 501)
_UNSPECIFIED = _q850(31, b"NORMAL_UNSPECIFIED", 480)

# What the called side's final response becomes. 404, 480, 486, 488 and 503 were recorded.
_BY_STATUS: Final = {
    **dict.fromkeys((401, 402, 403, 407, 603), _REJECTED),
    **dict.fromkeys((404, 485, 604), _UNALLOCATED),
    **dict.fromkeys((408, 504), TIMER_EXPIRED),
    **dict.fromkeys((400, 481, 500, 503), TEMPORARY_FAILURE),
    **dict.fromkeys((406, 415, 501), _NOT_IMPLEMENTED),
    **dict.fromkeys((482, 483), ROUTING_ERROR),
    **dict.fromkeys((486, 600), _BUSY),
    **dict.fromkeys((488, 606), INCOMPATIBLE),
    405: _q850(63, b"SERVICE_UNAVAILABLE", 503),
    410: _q850(22, b"NUMBER_CHANGED", 410),
    480: NORMAL_CLEARING,
    484: _q850(28, b"INVALID_NUMBER_FORMAT", 484),
    487: ORIGINATOR_CANCEL,
    502: _q850(38, b"NETWORK_OUT_OF_ORDER", 502),
}


def cause_of(status: int) -> Cause:
    """The cause that a final response of the called side stands for."""
    return _BY_STATUS.get(status, _UNSPECIFIED)

"""What two phones, or the node and a phone, do with each other; an AssertionError says what is not heard."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from tests.live.live_machines import until
from tests.live.sound.phones import Phone
from tests.live.sound.stage import Stage

SAID_S = 15.0  # for whatever takes a client and a busy machine its time
FOUND = 0.5  # of what is heard is the other's tone
GONE = 0.05
NODE_HZ = 500.0


async def talk(stage: Stage, caller: Phone, callee: Phone) -> None:
    """They hear each other; the callee hangs up."""
    await set_up(stage, caller, callee)
    await both_hear(caller, callee)
    await end(stage, callee, caller)


async def hold(stage: Stage, caller: Phone, callee: Phone) -> None:
    """The caller holds, and is sent nothing any more, or sends nothing; it resumes; so does the callee then."""
    await set_up(stage, caller, callee)
    await both_hear(caller, callee)
    await held(caller, callee)
    await end(stage, caller, callee)


async def renew(stage: Stage, caller: Phone, callee: Phone) -> None:
    """The caller, a browser, sends a re-INVITE; they hear each other still."""
    await set_up(stage, caller, callee)
    await both_hear(caller, callee)
    caller.order("renew")
    await _comes("renewed", lambda: caller.happened("renewed"))
    await both_hear(caller, callee)
    await end(stage, caller, callee)


async def cancel(stage: Stage, caller: Phone, callee: Phone) -> None:
    """The caller gives up while it rings."""
    _begin(stage, caller, callee)
    await _comes("incoming", lambda: callee.happened("incoming"))
    await _comes("progress", lambda: caller.happened("progress"))
    caller.order("hangup")
    await _comes("end at the caller", lambda: _over(caller))
    await _comes("end at the callee", lambda: _over(callee))


async def reject(stage: Stage, caller: Phone, callee: Phone) -> None:
    """The callee is busy."""
    _begin(stage, caller, callee)
    await _comes("incoming", lambda: callee.happened("incoming"))
    callee.order("reject")
    await _comes("end at the caller", lambda: _over(caller))


async def called_by_node(stage: Stage, phone: Phone) -> None:
    """The node calls with a plain offer, speaks and listens."""
    sound = stage.sound
    sound.close()
    sound.joins, sound.hz = False, NODE_HZ
    phone.forget()
    stage.call(phone.user)
    await _comes("incoming", lambda: phone.happened("incoming"))
    phone.order("answer")
    await _comes("confirmed", lambda: phone.happened("confirmed") and sound.legs)
    (leg,) = sound.legs.values()
    await _comes("the node's tone at the phone", lambda: phone.heard(NODE_HZ) > FOUND)
    await _comes("the phone's tone at the node", lambda: leg.heard(phone.hz) > FOUND)
    phone.order("hangup")
    await _comes("end", lambda: _over(phone) and not stage.edge.relayed_calls())


# --- parts -----------------------------------------------------------------------------------------------------


async def _comes(what: str, condition: Callable[[], object]) -> None:
    try:
        await until(condition, SAID_S)
    except AssertionError:
        raise AssertionError(f"{what} did not come") from None


def _begin(stage: Stage, caller: Phone, callee: Phone) -> None:
    stage.sound.close()
    stage.sound.joins = True
    caller.forget()
    callee.forget()
    caller.order("call", f"sip:{callee.user}@{stage.host}")


async def set_up(stage: Stage, caller: Phone, callee: Phone) -> None:
    _begin(stage, caller, callee)
    await _comes("incoming", lambda: callee.happened("incoming"))
    callee.order("answer")
    await _comes("confirmed at the callee", lambda: callee.happened("confirmed"))
    await _comes("confirmed at the caller", lambda: caller.happened("confirmed"))


async def both_hear(caller: Phone, callee: Phone) -> None:
    try:
        await until(lambda: caller.heard(callee.hz) > FOUND and callee.heard(caller.hz) > FOUND, SAID_S)
    except AssertionError:
        shares = (caller.heard(callee.hz), callee.heard(caller.hz))
        raise AssertionError("caller hears {:.2f}, callee hears {:.2f}".format(*shares)) from None


async def _hears(phone: Phone, other: Phone, enough: Callable[[float], bool]) -> None:
    try:
        await until(lambda: enough(phone.heard(other.hz)), SAID_S)
    except AssertionError:
        raise AssertionError(f"user {phone.user} hears {phone.heard(other.hz):.2f} of {other.user}") from None


async def clear(stage: Stage, *phones: Phone) -> None:
    """End what a conversation that went wrong has left, as far as it can be ended."""
    for phone in phones:
        if not _over(phone):
            rings = phone.happened("incoming") and not phone.happened("confirmed")
            phone.order("reject" if rings else "hangup")
    with suppress(AssertionError):
        await until(lambda: all(map(_over, phones)), SAID_S)


async def held(caller: Phone, callee: Phone) -> None:
    """Each holds in turn, and resumes."""
    for one, other in ((caller, callee), (callee, caller)):
        listener, speaker = (other, one) if one.deaf_after_hold else (one, other)
        one.order("hold")
        await _hears(listener, speaker, lambda share: share < GONE)
        one.order("resume")
        await _hears(listener, speaker, lambda share: share > FOUND)


async def end(stage: Stage, by: Phone, other: Phone) -> None:
    """One hangs up."""
    by.order("hangup")
    await _comes("end at who hangs up", lambda: _over(by))
    await _comes("end at the other", lambda: _over(other))


def _over(phone: Phone) -> bool:
    return bool(phone.happened("ended") or phone.happened("failed"))

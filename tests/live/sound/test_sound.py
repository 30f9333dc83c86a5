"""Who calls whom hears whom: real clients through the live edge, a tone sent on each side found on the other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from engine.live import run
from tests.live.peers import rtpengine
from tests.live.sound import conversations as c
from tests.live.sound.cast import CODECS, MISSING, Cast, asked_of_rtpengines, cast
from tests.live.sound.phones import Phone
from tests.live.sound.stage import Stage

pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)

Conversation = Callable[[Stage, Phone, Phone], Awaitable[None]]
PHONES = ("baresip", "softphone", "jssip-ws", "jssip-wss", "sipjs-ws", "sipjs-wss", "aiortc-ws", "aiortc-wss")

# Each kind of side in each part at least once; the rest of the product is slow.
CONVERSATIONS: tuple[tuple[Conversation, str, str], ...] = (
    (c.talk, "baresip", "softphone"),
    (c.talk, "baresip", "jssip-wss"),
    (c.hold, "softphone", "sipjs-ws"),
    (c.hold, "jssip-ws", "baresip"),
    (c.talk, "sipjs-wss", "softphone"),
    (c.renew, "jssip-wss", "sipjs-ws"),
    (c.renew, "sipjs-wss", "jssip-ws"),
    (c.cancel, "jssip-ws", "baresip"),
    (c.cancel, "baresip", "sipjs-wss"),
    (c.reject, "sipjs-ws", "jssip-wss"),
    (c.reject, "jssip-wss", "softphone"),
    (c.talk, "aiortc-ws", "baresip"),
    (c.talk, "jssip-ws", "aiortc-wss"),
    (c.hold, "aiortc-wss", "sipjs-ws"),
    (c.hold, "baresip", "aiortc-ws"),
    (c.renew, "aiortc-ws", "jssip-wss"),
    (c.cancel, "aiortc-wss", "aiortc-ws"),
    (c.reject, "softphone", "aiortc-wss"),
)
CALLED_BY_NODE = ("baresip", "jssip-ws", "jssip-wss", "sipjs-wss", "aiortc-ws")


@contextmanager
def relay_of(kind: str, folder: Path) -> Iterator[dict[str, Any]]:
    """The relay section of the topology, and what must run for it."""
    if kind == "builtin":
        yield {"codecs": CODECS}
        return
    if rtpengine.MISSING:
        pytest.skip(rtpengine.MISSING)
    with rtpengine.rtpengine(folder) as peer:
        yield asked_of_rtpengines(peer)


async def play(
    company: Cast, conversations: tuple[tuple[Conversation, str, str], ...], called: tuple[str, ...]
) -> str:
    """One after another, for they share the phones. What went wrong in each, a line for each."""
    wrong: list[str] = []
    stage = company.stage
    for conversation, caller, callee in conversations:
        phones = (company[caller], company[callee])
        name = f"{conversation.__name__}: {caller} -> {callee}"
        await _tried(conversation(stage, *phones), stage, phones, name, wrong)
    for name in called:
        phone = company[name]
        await _tried(c.called_by_node(stage, phone), stage, (phone,), f"node -> {name}", wrong)
    return "\n".join(wrong)


async def _tried(
    conversation: Awaitable[None], stage: Stage, phones: tuple[Phone, ...], name: str, wrong: list[str]
) -> None:
    try:
        await conversation
    except AssertionError as error:
        wrong.append(f"{name}: {error}")
        await c.clear(stage, *phones)


@pytest.mark.parametrize("kind", ["builtin", "rtpengine"])
def test_everybody_is_heard(kind: str, tmp_path: Path) -> None:
    async def scenario(relay: dict[str, Any]) -> str:
        async with cast(tmp_path, relay, *PHONES) as company:
            return await play(company, CONVERSATIONS, CALLED_BY_NODE)

    with relay_of(kind, tmp_path) as relay:
        assert run(scenario(relay)) == ""


def product_of(conversation: Conversation) -> tuple[tuple[Conversation, str, str], ...]:
    """Everybody with everybody."""
    return tuple(
        (conversation, caller, callee)
        for caller, callee in permutations(PHONES, 2)
        if (conversation is not c.renew or "-" in caller)
        and (conversation is not c.hold or "-" in caller + callee)  # one must still tell what it hears
    )


@pytest.mark.slow
@pytest.mark.parametrize("conversation", [c.talk, c.hold, c.renew, c.cancel, c.reject])
@pytest.mark.parametrize("kind", ["builtin", "rtpengine"])
def test_everybody_is_heard_by_everybody(kind: str, conversation: Conversation, tmp_path: Path) -> None:
    """The whole product: some minutes for each relay."""

    async def scenario(relay: dict[str, Any]) -> str:
        async with cast(tmp_path, relay, *PHONES) as company:
            return await play(company, product_of(conversation), PHONES if conversation is c.talk else ())

    with relay_of(kind, tmp_path) as relay:
        assert run(scenario(relay)) == ""

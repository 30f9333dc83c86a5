"""Whatever agents and nodes write into REGISTERs and their answers, the edge answers and stays whole."""

from __future__ import annotations

from typing import Literal, TypeAlias

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.config import RegistrarConfig
from tests.engine.registrar.registering import INSTANCE, accepts, asked, asks, edge, phone

Mode: TypeAlias = Literal["contact", "path", "direct"]

URIS = st.sampled_from(
    [
        "sip:1000@192.168.1.20",
        "sips:a@b",
        "sip:b",
        "sip:@b",
        "tel:+49",
        "sip:a@b;transport=ws",
        "sip:a@[::1]:70000",
        "sip:%00@b",
        "*",
        "sip:a%40b@c;gr=x",
        "sip:flow-AAAA@10.0.0.1",
        "sip:a@b?h=v",
    ]
) | st.just(f"sip:{'x' * 1200}@b")
PARAMS = st.sampled_from(
    f"""expires=0 expires=600 expires=x expires expires=99999999999 q=0.5 q=2 {INSTANCE} +sip.instance
    +sip.instance="" reg-id=1 reg-id reg-id=2 a="b,c;d>" pub-gruu="x\"""".split()
)
VALUES = st.builds(
    lambda uri, params: ";".join([f"<{uri}>", *params]), URIS, st.lists(PARAMS, max_size=4)
) | st.sampled_from(["*", "sip:a@b", '"A, B" <sip:a@b>', "<sip:a@b", "", ",", "<sip:a@b>;"])
LINES = st.lists(
    st.sampled_from(
        [
            "Supported: outbound, gruu",
            "Require: outbound",
            "Path: <sip:p;lr;ob>",
            "Path: x",
            "Expires: 0",
            "Expires: 120",
            "Expires: abc",
            "Service-Route: <sip:s;lr>",
            "Date: x",
        ]
    ),
    max_size=3,
    unique=True,
)
ANSWERS = (200, 400, 403, 423, 439, 500, 503, 504)


@settings(deadline=None)
@given(
    st.sampled_from(["contact", "path", "direct"]),
    st.lists(VALUES, min_size=1, max_size=4),
    LINES,
    st.lists(VALUES, max_size=4),
    LINES,
    st.booleans(),
)
def test_any_register_and_any_answer(
    mode: Mode, contacts: list[str], lines: list[str], listed: list[str], more: list[str], repeats: bool
) -> None:
    world = edge(RegistrarConfig(mode=mode, gruu=True))
    for cseq in (1, 2):
        register = asks(phone(world), *contacts, lines=lines, expires=None, cseq=cseq)
        if not register.statuses:
            node = asked(world)
            own = [f"Contact: {value}" for value in node.got("REGISTER")[-1].all("contact")] if repeats else []
            accepts(node, *own, *[f"Contact: {value}" for value in listed], *more)
        world.advance(20)  # an answer that cannot be used is none
        assert len(register.statuses) == 1
        assert register.final.status in ANSWERS
    assert world.edge.open_bindings() <= len(contacts)
    world.advance(4000)
    assert world.edge.open_bindings() == world.edge.open_transactions() == 0

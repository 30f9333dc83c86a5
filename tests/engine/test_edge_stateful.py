"""Whatever comes in, in whatever order, and whatever is lost: the edge never raises, forgets all in the end, and
answers each request once."""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.engine.harness import Exchange, NodePeer, World
from tests.engine.wire import Wire

STATUSES = st.sampled_from([100, 180, 183, 200, 202, 302, 401, 404, 408, 481, 486, 487, 500, 503, 603])


class AnyTraffic(RuleBasedStateMachine):
    """Callers, nodes and the network do what they like."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(nodes=("FS1", "FS2", "FS3"))
        self.calls: list[Exchange] = []

    def requests(self) -> list[tuple[NodePeer, Wire]]:
        """All that could be answered by nodes."""
        return [
            (node, wire)
            for node in self.world.nodes
            for wire in node.inbox
            if wire.is_request and wire.method != "ACK"
        ]

    @rule(method=st.sampled_from(["INVITE", "INVITE", "INVITE", "REGISTER", "MESSAGE", "OPTIONS"]))
    def request(self, method: str) -> None:
        self.calls.append(self.world.caller.request(method, "sip:9196@192.0.2.1"))

    @precondition(lambda self: self.calls)
    @rule(data=st.data(), what=st.sampled_from(["repeat", "cancel", "ack", "failure ack", "bye"]))
    def caller_goes_on(self, data: st.DataObject, what: str) -> None:
        call = data.draw(st.sampled_from(self.calls))
        answered = [wire for wire in call.responses if wire.status >= 200]
        if what == "repeat":
            if self.world.now - call.sent_at < 30 and all(self.world.now - wire.at < 4 for wire in answered):
                call.send()  # later it would be another request
        elif what == "cancel":
            call.cancel()
        elif answered and what == "failure ack":
            call.refuse_ack()
        elif answered and "contact" in answered[0]:
            call.ack() if what == "ack" else call.bye()

    @precondition(lambda self: self.requests())
    @rule(data=st.data(), status=STATUSES, tag=st.sampled_from(["", "fork1", "fork2"]))
    def node_answers(self, data: st.DataObject, status: int, tag: str) -> None:
        node, wire = data.draw(st.sampled_from(self.requests()))
        node.replies(wire, status, tag=tag or node.tag_for(wire))

    @precondition(lambda self: any(node.got("INVITE") for node in self.world.nodes))
    @rule(data=st.data())
    def node_hangs_up(self, data: st.DataObject) -> None:
        data.draw(st.sampled_from([node for node in self.world.nodes if node.got("INVITE")])).hangs_up()

    @rule(seconds=st.sampled_from([0.001, 0.2, 0.5, 0.6, 3.0, 33.0]))
    def time_passes(self, seconds: float) -> None:
        self.world.advance(seconds)

    @rule(name=st.sampled_from(["FS1", "FS2", "FS3"]))
    def network_says_unreachable(self, name: str) -> None:
        self.world.node(name).unreachable()

    @rule(name=st.sampled_from(["FS1", "FS2", "FS3"]), alive=st.booleans())
    def node_dies_or_returns(self, name: str, alive: bool) -> None:
        self.world.node(name).alive = alive

    @precondition(lambda self: self.calls)
    @rule(data=st.data(), cut=st.integers(0, 400), byte=st.integers(0, 255))
    def a_damaged_message(self, data: st.DataObject, cut: int, byte: int) -> None:
        call = data.draw(st.sampled_from(self.calls))
        whole = bytearray(call.data(call.method))
        whole[cut % len(whole)] = byte
        self.world.peer("203.0.113.66").sends(bytes(whole))

    @invariant()
    def each_request_has_at_most_one_final_answer(self) -> None:
        for call in self.calls:
            finals = [wire for wire in call.responses if wire.status >= 200]
            failures = {wire.data for wire in finals if wire.status >= 300}
            assert len(failures) <= 1
            if failures:
                assert finals[0].status >= 300, "a failure after a 2xx"
                assert all(wire.status >= 300 for wire in finals), "a 2xx after a failure"

    @invariant()
    def channels_are_never_negative(self) -> None:
        assert all(used >= 0 for node in self.world.nodes for used in self.world.status(node.name).in_use.values())

    def teardown(self) -> None:
        world = self.world
        for node in world.nodes:
            node.alive = True  # else there is always a probe that waits for its answer
        world.run_out()
        assert world.edge.open_transactions() == 0
        for call in self.calls:
            assert any(status >= 200 for status in call.statuses) or call.method != "INVITE"
        world.advance(world.config.dialog_lifetime_s)
        assert world.edge.open_dialogs() == 0
        assert world.edge.idle
        assert not any(any(world.status(node.name).in_use.values()) for node in world.nodes), "a channel leaked"


TestAnyTraffic = AnyTraffic.TestCase
TestAnyTraffic.settings = settings(
    max_examples=60,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # shrinking such worlds takes minutes
    suppress_health_check=[HealthCheck.too_slow],
)

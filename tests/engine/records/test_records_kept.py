"""What an edge tells its store, and what it knows in its next life."""

from __future__ import annotations

from engine.boundary import BindingRecord, Commit, Committed, DialogRecord, Loaded, NodeRecord, Save
from engine.config import KeepAliveConfig, RegistrarConfig, StoreConfig
from engine.notes import ContactBound, DialogEnded, NodeStateChanged, RecordsRestored
from tests.engine.records.keeping import KEPT, SECRET, commits, held, kept, next_life
from tests.engine.registrar.registering import (
    asks,
    browser,
    calls,
    edge,
    last_invite,
    phone,
    registers,
    stored,
    told,
)

SHARED = RegistrarConfig(secret=SECRET)


def test_without_a_store_nothing_is_told() -> None:
    world = edge()
    registers(phone(world))
    world.caller.invite()
    world.called().answer(200)
    assert world.orders == []


def test_a_call_is_told_when_it_begins_and_when_it_ends_and_never_between() -> None:
    world = kept()
    call = world.caller.invite()
    node = world.called()
    node.answer(180)
    assert world.orders == []
    node.answer(200)
    call.ack()
    (record,) = held(world).values()
    assert isinstance(record, DialogRecord)
    assert (record.node, record.resource, record.began_at) == (node.name, "pstn", world.now)
    before = len(world.orders)
    world.caller.within("INVITE", call.final, cseq=2)
    node.answer(200)
    assert len(world.orders) == before
    call.bye()
    node.answer(200, method="BYE")
    assert held(world) == {}


def test_each_dialog_of_a_fork_is_told_though_the_invite_is_forgotten_at_the_first() -> None:
    """The node forked the call, and two have answered (RFC 3261 §13.2.2.4)."""
    world = kept()
    call = world.caller.invite()
    node = world.called()
    node.answer(200, tag="one")
    node.answer(200, tag="two")
    assert [wire.status for wire in call.responses] == [100, 200, 200]
    records = [record for record in held(world).values() if isinstance(record, DialogRecord)]
    assert [record.callee_tag for record in records] == [b"one", b"two"]


def test_a_registration_is_acknowledged_when_the_store_has_it() -> None:
    world = kept()
    exchange = registers(phone(world))
    assert exchange.statuses == []
    exchange.send()  # the agent repeats itself
    commits(world)
    assert exchange.statuses == [200]
    (record,) = held(world).values()
    assert isinstance(record, BindingRecord)
    assert (record.aor, record.host, record.port) == (b"1000@192.0.2.1", "203.0.113.9", 41_000)


def test_a_refresh_that_is_answered_here_waits_too_for_it_promises_more() -> None:
    world = kept()
    registers(phone(world), granted_s=600, expires=100)
    commits(world)
    world.advance(50)
    refresh = asks(phone(world), expires=100, cseq=2)
    assert refresh.statuses == []
    commits(world)
    assert refresh.statuses == [200]
    (record,) = held(world).values()
    assert isinstance(record, BindingRecord)
    assert record.expires_at == world.now + 100


def test_a_binding_that_ends_is_dropped() -> None:
    world = kept()
    registers(phone(world))
    world.advance(200)
    assert held(world) == {}


def test_answers_wait_for_the_kinds_that_are_written_through() -> None:
    world = kept(store=StoreConfig(database="main", write_through=("dialogs",)))
    assert registers(phone(world)).statuses == [200]
    call = world.caller.invite()
    world.called().answer(200)
    assert call.statuses == [100]
    commits(world)
    assert call.statuses == [100, 200]


def test_one_commit_answers_one_promise() -> None:
    world = kept()
    first, second = registers(phone(world)), registers(phone(world, 41_001), user="1001")
    tickets = [order.ticket for order in world.orders if isinstance(order, Commit)]
    world.happen(Committed(tickets[1]))
    assert (first.statuses, second.statuses) == ([], [200])
    world.happen(Committed(tickets[1]))  # told twice
    world.happen(Committed(tickets[0]))
    assert (first.statuses, second.statuses) == ([200], [200])


def test_a_killed_edge_reaches_its_phones_and_answers_as_before() -> None:
    """With a Contact too long for a token, so that only the store can know it."""
    contact = f"<sip:1000@192.168.1.20:5060;note={'n' * 220}>"
    before = kept(SHARED)
    registers(phone(before), contact)
    node = next(each for each in before.nodes if each.got("REGISTER"))
    after = next_life(before, SHARED, keep_alive=KeepAliveConfig(interval_s=20.0))
    (bound,) = after.told(ContactBound)
    assert (bound.aor, bound.place) == ("1000@192.0.2.1", "203.0.113.9:41000")
    assert after.told(RecordsRestored) == [RecordsRestored(1, 0, 0)]
    agent = phone(after)
    calls(after.node(node.name), stored(node))
    assert last_invite(agent).uri == contact[1:-1]
    after.advance(30)
    assert agent.got("OPTIONS")  # its NAT is kept open as before


def test_a_browser_is_bound_and_reached_when_it_is_back() -> None:
    before = kept(SHARED)
    registers(browser(before), "<sip:x@a.invalid;transport=ws>")
    node = next(each for each in before.nodes if each.got("REGISTER"))
    uri = stored(node)
    after = next_life(before, SHARED)
    call = calls(after.node(node.name), uri)
    after.advance(SHARED.flow_wait_s)
    assert call.statuses == [100, 430]
    back = browser(after, 2)
    again = registers(back, "<sip:x@a.invalid;transport=ws>", cseq=2)
    commits(after)
    assert told(again) == ["<sip:x@a.invalid;transport=ws>;expires=180"]
    calls(after.node(node.name), uri)
    assert back.got("INVITE")


def test_a_killed_edge_knows_its_calls_and_gives_their_channels_back() -> None:
    before = kept()
    before.advance(100)
    call = before.caller.invite()
    node = before.called()
    node.answer(200)
    after = next_life(before)
    assert after.in_use(node.name) == 1
    after.advance(800)
    after.caller.bye(call.final)
    after.node(node.name).answer(200, method="BYE")
    assert after.in_use(node.name) == 0
    (ended,) = after.told(DialogEnded)
    assert (ended.why, ended.duration_s) == ("bye", 800.0)


def test_a_call_that_is_too_old_or_whose_node_is_gone_is_dropped() -> None:
    world = kept(dialog_lifetime_s=500.0)
    world.now = 1000.0
    old = DialogRecord("edge1", b"old", b"t", "FS1", "pstn", 400.0)
    gone = DialogRecord("edge1", b"gone", b"t", "FS9", "pstn", 900.0)
    good = DialogRecord("edge1", b"good", b"t", "FS1", "pstn", 900.0)
    world.orders = [Save(each) for each in (old, gone, good)]
    world.happen(Loaded([good, gone, old]))
    assert list(held(world)) == [good.at]
    assert world.in_use("FS1") == 1
    world.advance(401)
    assert world.in_use("FS1") == 0


def test_orders_and_deaths_of_nodes_outlive_the_edge() -> None:
    before = kept(nodes=("FS1", "FS2", "FS3"))
    before.order("FS1", "drain")
    before.order("FS2", "disable")
    before.order("FS2", "enable")
    before.node("FS2").alive = False
    before.node("FS3").unreachable()
    after = next_life(before, nodes=("FS1", "FS2", "FS3"))
    assert after.state("FS1") == "draining"
    assert after.state("FS3") == "down"
    changed = [note.node for note in after.told(NodeStateChanged) if note.why == "as before the restart"]
    assert changed == ["FS1", "FS3"]


def test_states_that_mean_nothing_to_another_life_are_not_told() -> None:
    world = kept()
    call = world.caller.invite()
    world.advance(0.3)
    assert world.state(world.called().name) == "suspect"
    world.called().answer(180)
    call.cancel()
    assert not any(isinstance(order, Save) and isinstance(order.record, NodeRecord) for order in world.orders)


def test_what_is_read_late_yields_to_what_has_happened_since() -> None:
    before = kept(SHARED)
    registers(phone(before))
    before.order("FS1", "drain")
    after = kept(SHARED)
    registers(phone(after, 42_000))
    call = after.caller.invite()
    after.called().answer(200)
    young = DialogRecord("edge1", b"other", b"t", "FS2", "pstn", 0.0)
    after.advance(60)
    after.happen(Loaded([*held(before).values(), young]))
    places = {record.port for record in held(after).values() if isinstance(record, BindingRecord)}
    assert places == {42_000}
    call.bye()
    assert KEPT.database == after.config.store.database
    assert sum(after.in_use(name) for name in ("FS1", "FS2")) == 2


def test_a_call_that_ended_before_it_was_read_is_not_taken_over() -> None:
    before = kept()
    call = before.caller.invite()
    node = before.called()
    node.answer(200)
    after = kept()
    after.caller.bye(call.final)
    after.node(node.name).answer(200, method="BYE")
    after.happen(Loaded(list(held(before).values())))
    assert after.in_use(node.name) == 0
    assert after.edge.open_dialogs() == 0

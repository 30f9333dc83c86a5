"""Laws that hold for every NAT and every sequence of packets."""

from __future__ import annotations

from dataclasses import fields
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from sim.nat import Dropped, Nat, NatSettings, Passed, Verdict

INSIDE = [(f"10.0.0.{host}", port) for host in (1, 2, 3) for port in (5060, 5061)]
PEERS = [(f"198.51.100.{host}", port) for host in (1, 2) for port in (5060, 5070)]
POOLS = [("203.0.113.1",), ("203.0.113.1", "203.0.113.2")]
DEPENDENCE = st.sampled_from(["endpoint_independent", "address_dependent", "address_and_port_dependent"])
TIME_OUTS = st.sampled_from([0.0, 1.0, 30.0, 120.0])

SETTINGS = st.fixed_dictionaries(
    {
        "mapping": DEPENDENCE,
        "filtering": DEPENDENCE,
        "preserve_port": st.booleans(),
        "parity": st.booleans(),
        "contiguity": st.booleans(),
        "assignment": st.sampled_from(["random", "sequential"]),
        "last_port": st.sampled_from([1024, 1026, 1030, 65_535]),  # from no choice to plenty
        "pooling": st.sampled_from(["paired", "arbitrary"]),
        "hairpinning": st.booleans(),
        "unsolicited": st.sampled_from(["drop", "refuse"]),
        "unreplied_s": TIME_OUTS,
        "replied_s": TIME_OUTS,
        "stream_after_s": st.sampled_from([None, 2.0]),
        "timer": st.sampled_from(["mapping", "session"]),
        "refresh_outbound": st.booleans(),
        "refresh_inbound": st.booleans(),
        "tcp_established_s": TIME_OUTS,
        "tcp_transitory_s": TIME_OUTS,
        "tcp_unknown": st.sampled_from(["drop", "reset", "adopt"]),
        "max_sessions": st.sampled_from([1, 3, 65_536]),
        "overloading": st.booleans(),
    }
).map(
    lambda drawn: NatSettings(
        **drawn | {"filtering": "address_and_port_dependent"} if drawn["overloading"] else drawn
    )
)

SEGMENTS = st.sampled_from(["syn", "syn_ack", "data", "fin", "rst"])
PACKETS = st.lists(
    st.tuples(
        st.sampled_from(["out", "in", "hairpin", "error"]),
        st.sampled_from(["udp", "udp", "tcp"]),
        st.sampled_from(INSIDE),
        st.sampled_from(PEERS),
        st.integers(0, 7),  # which of the outside endpoints seen so far
        SEGMENTS,
        st.sampled_from([0.0, 0.5, 20.0, 31.0, 200.0]),  # seconds since the packet before
    ),
    max_size=60,
)


class History:
    """One NAT, and what it did."""

    def __init__(
        self, nat_settings: NatSettings, pool: tuple[str, ...], packets: list[tuple], seed: int = 1
    ) -> None:
        self.nat = Nat(nat_settings, pool, Random(seed))
        self.told: list[Verdict | tuple[str, int] | None] = []
        self.now = 0.0
        self.seen: list[tuple[str, int]] = [(pool[0], 5060)]
        for packet in packets:
            self.told.append(self.play(*packet))

    def play(self, way, protocol, inside, peer, which, segment, after_s) -> Verdict | tuple[str, int] | None:
        self.now += after_s
        outside = self.seen[which % len(self.seen)]
        if way == "in":
            return self.nat.inbound(protocol, peer, outside, self.now, segment)
        if way == "error":
            return self.nat.error_inbound(protocol, outside, peer, self.now)
        verdict = self.nat.outbound(protocol, inside, outside if way == "hairpin" else peer, self.now, segment)
        if isinstance(verdict, Passed):
            self.seen.append(verdict.source)
        return verdict


@given(SETTINGS, st.sampled_from(POOLS), PACKETS)
def test_no_sequence_of_packets_raises_and_what_passes_has_sensible_addresses(nat_settings, pool, packets) -> None:
    history = History(nat_settings, pool, packets)
    for (way, _, inside, peer, *_), verdict in zip(packets, history.told, strict=True):
        if not isinstance(verdict, Passed):
            continue
        if verdict.inward:
            assert verdict.destination in INSIDE
        if way == "out":
            assert verdict.source[0] in pool
            assert (
                verdict.source[1] == inside[1]
                or nat_settings.contiguity
                or (nat_settings.first_port <= verdict.source[1] <= nat_settings.last_port)
            )
            assert verdict.destination == peer
        elif way == "in":
            assert verdict.source == peer


@given(SETTINGS, st.sampled_from(POOLS), PACKETS)
def test_no_outside_endpoint_serves_two_inside_ones_unless_ports_are_overloaded(
    nat_settings, pool, packets
) -> None:
    history = History(nat_settings, pool, packets)
    owners: dict[tuple, set] = {}
    for mapped in history.nat.mappings(history.now):
        owners.setdefault((mapped.protocol, mapped.outside), set()).add(mapped.inside)
    assert nat_settings.overloading or all(len(inside) == 1 for inside in owners.values())


@given(SETTINGS, st.sampled_from(POOLS), PACKETS)
def test_the_same_packets_and_seed_give_the_same_verdicts(nat_settings, pool, packets) -> None:
    assert History(nat_settings, pool, packets).told == History(nat_settings, pool, packets).told


@given(SETTINGS, st.sampled_from(POOLS), PACKETS)
def test_silence_ends_everything_and_leaves_nothing_behind(nat_settings, pool, packets) -> None:
    history = History(nat_settings, pool, packets)
    longest_s = max(
        getattr(nat_settings, each.name) or 0.0 for each in fields(nat_settings) if each.name.endswith("_s")
    )
    later = history.now + longest_s
    assert history.nat.sessions(later) == 0
    assert history.nat.mappings(later) == []
    for outside in set(history.seen):
        assert isinstance(history.nat.inbound("udp", PEERS[0], outside, later), Dropped)


@given(SETTINGS, st.sampled_from(POOLS), PACKETS)
def test_never_more_sessions_than_allowed(nat_settings, pool, packets) -> None:
    history = History(nat_settings, pool, packets)
    assert history.nat.sessions(history.now) <= nat_settings.max_sessions


@given(SETTINGS, st.sampled_from(POOLS), PACKETS, st.sampled_from(INSIDE), st.permutations(PEERS))
@settings(max_examples=200)
def test_as_many_mappings_as_the_mapping_behaviour_tells_apart(nat_settings, pool, packets, inside, peers) -> None:
    """After whatever came before, packets at one moment from one endpoint to all peers."""
    nat = History(nat_settings, pool, packets).nat
    now = 1e6
    verdicts = {peer: nat.outbound("udp", inside, peer, now) for peer in peers}
    given_out = {peer: verdict.source for peer, verdict in verdicts.items() if isinstance(verdict, Passed)}
    if nat_settings.unreplied_s == 0.0 or len(given_out) < len(peers):
        return  # nothing lasts, or the ports are exhausted
    by_address: dict[str, set] = {}
    for peer, outside in given_out.items():
        by_address.setdefault(peer[0], set()).add(outside)
    together = set(given_out.values())
    if nat_settings.mapping == "endpoint_independent":
        assert len(together) == 1
    elif nat_settings.mapping == "address_dependent":
        assert all(len(each) == 1 for each in by_address.values())
        assert nat_settings.overloading or len(together) == len(by_address)
    elif not nat_settings.overloading:
        assert len(together) == len(peers)


@given(SETTINGS, st.sampled_from(POOLS), PACKETS, st.sampled_from(INSIDE), st.sampled_from(PEERS))
@settings(max_examples=200)
def test_who_gets_in_is_the_filtering_behaviours_decision(nat_settings, pool, packets, inside, peer) -> None:
    nat = History(nat_settings, pool, packets).nat
    now = 1e6
    verdict = nat.outbound("udp", inside, peer, now)
    if 0.0 in (nat_settings.unreplied_s, nat_settings.replied_s) or not isinstance(verdict, Passed):
        return  # nothing lasts, or the ports are exhausted
    for stranger in PEERS:
        allowed = {
            "endpoint_independent": True,
            "address_dependent": stranger[0] == peer[0],
            "address_and_port_dependent": stranger == peer,
        }[nat_settings.filtering]
        # Of a NAT whose table is full even those who may come in don't.
        got_in = isinstance(nat.inbound("udp", stranger, verdict.source, now), Passed)
        assert got_in == allowed or (allowed and nat_settings.max_sessions < 5)

"""A bad topology: one line a problem, with its place and its remedy; never anything but a TopologyError."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import topologies
from topologies.topology import Topology

LINE = re.compile(r"\S.*?:\d+: .+ - .+")
GOOD = """\
edges:
  edge1:
    interfaces:
      agents: {host: 127.0.0.1}
      inside: {host: 127.0.0.2}
    nodes: [fs]
nodes:
  FS1: {host: 127.0.1.1, interface: inside, resources: pstn=500}
clients:
  callers: {host: 127.0.2.1}
scenarios:
  failover:
    duration_s: 100
    traffic:
      - {from: callers, to: 9196, rate_per_s: 10}
    faults:
      - {at_s: 30, kind: kill, target: FS1}
"""


def refused(text: str | bytes) -> list[str]:
    data = text.encode() if isinstance(text, str) else text
    with pytest.raises(topologies.TopologyError) as caught:
        topologies.parse(data, "my.yaml")
    lines = str(caught.value).splitlines()
    assert lines
    assert all(LINE.fullmatch(line) for line in lines), lines
    return lines


def test_the_good_one_is_good() -> None:
    topologies.parse(GOOD.encode())


# What is replaced by what, and the one line that comes of it (line number, words of the problem, of the remedy).
ONE_PROBLEM = {
    "unknown key": ("{host: 127.0.0.2}", "{hots: 127.0.0.2, host: 127.0.0.2}", 5, "unknown key 'hots'", "'host'"),
    "missing key": ("{host: 127.0.1.1, ", "{", 8, "'host' is missing", "add `host:` (IP address"),
    "port range": (
        "{host: 127.0.2.1}",
        "{host: 127.0.2.1, port: 70000}",
        10,
        "70000 is too large",
        "at most 65535",
    ),
    "not a number": ("duration_s: 100", "duration_s: long", 13, "'long' is not a number", "write digits"),
    "not finite": ("duration_s: 100", "duration_s: 1e999", 13, "not a finite number", "write a number"),
    "interface by name": ("host: 127.0.0.1", "host: localhost", 4, "not an IP address", "127.0.0.1"),
    "wildcard": ("host: 127.0.0.1", "host: 0.0.0.0", 4, "cannot answer to 0.0.0.0", "advertised_host"),
    "empty section": ("{host: 127.0.2.1}", "", 10, "nothing is not a mapping", "key: value"),
    "list for mapping": ("{host: 127.0.2.1}", "[a]", 10, "a list is not a mapping", "key: value"),
    "transport": ("{host: 127.0.0.1}", "{host: 127.0.0.1, transport: upd}", 4, "'upd'", "did you mean 'udp'?"),
    "bad name": ("  callers: {", "  callers: {host: 127.0.9.9}\n  'a b': {", 11, "'a b' is not a name", "letters"),
    "resources": ("pstn=500", "pstn", 8, "'pstn' is not name=number", "vm=100"),
    "resources twice": ("pstn=500", "pstn=5;pstn=6", 8, "given twice", "keep one"),
    "negative": ("pstn=500", "pstn=-1", 8, "too small", "at least 0"),
    "users": ("{host: 127.0.2.1}", "{host: 127.0.2.1, users: many}", 10, "names no users", "1000-1019"),
    "users reversed": ("{host: 127.0.2.1}", "{host: 127.0.2.1, users: 9-1}", 10, "no range", "lowest first"),
    "too many users": ("{host: 127.0.2.1}", "{host: 127.0.2.1, users: 9999999}", 10, "no range", "1 to 1000000"),
    "group without node": ("nodes: [fs]", "nodes: [fz]", 6, "no node is called 'fz'", "did you mean 'fs'?"),
    "node interface": ("interface: inside", "interface: insid", 8, "no interface 'insid'", "'inside'"),
    "node transport": ("interface: inside", "transport: tcp", 8, "no such interface", "add a tcp interface"),
    "client transport": (
        "{host: 127.0.2.1}",
        "{host: 127.0.2.1, transport: tcp}",
        10,
        "no tcp interface",
        "add one",
    ),
    "client edge": ("{host: 127.0.2.1}", "{host: 127.0.2.1, edge: edge2}", 10, "no edge 'edge2'", "'edge1'"),
    "client interface": (
        "{host: 127.0.2.1}",
        "{host: 127.0.2.1, interface: agent}",
        10,
        "no interface",
        "'agents'",
    ),
    "network": ("{host: 127.0.2.1}", "{host: 127.0.2.1, network: wam}", 10, "no network 'wam'", "'wan'"),
    "same TCP port": (
        "inside: {host: 127.0.0.2}",
        "inside: {host: 127.0.0.2}\n      a: {host: 127.0.0.2, transport: tcp}\n"
        "      b: {host: 127.0.0.2, transport: wss}",
        7,
        "already belongs to edge1's a",
        "another host or port",
    ),
    "an origin with a path": (
        "{host: 127.0.0.2}",
        "{host: 127.0.0.2, transport: ws, origins: ['https://phone.example.org/']}",
        5,
        "is not an origin",
        "write scheme://host",
    ),
    "same address": ("127.0.2.1", "127.0.1.1", 10, "already belongs to FS1", "another host or port"),
    "two of one name": (
        "127.0.2.1}",
        "127.0.2.1}\n  FS1: {host: 127.0.2.9}",
        11,
        "'FS1' is already one of nodes",
        "another",
    ),
    "word as name": ("127.0.2.1}", "127.0.2.1}\n  nodes: {host: 127.0.2.9}", 11, "already a word", "another"),
    "rows of ports": (
        "{host: 127.0.2.1}",
        "{host: 127.0.2.1}\n  phones: {host: 127.0.2.2, kind: softphone, port: 65530}",
        11,
        "beyond port 65535",
        "lower port",
    ),
    "no rate": (", rate_per_s: 10", "", 15, "rate of the calls is missing", "rate_per_s: 10"),
    "no range": ("to: 9196", "to: 1019-1000", 15, "no range of numbers", "lowest first"),
    "two rates": ("rate_per_s: 10", "rate_per_s: 1, profile: [[0, 1]]", 15, "both given", "keep one"),
    "profile falls": ("rate_per_s: 10", "profile: [[9, 1], [3, 1]]", 15, "do not rise", "order the pairs"),
    "profile late": ("rate_per_s: 10", "profile: [[0, 1], [100, 2]]", 15, "not within", "earlier"),
    "hold": (
        "rate_per_s: 10",
        "rate_per_s: 1, hold_s: {distribution: uniform, low: 1}",
        15,
        "lacks high",
        "add it",
    ),
    "no such client": ("from: callers", "from: caller", 15, "no client 'caller'", "'callers'"),
    "callee": ("to: 9196", "to: 'a b'", 15, "no user part", "such as 9196"),
    "fault kind": ("kind: kill", "kind: kil", 17, "'kil' is no kind of fault", "'kill'"),
    "fault without kind": ("kind: kill, ", "", 17, "'kind' is missing", "one of call, change_network"),
    "fault key": ("kind: kill", "kind: kill, one_way: true", 17, "unknown key 'one_way'", "known here"),
    "fault target": ("target: FS1", "target: FS9", 17, "no place 'FS9'", "'FS1'"),
    "wrong target": ("target: FS1", "target: callers", 17, "not an edge, a node, an rtpengine", "edge1, FS1"),
    "late fault": ("at_s: 30", "at_s: 101", 17, "after the end", "lengthen"),
    "long flap": ("kind: kill", "kind: flap, times: 8", 17, "beyond the end", "less often"),
    "order to whom": ("kind: kill", "kind: drain, edges: [e]", 17, "no edge 'e'", "edge1"),
    "places": ("kind: kill, target: FS1", "kind: heal, between: [FS1, x]", 17, "no place 'x'", "known here"),
    "one place": ("kind: kill, target: FS1", "kind: heal, between: [FS1]", 17, "item 2 is missing", "add it"),
    "warm-up": ("duration_s: 100", "{duration_s: 100, warm_up_s: 100}", 13, "leaves nothing", "shorter"),
}
ONE_PROBLEM["warm-up"] = (
    "duration_s: 100",
    "warm_up_s: 60.0\n    duration_s: 60",
    13,
    "leaves nothing",
    "shorter",
)


@pytest.mark.parametrize("case", ONE_PROBLEM.values(), ids=ONE_PROBLEM)
def test_one_problem_is_one_line(case: tuple[str, str, int, str, str]) -> None:
    good, bad, line, what, remedy = case
    assert good in GOOD
    (told,) = refused(GOOD.replace(good, bad, 1))
    assert told.startswith(f"my.yaml:{line}: ")
    problem, _, cure = told.partition(" - ")
    assert what in problem
    assert remedy in cure


# Text that is no topology at all.
NO_TOPOLOGY = {
    "empty": (b"", 1, "the file is empty"),
    "only comments": (b"# nothing\n# here\n", 1, "the file is empty"),
    "a list": (b"- a\n- b\n", 1, "holds a list"),
    "a value": (b"hello", 1, "holds a single value"),
    "tab": (b"edges:\n\tedge1: {}\n", 2, "indent with spaces"),
    "duplicate": (GOOD.encode() + b"nodes: {}\n", 18, "'nodes' is given twice, first in line 7"),
    "open bracket": (b"edges: [\n", 2, "brackets"),
    "two documents": (b"edges: {}\n---\nedges: {}\n", 2, "keep one topology"),
    "colon in text": (b"name: a: b\n", 1, "quote the text"),
    "unknown alias": (b"edges: *e\n", 1, "undefined alias 'e'"),
    "not UTF-8": (b"edges:\n  \xff\xfe\n", 2, "save the file as UTF-8"),
    "binary": (b"\x7fELF\x02\x01\x01\x00\x00\n", 1, "is not text"),
    "escape beyond Unicode": (b'name: "\\UFFFFFFFF"', 1, "this is not YAML"),
    "half a surrogate": (b'name: "\\ud800"', 1, "surrogate"),
    "python object": (b"name: !!python/object/apply:os.getcwd []", 1, "means nothing here"),
    "list as key": (b"? [a]\n: b\n", 1, "a key is not plain text"),
    "merge of nothing": (b"<<: 3\n", 1, "<< merges something"),
    "nested without end": (b"[" * 100_000, 1, "nested too deeply"),
    "alias of itself": (b"edges: &e [*e]", 1, "unfolds into too much"),
    "merge of itself": (b"edges: &e {<<: *e}", 1, "unfolds into too much"),
    "huge": (b"#" * 1_000_001, 1, "longer than"),
}


@pytest.mark.parametrize("case", NO_TOPOLOGY.values(), ids=NO_TOPOLOGY)
def test_what_is_no_topology_is_told_so(case: tuple[bytes, int, str]) -> None:
    data, line, words = case
    told = [problem for problem in refused(data) if words in problem]
    assert told
    assert told[0].startswith(f"my.yaml:{line}: ")


def test_a_short_file_cannot_unfold_without_end() -> None:
    laughs = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n"
    laughs += "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12))
    assert "unfolds into too much" in refused(laughs)[0]


def test_all_problems_are_told_at_once_in_the_order_of_the_file() -> None:
    told = refused(GOOD.replace("kill", "kil").replace("nodes: [fs]", "nodez: [fs]").replace("to: 9196, ", ""))
    assert [int(line.split(":")[1]) for line in told] == [6, 15, 17]
    told = refused(
        GOOD.replace("FS1}", "FS9}").replace("nodes: [fs]", "nodes: [fz]").replace("from: callers", "from: c")
    )
    assert [int(line.split(":")[1]) for line in told] == [6, 15, 17]


@pytest.mark.parametrize(
    ("path", "words"), [("no/such.yaml", "no such file"), (".", "not a file"), ("a\0b", "no such")]
)
def test_a_path_that_cannot_be_read_is_told_so(path: str, words: str) -> None:
    with pytest.raises(topologies.TopologyError, match=words):
        topologies.load(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_rights_is_told_so(tmp_path: Path) -> None:
    file = tmp_path / "closed.yaml"
    file.write_text(GOOD)
    file.chmod(0)
    with pytest.raises(topologies.TopologyError, match="cannot be read"):
        topologies.load(file)


def test_a_pipe_does_not_hang(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.yaml"
    os.mkfifo(pipe)
    with pytest.raises(topologies.TopologyError, match="not a file"):
        topologies.load(pipe)


def test_a_topology_built_by_hand_is_checked_as_well() -> None:
    with pytest.raises(ValueError, match="there is no client 'nobody'"):
        Topology.model_validate(
            {
                "edges": {"e": {"interfaces": {"a": {"host": "127.0.0.1"}}}},
                "scenarios": {"s": {"traffic": [{"from": "nobody", "to": "1", "rate_per_s": 1}]}},
            }
        )


def load_or_refuse(data: bytes) -> None:
    """The one promise: a topology that can be used, or a TopologyError whose lines have line numbers."""
    try:
        topology = topologies.parse(data, "my.yaml")
    except topologies.TopologyError as error:
        told = str(error)
    else:
        assert topologies.parse(topology.to_yaml().encode()) == topology
        for edge in topology.edges:
            topology.edge_config(edge)
        for client in topology.clients:
            topology.entry(client)
        return
    assert all(LINE.fullmatch(line) for line in told.split("\n")), told


TEXTS = [path.read_bytes() for path in Path(topologies.__file__).parent.glob("*.yaml")]
SCRAPS = [
    b"\t",
    b": ",
    b"- ",
    b"{",
    b"}",
    b"[",
    b"]",
    b"&a ",
    b"*a",
    b"<<: ",
    b"!",
    b"'",
    b'"',
    b"\n",
    b"  ",
    b"#",
]
SCRAPS += [
    b"null",
    b"true",
    b"-1",
    b"0",
    b"1e400",
    b".nan",
    b"~",
    b"? ",
    b"|",
    b"> ",
    b"%",
    b"@",
    b"\x00",
    b"\x85",
]
SCRAPS += [b"\xff", b"\\ud800", b"9" * 5000, "\u2028".encode(), b"edges", b"nodes: ", b"kind: slow", b"---\n"]

mangling = st.tuples(st.floats(0, 1), st.integers(0, 12), st.sampled_from(SCRAPS) | st.binary(max_size=3))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(text=st.sampled_from(TEXTS), cuts=st.lists(mangling, min_size=1, max_size=5))
def test_any_mangled_file_loads_or_is_refused_by_line(text: bytes, cuts: list[tuple[float, int, bytes]]) -> None:
    for share, length, scrap in cuts:
        start = int(share * len(text))
        text = text[:start] + scrap + text[start + length :]
    load_or_refuse(text)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.binary(max_size=60) | st.lists(st.sampled_from(SCRAPS), max_size=12).map(b"".join))
def test_any_bytes_are_refused_by_line(data: bytes) -> None:
    load_or_refuse(data)


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["fs", "FS1", "*"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data(), value=values)
def test_any_value_in_any_place_loads_or_is_refused_by_line(data: st.DataObject, value: object) -> None:
    name = data.draw(st.sampled_from(topologies.names()))
    tree = topologies.load(name).model_dump(mode="json", by_alias=True)
    place: Any = tree
    key: Any = data.draw(st.sampled_from(sorted(tree)))
    while isinstance(place[key], (dict, list)) and place[key] and data.draw(st.booleans()):
        place = place[key]
        key = data.draw(st.sampled_from(list(place) if isinstance(place, dict) else range(len(place))))
    place[key] = value
    load_or_refuse(yaml_text(tree))


def yaml_text(tree: object) -> bytes:
    return yaml.safe_dump(tree, sort_keys=False, allow_unicode=True).encode("utf-8", "surrogatepass")

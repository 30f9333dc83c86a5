"""Strategies: well-formed messages in all the forms that RFC 3261 allows, and damage to do to them."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

# No deadline of its own for a test that shares its machine.
calm = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])

TOKEN_OCTETS = b"ABCXYZabcxyz0189-.!%*_+`'~"
COMPACT = {
    "via": b"v",
    "from": b"f",
    "to": b"t",
    "call-id": b"i",
    "contact": b"m",
    "subject": b"s",
    "supported": b"k",
}
LONG = {"call-id": b"Call-ID", "cseq": b"CSeq", "max-forwards": b"Max-Forwards", "record-route": b"Record-Route"}

tokens = st.lists(st.sampled_from(TOKEN_OCTETS), min_size=1, max_size=12).map(bytes)
blanks = st.sampled_from([b"", b" ", b"  ", b"\t", b" \t "])
# LWS: blanks that may go on in the next line
lws = st.sampled_from([b" ", b"  ", b"\t", b"\r\n ", b" \r\n\t", b"\r\n \r\n  "])
sws = st.one_of(st.just(b""), lws)
hosts = st.sampled_from(
    [b"h", b"a.example.com", b"192.0.2.1", b"[2001:db8::1]", b"[::ffff:192.0.2.2]", b"x-1_y.z"]
)
ports = st.one_of(st.just(b""), st.integers(1, 65_535).map(lambda port: b":%d" % port))
# Text in quotes: UTF-8, and what would end a value outside them
quoted = st.lists(
    st.one_of(
        st.sampled_from([b",", b";", b"<", b">", b":", b" ", b"=", rb"\"", rb"\\", b"\\\x00", b"tag="]),
        st.characters(codec="utf-8", exclude_characters='"\\', exclude_categories=("Cc", "Cs")).map(str.encode),
    ),
    max_size=8,
).map(lambda parts: b'"' + b"".join(parts) + b'"')
uris: st.SearchStrategy[bytes] = st.builds(
    lambda user, host, port, params: b"sip:" + user + host + port + params,
    st.sampled_from([b"", b"alice@", b"+1-212@", b"a;b=c@", b"%75ser@", b"a,b@", b"u:p@"]),
    hosts,
    ports,
    st.sampled_from([b"", b";lr", b";transport=tcp;lr", b";x=1"]),
)


@st.composite
def params(draw: st.DrawFn, *first: bytes) -> bytes:
    """Parameters of a header, blanks and folds where they may be."""
    text = b"".join(draw(sws) + b";" + draw(sws) + param for param in first)
    for _ in range(draw(st.integers(0, 2))):
        text += draw(sws) + b";" + draw(sws) + b"x" + draw(tokens)
        if draw(st.booleans()):
            text += draw(sws) + b"=" + draw(sws) + draw(st.one_of(tokens, quoted))
    return text


@st.composite
def addresses(draw: st.DrawFn, *first: bytes) -> bytes:
    display = draw(st.one_of(st.just(b""), quoted, st.sampled_from([b"Bob ", b"A. G. Bell ", "Жанна ".encode()])))
    return display + draw(sws) + b"<" + draw(uris) + b">" + draw(params(*first))


@st.composite
def vias(draw: st.DrawFn) -> bytes:
    slash = draw(sws) + b"/" + draw(sws)
    protocol = b"SIP" + slash + b"2.0" + slash + draw(st.sampled_from([b"UDP", b"TCP", b"TLS", b"ws"]))
    return protocol + draw(lws) + draw(hosts) + draw(ports) + draw(params(b"branch=z9hG4bK" + draw(tokens)))


@dataclass(frozen=True)
class Written:
    """A message's octets and what a reader must find in them."""

    octets: bytes
    values: dict[str, list[bytes]]  # by name, in order, folds and the blanks around not counted
    body: bytes


@st.composite
def messages(draw: st.DrawFn) -> Written:
    """A request or a response; its headers in any order, on one line or several, long names or short."""
    method = draw(st.one_of(st.sampled_from([b"INVITE", b"BYE", b"OPTIONS"]), tokens))
    version = b"SIP/2.0"
    start = draw(
        st.one_of(
            uris.map(lambda uri: method + b" " + uri + b" " + version),
            st.sampled_from([b"200 OK", b"100 ", "486 Занят".encode()]).map(lambda rest: version + b" " + rest),
        )
    )
    body = draw(
        st.one_of(st.just(b""), st.binary(max_size=40), st.just(b"v=0\r\n\r\nINVITE sip:h SIP/2.0\r\n\r\n"))
    )
    values = {
        "via": draw(st.lists(vias(), min_size=1, max_size=3)),
        "from": [draw(addresses(b"tag=" + draw(tokens)))],
        "to": [draw(addresses())],
        "call-id": [draw(tokens) + b"@h"],
        "cseq": [b"%d" % draw(st.integers(0, 2**31 - 1)) + draw(lws) + method],
        "max-forwards": [b"70"],
        "contact": draw(st.lists(addresses(), max_size=2)),
        "route": draw(st.lists(addresses(), max_size=3)),
        "subject": draw(st.lists(st.sampled_from([b"x", b"", "Ж".encode(), b"a\r\n b\r\n\tc"]), max_size=1)),
        "content-length": [b"%d" % len(body)],
    }
    lines: list[bytes] = []
    for name in draw(st.permutations(list(values))):
        rest = values[name]
        while rest:
            count = draw(st.integers(1, len(rest)))
            separator = draw(sws) + b"," + draw(sws)
            lines.append(draw(_spellings(name)) + b":" + draw(sws) + separator.join(rest[:count]) + draw(blanks))
            rest = rest[count:]
    return Written(b"\r\n".join([start, *lines, b"", body]), values, body)


def _spellings(name: str) -> st.SearchStrategy[bytes]:
    long = LONG.get(name, name.title().encode())
    names = [long, long.upper(), long.lower(), long.swapcase(), COMPACT.get(name, long)]
    return st.tuples(st.sampled_from(names), blanks).map(b"".join)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A message in which octets were cut out, doubled, or written over."""
    octets = draw(messages()).octets
    for _ in range(draw(st.integers(1, 4))):
        begin = draw(st.integers(0, len(octets)))
        end = min(len(octets), begin + draw(st.integers(0, 12)))
        junk = draw(
            st.one_of(
                st.sampled_from([b"", b"\x00", b"\n", b"\r\n", b":", b",", b'"', b"<", b" ", b";"]), st.binary()
            )
        )
        octets = octets[:begin] + junk + octets[begin if draw(st.booleans()) else end :]
    return octets

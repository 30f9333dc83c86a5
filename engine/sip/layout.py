"""Header names: their canonical form, and how a message is made up of them.

A device writes the same headers in the same order again and again. What follows from the names alone is found once
and kept as the ``Layout`` that such messages share.
"""

from __future__ import annotations

from typing import Final

from engine.sip.memory import remember

# Compact forms: RFC 3261 §7.3.3 and the registry of the RFCs that added others.
_COMPACT: Final = {
    b"a": "accept-contact", b"b": "referred-by", b"c": "content-type", b"d": "request-disposition",
    b"e": "content-encoding", b"f": "from", b"i": "call-id", b"j": "reject-contact", b"k": "supported",
    b"l": "content-length", b"m": "contact", b"n": "identity-info", b"o": "event", b"r": "refer-to",
    b"s": "subject", b"t": "to", b"u": "allow-events", b"v": "via", b"x": "session-expires", b"y": "identity",
}  # fmt: skip

_USUAL: Final = (
    b"Via From To Call-ID CSeq Contact Max-Forwards Route Record-Route Content-Type Content-Length User-Agent "
    b"Server Allow Supported Require Proxy-Require Unsupported Expires Path Authorization Proxy-Authorization "
    b"WWW-Authenticate Proxy-Authenticate Accept Allow-Events Date Reason Retry-After Session-Expires Min-SE "
    b"Subject Event Refer-To Remote-Party-ID Content-Disposition RSeq RAck Warning X-FS-Support Privacy "
    b"P-Asserted-Identity P-Preferred-Identity Referred-By Replaces Diversion History-Info Call-Info Alert-Info "
    b"Organization Subscription-State Service-Route Accept-Language Accept-Encoding Content-Encoding "
    b"Content-Language MIME-Version Timestamp In-Reply-To Reply-To Priority Max-Breadth"
).split()

# Spellings met on the wire -> canonical name. One look-up names most headers; the rest take the slow way.
_CANONICAL: Final[dict[bytes, str]] = {
    spelling: name.lower().decode()
    for name in _USUAL
    for spelling in (name, name.lower(), name.title(), name.upper())
} | {spelling: name for letter, name in _COMPACT.items() for spelling in (letter, letter.upper())}
USUAL_NAMES: Final = frozenset(_CANONICAL.values())


def canonical_name(raw: bytes) -> str:
    """The name by which the code knows a header: long form, lower case. A malformed name keeps its bytes.

    A line without a colon has the empty name.
    """
    name = _CANONICAL.get(raw)
    if name is None:
        stripped = raw.rstrip(b" \t")  # HCOLON = *( SP / HTAB ) ":" SWS
        name = _CANONICAL.get(stripped) or _COMPACT.get(stripped.lower()) or stripped.lower().decode("latin-1")
    return name


class Layout:
    """The header names of messages as they come in: which line is which, and where its value begins.

    ``prefixes`` are the names as written, with colon and the blank behind it.
    """

    __slots__ = ("first", "flaw", "names", "prefixes", "repeated", "starts")

    def __init__(self, names: list[str], prefixes: list[bytes]) -> None:
        self.names = names
        self.prefixes = prefixes
        self.starts = [len(prefix) for prefix in prefixes]
        self.first = {name: index for index, name in reversed([*enumerate(names)])}
        self.repeated = frozenset(name for name in names if names.count(name) > 1)
        self.flaw: str | None = None  # what is wrong with these names ("" if nothing), once validation has looked

    def fits(self, lines: list[bytes]) -> bool:
        """Whether these lines, as many as this has, bear the same names. In each a value must begin."""
        for index, prefix in enumerate(self.prefixes):  # noqa: SIM110 - a generator costs more than all it does
            if not lines[index].startswith(prefix):
                return False
        return True


_layouts: Final[dict[bytes, Layout]] = {}  # by the prefixes
# The latest one for a number of lines and a first octet: of INVITEs, say. It is the next one's, too, most often.
_latest: Final[dict[int, Layout]] = {}
_MOST: Final = 256
_LONGEST_BYTES: Final = 1024


def layout_of(lines: list[bytes], first_octet: int) -> Layout | None:
    """The layout of header lines; None where one has no colon, or goes on with the one before (a fold)."""
    kind = len(lines) << 8 | first_octet
    latest = _latest.get(kind)
    if latest is not None and latest.fits(lines):
        return latest
    prefixes = [_prefix(line) for line in lines]
    key = b"".join(prefixes)
    layout = _layouts.get(key)
    if layout is None:
        if not all(prefixes):
            return None
        names = [canonical_name(prefix[: prefix.index(b":")]) for prefix in prefixes]
        layout = remember(_layouts, key, Layout(names, prefixes), _MOST, _LONGEST_BYTES)
    if len(layout.names) != len(lines):  # the same octets cut otherwise
        return None
    if len(key) <= _LONGEST_BYTES:
        if len(_latest) >= _MOST:
            _latest.clear()
        _latest[kind] = layout
    return layout


def _prefix(line: bytes) -> bytes:
    """What stands before a header's value, with the blank that nearly all write; empty where that is no name."""
    end = line.find(b":") + 1
    if line[:1] in (b" ", b"\t"):
        return b""
    return line[: end + 1] if end and line[end : end + 1] == b" " else line[:end]

"""RFC 3261 §25 as compiled patterns, each with the ABNF it stands for, and the few helpers that need them.

The patterns work on bytes and take time in proportion to the text: alternatives start with different characters,
the repetitions that could overlap are possessive, and what is never closed runs to the end once, so that no
crafted message makes one back-track.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

# token = 1*(alphanum / "-" / "." / "!" / "%" / "*" / "_" / "+" / "`" / "'" / "~" )
TOKEN = rb"[A-Za-z0-9\-.!%*_+`'~]+"
TOKEN_OCTETS: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-.!%*_+`'~"
"""What is left of a text when ``translate`` takes these away is no token; faster than the pattern."""

# SWS = [LWS]; after unfolding a line break is a space, so white space is SP / HTAB.
SWS = rb"[ \t]*+"

# quoted-string = SWS DQUOTE *(qdtext / quoted-pair ) DQUOTE; quoted-pair excludes CR and LF.
QUOTED = rb'"(?:[^"\\\r\n\x00]|\\[^\r\n])*+"'

# hostname / IPv4address / IPv6reference. A host name's labels are not told from an IPv4 address here; "_" is not
# in the grammar but in many real host names.
HOST = rb"(?:[A-Za-z0-9._\-]+|\[[0-9A-Fa-f:.]+(?:%[A-Za-z0-9]+)?\])"

# gen-value = token / host / quoted-string. A bare IPv6 address is tolerated (RFC 5118 §4.5), and so is anything
# that can't be mistaken for a delimiter, for peers put odd things there.
GEN_VALUE = rb"(?:" + QUOTED + rb"|[^\x00-\x20\x7f;,\"<>]+)"


# generic-param = token [ EQUAL gen-value ]
def _param(group: bytes) -> bytes:
    """The pattern of one parameter; ``group`` opens its groups: capturing "(" or not "(?:"."""
    value = rb"(?:=" + SWS + group + GEN_VALUE + rb"))?"
    return rb";" + SWS + group + TOKEN + rb")" + SWS + value + SWS


_PARAM: Final = re.compile(_param(b"("))
PARAMS = rb"(?:" + _param(b"(?:") + rb")*+"

# Looking for an octet's number in bytes costs a tenth of looking for bytes in bytes.
_HTAB: Final = 0x09
_SP: Final = 0x20
_DQUOTE: Final = 0x22

TOKEN_PATTERN: Final = re.compile(TOKEN)
_FOLD: Final = re.compile(rb"\r\n[ \t]+")  # white space before it may stay: all of it counts as one space
_COMMA_PART: Final = re.compile(rb'(?:[^,"<]++|"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)|<[^>]*+(?:>|\Z))*+', re.DOTALL)
_QUOTED_PAIR: Final = re.compile(rb"\\(.)", re.DOTALL)


def unfold(line: bytes) -> bytes:
    """Join a header that goes on in following lines (§7.3.1: a fold is equal to one space)."""
    return _FOLD.sub(b" ", line)


def split_commas(value: bytes) -> Iterator[bytes]:
    """Split a header's list of values at commas outside quotes and angle brackets.

    A quote or bracket that is never closed doesn't raise: it takes the rest with it, for the value's own pattern
    to refuse.
    """
    position = 0
    while position <= len(value):
        match = _COMMA_PART.match(value, position)
        end = match.end() if match else len(value)
        yield value[position:end].strip()
        position = end + 1


def parse_params(text: bytes) -> dict[bytes, bytes | None]:
    """Parameters as written in ``;a=b;c``; names in lower case, a repeated name keeps its first value.

    ``text`` must match PARAMS.
    """
    params: dict[bytes, bytes | None] = {}
    if not text:
        return params
    if _DQUOTE not in text and _SP not in text and _HTAB not in text:  # the usual: nothing to protect or to skip
        for param in text[1:].split(b";"):
            name, equal, value = param.partition(b"=")
            params.setdefault(name.lower(), value if equal else None)
        return params
    for match in _PARAM.finditer(text):
        params.setdefault(match[1].lower(), match[2])
    return params


def unquote(value: bytes) -> bytes:
    """The content of a quoted-string; any other value as it is."""
    if len(value) >= 2 and value[:1] == b'"' and value[-1:] == b'"':
        return _QUOTED_PAIR.sub(rb"\1", value[1:-1])
    return value


def quote(text: bytes) -> bytes:
    """A quoted-string with this content."""
    return b'"' + text.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'

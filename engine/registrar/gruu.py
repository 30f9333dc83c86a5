"""Public GRUUs (RFC 5627): ``user@domain;gr=instance`` names one instance of a user, wherever it is."""

from __future__ import annotations

import re
from typing import Final

from engine.registrar.binding import Binding, aor_of
from engine.registrar.bindings import Bindings
from engine.sip.grammar import quote, unquote
from engine.sip.headers import NameAddr
from engine.sip.uri import SipUri, escape_user, parse_uri, unescape

PARAM: Final = b";gr="
_UNSAFE_IN_PARAM: Final = re.compile(rb"[^A-Za-z0-9\-_.!~*'()\[\]/:&+$]")  # anything but paramchar, and "%"


def gruu_param(binding: Binding) -> bytes:
    """The Contact parameter that gives an agent its public GRUU; empty for one without an instance."""
    instance = _instance_of(binding.address)
    if not instance:
        return b""
    user, _, host = binding.aor.rpartition(b"@")
    escaped = _UNSAFE_IN_PARAM.sub(lambda match: b"%%%02X" % match[0][0], instance)
    return b";pub-gruu=" + quote(b"sip:" + escape_user(user) + b"@" + host + PARAM + escaped)


def find_instance(bindings: Bindings, uri: SipUri) -> Binding | None:
    """The binding of the instance that a GRUU names; the newest one, where it has several flows."""
    instance = unescape(uri.params.get(b"gr") or b"")
    if not instance:
        return None
    aor = aor_of(bytes(uri))
    return next((each for each in reversed(bindings.of(aor)) if _instance_of(each.address) == instance), None)


def names(uri: bytes, binding: Binding) -> bool:
    """Whether a Request-URI is the GRUU of this binding."""
    if PARAM not in uri:
        return False
    parsed = parse_uri(uri)
    return aor_of(uri) == binding.aor and unescape(parsed.params.get(b"gr") or b"") == _instance_of(
        binding.address
    )


def _instance_of(address: NameAddr) -> bytes:
    """The URN in ``+sip.instance="<urn:...>"``."""
    return unquote(address.params.get(b"+sip.instance") or b"").strip(b"<>")

"""One way of SRTP by libsrtp (RFC 3711, RFC 7714): keys in, packets in another form out.

pylibsrtp brings libsrtp with OpenSSL's ciphers. Its binding is used below its Session, for that copies each packet
thrice and takes no packet longer than 1,356 octets; so its version is bound.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

from pylibsrtp import Error, Policy, Session
from pylibsrtp._binding import ffi, lib

_PROFILES: Final[Mapping[bytes, int]] = {
    b"AES_CM_128_HMAC_SHA1_80": Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
    b"AES_CM_128_HMAC_SHA1_32": Policy.SRTP_PROFILE_AES128_CM_SHA1_32,
    b"AEAD_AES_128_GCM": Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    b"AEAD_AES_256_GCM": Policy.SRTP_PROFILE_AEAD_AES_256_GCM,
}

_ROOM: Final = 4_096  # the longest packet and what SRTP adds


_FUNCTIONS: Final = ("srtp_protect", "srtp_protect_rtcp", "srtp_unprotect", "srtp_unprotect_rtcp")
# What the native loop calls them as. libsrtp 3 takes other arguments.
_SIGNATURE: Final = "srtp_err_status_t(*)(struct srtp_ctx_t_ *, void *, int *)"


def native_functions() -> tuple[int, ...]:
    """The addresses of libsrtp's functions, so that the native loop calls them without Python.

    Raises
    ------
    ImportError
        Where they aren't the ones that it knows.
    """
    found = [ffi.addressof(lib, name) for name in _FUNCTIONS]
    if any(ffi.typeof(function).cname != _SIGNATURE for function in found):
        raise ImportError("libsrtp with another interface")
    found.append(ffi.addressof(lib, "srtp_remove_stream"))
    return tuple(int(ffi.cast("uintptr_t", function)) for function in found)


class SrtpWay:
    """The state of one way: its keys, and a roll-over counter and a replay window for each SSRC."""

    __slots__ = ("_buffer", "_key", "_length", "_session", "_suite")

    def __init__(self, suite: bytes, key: bytes, *, inbound: bool) -> None:
        policy = Policy(
            key=key,
            ssrc_type=Policy.SSRC_ANY_INBOUND if inbound else Policy.SSRC_ANY_OUTBOUND,
            srtp_profile=_PROFILES[suite],
        )
        policy.allow_repeat_tx = True  # a packet that its sender, or the network, sends twice is not ours to judge
        self._session = Session(policy)
        self._suite = suite
        self._key = key
        self._buffer: Any = None  # of those alone who have Python process their packets
        self._length = ffi.new("int *")

    def has(self, suite: bytes, key: bytes) -> bool:
        """Whether these are its keys."""
        return self._suite == suite and self._key == key

    @property
    def address(self) -> int:
        """libsrtp's context, for the native loop."""
        return int(ffi.cast("uintptr_t", self._session._srtp[0]))

    def protect(self, packet: bytes) -> bytes | None:
        """RTP made SRTP; None where libsrtp refuses."""
        return self._process(lib.srtp_protect, packet)

    def protect_rtcp(self, packet: bytes) -> bytes | None:
        return self._process(lib.srtp_protect_rtcp, packet)

    def unprotect(self, packet: bytes) -> bytes | None:
        """The RTP of SRTP; None where it isn't authentic, or came before."""
        return self._process(lib.srtp_unprotect, packet)

    def unprotect_rtcp(self, packet: bytes) -> bytes | None:
        return self._process(lib.srtp_unprotect_rtcp, packet)

    def forget(self, ssrc: int) -> None:
        """Free the state of one stream; it begins anew, should it come again."""
        with suppress(Error):
            self._session.remove_stream(ssrc)

    def _process(self, function: Callable[[Any, Any, Any], int], packet: bytes) -> bytes | None:
        if self._buffer is None:
            self._buffer = ffi.new("char[]", _ROOM)
        self._length[0] = len(packet)
        ffi.memmove(self._buffer, packet, len(packet))
        if function(self._session._srtp[0], self._buffer, self._length) != lib.srtp_err_status_ok:
            return None
        return bytes(ffi.buffer(self._buffer, self._length[0]))

"""One DTLS association by itself: what stays of it when its hand-shake is through."""

from __future__ import annotations

import gc
import warnings
import weakref
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL.crypto import FILETYPE_ASN1, load_certificate

from engine.live.relay.certificate import new_certificate
from engine.live.relay.dtls import Association, new_context
from engine.media.sdp.attributes import Fingerprint

ZERO = b"\x02\x01\x02\x02\x01\x00"  # version 3 and the serial number 0, as FreeSWITCH makes its own
CERTIFICATES = (new_certificate(), new_certificate())
CONTEXTS = tuple(new_context(each) for each in CERTIFICATES)


def pair() -> tuple[Association, Association]:
    """A client and a server that know each other's certificate."""
    client = Association(CONTEXTS[0], is_client=True, fingerprints=(CERTIFICATES[1].fingerprint,))
    server = Association(CONTEXTS[1], is_client=False, fingerprints=(CERTIFICATES[0].fingerprint,))
    return client, server


def carried(to: Association, flight: list[bytes]) -> list[bytes]:
    return [datagram for each in flight for datagram in to.receive(each)]


def shaken(client: Association, server: Association) -> tuple[list[bytes], list[bytes]]:
    """Up to the server's last flight, which is not delivered: the client's last flight, and that one."""
    flight = client.start()
    while True:
        flight = carried(client, carried(server, flight))
        answer = carried(server, flight)
        if server.keys is not None:
            return flight, answer
        flight = carried(client, answer)


def test_a_client_that_has_missed_the_servers_last_flight_gets_it_again() -> None:
    client, server = pair()
    asked, _lost = shaken(client, server)
    assert client.keys is None
    carried(client, carried(server, asked))
    assert client.keys is not None
    assert server.keys is not None
    assert client.keys.send == server.keys.receive


def test_it_is_said_again_once_for_a_whole_flight_and_for_nothing_else() -> None:
    client, server = pair()
    asked, said = shaken(client, server)
    assert carried(server, asked) == said
    hello = pair()[0].start()
    closing = b"\x15\xfe\xfd\x00\x01" + bytes(6) + b"\x00\x02\x01\x00"
    for other in (hello, [b"\x16" * 40], [closing], [b"\x16\xfe\xfd\x00\x01"], [b""]):
        assert carried(server, other) == []


def test_a_client_has_nothing_left_to_say() -> None:
    client, server = pair()
    _, last = shaken(client, server)
    carried(client, last)
    assert carried(client, last) == []


def test_a_certificate_that_cryptography_would_not_read_is_known_by_its_fingerprint() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([])
    now = datetime.now(UTC)
    built = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
    der = built.sign(key, SHA256()).public_bytes(Encoding.DER).replace(b"\x02\x01\x02\x02\x01\x01", ZERO, 1)
    assert ZERO in der
    context = new_context(CERTIFICATES[1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # but how else?
        context.use_certificate(load_certificate(FILETYPE_ASN1, der))
    context.use_privatekey(key)
    client = Association(
        CONTEXTS[0], is_client=True, fingerprints=(Fingerprint(b"sha-256", sha256(der).digest()),)
    )
    server = Association(context, is_client=False, fingerprints=(CERTIFICATES[0].fingerprint,))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _, last = shaken(client, server)
        carried(client, last)
    assert client.keys is not None


@pytest.mark.parametrize("foreign", [False, True])
def test_openssl_state_goes_with_the_hand_shakes_end_without_a_collector(foreign: bool) -> None:
    client, server = pair()
    if foreign:
        server.fingerprints = (new_certificate().fingerprint,)
    assert server._connection is not None
    state = weakref.ref(server._connection)
    gc.disable()
    try:
        flight = client.start()
        while state() is not None and flight:
            flight = carried(client, carried(server, flight))
        assert state() is None
    finally:
        gc.enable()
    assert server.timeout_s() is None
    assert server.expire() == []
    assert server.failure == ("certificate" if foreign else "")

"""Captures: what tcpdump and Wireshark write is read message by message, whatever the network did to it."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from struct import pack

import pytest

from engine.live.frames import TEXT, frame
from lab.errors import InputError
from lab.simulation import run_simulation
from lab.twin import read_capture, recording_of, write_capture
from tests.lab.twin.office import office

OPTIONS = b"OPTIONS sip:a@b SIP/2.0\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
ANSWER = b"SIP/2.0 200 OK\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\nContent-Length: 3\r\n\r\nabc"
A, B = ("192.0.2.1", 5060), ("192.0.2.2", 5070)
SIX = ("2001:db8::1", 5060), ("2001:db8::2", 5070)
RAW, ETHERNET, SLL, SLL2 = 101, 1, 113, 276


def ip(protocol: int, source: tuple[str, int], destination: tuple[str, int], data: bytes) -> bytes:
    one, other = ip_address(source[0]).packed, ip_address(destination[0]).packed
    if len(one) == 16:
        return pack(">IHBB", 6 << 28, len(data), protocol, 64) + one + other + data
    return pack(">BBHHHBBH", 0x45, 0, 20 + len(data), 0, 0, 64, protocol, 0) + one + other + data


def udp(source: tuple[str, int], destination: tuple[str, int], data: bytes) -> bytes:
    return ip(17, source, destination, pack(">HHHH", source[1], destination[1], 8 + len(data), 0) + data)


def tcp(
    source: tuple[str, int], destination: tuple[str, int], number: int, data: bytes, flags: int = 0x10
) -> bytes:
    head = pack(">HHIIBBHHH", source[1], destination[1], number % (1 << 32), 0, 5 << 4, flags, 1000, 0, 0)
    return ip(6, source, destination, head + data)


def pcap(path: Path, packets: list[bytes], link: int = RAW, order: str = "<", nano: bool = False) -> Path:
    data = pack(f"{order}IHHiIII", 0xA1B23C4D if nano else 0xA1B2C3D4, 2, 4, 0, 0, 65535, link)
    for number, packet in enumerate(packets):
        data += (
            pack(f"{order}IIII", 1000 + number, 500_000_000 if nano else 500_000, len(packet), len(packet))
            + packet
        )
    path.write_bytes(data)
    return path


def pcapng(path: Path, packets: list[bytes]) -> Path:
    def block(kind: int, body: bytes) -> bytes:
        body += b"\0" * (-len(body) % 4)
        return pack("<II", kind, len(body) + 12) + body + pack("<I", len(body) + 12)

    data = block(0x0A0D0D0A, pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))
    data += block(1, pack("<HHI", RAW, 0, 0) + pack("<HHB3x", 9, 1, 9) + pack("<HH", 0, 0))  # nanoseconds
    for number, packet in enumerate(packets):
        tick = (1000 + number) * 10**9 + 250_000_000
        data += block(6, pack("<IIIII", 0, tick >> 32, tick & 0xFFFFFFFF, len(packet), len(packet)) + packet)
    path.write_bytes(data)
    return path


class TestFormats:
    @pytest.mark.parametrize("order", ["<", ">"])
    @pytest.mark.parametrize("nano", [False, True])
    def test_pcap_in_either_byte_order(self, tmp_path: Path, order: str, nano: bool) -> None:
        read = read_capture(pcap(tmp_path / "x", [udp(A, B, OPTIONS), udp(B, A, ANSWER)], order=order, nano=nano))
        assert [each.data for each in read.messages] == [OPTIONS, ANSWER]
        assert [each.time_s for each in read.messages] == [0.0, pytest.approx(1.0)]
        assert (read.messages[0].source, read.messages[0].destination) == (A, B)

    def test_pcapng_with_its_own_clock(self, tmp_path: Path) -> None:
        read = read_capture(pcapng(tmp_path / "x", [udp(A, B, OPTIONS), udp(B, A, ANSWER)]))
        assert [each.time_s for each in read.messages] == [0.0, pytest.approx(1.0)]

    @pytest.mark.parametrize(
        ("link", "head"),
        [
            (ETHERNET, b"\0" * 12 + b"\x08\x00"),
            (ETHERNET, b"\0" * 12 + b"\x81\x00\x00\x07\x08\x00"),
            (SLL, b"\0" * 14 + b"\x08\x00"),
            (SLL2, b"\x08\x00" + b"\0" * 18),
            (0, b"\x02\0\0\0"),
        ],
    )
    def test_each_link_layer(self, tmp_path: Path, link: int, head: bytes) -> None:
        read = read_capture(pcap(tmp_path / "x", [head + udp(A, B, OPTIONS)], link=link))
        assert read.messages[0].data == OPTIONS

    def test_ip_version_6(self, tmp_path: Path) -> None:
        (message,) = read_capture(pcap(tmp_path / "x", [udp(*SIX, OPTIONS)])).messages
        assert (message.source, message.destination) == SIX

    def test_what_is_no_sip_is_left_out(self, tmp_path: Path) -> None:
        odd = [
            udp(A, B, b"\r\n\r\n"),
            udp(A, B, b"\x80\x00rtp"),
            b"\x45",
            ip(47, A, B, b"gre"),
            udp(A, B, OPTIONS),
        ]
        assert len(read_capture(pcap(tmp_path / "x", odd)).messages) == 1

    def test_a_port_that_nobody_has_is_told(self, tmp_path: Path) -> None:
        refusal = ip(1, B, A, pack(">BBHI", 3, 3, 0, 0) + udp(A, B, OPTIONS)[:28])
        assert read_capture(pcap(tmp_path / "x", [udp(A, B, OPTIONS), refusal])).refused == ((1.0, B),)


class TestStreams:
    def messages(self, tmp_path: Path, packets: list[bytes]) -> list[bytes]:
        return [each.data for each in read_capture(pcap(tmp_path / "x", packets)).messages]

    def test_segments_are_put_in_order_and_repeated_ones_count_once(self, tmp_path: Path) -> None:
        whole = OPTIONS + OPTIONS.replace(b"Call-ID: 1", b"Call-ID: 2")
        start = (1 << 32) - 20  # numbers wrap around
        parts = [(at, whole[at : at + 30]) for at in range(0, len(whole), 30)]
        shuffled = [parts[0], parts[2], parts[1], parts[1], *parts[3:]]
        packets = [tcp(A, B, start - 1, b"", 0x02)]
        packets += [tcp(A, B, start + at, data) for at, data in shuffled]
        assert self.messages(tmp_path, packets) == [OPTIONS, OPTIONS.replace(b"Call-ID: 1", b"Call-ID: 2")]

    def test_a_capture_may_begin_after_the_connection(self, tmp_path: Path) -> None:
        assert self.messages(tmp_path, [tcp(A, B, 77, OPTIONS)]) == [OPTIONS]

    def test_websockets_are_unwrapped_masked_and_in_fragments(self, tmp_path: Path) -> None:
        upgrade = b"GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n"
        granted = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"
        masked = frame(TEXT, OPTIONS, b"key!")
        fragments = bytes((0x01, 20)) + ANSWER[:20] + b"\x89\x00" + bytes((0x80, len(ANSWER) - 20)) + ANSWER[20:]
        found = self.messages(
            tmp_path,
            [
                tcp(A, B, 1, upgrade),
                tcp(B, A, 1, granted),
                tcp(A, B, 1 + len(upgrade), masked[:9]),
                tcp(A, B, 1 + len(upgrade) + 9, masked[9:]),
                tcp(B, A, 1 + len(granted), fragments),
            ],
        )
        assert found == [OPTIONS, ANSWER]


class TestBadInput:
    def test_each_is_one_line_with_its_remedy(self, tmp_path: Path) -> None:
        (tmp_path / "text").write_text("no capture")
        (tmp_path / "damaged").write_bytes(
            pcap(tmp_path / "y", [udp(A, B, OPTIONS)]).read_bytes()[:24] + b"\xff" * 99
        )
        hello = [tcp(A, B, 1, b"\x16\x03\x01" + b"x" * 20), tcp(B, A, 1, b"\x16\x03\x03" + b"x" * 20)]
        pcap(tmp_path / "tls", hello)
        pcap(tmp_path / "odd", [b"whatever"], link=195)
        for name, words in (
            ("missing", "cannot read .*missing .*correct the path"),
            ("text", "is no capture - give a pcap"),
            ("damaged", "damaged at octet 24"),
            ("tls", "1 TLS connections cannot be read - capture the edge's plain side"),
            ("odd", "link type 195 is not known"),
        ):
            with pytest.raises(InputError, match=words) as refused:
                read_capture(tmp_path / name)
            assert len(str(refused.value).splitlines()) == 1

    def test_a_capture_that_was_cut_off_is_read_as_far_as_it_goes(self, tmp_path: Path) -> None:
        path = pcap(tmp_path / "x", [udp(A, B, OPTIONS), udp(B, A, ANSWER)])
        path.write_bytes(path.read_bytes()[:-5])
        assert len(read_capture(path).messages) == 1


def test_what_a_run_writes_is_read_again(tmp_path: Path) -> None:
    run = run_simulation(office(), messages=True)
    read = read_capture(write_capture(run.messages, tmp_path / "run.pcap"))
    kept = recording_of(run.messages, "run")
    began_s = kept.messages[0].time_s
    assert [each.data for each in read.messages] == [each.data for each in kept.messages]
    for one, other in zip(read.messages, kept.messages, strict=True):
        assert one.time_s == pytest.approx(other.time_s - began_s, abs=2e-6)
        assert (one.source, one.destination) == (other.source, other.destination)
    assert {each.transport for each in read.messages} == {"udp", "ws"}
    with pytest.raises(InputError, match="cannot write"):
        write_capture(run.messages, tmp_path)

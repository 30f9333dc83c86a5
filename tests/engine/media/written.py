"""Session descriptions for the tests: as clients write them, and as a real FreeSWITCH was recorded with them."""

from __future__ import annotations

from pathlib import Path

VECTORS = Path(__file__).resolve().parents[2] / "vectors"


def crlf(text: str) -> bytes:
    """A description written with plain line ends, as it goes over the wire."""
    return text.strip().replace("\n", "\r\n").encode() + b"\r\n"


def client(name: str) -> bytes:
    return crlf((VECTORS / "sdp" / f"{name}.sdp").read_text(encoding="utf-8"))


BROWSER = client("chromium_jssip_offer")  # mDNS candidate first, then the mapped one; one audio in a bundle
BROWSER_ANSWER = client("chromium_jssip_answer")  # to a plain offer made WebRTC by an edge; it is DTLS client
FIREFOX = client("firefox_offer")  # names what holds for all media once, above the m= line
BARESIP = client("baresip_offer")  # of a later version than the recorded one, behind a NAT
LINPHONE = client("linphone_offer")  # 5.1, Opus first, ICE names of the session, video
SDES = client("sdes_offer")  # a softphone with keys in the description (RFC 4568)
CLIENTS = {path.stem: client(path.stem) for path in sorted((VECTORS / "sdp").glob("*.sdp"))}


def recorded() -> list[bytes]:
    """Every description in the recordings of FreeSWITCH, each once, in order."""
    found: dict[bytes, None] = {}
    for path in sorted(VECTORS.glob("freeswitch*/*.txt")):
        lines: list[str] = []
        for line in path.read_text(encoding="utf-8").splitlines():
            if line == "v=0":
                lines = [line]
            elif lines and line[1:2] == "=":
                lines.append(line)
            elif lines:
                found[crlf("\n".join(lines))] = None
                lines = []
    return list(found)


def freeswitch(recording: str, count: int = 0) -> bytes:
    """The description numbered ``count`` of those that FreeSWITCH itself wrote in a recording about media."""
    text = (VECTORS / "freeswitch_media" / f"{recording}.txt").read_text(encoding="utf-8")
    body = text.split("v=0\no=FreeSWITCH")[count + 1]
    return crlf("v=0\no=FreeSWITCH" + body.partition("\n\n")[0])

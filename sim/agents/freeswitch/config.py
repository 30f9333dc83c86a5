"""Settings of a modelled FreeSWITCH. All durations are in seconds; defaults are what was observed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from engine.boundary import Interface
from engine.config import TimersConfig
from engine.media.sdp.attributes import Fingerprint

OBSERVED_TIMERS = TimersConfig(
    # Observed: INVITE at 0, 1, 3, 7, 15 and 31 s, given up at 32 s: sofia-sip doubles from 1 s on.
    t1_s=1.0,
    b_s=32.0,
    f_s=32.0,
    h_s=32.0,
    j_s=32.0,
    l_s=32.0,
    m_s=32.0,
)


class Outcome(NamedTuple):
    """How the far end took a call.

    It rang ``alert_s`` after the INVITE (None: it did not), and ``final_s`` after it was answered (``status`` 200)
    or refused.
    """

    status: int
    final_s: float
    alert_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FreeSwitchConfig:
    """One node."""

    name: str
    interfaces: tuple[Interface, ...]
    domain: str  # of the callers that it names itself; the digest realm is the domain that a request asks for
    users: tuple[str, ...] = tuple(str(number) for number in range(1000, 1020))
    password: str = "1234"
    auth: bool = True  # whether INVITE is challenged; REGISTER always is
    trusted: tuple[str, ...] = ()  # IP addresses that are never challenged: the edges (apply-inbound-acl)
    # A private Contact from elsewhere is taken for a NAT's work, and the user is called where it registered from
    # (apply-nat-acl nat.auto, as the example configuration has it).
    detects_nat: bool = True
    media_webrtc: bool = False  # every call that it makes offers browser media
    version: Literal["1.10.12", "1.11.2"] = "1.10.12"
    max_sessions: int = 1000
    force_expires_s: int = 180  # granted whatever was asked (sip-force-expires)
    late_margin_s: float = 60.0  # a binding is kept so much longer (sip-expires-late-margin)
    expiry_check_s: float = 30.0  # and is looked at so often
    ping_s: float = 0.0  # between two OPTIONS to each registered user (all-reg-options-ping); 0: none
    nonce_ttl_s: float = 60.0  # a nonce that was never used is forgotten then
    startup_s: float = 1.6  # from start to the first 200 to OPTIONS
    startup_refusing_s: float = 0.5  # the last part of it, in which all is answered 503
    reply_delay_s: float = 0.002  # the time that it takes over each request
    ring_delay_s: float = 0.0  # from INVITE to 180; no 180 is sent where this and answer_delay_s are 0
    answer_delay_s: float = 0.0  # from 180 to 200, for what it answers itself
    bridge_timeout_s: float = 30.0  # how long the called user may ring (call_timeout)
    linger_s: float = 10.0  # a refused or abandoned INVITE holds its session for so long
    shutdown_refusing_s: float = 0.6  # after the BYEs of a shutdown all is answered 503, then nothing
    events: Interface | None = None  # its event socket
    events_password: str = "ClueCon"
    heartbeat_s: float = 20.0
    media_host: str = ""  # in its session descriptions (ext-rtp-ip); its own where empty
    talks: bool = False  # what it does with media is told (sim.agents.media)
    certificate: Fingerprint | None = None  # that browsers are shown; None: a modelled one
    bridges: Mapping[str, str] = field(
        default_factory=dict
    )  # number -> SIP URI to bridge to; ;fs_path=sip:host is its route
    # By Call-ID, what became of calls that a recording tells of; such a call is not looked up in the dialplan
    outcomes: Mapping[bytes, Outcome] = field(default_factory=dict)
    timers: TimersConfig = field(default=OBSERVED_TIMERS)

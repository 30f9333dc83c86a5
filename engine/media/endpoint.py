"""Our end towards one side of one stream: its ports, keys and names, and whose packets it believes."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import replace
from random import Random

from engine.boundary import Address
from engine.media.ice import IceAgent, new_names
from engine.media.latching import Latch, Trust
from engine.media.packets import is_expected_rtp, packet_kind
from engine.media.profiles import Local, Profile, Remote, Setup, answer_setup, our_part
from engine.media.rules import Dtls, MediaPacket, Port, Sdes, Security, SendMedia
from engine.media.sdp.attributes import SUITES, Crypto, Direction, IceNames
from engine.media.sdp.errors import SdpError
from engine.media.settings import MediaSettings, Party


class Endpoint:
    """One end. ``port`` is RTP's, the next is RTCP's where the two don't share one."""

    __slots__ = (
        "_crypto",
        "_ice",
        "_latches",
        "_part",
        "_random",
        "_sdes",
        "_settings",
        "mid",
        "party",
        "port",
        "profile",
        "remote",
    )

    def __init__(self, party: Party, port: int, mid: bytes, settings: MediaSettings, random: Random) -> None:
        self.party = party
        self.port = Port(party.interface, port)
        self.mid = mid
        self.profile: Profile | None = None  # None until the side has been offered to, or has offered
        self.remote: Remote | None = None  # the side's last word in a complete or previewed exchange
        self._settings = settings
        self._random = random
        self._part: Setup | None = None
        self._crypto: tuple[Crypto, ...] = ()  # our keys, by suite, as offered
        self._sdes: Sdes | None = None
        self._ice: tuple[IceAgent, IceAgent] | None = None  # of RTP and of RTCP
        trust = settings.trust[party.kind]
        with_rtp: Trust = (
            "told" if trust == "told" else "known"
        )  # RTCP comes from where RTP was found to come from
        self._latches = (Latch(settings.targets, trust), Latch(settings.targets, with_rtp))

    # --- what the side is told ---

    def offer(self, profile: Profile, direction: Direction) -> Local:
        """Offer the stream, in this profile unless the side has shown its own."""
        self.profile = self.profile or profile
        if self.profile.security == "sdes" and not self._crypto:
            self._crypto = tuple(
                Crypto(tag, suite, self._random.randbytes(sum(sizes)))
                for tag, (suite, sizes) in enumerate(SUITES.items(), start=1)
            )
        if self.profile.ice and self._ice is None:
            self._begin_ice()
        return self._local(self.profile, direction, "actpass", self._crypto)

    def answer(self, remote: Remote, direction: Direction) -> Local:
        """Answer the side's own offer, which ``hear_offer`` took."""
        crypto = () if self._sdes is None else (self._sdes.send,)
        return self._local(remote.profile, direction, self._part or "active", crypto)

    def _local(self, profile: Profile, direction: Direction, setup: Setup, crypto: tuple[Crypto, ...]) -> Local:
        fingerprint = self._settings.fingerprint if profile.security == "dtls" else None
        if profile.security == "dtls" and fingerprint is None:
            raise SdpError("DTLS-SRTP is needed, and the relay has no certificate", 488)
        number = self.port.number
        return Local(
            profile=profile,
            direction=direction,
            host=self.party.host,
            port=number,
            rtcp_port=number if profile.rtcp_mux else number + 1,
            ice=self._ice[0].local if profile.ice and self._ice is not None else None,
            fingerprint=fingerprint,
            setup=setup,
            crypto=crypto if profile.security == "sdes" else (),
            mid=self.mid if profile.named else None,
        )

    # --- what the side has said ---

    def hear_offer(self, remote: Remote, now: float) -> str | None:
        """The side offered, and is about to be answered. Returns why its address is refused, or None."""
        self.profile = remote.profile
        self.mid = remote.mid or self.mid
        if remote.profile.security == "sdes":
            self._sdes = self._keys_for_offer(remote.crypto[0])
        self._part = answer_setup(remote.setup, self._part) if remote.profile.security == "dtls" else None
        return self._hear(remote, now, offered=True)

    def hear_answer(self, remote: Remote, now: float) -> str | None:
        """The side answered what it was offered.

        Raises
        ------
        SdpError
            488 where the answer is in another profile than the offer was.
        """
        profile = self.profile
        if profile is None or remote.profile.security != profile.security:
            raise SdpError("answer is secured otherwise than offered", 488)
        if profile.security == "sdes":
            (theirs, *_) = remote.crypto
            ours = next((crypto for crypto in self._crypto if crypto[:2] == theirs[:2]), None)
            if ours is None:
                raise SdpError("answer takes a key that was not offered", 488)
            self._sdes = Sdes(theirs, ours)
        self._part = our_part(remote.setup) if profile.security == "dtls" else None
        mux = profile.rtcp_mux and remote.profile.rtcp_mux  # RFC 5761 §5.1.1: both or none
        self.profile = replace(profile, rtcp_mux=mux, ice=remote.ice is not None)
        return self._hear(remote, now, offered=False)

    def _hear(self, remote: Remote, now: float, *, offered: bool) -> str | None:
        before, self.remote = self.remote, remote
        if remote.ice is not None:
            restarted = before is not None and before.ice is not None and before.ice != remote.ice
            if self._ice is None:
                self._begin_ice()
            if self._ice is not None:
                # Who answers with new names is met by the ones that it was just told of.
                names = new_names(self._random) if restarted and offered else self._ice[0].local
                self._meet_ice(self._ice, remote, names if restarted else None)
            return None
        self._ice = None
        host = self.party.signalling_host
        self._latches[1].negotiated(remote.rtcp, host)
        return self._latches[0].negotiated(remote.address, host)

    def _meet_ice(self, agents: tuple[IceAgent, IceAgent], remote: Remote, restart: IceNames | None) -> None:
        for component, agent in enumerate(agents, start=1):
            if restart is not None:
                agent.restart(restart, remote.ice)
            agent.remote = remote.ice
            if remote.ice_lite:
                agent.take_candidates(remote.candidates, component)

    def _begin_ice(self) -> None:
        names = new_names(self._random)
        targets = self._settings.targets
        self._ice = (IceAgent(names, targets), IceAgent(names, targets))

    def _keys_for_offer(self, theirs: Crypto) -> Sdes:
        """Our key for the peer's first line; the standing one where the peer's hasn't changed."""
        if self._sdes is not None and self._sdes.receive == theirs:
            return self._sdes
        key = self._random.randbytes(sum(SUITES[theirs.suite]))
        return Sdes(theirs, Crypto(theirs.tag, theirs.suite, key))

    # --- packets ---

    def packet(
        self, event: MediaPacket, payload_types: Container[int], now: float
    ) -> tuple[SendMedia | None, str]:
        """A packet that no rule covered: what to answer, and why it was not believed."""
        component = event.port.number - self.port.number
        kind = packet_kind(event.data)
        if kind == "stun":
            if self._ice is None:
                return None, "STUN where no ICE is spoken"
            outcome = self._ice[component].receive(event.data, event.source, now)
            reply = SendMedia(event.port, event.source, outcome.reply) if outcome.reply else None
            return reply, outcome.refused
        if self._ice is not None:
            return None, "media from an unchecked address"
        if kind == "rtp" and component == 0:
            if not is_expected_rtp(event.data, payload_types):
                return None, "RTP that was not negotiated"
        elif kind != "rtcp":
            return None, "no packet of a media port"
        if self.security(component) is not None and not event.proven:
            return None, "media without proof"
        latch = self._latches[0 if self.muxed else component]
        if not latch.packet(event.source, now):
            return None, "media from elsewhere"
        if component == 0:
            self._latches[1].know(event.source[0])
        return None, ""

    def tick(self, now: float) -> bool:
        """Whether a latch has locked because its window is over, or a peer no longer consents."""
        first, second = (each.tick(now) for each in self._ice or self._latches)
        return first or second

    def deadline(self) -> float:
        """When a latch's window ends, or a consent."""
        return min(each.deadline() for each in self._ice or self._latches)

    # --- for the rules ---

    @property
    def muxed(self) -> bool:
        """Whether RTP and RTCP share the port."""
        return self.profile is not None and self.profile.rtcp_mux

    def security(self, component: int) -> Security:
        """How packets are secured at RTP's port (0) or RTCP's (1); None also while that isn't known."""
        profile, remote = self.profile, self.remote
        if profile is None or remote is None or profile.security == "none":
            return None
        if profile.security == "sdes":
            return self._sdes
        # Whose consent has run out keeps its association, for it may come back.
        peer = self.target(component) if self._ice is None else self._ice[0 if self.muxed else component].selected
        return Dtls(self._part or "active", remote.fingerprints, peer)

    def target(self, component: int) -> Address | None:
        """Where RTP (0) or RTCP (1) for the side goes."""
        component = 0 if self.muxed else component
        return self._latches[component].target if self._ice is None else self._ice[component].target

    def sources(self, component: int) -> frozenset[Address]:
        """Whose packets are believed."""
        component = 0 if self.muxed else component
        if self._ice is not None:
            return self._ice[component].checked
        source = self._latches[component].source
        return frozenset() if source is None else frozenset((source,))

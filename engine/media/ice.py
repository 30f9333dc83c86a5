"""The ICE-lite agent of one stream (RFC 8445 §2.5, §7.3): it answers checks and never makes any.

Its one host candidate is public, so the peer, which must be a full agent, finds the path; a check that proves our
password shows that the peer sits at its source. Only such sources are media ever taken from or sent to, and so a
forged check, packet or hand-shake changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Final, NamedTuple

from engine.boundary import NEVER, Address
from engine.media.sdp.attributes import Candidate, IceNames
from engine.media.targets import Targets
from engine.stun import (
    ICE_CONTROLLED,
    PRIORITY,
    REQUEST,
    UNDERSTOOD,
    USE_CANDIDATE,
    USERNAME,
    StunError,
    StunMessage,
    read_stun,
    stun_error,
    stun_success,
)

CONSENT_S: Final = 30.0
"""A peer that has checked on and then not for so long is sent nothing more (RFC 7675 §5.1).

As lite agents we never ask for consent, but who speaks WebRTC goes on to check. Others may keep their path open by
other means.
"""
_SETTLED_S: Final = 10.0  # the checks that find a path are over by then

_UNDERSTOOD = UNDERSTOOD | {PRIORITY, USE_CANDIDATE}
_MOST_SOURCES = 16  # of one peer: its candidates as we see them
_ICE_CHARACTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def new_names(random: Random) -> IceNames:
    """Names for a new or restarted session: 48 bits of ufrag, 144 of password (§5.3 asks for 24 and 128)."""
    letters = bytes(random.choices(_ICE_CHARACTERS, k=32))
    return IceNames(letters[:8], letters[8:])


class Checked(NamedTuple):
    """What became of a STUN message on a media port.

    ``selected`` is the address that media go to from now on, where this check has changed it; ``refused`` says why
    a message was not believed.
    """

    reply: bytes = b""
    selected: Address | None = None
    refused: str = ""


class _Source:
    """An address that the peer has proven to be at."""

    __slots__ = ("checked_at", "nominated", "priority")

    def __init__(self, priority: int) -> None:
        self.priority = priority
        self.nominated = 0  # number of the nomination that last fell on it
        self.checked_at = 0.0


class IceAgent:
    """One stream's end. ``local`` are our names; ``remote`` the peer's, None until its description has come.

    Where ``targets`` lets nothing be sent to, the peer is never believed to be: neither told nor by a check, whose
    source it may have forged.
    """

    __slots__ = (
        "_began_at",
        "_checks_on",
        "_consented",
        "_nominations",
        "_sources",
        "_targets",
        "local",
        "remote",
        "selected",
    )

    def __init__(self, local: IceNames, targets: Targets, remote: IceNames | None = None) -> None:
        self.local = local
        self._targets = targets
        self.remote = remote
        self.selected: Address | None = None
        self._sources: dict[Address, _Source] = {}
        self._nominations = 0
        self._began_at = NEVER  # when the first check of these names came
        self._checks_on = False
        self._consented = True

    def receive(self, data: bytes, source: Address, now: float) -> Checked:
        """Answer a message that ``engine.stun.is_stun``."""
        try:
            request = read_stun(data, _UNDERSTOOD)
        except StunError as error:
            return Checked(refused=str(error))
        if request.kind != REQUEST:
            # Indications keep NATs open and want nothing; of responses we wait for none.
            return Checked(refused="" if request.kind & 0x0110 == 0x0010 else "no Binding request")
        password = self.local.password
        status, why = self._fault(request)
        if status in (400, 401):  # RFC 8489 §9.1.3: these can't be proven, for the peer knows no password of ours
            return Checked(stun_error(request, status), refused=why)
        if status:
            return Checked(stun_error(request, status, password), refused=why)
        refusal = self._targets.refusal(source)
        if refusal is not None:
            return Checked(refused=refusal)
        selected = self._believe(request, source, now)
        return Checked(stun_success(request, source, password), selected)

    def is_checked(self, source: Address) -> bool:
        """Whether the peer has proven to be there: only then its media and hand-shakes are taken."""
        return source in self._sources

    @property
    def checked(self) -> frozenset[Address]:
        """All addresses that the peer has proven to be at."""
        return frozenset(self._sources)

    @property
    def target(self) -> Address | None:
        """Where media may be sent: what is selected, as long as the peer consents (RFC 7675 §5.1)."""
        return self.selected if self._consented else None

    def tick(self, now: float) -> bool:
        """Whether the peer's consent has just run out; its next check from there gives it anew."""
        if not self._consented or self.deadline() > now:
            return False
        self._consented = False
        return True

    def deadline(self) -> float:
        """When the consent runs out, unless another check comes."""
        if self.selected is None or not self._checks_on or not self._consented:
            return NEVER
        source = self._sources.get(self.selected)
        return NEVER if source is None else source.checked_at + CONSENT_S

    def restart(self, local: IceNames, remote: IceNames | None) -> None:
        """Begin again under new names (§9). Media go where they went until the peer has nominated anew."""
        self.local = local
        self.remote = remote
        self._nominations = 0
        self._began_at, self._checks_on = NEVER, False
        chosen = None if self.selected is None else self._sources.get(self.selected)
        self._sources.clear()
        if chosen is not None and self.selected is not None:
            chosen.nominated = 0
            chosen.priority = 0
            self._sources[self.selected] = chosen

    def take_candidates(self, candidates: Sequence[Candidate], component: int) -> Address | None:
        """Believe the description of a peer that is lite as well, for then no one checks (§6.1.1, §8.2).

        Host names (as ``x.local`` of mDNS) and refused addresses are passed over. Returns the address that media
        of this component (1: RTP, 2: RTCP) go to, None where none is left.
        """
        refusal = self._targets.refusal
        ours = [one for one in candidates if one.component == component and refusal((one.host, one.port)) is None]
        if not ours:
            return None
        best = max(ours, key=_priority_of)
        self.selected = (best.host, best.port)
        self._source(self.selected, best.priority)
        return self.selected

    def _fault(self, request: StunMessage) -> tuple[int, str]:
        """The status that refuses a request, and why; 0 where nothing is wrong. The order is RFC 8489 §9.1.3's."""
        username = request.attributes.get(USERNAME)
        if username is None or not request.integrity_at:
            return 400, "check without credentials"
        ours, colon, theirs = username.partition(b":")
        if ours != self.local.ufrag or not colon:
            return 401, "check for another session"
        if not request.proves(self.local.password):
            return 401, "check with a wrong proof"
        # Before the peer's description has come its part of the name can't be known; the proof is good without it.
        if self.remote is not None and theirs != self.remote.ufrag:
            return 401, "check from another session"
        if not request.fingerprint or len(request.attributes.get(PRIORITY, b"")) != 4:
            return 400, "check without FINGERPRINT or PRIORITY"
        if request.unknown:
            return 420, "check with unknown attributes"
        if ICE_CONTROLLED in request.attributes:
            return 487, "peer would have us control"  # a lite agent never does (§6.1.1)
        return 0, ""

    def _believe(self, request: StunMessage, address: Address, now: float) -> Address | None:
        """A proven check came: the newly selected address, or None where none was."""
        priority = int.from_bytes(request.attributes[PRIORITY])
        source = self._source(address, priority)
        source.checked_at = now
        self._began_at = min(self._began_at, now)
        self._checks_on = self._checks_on or now - self._began_at > _SETTLED_S
        if address == self.selected and not self._consented:
            self._consented = True
            return address
        if USE_CANDIDATE not in request.attributes:
            return None
        self._nominations += 1
        before, source.nominated = source.nominated, self._nominations
        if address == self.selected:
            return None
        chosen = None if self.selected is None else self._sources.get(self.selected)
        # A peer that nominates every pair (RFC 5245's aggressive way) means the best. One that nominates another
        # pair twice, and the chosen one not in between, has moved.
        if chosen is None or priority > chosen.priority or before > chosen.nominated:
            self.selected = address
            self._consented = True
            return address
        return None

    def _source(self, address: Address, priority: int) -> _Source:
        source = self._sources.get(address)
        if source is None:
            if len(self._sources) >= _MOST_SOURCES:
                self._forget_one()
            source = self._sources[address] = _Source(priority)
        source.priority = priority
        return source

    def _forget_one(self) -> None:
        """Make room by the source that was silent for longest, and isn't chosen."""
        others = (address for address in self._sources if address != self.selected)
        del self._sources[min(others, key=self._checked_at)]

    def _checked_at(self, address: Address) -> float:
        return self._sources[address].checked_at


def _priority_of(candidate: Candidate) -> int:
    return candidate.priority

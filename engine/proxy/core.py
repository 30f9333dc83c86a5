"""What all requests in the proxy share: the layers below, and the tables beside."""

from __future__ import annotations

import random
from typing import Final

from engine.boundary import Effect, Flow
from engine.config import EdgeConfig
from engine.dialogs import DialogTable
from engine.early import EarlyDialogs
from engine.here import Here
from engine.nodes import Node, Pool
from engine.peers import Peers
from engine.policy import Policy
from engine.proxy.branch import Branch
from engine.proxy.endings import Endings
from engine.proxy.ends import Ends
from engine.proxy.legs import Legs
from engine.records import Records
from engine.registrar import Registrar
from engine.rescue import Rescue
from engine.sip.transactions import TransactionLayer
from engine.timers import TimerQueue

_DRAWN: Final = 64


class ProxyCore:
    """Shared by the response contexts of one edge."""

    __slots__ = (
        "_attempts",
        "_drawn",
        "_on_streams",
        "config",
        "dialogs",
        "early",
        "endings",
        "errors_told",
        "here",
        "layer",
        "legs",
        "out",
        "peers",
        "policy",
        "policy_name",
        "pool",
        "records",
        "registrar",
        "rescue",
        "rng",
        "tells_calls",
        "tells_details",
        "timers",
    )

    layer: TransactionLayer  # set by the edge, whose layer needs this core for its user
    endings: Endings  # likewise, for they need the layer

    def __init__(
        self,
        config: EdgeConfig,
        policy: Policy,
        here: Here,
        pool: Pool,
        registrar: Registrar,
        dialogs: DialogTable,
        records: Records,
        timers: TimerQueue,
        out: list[Effect],
        rng: random.Random,
    ) -> None:
        self.config = config
        self.policy = policy
        self.policy_name = config.policy.use
        self.here = here
        self.pool = pool
        self.registrar = registrar
        self.dialogs = dialogs
        self.early = EarlyDialogs(timers)
        self.records = records
        self.timers = timers
        self.out = out
        self.rng = rng
        self.peers: Peers | None = None  # None: this edge is alone
        self.legs: Legs | None = None  # None: this edge relays no media
        self.rescue: Rescue | None = None  # None: calls end with their node
        self.tells_calls = True  # whether anyone reads the Notes of level INFO that each call makes
        self.tells_details = True  # and those of level DEBUG
        self.errors_told: set[str] = set()  # kinds of policy errors whose traceback was told
        self._drawn: list[bytes] = []  # tokens to come
        self._attempts: dict[str, dict[Branch, None]] = {}
        self._on_streams: dict[Flow, dict[Branch, None]] = {}

    def attempts_at(self, node: Node) -> dict[Branch, None]:
        """The branches waiting for this node, oldest first."""
        return self._attempts.setdefault(node.name, {})

    def sent_on(self, stream: Flow, branch: Branch) -> None:
        """A branch waits for an agent on a connection."""
        self._on_streams.setdefault(stream, {})[branch] = None

    def left(self, stream: Flow, branch: Branch) -> None:
        """It waits no more."""
        branches = self._on_streams.get(stream)
        if branches is not None:
            branches.pop(branch, None)
            if not branches:
                del self._on_streams[stream]

    def branches_on(self, stream: Flow) -> list[Branch]:
        """The branches that wait for an agent on this connection, oldest first."""
        return list(self._on_streams.get(stream, ()))

    def ends_of(self, key: tuple[bytes, bytes]) -> Ends | None:
        """Both ends of a dialog in which the relay may have had us ask something."""
        return None if self.legs is None else self.legs.ends_of(key)

    @property
    def open_attempts(self) -> int:
        return sum(len(branches) for branches in self._attempts.values())

    def tag(self) -> bytes:
        """A To tag for a response of our own."""
        return self.token()[:12]

    def token(self) -> bytes:
        """Sixteen hexadecimal digits that nobody can guess; drawn many at once, for the system is slow to tell."""
        drawn = self._drawn
        if not drawn:
            digits = self.rng.randbytes(8 * _DRAWN).hex().encode()
            for start in range(0, len(digits), 16):
                drawn.append(digits[start : start + 16])
        return drawn.pop()

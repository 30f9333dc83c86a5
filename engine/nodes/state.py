"""The states of a node, as a table.

New calls go to *active* nodes; to *suspect* ones only where no active one has room; to no others. Dialogs that
stand are routed to their node in every state.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

# States
ACTIVE: Final = "active"
SUSPECT: Final = "suspect"  # owes an answer; nothing is proven
DOWN: Final = "down"  # silent for too long, or its host says that the port is closed
RETURNING: Final = "returning"  # answers again, not yet often enough
DRAINING: Final = "draining"  # by order: no new calls, the old ones go on
DISABLED: Final = "disabled"  # by order: no new calls, no probes

# Events
ANSWERED: Final = "answered"  # any message from the node that shows it to work
SILENT: Final = "silent"  # an attempt or a probe got no answer in time
GONE: Final = "gone"  # the thresholds of silence are passed, or ICMP says unreachable
PROBE_ANSWERED: Final = "probe answered"  # fewer times in a row than the return threshold
RECOVERED: Final = "recovered"  # the return threshold is reached
DRAIN: Final = "drain"
RESUME: Final = "resume"
DISABLE: Final = "disable"
ENABLE: Final = "enable"

NODE_STATES: Final[Mapping[str, Mapping[str, str]]] = {
    ACTIVE: {SILENT: SUSPECT, GONE: DOWN, DRAIN: DRAINING, DISABLE: DISABLED},
    SUSPECT: {
        ANSWERED: ACTIVE,
        PROBE_ANSWERED: ACTIVE,
        RECOVERED: ACTIVE,
        GONE: DOWN,
        DRAIN: DRAINING,
        DISABLE: DISABLED,
    },
    # An answer to an old call does not bring a node back: it may come from a queue that outlived the process.
    DOWN: {PROBE_ANSWERED: RETURNING, RECOVERED: ACTIVE, DRAIN: DRAINING, DISABLE: DISABLED},
    RETURNING: {RECOVERED: ACTIVE, SILENT: DOWN, GONE: DOWN, DRAIN: DRAINING, DISABLE: DISABLED},
    DRAINING: {RESUME: RETURNING, DISABLE: DISABLED},
    DISABLED: {ENABLE: RETURNING, RESUME: RETURNING, DRAIN: DRAINING},
}

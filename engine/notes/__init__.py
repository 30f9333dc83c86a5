"""The facts that the edge tells about itself. One class each; hosts and the lab read them by type and field.

Fields are plain values, so that a Note is a data-frame row as it stands. ``call_id`` is the Call-ID as text,
durations end in ``_s``, addresses are ``host:port``.
"""

from __future__ import annotations

from engine.notes.agents import (
    ContactBound,
    ContactLost,
    ContactOrphaned,
    ContactRehomed,
    ContactUnbound,
    RefreshAnswered,
)
from engine.notes.calls import (
    AttemptEnded,
    AttemptStarted,
    CallAdmitted,
    CallAnswered,
    CallFailed,
    CallNotRescued,
    CallRescued,
    DecisionTaken,
    DialogEnded,
    PolicyFailed,
    RescuedCallEnded,
)
from engine.notes.edge import (
    ConnectionClosed,
    ConnectionOpened,
    ConnectionsRefused,
    MessageDropped,
    Overloaded,
    Reconfigured,
    RequestRefused,
    StunDropped,
)
from engine.notes.media import (
    DescriptionForgiven,
    MediaDropped,
    MediaEnded,
    MediaFailed,
    MediaFound,
    MediaMoved,
    MediaRefused,
    MediaSilent,
    MediaTimedOut,
    OneWayAudio,
    RelayAnswersDropped,
    RelayStateChanged,
)
from engine.notes.nodes import (
    EventsConnected,
    EventsLost,
    NodePaused,
    NodeStateChanged,
)
from engine.notes.store import (
    RecordsDropped,
    RecordsRestored,
    StoreBack,
    StoreLost,
)

__all__ = [
    "AttemptEnded",
    "AttemptStarted",
    "CallAdmitted",
    "CallAnswered",
    "CallFailed",
    "CallNotRescued",
    "CallRescued",
    "ConnectionClosed",
    "ConnectionOpened",
    "ConnectionsRefused",
    "ContactBound",
    "ContactLost",
    "ContactOrphaned",
    "ContactRehomed",
    "ContactUnbound",
    "DecisionTaken",
    "DescriptionForgiven",
    "DialogEnded",
    "EventsConnected",
    "EventsLost",
    "MediaDropped",
    "MediaEnded",
    "MediaFailed",
    "MediaFound",
    "MediaMoved",
    "MediaRefused",
    "MediaSilent",
    "MediaTimedOut",
    "MessageDropped",
    "NodePaused",
    "NodeStateChanged",
    "OneWayAudio",
    "Overloaded",
    "PolicyFailed",
    "Reconfigured",
    "RecordsDropped",
    "RecordsRestored",
    "RefreshAnswered",
    "RelayAnswersDropped",
    "RelayStateChanged",
    "RequestRefused",
    "RescuedCallEnded",
    "StoreBack",
    "StoreLost",
    "StunDropped",
]

"""Which calls stand, through which node: so that a channel taken at INVITE is given back at BYE, and only once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from engine.boundary import DialogRecord, Effect
from engine.nodes import Node
from engine.notes import CallRestored, DialogEnded
from engine.records.records import Records
from engine.sip.message import Request
from engine.timers import Timed, TimerQueue
from engine.traces import Traces

_MOST_GONE: Final = 100_000


class Dialog:
    """One confirmed dialog through a node of the pool, holding a channel there.

    ``traces`` are None where too little is known of it to speak in it: of a call of an earlier life.
    """

    __slots__ = ("began_at", "call_id", "callee_tag", "node", "resource", "traces")

    def __init__(self, call_id: bytes, callee_tag: bytes, node: Node, resource: str, began_at: float) -> None:
        self.call_id = call_id
        self.callee_tag = callee_tag
        self.node = node
        self.resource = resource
        self.began_at = began_at
        self.traces: Traces | None = None


class DialogTable(Timed):
    """The dialogs by Call-ID and the callee's tag: forks of one INVITE are dialogs of their own (§12.1).

    A dialog ends by BYE, when its node says that it doesn't know it, or after ``lifetime_s``, for BYEs get lost.
    All live equally long, so they end in the order of the table, and one timer for the oldest does for all.
    """

    __slots__ = ("_dialogs", "_gone", "_lifetime_s", "_out", "_records", "_timers", "on_end", "tells_calls")

    def __init__(self, out: list[Effect], timers: TimerQueue, records: Records, lifetime_s: float) -> None:
        super().__init__()
        self._records = records
        self._out = out
        self._timers = timers
        self._lifetime_s = lifetime_s
        # Told of each dialog that has ended, by whatever: its media end with it.
        self.on_end: Callable[[tuple[bytes, bytes], float], None] | None = None
        self.tells_calls = True  # False: nobody reads the Notes that each call makes
        self._dialogs: dict[tuple[bytes, bytes], Dialog] = {}
        self._gone: set[tuple[bytes, bytes]] | None = (
            set() if records.kept else None
        )  # ended before they were read

    def begin(self, invite: Request, callee_tag: bytes, node: Node, resource: str, now: float) -> bool:
        """A 2xx made a dialog, which takes over the channel that the attempt reserved.

        False where the dialog stands already (a repeated 2xx).
        """
        call_id = invite.call_id
        key = (call_id, callee_tag)
        if key in self._dialogs:
            return False
        self._dialogs[key] = Dialog(call_id, callee_tag, node, resource, now)
        if len(self._dialogs) == 1:
            self._timers.arm(self, now + self._lifetime_s)
        records = self._records
        if records.kept:
            began_at = now + records.wall_offset_s
            caller = callee = ""  # of a fork's second 2xx: the INVITE was shed at the first one
            if invite.has("from"):
                caller = invite.from_.uri.decode("utf-8", "replace")
                callee = invite.to.uri.decode("utf-8", "replace")
            record = DialogRecord(records.edge, call_id, callee_tag, node.name, resource, began_at, caller, callee)
            records.save(record, "dialogs", new=True)
        return True

    def restore(self, record: DialogRecord, node: Node, began_at: float, now: float) -> bool:
        """Take over a dialog of an earlier life, with its channel; False where its time is over."""
        if began_at + self._lifetime_s <= now:
            return False
        key = (record.call_id, record.callee_tag)
        if self._gone and key in self._gone:
            return False
        if key not in self._dialogs:
            self._dialogs[key] = Dialog(record.call_id, record.callee_tag, node, record.resource, began_at)
            node.take(record.resource)
            if self.tells_calls:
                call_id = record.call_id.decode("utf-8", "replace")
                told = CallRestored(call_id, record.caller, record.callee, node.name, now - began_at)
                self._out.append(told)
        return True

    def restored(self, now: float) -> None:
        """All dialogs of an earlier life are here; those of this one are younger."""
        self._gone = None
        self._dialogs = dict(sorted(self._dialogs.items(), key=lambda item: item[1].began_at))
        self.fire(now)

    def fire(self, now: float) -> None:
        """The oldest dialog, as it was when the timer was set, has reached its lifetime."""
        while self._dialogs:
            oldest = next(iter(self._dialogs.values()))
            due = oldest.began_at + self._lifetime_s
            if due > now:
                self._timers.arm(self, due)
                return
            self.end(oldest, now, "lifetime")

    def get(self, call_id: bytes, callee_tag: bytes) -> Dialog | None:
        """The dialog of this Call-ID and callee's tag."""
        return self._dialogs.get((call_id, callee_tag))

    def of_call(self, call_id: str) -> list[Dialog]:
        """The dialogs of a call, by its Call-ID as Notes have it."""
        return [each for each in self._dialogs.values() if each.call_id.decode("utf-8", "replace") == call_id]

    def at(self, node: Node) -> list[Dialog]:
        """The dialogs through a node."""
        return [dialog for dialog in self._dialogs.values() if dialog.node is node]

    def __iter__(self) -> Iterator[Dialog]:
        return iter(self._dialogs.values())

    def of(self, request: Request) -> Dialog | None:
        """The dialog that an in-dialog request belongs to, whichever side sent it."""
        call_id = request.call_id
        return self._dialogs.get((call_id, request.to.tag)) or self._dialogs.get((call_id, request.from_.tag))

    def ended(self, request: Request, now: float, why: str) -> None:
        """A request ended the dialog that it was sent in; perhaps one of an earlier life that is not read yet."""
        dialog = self.of(request)
        if dialog is not None:
            self.end(dialog, now, why)
        elif self._gone is not None and len(self._gone) < _MOST_GONE:
            call_id = request.call_id
            self._gone |= {(call_id, request.to.tag), (call_id, request.from_.tag)}

    def end(self, dialog: Dialog, now: float, why: str) -> None:
        """Forget the dialog and give its channel back. Harmless when it has ended before."""
        if self._dialogs.pop((dialog.call_id, dialog.callee_tag), None) is None:
            return
        dialog.node.give(dialog.resource)
        if self.on_end is not None:
            self.on_end((dialog.call_id, dialog.callee_tag), now)
        if self._records.kept:
            self._records.drop("dialogs", dialog.call_id + b"\0" + dialog.callee_tag)
        if not self.tells_calls:
            return
        call_id = dialog.call_id.decode("utf-8", "replace")
        self._out.append(DialogEnded(call_id, dialog.node.name, dialog.resource, why, now - dialog.began_at))

    def __len__(self) -> int:
        return len(self._dialogs)


def ending(method: bytes, status: int, failed: bool) -> str:
    """Why a request ended the dialog that it was sent in, "" where it did not (§12.2.1.2, §15.1.1).

    ``failed``: it brought no response, but ``status`` of our own.
    """
    if method != b"BYE":
        return "lost" if status == 481 else ""
    if status in (401, 407):
        return ""  # it will come again with credentials
    return "lost" if failed or status == 481 else "bye"

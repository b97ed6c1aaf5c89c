"""What goes into a room's log and what comes out of it, as values.

    Append ──► Committed | Conflict          position ──► Events | Expired

The ports that take and give them are in ports.py; the events themselves in events.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from roomcast.core.events import Record

__all__ = [
    "Append",
    "Beat",
    "Checkpoint",
    "Committed",
    "Conflict",
    "Events",
    "Expired",
    "Head",
    "Hold",
    "ItemRow",
    "Receipt",
    "ReceiptKey",
    "Retention",
    "RoomCard",
]


@dataclass(frozen=True, slots=True)
class ReceiptKey:
    """What makes a command the same command."""

    room: str
    member: str
    command_id: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """The answer that a command got, kept for a day so that a copy gets the same one.

    Attributes:
        digest: Digest of the command's body; another body under the same key is refused.
        result: The reply's `result`, encoded.
        expires_at: Unix time in milliseconds.
    """

    key: ReceiptKey
    digest: bytes
    result: bytes
    expires_at: int


@dataclass(frozen=True, slots=True)
class Hold:
    """Which node runs a response."""

    room: str
    response_id: str
    node: str


@dataclass(frozen=True, slots=True)
class ItemRow:
    """One item of the conversation, for the archive. Written again, it replaces itself.

    Attributes:
        seq: Number of the event that brought the item; orders the history.
        data: The item as JSON.
    """

    item_id: str
    seq: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Append:
    """One batch for one room; it takes effect whole.

    Attributes:
        epoch: Name of the log that the batch builds on. For a room that does not exist yet
            (`expected_seq` 0) it becomes the name.
        expected_seq: Head that the batch builds on; its records start at the next number.
        receipts: Answers given by this batch.
        holds: Responses that this batch starts.
        released: Responses that this batch ends; their holds are removed.
        items: Items that this batch completes, for the archive.
        checkpoint: The room's state after this batch, encoded, when one is due.
        unfinished: Whether the room has open business after this batch.
        title: The room's title after this batch, or None when it did not change.
        sync: Force it to the disk also at `process` durability (prompts and terminals).
        deletes: Nothing is left of the room behind this batch but receipts; its name is free for a new log.
    """

    room: str
    epoch: str
    expected_seq: int
    records: Sequence[Record]
    receipts: Sequence[Receipt] = ()
    holds: Sequence[Hold] = ()
    released: Sequence[str] = ()
    items: Sequence[ItemRow] = ()
    checkpoint: bytes | None = None
    unfinished: bool = False
    title: str | None = None
    sync: bool = False
    deletes: bool = False


@dataclass(frozen=True, slots=True)
class Head:
    """Newest and oldest position of a room's log; without an epoch where there is no such log (any more).

    Attributes:
        seq: Number of the newest event; 0 in an empty log.
        floor: Oldest position that `read` can serve: events after it are there.
    """

    room: str
    epoch: str
    seq: int
    floor: int


@dataclass(frozen=True, slots=True)
class Committed:
    """The batch is in the log; `seq` is the new head, `floor` the oldest position that `read` can serve."""

    seq: int
    floor: int = 0


@dataclass(frozen=True, slots=True)
class Retention:
    """How much of a room's log is kept: the newest events that are young, few and small enough.

    What is behind the newest checkpoint is kept in any case, and so are items.
    """

    age_s: float
    size_bytes: int
    events: int


@dataclass(frozen=True, slots=True)
class Conflict:
    """Somebody else appended first; nothing of the batch took effect. `head` is where the log stands."""

    head: Head


@dataclass(frozen=True, slots=True)
class Events:
    """Exactly the events after the position asked for, oldest first.

    Fewer than asked only at the head, or because more would have been too many bytes.
    """

    records: Sequence[Record]


@dataclass(frozen=True, slots=True)
class Expired:
    """The position is below the floor; only a snapshot helps."""

    floor: int


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A saved state: everything up to `seq` is folded into `state`."""

    epoch: str
    seq: int
    state: bytes


@dataclass(frozen=True, slots=True)
class RoomCard:
    """A line of the list of rooms."""

    name: str
    title: str
    epoch: str
    seq: int
    unfinished: bool


@dataclass(frozen=True, slots=True)
class Beat:
    """A node's counter; it stands still when the node is dead or paused."""

    node: str
    count: int

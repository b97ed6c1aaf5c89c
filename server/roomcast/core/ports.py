"""What the rules and shells need from the outside world, in our words.

Each port is a Protocol of a few methods; storage/, upstream/ and observe/ implement them,
wiring.py hands them in. Every adapter of a port passes the same conformance suite.

Guarantees that an `EventLog` adapter gives
    P1  An append takes effect whole or not at all, and only on the head it names.
    P2  `Committed` means: survives a crash of this process (durability `process`) or of
        the host (`host`, and every append with `sync`).
    P3  Two appends that name the same head: one is committed, the other is told `Conflict`.
    P4  `read` is exact or says `Expired`; it never skips an event.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from roomcast.core.events import JsonObject, Record

__all__ = [
    "Append",
    "Archive",
    "Beat",
    "Checkpoint",
    "Clock",
    "Committed",
    "Conflict",
    "EventLog",
    "Events",
    "Expired",
    "Finish",
    "Head",
    "Hold",
    "IdSource",
    "ItemRow",
    "Leases",
    "Observer",
    "Piece",
    "Receipt",
    "ReceiptKey",
    "RoomCard",
    "Rooms",
    "TokenCounter",
    "Upstream",
    "UpstreamRequest",
]


# ---- the log ---------------------------------------------------------------------------------


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


@dataclass(frozen=True, slots=True)
class Head:
    """Newest and oldest position of a room's log.

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
    """The batch is in the log; `seq` is the new head."""

    seq: int


@dataclass(frozen=True, slots=True)
class Conflict:
    """Somebody else appended first; nothing of the batch took effect. `head` is where the log stands."""

    head: Head


@dataclass(frozen=True, slots=True)
class Events:
    """Exactly the events after the position asked for, oldest first; fewer than asked only at the head."""

    records: Sequence[Record]


@dataclass(frozen=True, slots=True)
class Expired:
    """The position is below the floor; only a snapshot helps."""

    floor: int


class EventLog(Protocol):
    """Append-only logs, one a room. Errors are `StorageError`s; a failed call had no effect."""

    async def append(self, batches: Sequence[Append]) -> Sequence[Committed | Conflict]:
        """Commit each batch on the head it names; the outcomes are in the order of `batches`.

        At most one batch a room. Either all batches that do not conflict are committed, or
        `StorageError` is raised and none is. Once handed over, cancelling the caller does
        not undo it.
        """
        ...

    async def read(self, room: str, after: int, limit: int) -> Events | Expired:
        """Read up to `limit` events after position `after`."""
        ...

    async def head(self, room: str) -> Head | None:
        """Where the room's log stands, or None when there is no such room."""
        ...

    def follow(self) -> AbstractAsyncContextManager[AsyncIterator[Head]]:
        """Heads as they move, from whatever writer; a reader that lags sees only the newest of each room."""
        ...


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


class Rooms(Protocol):
    """What is known of rooms beside their events."""

    async def list(self, after: str | None, limit: int) -> Sequence[RoomCard]:
        """Rooms by name, from the first after `after`."""
        ...

    async def unfinished(self) -> Sequence[str]:
        """Names of rooms with an open response, a queue or an approval."""
        ...

    async def checkpoint(self, room: str) -> Checkpoint | None:
        """The newest saved state of a room."""
        ...

    async def receipts(self, keys: Sequence[ReceiptKey]) -> Mapping[ReceiptKey, Receipt]:
        """The receipts that exist and have not expired, of those asked for."""
        ...


@dataclass(frozen=True, slots=True)
class Beat:
    """A node's counter; it stands still when the node is dead or paused."""

    node: str
    count: int


class Leases(Protocol):
    """Who is alive, and who runs what."""

    async def beat(self, node: str) -> None:
        """Count one up for `node`."""
        ...

    async def beats(self) -> Sequence[Beat]:
        """The counters of all nodes."""
        ...

    async def held(self) -> Sequence[Hold]:
        """All responses that some node runs."""
        ...


class Archive(Protocol):
    """The conversation beyond the log's window."""

    async def items(self, room: str, before: str | None, limit: int) -> Sequence[bytes] | None:
        """Items as JSON, newest first, from the first older than item `before` (None: the newest).

        Returns None when `before` is no item of the room.
        """
        ...

    async def item(self, room: str, item_id: str) -> bytes | None:
        """One item as JSON."""
        ...


# ---- the model -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class UpstreamRequest:
    """One request to the model, in the words of the Responses API.

    Attributes:
        input: Input items, oldest first: `{"type":"message","role","content":[parts]}` and others.
        parameters: Further fields of the Responses API (`temperature`, `max_output_tokens`, `text`, …).
    """

    response_id: str
    model: str
    input: Sequence[JsonObject]
    instructions: str = ""
    parameters: JsonObject = field(default_factory=dict[str, object])


@dataclass(frozen=True, slots=True)
class Finish:
    """The upstream said itself how it ended. A stream that ends without one was cut short.

    Attributes:
        status: `completed`, `incomplete` or `failed`.
        reason: For `incomplete`: `max_output_tokens` or `content_filter`.
        error_code: For `failed`: a code of `UpstreamError`.
        error_message: For `failed`: our own one-line words for it.
        usage: The usage as reported, in the Responses API's shape, or None.
        response: The upstream's own response object, less ids, output, usage and status; fields
            for the terminal's `response` (`model`, `service_tier`, …).
    """

    status: str
    reason: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    usage: JsonObject | None = None
    response: JsonObject = field(default_factory=dict[str, object])


Piece: TypeAlias = JsonObject | Finish
"""What a stream gives: drafts of output events (`response.output_item.added`,
`response.output_text.delta`, …, unknown types too) with our ids, `output_index` and
`content_index`, but without `response_id` and `sequence_number`, which the rules add; and
at most one `Finish`, last. The upstream's created, queued, in_progress and terminal events
are not among them."""


class Upstream(Protocol):
    """A model service behind one address."""

    @property
    def name(self) -> str:
        """For the start-up line, logs and metrics, for example `openai (responses)`."""
        ...

    @property
    def simulated(self) -> bool:
        """Whether the demo model answers."""
        ...

    async def warm(self) -> None:
        """Pay the first call's costs (imports, validators) before anybody waits for them."""
        ...

    def open(self, request: UpstreamRequest) -> AbstractAsyncContextManager[AsyncIterator[Piece]]:
        """Start a generation; leaving the context hangs up at once, within a second even if the peer hangs.

        Raises `UpstreamError` on entry or from the iterator; no other exception of a vendor
        gets out. No retry, no deadline: both are the runner's.
        """
        ...

    async def close(self) -> None:
        """Release the connections."""
        ...


class TokenCounter(Protocol):
    """Estimates of token counts, where the upstream reported none."""

    def count(self, text: str) -> int:
        """Tokens in `text`; a rougher estimate while the tables are still loading."""
        ...


# ---- the process -----------------------------------------------------------------------------


class Clock(Protocol):
    """Both clocks: wall time only for timestamps, monotonic time for everything that waits."""

    def now_ms(self) -> int:
        """Unix time in milliseconds."""
        ...

    def monotonic_s(self) -> float:
        """Seconds since some instant; never jumps."""
        ...


class IdSource(Protocol):
    """Fresh ids."""

    def __call__(self, prefix: str) -> str:
        """A new id such as `msg_…`."""
        ...


class Observer(Protocol):
    """Where shells count and time. Names are those of docs/operations.md; labels have few values."""

    def count(self, name: str, amount: float = 1, /, **labels: str) -> None:
        """Add to a counter."""
        ...

    def gauge(self, name: str, value: float, /, **labels: str) -> None:
        """Set a gauge."""
        ...

    def time(self, name: str, seconds: float, /, **labels: str) -> None:
        """Record a duration in a histogram."""
        ...

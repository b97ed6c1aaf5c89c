"""What the rules and shells need from the outside world, in our words.

Each port is a Protocol of a few methods; storage/, upstream/ and observe/ implement them,
wiring.py hands them in. Every adapter of a port passes the same conformance suite.

Guarantees that an `EventLog` adapter gives
    P1  An append takes effect whole or not at all, and only on the head it names.
    P2  `Committed` means: survives a crash of this process (durability `process`) or of
        the host (`host`, and every append with `sync`).
    P3  Two appends that name the same head: one is committed, the other is told `Conflict`.
    P4  `read` is exact or says `Expired`; it never skips an event.

Not here: the values that go in and out of a log (log.py; importable from here as well).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeAlias

from roomcast.core.events import JsonObject
from roomcast.core.log import (
    Append,
    Beat,
    Checkpoint,
    Committed,
    Conflict,
    Events,
    Expired,
    Head,
    Hold,
    ItemRow,
    Receipt,
    ReceiptKey,
    Retention,
    RoomCard,
)

__all__ = [
    "READ_BYTES",
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
    "Retention",
    "RoomCard",
    "Rooms",
    "TokenCounter",
    "Upstream",
    "UpstreamRequest",
]


READ_BYTES: Final = 1024 * 1024
"""How much a read gives where nobody asks for less or more."""


# ---- the log ---------------------------------------------------------------------------------


class EventLog(Protocol):
    """Append-only logs, one a room. Errors are `StorageError`s; a failed call had no effect."""

    async def append(self, batches: Sequence[Append]) -> Sequence[Committed | Conflict]:
        """Commit each batch on the head it names; the outcomes are in the order of `batches`.

        At most one batch a room. Either all batches that do not conflict are committed, or
        `StorageError` is raised and none is. Once handed over, cancelling the caller does
        not undo it.
        """
        ...

    async def read(self, room: str, after: int, limit: int, limit_bytes: int = READ_BYTES) -> Events | Expired:
        """Read up to `limit` events after position `after`, of `limit_bytes` together; at least one if there is one."""
        ...

    async def head(self, room: str) -> Head | None:
        """Where the room's log stands, or None when there is no such room."""
        ...

    async def trim(self, told: Callable[[Head], None] | None = None) -> bool:
        """Let go of some of the oldest events beyond what is to be kept; whether there may be more.

        Raises `floor`, never past the newest checkpoint; a bounded number of events and rooms at a time.
        Calls `told` with the head of each room that was trimmed.
        """
        ...

    def follow(self) -> AbstractAsyncContextManager[AsyncIterator[Head]]:
        """Heads as they move, from whatever writer; a reader that lags sees only the newest of each room."""
        ...


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

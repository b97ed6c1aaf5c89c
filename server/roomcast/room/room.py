"""One room in memory: its committed state, its newest events, and what waits for a commit.

    submit ──► waiting ──► (committer: decide, append) ──► settle ──► readers, then answers

Invariants
    A1  `state`, `tail` and `position` change only in `advance`, with what is committed.
    A2  Readers hear of a batch before the answers of its intents go out; both in one
        synchronous step, so whoever joins in an answer stands exactly at `position`.
    A3  Intents of one room are decided in the order they were submitted.

Not here: deciding and appending (committer.py), loading and unloading (hub.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

import anyio
import orjson
import structlog

from roomcast.core.errors import Refusal
from roomcast.core.events import Cursor, JsonObject, Record, is_delta
from roomcast.core.intents import Ended, Intent, Opened, Produced
from roomcast.core.limits import Limits
from roomcast.core.ports import Head, ReceiptKey
from roomcast.core.room_state import RoomState
from roomcast.core.tail import Tail

__all__ = ["Answer", "Pending", "Reader", "Room", "Round"]

Answer: TypeAlias = Callable[[bytes | Refusal], None]
"""Called once, in the step that settles the intent: the encoded result, or why not. Must not wait."""

DELTA_OVERHEAD_BYTES = 64

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Round:
    """What was just committed in one room.

    Attributes:
        own: Whether this process appended it; another writer's events are read back from the log.
    """

    room: Room
    records: Sequence[Record]
    events: Sequence[JsonObject]
    own: bool = True


class Wake(Protocol):
    """Tells the committer that something waits in a room."""

    def __call__(self, room: Room, *, asked: bool = True) -> None:
        """See `Committer.wake`."""
        ...


class Reader(Protocol):
    """Somebody who follows a room: the fan-out to viewers, the scheduler of generations."""

    def committed(self, batch: Round) -> None:
        """Events were committed; `batch.room` stands behind them. Must not wait."""
        ...

    def degraded(self, room: Room, reason: str | None) -> None:
        """The store stopped taking events of this room (`reason`), or takes them again (None)."""
        ...

    def jumped(self, room: Room, reason: str) -> None:
        """The room was loaded anew and does not follow what it showed: `epoch_changed` or `expired`."""
        ...


@dataclass(slots=True)
class Pending:
    """An intent that waits, and who wants to know.

    Attributes:
        intent: None for a visit: a place in line, without anything to decide.
        key: For a command whose answer is kept; with `digest` of its body.
    """

    intent: Intent | None
    answers: list[Answer] = field(default_factory=list[Answer])
    key: ReceiptKey | None = None
    digest: bytes = b""

    def answer(self, outcome: bytes | Refusal) -> None:
        """Tell everybody who asked. A fault of ours in telling one costs no other, and no round."""
        for answer in self.answers:
            try:
                answer(outcome)
            except Exception:
                log.exception("answer_failed", intent=type(self.intent).__name__)


class Room:
    """A room that is, or is about to be, in memory.

    Attributes:
        merged_bytes: What a viewer who merges deltas would have been sent since the room is in memory.
        seen: The newest head that was heard of from the log itself; None where nothing was since the last look.

    Args:
        wake: Called when something waits for the committer, and whether somebody asked for it.
    """

    def __init__(self, name: str, limits: Limits, wake: Wake) -> None:
        self._limits = limits
        self.name = name
        self.loaded = False
        self.seen: Head | None = None
        self.epoch = ""
        self.floor = 0
        self.state = RoomState(name, keep_items=limits.state_items)
        self.tail = self._window(0)
        self.readers: list[Reader] = []
        self.backlog_bytes = 0
        self.merged_bytes = 0
        self._delta_type: str | None = None
        self.since_checkpoint = 0
        self.checkpoint_wanted = False
        self.degraded_for: str | None = None
        self.busy_at_s = 0.0
        self._wake = wake
        self._waiting: list[Pending] = []
        self._under_way: dict[ReceiptKey, Pending] = {}
        self._unsettled = 0
        self._relieved = anyio.Event()

    # -- where it stands ------------------------------------------------------------------------

    @property
    def position(self) -> Cursor:
        """Behind the newest committed event."""
        return Cursor(self.epoch, self.state.seq)

    @property
    def behind(self) -> bool:
        """Whether another writer has moved the log away from where the room stands."""
        return self.seen is not None and (self.seen.epoch, self.seen.seq) != self.position

    @property
    def idle(self) -> bool:
        """Whether nothing waits, nothing is being committed or caught up with, and nothing runs."""
        return not self._unsettled and not self.behind and not self.state.unfinished

    # -- asking ---------------------------------------------------------------------------------

    def submit(self, intent: Intent, answer: Answer | None = None) -> None:
        """Put an intent in line."""
        self._add(Pending(intent, [answer] if answer else []))

    def visit(self, answer: Answer, *, opened_by: Opened | None = None) -> None:
        """Call `answer` behind everything that is in line now; create the room first if asked to.

        The answer is a `Refusal` (`room_not_found`) where the room does not exist and may not
        be created, else an empty result.
        """
        self._add(Pending(opened_by, [answer]))

    def command(self, intent: Intent, key: ReceiptKey, digest: bytes, answer: Answer) -> None:
        """Put a command in line that must be carried out at most once.

        A copy of one that is under way gets the same answer; the same id with another body is
        answered `command_id_reused`.
        """
        first = self._under_way.get(key)
        if first is None:
            pending = Pending(intent, [answer], key, digest)
            self._under_way[key] = pending
            self._add(pending)
        elif first.digest == digest:
            first.answers.append(answer)
        else:
            answer(reused())

    def produce(self, response_id: str, draft: JsonObject) -> None:
        """Put a piece of output in line. The caller then waits while `crowded`."""
        delta = draft.get("delta") if is_delta(draft["type"]) else None
        size = len(delta) + DELTA_OVERHEAD_BYTES if isinstance(delta, str) else len(orjson.dumps(draft))
        self.backlog_bytes += size
        last = self._waiting[-1].intent if self._waiting else None
        if isinstance(last, Produced) and last.response_id == response_id:
            last.drafts.append(draft)
            last.size_bytes += size
        else:
            self._add(Pending(Produced(response_id, [draft], size)))

    def save(self) -> None:
        """Ask for a checkpoint; it is written in an append of its own if nothing else is to be."""
        self.checkpoint_wanted = True
        self._add(Pending(None))

    def end(self, ended: Ended) -> None:
        """Put the end of a generation in line."""
        self._add(Pending(ended))

    @property
    def crowded(self) -> bool:
        """Whether more output waits for its commit than may."""
        return self.backlog_bytes > self._limits.uncommitted_bytes

    async def relief(self) -> None:
        """Wait until the room is not crowded."""
        while self.crowded:
            await self._relieved.wait()

    def _add(self, pending: Pending) -> None:
        self._unsettled += 1
        self._waiting.append(pending)
        self._wake(self, asked=bool(pending.answers))

    # -- for the committer ----------------------------------------------------------------------

    def take(self) -> list[Pending]:
        """Everything that waits, in order; from here on the committer answers for it."""
        waiting, self._waiting = self._waiting, []
        return waiting

    def put_back(self, pending: Sequence[Pending]) -> None:
        """Back to the front of the line, to be decided again."""
        self._waiting[:0] = pending

    def settled(self, pending: Pending, outcome: bytes | Refusal) -> None:
        """An intent is decided for good."""
        self._unsettled -= 1
        if pending.key is not None:
            self._under_way.pop(pending.key, None)
        if isinstance(pending.intent, Produced):
            self.backlog_bytes -= pending.intent.size_bytes
            if not self.crowded:
                self._relieved.set()
                self._relieved = anyio.Event()
        pending.answer(outcome)

    def advance(self, state: RoomState, records: Sequence[Record], events: Sequence[JsonObject], *, own: bool) -> None:
        """Make a committed state the current one and tell the readers."""
        self.state = state
        self.tail.extend(records)
        self.since_checkpoint += len(records)
        self._measure(records, events)
        batch = Round(self, records, events, own)
        for reader in self.readers:
            reader.committed(batch)

    def _measure(self, records: Sequence[Record], events: Sequence[JsonObject]) -> None:
        """Of deltas in a row only the text counts: they merge."""
        for record, event in zip(records, events, strict=True):
            text = event.get("delta") if is_delta(record.type) else None
            merges = isinstance(text, str) and record.type == self._delta_type
            self.merged_bytes += len(text) if merges and isinstance(text, str) else len(record.data)
            self._delta_type = record.type if isinstance(text, str) else None

    def stand(self, epoch: str, state: RoomState, records: Sequence[Record], floor: int) -> None:
        """Take up what the store holds: `records` are the newest events up to `state.seq`.

        Readers that stand where the room stood before are told that they have to begin anew.
        """
        before = self.epoch
        self.epoch, self.state, self.floor = epoch, state, floor
        self.tail = self._window(records[0].seq - 1 if records else state.seq)
        self.tail.extend(records)
        self.loaded = True
        if before:
            for reader in self.readers:
                reader.jumped(self, "expired" if before == epoch else "epoch_changed")

    def degrade(self, reason: str | None) -> None:
        """Tell the readers that the store refuses (a reason) or works again (None); only changes are told."""
        if (reason is None) != (self.degraded_for is None):
            for reader in self.readers:
                reader.degraded(self, reason)
        self.degraded_for = reason

    def _window(self, head: int) -> Tail:
        return Tail(head, limit_bytes=self._limits.tail_bytes, limit_events=self._limits.tail_events)


def reused() -> Refusal:
    """Why a command is refused whose id stood for another one."""
    return Refusal("command_id_reused", "this id was used for another command", param="id")

"""The one place where intents become events: decide, append, and only then show.

    every round:  take what waits in all rooms
                  decide it, in order, on a fork of the committed state
                  one append for all of them, in one transaction
                  settle: state, readers, answers

While an append is under way the next round gathers. That is the whole pacing: no timer, no
delay when idle, and merged deltas exactly when there is load.

Invariants
    C1  Nobody hears of an event before its append is committed.
    C2  A refused, failed or conflicting append leaves the committed state as it was; its
        intents are decided again on what is true by then, or refused.
    C3  At most one append of a room is in flight, because there is one loop.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import anyio
import orjson
import structlog

from roomcast.core.backoff import full_jitter
from roomcast.core.errors import Refusal, StorageDamaged, StorageError, StorageFull
from roomcast.core.events import TERMINAL_TYPES, Record, encode_events
from roomcast.core.intents import Due, Ended, Opened, Produced, Recovered
from roomcast.core.ports import (
    Append,
    Clock,
    Conflict,
    EventLog,
    Expired,
    Hold,
    IdSource,
    ItemRow,
    Observer,
    Receipt,
    ReceiptKey,
    Rooms,
)
from roomcast.core.room_state import RoomState
from roomcast.core.rules import Batch, Rulebook, decide
from roomcast.room.room import Pending, Room, reused

__all__ = ["Committer"]

log = structlog.get_logger()

RETRY_BASE_S = 0.05
RETRY_CAP_S = 1.0
SYNCED = frozenset({"item.created", "response.created"}) | TERMINAL_TYPES
"""Events that are forced to the disk at any durability: accepted prompts and terminals."""


@dataclass(slots=True)
class _Plan:
    """What a round wants to do in one room."""

    room: Room
    batch: Batch
    pendings: list[Pending] = field(default_factory=list[Pending])
    outcomes: list[bytes | Refusal] = field(default_factory=list[bytes | Refusal])
    receipts: list[Receipt] = field(default_factory=list[Receipt])
    records: list[Record] = field(default_factory=list[Record])
    append: Append | None = None


class Committer:
    """Runs the rounds of all rooms of this process.

    Args:
        node: Name of this process, written beside the responses that it starts.
    """

    def __init__(
        self,
        *,
        event_log: EventLog,
        rooms: Rooms,
        rulebook: Rulebook,
        clock: Clock,
        new_id: IdSource,
        observer: Observer,
        node: str,
    ) -> None:
        self.draining = False
        self._event_log = event_log
        self._rooms = rooms
        self._rulebook = rulebook
        self._clock = clock
        self._new_id = new_id
        self._observer = observer
        self._node = node
        self._dirty: dict[Room, None] = {}
        self._work = anyio.Event()
        self._failures = 0
        self._quarantined: set[str] = set()

    def wake(self, room: Room) -> None:
        """Something waits in `room`."""
        self._dirty[room] = None
        self._work.set()

    async def run(self) -> None:
        """Run rounds for ever."""
        while True:
            await self._work.wait()
            self._work = anyio.Event()
            rooms, self._dirty = list(self._dirty), {}
            await self._round(rooms)
            await anyio.lowlevel.checkpoint()

    async def _round(self, rooms: Sequence[Room]) -> None:
        ready = [room for room in rooms if room.loaded or await self._load(room)]
        taken = [(room, pendings) for room in ready if (pendings := room.take())]
        try:
            known = await self._receipts(taken)
        except StorageError as error:
            await self._fail(taken, error)
            return
        plans = [self._plan(room, pendings, known) for room, pendings in taken]
        appends = [plan.append for plan in plans if plan.append is not None]
        started_s = self._clock.monotonic_s()
        try:
            outcomes = iter(await self._event_log.append(appends) if appends else ())
        except StorageError as error:
            for plan in plans:
                if plan.append is None:
                    self._settle(plan)
            await self._fail([(plan.room, plan.pendings) for plan in plans if plan.append is not None], error)
            return
        if appends:
            self._observe(appends, self._clock.monotonic_s() - started_s)
            self._failures = 0
        conflicts: list[_Plan] = []
        for plan in plans:
            outcome = None if plan.append is None else next(outcomes)
            if isinstance(outcome, Conflict):
                conflicts.append(plan)
                continue
            if outcome is not None:
                plan.room.floor = outcome.floor
            self._settle(plan)
        for plan in conflicts:
            await self._give_way(plan)

    # -- deciding -------------------------------------------------------------------------------

    async def _receipts(self, taken: Sequence[tuple[Room, list[Pending]]]) -> Mapping[ReceiptKey, Receipt]:
        keys = [pending.key for _, pendings in taken for pending in pendings if pending.key is not None]
        return await self._rooms.receipts(keys) if keys else {}

    def _plan(self, room: Room, pendings: list[Pending], known: Mapping[ReceiptKey, Receipt]) -> _Plan:
        """Decide what waits, until there is as much as one write to every viewer may be; the rest waits on."""
        now_ms = self._clock.now_ms()
        batch = Batch(room.state, self._rulebook, now_ms, draining=self.draining)
        plan = _Plan(room, batch)
        size_bytes = 0
        for place, pending in enumerate(pendings):
            if size_bytes >= self._rulebook.limits.batch_bytes:
                room.put_back(pendings[place:])
                self.wake(room)
                break
            plan.pendings.append(pending)
            plan.outcomes.append(self._decide(plan, pending, known))
            records = encode_events(batch.events[len(plan.records) :])
            plan.records += records
            size_bytes += sum(len(record.data) for record in records)
        if batch.events or plan.receipts or (room.checkpoint_wanted and batch.state.exists):
            plan.append = self._append(plan)
        return plan

    def _decide(self, plan: _Plan, pending: Pending, known: Mapping[ReceiptKey, Receipt]) -> bytes | Refusal:
        if pending.key is not None and (receipt := known.get(pending.key)):
            return receipt.result if receipt.digest == pending.digest else reused()
        if pending.intent is None:
            return b"{}"
        try:
            result = decide(plan.batch, pending.intent)
        except Refusal as refusal:
            return refusal
        encoded = b"{}" if result is None else orjson.dumps(result)
        if pending.key is not None:
            expires_at = plan.batch.now_ms + int(self._rulebook.limits.receipt_s * 1000)
            plan.receipts.append(Receipt(pending.key, pending.digest, encoded, expires_at))
        return encoded

    def _append(self, plan: _Plan) -> Append:
        room, batch = plan.room, plan.batch
        checkpoint = None
        due = room.since_checkpoint + len(plan.records) >= self._rulebook.limits.checkpoint_events
        if due or room.checkpoint_wanted:
            checkpoint = batch.state.dump()
        kinds = {event["type"] for event in batch.events}
        return Append(
            room=room.name,
            epoch=room.epoch,
            expected_seq=batch.base_seq,
            records=plan.records,
            receipts=plan.receipts,
            holds=[
                Hold(room.name, event["response_id"], self._node)
                for event in batch.events
                if event["type"] == "response.in_progress"
            ],
            released=[event["response_id"] for event in batch.events if event["type"] in TERMINAL_TYPES],
            items=[ItemRow(item.id, item.seq, item.data) for item in batch.items],
            checkpoint=checkpoint,
            unfinished=batch.state.unfinished,
            title=batch.state.title if batch.state.title != room.state.title else None,
            sync=not kinds.isdisjoint(SYNCED),
        )

    # -- settling -------------------------------------------------------------------------------

    def _settle(self, plan: _Plan) -> None:
        room = plan.room
        if plan.append is not None and plan.append.checkpoint is not None:
            room.since_checkpoint = -len(plan.records)
            room.checkpoint_wanted = False
        if plan.records:
            room.advance(plan.batch.state, plan.records, plan.batch.events, own=True)
            room.busy_at_s = self._clock.monotonic_s()
        room.degrade(None)
        for pending, outcome in zip(plan.pendings, plan.outcomes, strict=True):
            room.settled(pending, outcome)

    async def _give_way(self, plan: _Plan) -> None:
        """Another writer was first: fold what it wrote, then decide the same intents again."""
        room = plan.room
        room.put_back(plan.pendings)
        self._observer.count("roomcast_append_conflicts_total")
        try:
            await self._catch_up(room)
        except StorageError as error:
            await self._fail([(room, room.take())], error)
            return
        self.wake(room)

    async def _catch_up(self, room: Room) -> None:
        """Fold what other writers appended, and tell the readers; where that cannot be, the room is loaded anew."""
        head = await self._event_log.head(room.name)
        if head is None or head.epoch != room.epoch or head.seq < room.state.seq:
            room.loaded = False
            return
        room.floor, limits = head.floor, self._rulebook.limits
        while room.state.seq < head.seq:
            read = await self._event_log.read(room.name, room.state.seq, limits.read_events, limits.read_bytes)
            if isinstance(read, Expired) or not read.records:
                room.loaded = False
                return
            state, events = room.state.fork(), [orjson.loads(record.data) for record in read.records]
            for event in events:
                state.fold(event)
            room.advance(state, read.records, events, own=False)

    async def _fail(self, taken: Sequence[tuple[Room, list[Pending]]], error: StorageError) -> None:
        """The store refused: refuse commands, keep what already happened, and try again in a moment.

        Whoever only visits a room that is in memory needs nothing of the store.
        """
        self._failures += 1
        refusal = _storage_refusal(error)
        if self._failures == 1:
            log.error("append_failed", error=type(error).__name__, rooms=len(taken))
        self._observer.count("roomcast_append_failures_total", error=type(error).__name__)
        waiting: list[Room] = []
        for room, pendings in taken:
            lost = isinstance(error, StorageDamaged) and not room.loaded  # what cannot be read is never decided
            kept: list[Pending] = []
            for pending in pendings:
                if isinstance(pending.intent, Produced | Ended | Recovered | Due) and not lost:
                    kept.append(pending)
                else:
                    room.settled(pending, b"{}" if _visits(room, pending) else refusal)
            if kept:
                room.put_back(kept)
                room.degrade(refusal.code)
                waiting.append(room)
        if waiting:
            roll = 0.5 + 0.5 * (self._failures % 2)
            await anyio.sleep(full_jitter(self._failures, base_s=RETRY_BASE_S, cap_s=RETRY_CAP_S, roll=roll))
            for room in waiting:
                self.wake(room)

    # -- loading --------------------------------------------------------------------------------

    async def _load(self, room: Room) -> bool:
        """Bring a room into memory: its checkpoint and what came after. Cost: the state and that tail."""
        limits = self._rulebook.limits
        try:
            head = await self._event_log.head(room.name)
            saved = await self._rooms.checkpoint(room.name) if head else None
            if saved and head and saved.epoch == head.epoch:
                state = RoomState.load(saved.state, keep_items=limits.state_items)
            else:
                state = RoomState(room.name, keep_items=limits.state_items)
            since_checkpoint = state.seq
            records: list[Record] = []
            while head is not None and state.seq < head.seq:
                read = await self._event_log.read(room.name, state.seq, limits.read_events, limits.read_bytes)
                if isinstance(read, Expired) or not read.records:
                    raise StorageDamaged(f"the log of room {room.name} has a hole behind {state.seq}")
                for record in read.records:
                    state.fold(orjson.loads(record.data))
                records.extend(read.records)
        except StorageError as error:
            await self._fail([(room, room.take())], error)
            return False
        except Exception as error:  # whatever a row that is not as we wrote it does to the fold: only its room pays
            await self._quarantine(room, error)
            return False
        epoch, floor = (head.epoch, head.floor) if head else (self._new_id("ep"), 0)
        room.stand(epoch, state, records, floor)
        room.since_checkpoint = state.seq - since_checkpoint
        return True

    async def _quarantine(self, room: Room, error: Exception) -> None:
        """Refuse everything in a room whose rows do not decode; the others go on."""
        if room.name not in self._quarantined:
            self._quarantined.add(room.name)
            log.error("room_quarantined", room=room.name, error=type(error).__name__)
        await self._fail([(room, room.take())], StorageDamaged(f"room {room.name}: what is stored does not decode"))

    def _observe(self, appends: Sequence[Append], took_s: float) -> None:
        self._observer.time("roomcast_commit_seconds", took_s)
        events = sum(len(append.records) for append in appends)
        self._observer.time("roomcast_commit_batch_events", events)
        self._observer.count("roomcast_events_committed_total", events)


def _visits(room: Room, pending: Pending) -> bool:
    """Whether it takes its turn in a room that is there, and changes nothing."""
    return room.loaded and (pending.intent is None or (isinstance(pending.intent, Opened) and room.state.exists))


def _storage_refusal(error: StorageError) -> Refusal:
    if isinstance(error, StorageFull):
        return Refusal("storage_full", "there is no space left to store this", retry_after_ms=5_000)
    return Refusal("unavailable", "the store does not answer; try again", retry_after_ms=1_000)

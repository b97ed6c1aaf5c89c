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
    C4  An intent that the rules break on costs its own effect; no other intent, room or viewer.

Not here: reading rooms from the store (loading.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import anyio
import orjson
import structlog

from roomcast.core.backoff import full_jitter
from roomcast.core.errors import Refusal, StorageDamaged, StorageError, StorageFull, UpstreamError
from roomcast.core.events import TERMINAL_TYPES, Record, encode_events
from roomcast.core.intents import Due, Ended, Opened, Produced, Recovered
from roomcast.core.ports import (
    Append,
    Clock,
    Committed,
    Conflict,
    EventLog,
    Hold,
    IdSource,
    ItemRow,
    Observer,
    Receipt,
    ReceiptKey,
    Rooms,
)
from roomcast.core.rules import Batch, Rulebook, decide
from roomcast.room.loading import Loader, Undecodable
from roomcast.room.room import Pending, Room, reused

__all__ = ["Committer"]

log = structlog.get_logger()

RETRY_BASE_S = 0.05
RETRY_CAP_S = 1.0
SYNCED = frozenset({"item.created", "response.created", "room.deleted"}) | TERMINAL_TYPES
"""Events that are forced to the disk at any durability: accepted prompts, terminals, and deletions."""


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


_Outcome: TypeAlias = Committed | Conflict | StorageError | None
"""What became of a plan; None when there was nothing to append."""


class _BrokeOff(Exception):
    """The rules broke on an intent: a fault of ours, not a refusal."""

    def __init__(self, pending: Pending) -> None:
        super().__init__()
        self.pending = pending


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
        self._observer = observer
        self._node = node
        self._loader = Loader(event_log=event_log, rooms=rooms, limits=rulebook.limits, new_id=new_id)
        self._dirty: dict[Room, None] = {}
        self._resting: dict[Room, float] = {}
        self._work = anyio.Event()
        self._failures = 0
        self._quarantined: set[str] = set()

    def wake(self, room: Room, *, asked: bool = True) -> None:
        """Something waits in `room`. While the store refuses, only what somebody `asked` is tried at once."""
        if asked or room not in self._resting:
            self._dirty[room] = None
            self._work.set()

    async def run(self) -> None:
        """Run rounds for ever."""
        while True:
            if self._resting:
                await self._rest()
            else:
                await self._work.wait()
            self._work = anyio.Event()
            await self._round(self._due())  # not by a name, which would keep these rooms until the next round
            await anyio.lowlevel.checkpoint()

    async def _rest(self) -> None:
        """Wait for work, or until a room has rested."""
        with anyio.CancelScope(deadline=min(self._resting.values())):
            await self._work.wait()

    def _due(self) -> list[Room]:
        """Take the rooms that wait for a round."""
        if self._resting:
            now = anyio.current_time()
            self._dirty.update(dict.fromkeys(room for room, until in self._resting.items() if until <= now))
            for room in self._dirty:
                self._resting.pop(room, None)
        rooms, self._dirty = list(self._dirty), {}
        return rooms

    async def _round(self, rooms: Sequence[Room]) -> None:
        ready = [room for room in rooms if (room.loaded and room.seen is None) or await self._stands(room)]
        taken = [(room, pendings) for room in ready if (pendings := room.take())]
        try:
            known = await self._receipts(taken)
        except StorageError as error:
            self._fail(taken, error)
            return
        plans = [self._plan(room, pendings, known) for room, pendings in taken]
        outcomes = await self._commit(plans)
        for plan, outcome in zip(plans, outcomes, strict=True):
            if isinstance(outcome, Committed):
                plan.room.floor = outcome.floor
            if outcome is None or isinstance(outcome, Committed):
                self._settle(plan)
        refused: dict[type[StorageError], tuple[StorageError, list[tuple[Room, list[Pending]]]]] = {}
        for plan, outcome in zip(plans, outcomes, strict=True):
            if isinstance(outcome, StorageError):
                refused.setdefault(type(outcome), (outcome, []))[1].append((plan.room, plan.pendings))
            elif isinstance(outcome, Conflict):
                self._give_way(plan, outcome)
        for why, failed in refused.values():
            self._fail(failed, why)

    async def _stands(self, room: Room) -> bool:
        """Bring a room into memory, and to the log's head where other writers moved it; whether it could be."""
        seen = room.seen
        try:
            if room.loaded and room.behind:
                await self._loader.catch_up(room)
            if not room.loaded:
                await self._loader.load(room)
            if room.seen is seen:  # else it moved again meanwhile, perhaps behind what was read
                room.seen = None
        except StorageError as error:
            if isinstance(error, Undecodable) and room.name not in self._quarantined:
                self._quarantined.add(room.name)
                log.error("room_quarantined", room=room.name, error=type(error.__cause__).__name__)
            self._fail([(room, room.take())], error)
            return False
        return True

    async def _commit(self, plans: Sequence[_Plan]) -> Sequence[_Outcome]:
        """Append what the plans want, all together; the outcomes are in their order."""
        appends = [plan.append for plan in plans if plan.append is not None]
        if not appends:
            return [None] * len(plans)
        started_s = self._clock.monotonic_s()
        outcomes = await self._append_all(appends)
        if not any(isinstance(outcome, StorageError) for outcome in outcomes):
            self._failures = 0
            self._observe(appends, self._clock.monotonic_s() - started_s)
        found = iter(outcomes)
        return [None if plan.append is None else next(found) for plan in plans]

    async def _append_all(self, appends: Sequence[Append]) -> Sequence[Committed | Conflict | StorageError]:
        """One transaction; on a full disk one each, because a terminal may still have space where others have none."""
        try:
            return await self._event_log.append(appends)
        except StorageFull as error:
            if len(appends) == 1:
                return [error]
            return [outcome for append in appends for outcome in await self._append_all([append])]
        except StorageError as error:
            return [error] * len(appends)

    # -- deciding -------------------------------------------------------------------------------

    async def _receipts(self, taken: Sequence[tuple[Room, list[Pending]]]) -> Mapping[ReceiptKey, Receipt]:
        keys = [pending.key for _, pendings in taken for pending in pendings if pending.key is not None]
        return await self._rooms.receipts(keys) if keys else {}

    def _plan(self, room: Room, pendings: list[Pending], known: Mapping[ReceiptKey, Receipt]) -> _Plan:
        """Decide what waits; what the rules break on is left out, and the rest is decided anew."""
        while True:
            try:
                return self._decide_all(room, pendings, known)
            except _BrokeOff as broken:
                pendings.remove(broken.pending)
                self._leave_out(room, broken.pending)

    def _decide_all(self, room: Room, pendings: list[Pending], known: Mapping[ReceiptKey, Receipt]) -> _Plan:
        """Decide until there is as much as one write to every viewer may be; the rest waits on."""
        now_ms = self._clock.now_ms()
        batch = Batch(room.state, self._rulebook, now_ms, draining=self.draining)
        plan = _Plan(room, batch)
        size_bytes = 0
        for place, pending in enumerate(pendings):
            if size_bytes >= self._rulebook.limits.batch_bytes or batch.deletes:
                room.put_back(pendings[place:])
                self.wake(room)
                break
            try:
                outcome = self._decide(plan, pending, known)
                records = encode_events(batch.events[len(plan.records) :])
            except Exception as error:
                raise _BrokeOff(pending) from error
            plan.pendings.append(pending)
            plan.outcomes.append(outcome)
            plan.records += records
            if room.degraded_for is None:  # else what waits behind output could wait for the end of the outage
                size_bytes += sum(len(record.data) for record in records)
        if batch.events or plan.receipts or (room.checkpoint_wanted and batch.state.exists):
            plan.append = self._append(plan)
        return plan

    def _leave_out(self, room: Room, pending: Pending) -> None:
        """Refuse an intent that the rules broke on; what it was about ends rather than hangs."""
        intent = pending.intent
        log.exception("intent_failed", room=room.name, intent=type(intent).__name__)
        self._observer.count("roomcast_intent_failures_total", intent=type(intent).__name__)
        room.settled(pending, Refusal("internal", "the server failed to carry this out"))
        if isinstance(intent, Produced):
            room.end(Ended(intent.response_id, UpstreamError("internal", "the server failed")))
        elif isinstance(intent, Ended):
            room.submit(Recovered("owner_lost", (intent.response_id,), start_next=False))

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
        if (due or room.checkpoint_wanted) and room.degraded_for is None:  # else an ending may lack the space for both
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
            deletes=batch.deletes,
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
        if plan.batch.deletes:
            self._loader.begin(room)
        room.degrade(None)
        for pending, outcome in zip(plan.pendings, plan.outcomes, strict=True):
            room.settled(pending, outcome)

    def _give_way(self, plan: _Plan, conflict: Conflict) -> None:
        """Another writer was first: fold what it wrote, then decide the same intents again."""
        self._observer.count("roomcast_append_conflicts_total")
        plan.room.put_back(plan.pendings)
        plan.room.seen = conflict.head
        self.wake(plan.room)

    def _fail(self, taken: Sequence[tuple[Room, list[Pending]]], error: StorageError) -> None:
        """The store refused: refuse commands, keep what already happened, and try again in a moment.

        Whoever only visits a room that is in memory needs nothing of the store.
        """
        self._failures += 1
        refusal = _storage_refusal(error)
        if self._failures == 1:
            log.error("append_failed", error=type(error).__name__, rooms=len(taken))
        self._observer.count("roomcast_append_failures_total", error=type(error).__name__)
        roll = 0.5 + 0.5 * (self._failures % 2)
        rest_s = full_jitter(self._failures, base_s=RETRY_BASE_S, cap_s=RETRY_CAP_S, roll=roll)
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
            if kept or (room.behind and not isinstance(error, StorageDamaged)):
                self._resting[room] = anyio.current_time() + rest_s

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
    if isinstance(error, StorageDamaged):
        return Refusal("unavailable", "what is stored is damaged; the operator has been told", retry_after_ms=30_000)
    return Refusal("unavailable", "the store does not answer; try again", retry_after_ms=1_000)

"""The store in plain Python: the reference for the other adapters, gone with the process.

An append is one step of the event loop, so it cannot be half done. Each call still yields
to the loop once: code that relies on a store that answers at once would break with a disk.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from anyio.lowlevel import checkpoint as yield_to_loop

from roomcast.core.events import Record
from roomcast.core.limits import Limits
from roomcast.core.ports import (
    READ_BYTES,
    Append,
    Beat,
    Checkpoint,
    Clock,
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
from roomcast.storage.appends import advance, check
from roomcast.storage.heads import HeadBoard
from roomcast.storage.retaining import Ages, surplus

__all__ = ["MemoryStore", "open_memory"]

DEFAULT_RETENTION: Final = Limits().retention


@dataclass(slots=True)
class _Room:
    head: Head
    title: str = ""
    unfinished: bool = False
    records: list[Record] = field(default_factory=list[Record])
    at_ms: dict[int, int] = field(default_factory=dict[int, int])
    checkpoint: Checkpoint | None = None
    items: dict[str, ItemRow] = field(default_factory=dict[str, ItemRow])


class MemoryStore:
    """`EventLog`, `Rooms`, `Leases` and `Archive` in dictionaries.

    Args:
        clock: Tells how old events and receipts are.
        retention: How much of each log is kept when it is trimmed.
    """

    def __init__(self, *, clock: Clock, retention: Retention = DEFAULT_RETENTION) -> None:
        self._retention = retention
        self._ages = Ages(clock)
        self._rooms: dict[str, _Room] = {}
        self._receipts: dict[ReceiptKey, tuple[Receipt, int]] = {}
        self._holds: dict[tuple[str, str], Hold] = {}
        self._beats: dict[str, int] = {}
        self._board = HeadBoard()

    # ---- EventLog

    async def append(self, batches: Sequence[Append]) -> Sequence[Committed | Conflict]:
        """Commit each batch on the head it names."""
        check(batches)
        outcomes = [self._apply(batch) for batch in batches]
        await yield_to_loop()
        return outcomes

    async def read(self, room: str, after: int, limit: int, limit_bytes: int = READ_BYTES) -> Events | Expired:
        """Read up to `limit` events after position `after`, of `limit_bytes` together; at least one."""
        await yield_to_loop()
        log = self._rooms.get(room)
        if log is None:
            return Events([])
        if after < log.head.floor:
            return Expired(log.head.floor)
        start = after - log.head.floor
        chosen: list[Record] = []
        for record in log.records[start : start + limit]:
            limit_bytes -= len(record.data)
            if limit_bytes < 0 and chosen:
                break
            chosen.append(record)
        return Events(chosen)

    async def head(self, room: str) -> Head | None:
        """Where the room's log stands, or None when there is no such room."""
        await yield_to_loop()
        log = self._rooms.get(room)
        return log.head if log else None

    async def trim(self, told: Callable[[Head], None] | None = None) -> bool:
        """Let go of some of the oldest events of one room; whether there may be more."""
        await yield_to_loop()
        trimmed = next((log for log in self._rooms.values() if self._trim(log)), None)
        if trimmed and told:
            told(trimmed.head)
        return trimmed is not None

    def follow(self) -> AbstractAsyncContextManager[AsyncIterator[Head]]:
        """Heads as they move; a follower that lags sees the newest of each room."""
        return self._board.follow()

    def _apply(self, batch: Append) -> Committed | Conflict:
        log = self._rooms.get(batch.room)
        after = advance(log.head if log else None, batch)
        if isinstance(after, Conflict):
            return after
        if log is None:
            log = self._rooms[batch.room] = _Room(after)
        log.head = after
        log.unfinished = batch.unfinished
        log.title = log.title if batch.title is None else batch.title
        log.records.extend(batch.records)
        log.at_ms.update((record.seq, self._ages.now_ms()) for record in batch.records)
        log.items.update((item.item_id, item) for item in batch.items)
        if batch.checkpoint is not None:
            log.checkpoint = Checkpoint(after.epoch, after.seq, batch.checkpoint)
        self._keep(batch.receipts)
        self._holds.update(((hold.room, hold.response_id), hold) for hold in batch.holds)
        for response_id in batch.released:
            self._holds.pop((batch.room, response_id), None)
        if batch.deletes:
            self._forget(batch.room)
        elif batch.records:
            self._board.publish([after])
        return Committed(after.seq, after.floor)

    def _forget(self, room: str) -> None:
        """Nothing is left of it but receipts."""
        del self._rooms[room]
        for key in [key for key in self._holds if key[0] == room]:
            del self._holds[key]
        self._board.publish([Head(room, "", 0, 0)])

    def _trim(self, log: _Room) -> bool:
        head, saved = log.head, log.checkpoint.seq if log.checkpoint else 0
        going, _ = surplus(
            ((len(record.data), log.at_ms[record.seq]) for record in log.records if record.seq <= saved),
            count=len(log.records),
            size_bytes=sum(len(record.data) for record in log.records),
            retention=self._retention,
            now_ms=self._ages.now_ms(),
        )
        for record in log.records[:going]:
            del log.at_ms[record.seq]
        del log.records[:going]
        log.head = Head(head.room, head.epoch, head.seq, head.floor + going)
        return going > 0

    def _keep(self, receipts: Sequence[Receipt]) -> None:
        for receipt in receipts:
            self._receipts.pop(receipt.key, None)  # to the end: the oldest stay in front
            self._receipts[receipt.key] = (receipt, receipt.expires_at + self._ages.ahead_ms)
        now_ms = self._ages.now_ms()
        while self._receipts:
            oldest, until_ms = next(iter(self._receipts.values()))
            if until_ms > now_ms:
                break
            del self._receipts[oldest.key]

    # ---- Rooms

    async def list(self, after: str | None, limit: int) -> Sequence[RoomCard]:
        """Rooms by name, from the first after `after`."""
        await yield_to_loop()
        names = sorted(name for name in self._rooms if after is None or name > after)[:limit]
        found = ((name, self._rooms[name]) for name in names)
        return [RoomCard(name, log.title, log.head.epoch, log.head.seq, log.unfinished) for name, log in found]

    async def unfinished(self) -> Sequence[str]:
        """Names of rooms with open business."""
        await yield_to_loop()
        return sorted(name for name, log in self._rooms.items() if log.unfinished)

    async def checkpoint(self, room: str) -> Checkpoint | None:
        """The newest saved state of a room."""
        await yield_to_loop()
        log = self._rooms.get(room)
        return log.checkpoint if log else None

    async def receipts(self, keys: Sequence[ReceiptKey]) -> Mapping[ReceiptKey, Receipt]:
        """The receipts that exist and have not expired, of those asked for."""
        await yield_to_loop()
        now_ms = self._ages.now_ms()
        found = ((key, self._receipts.get(key)) for key in keys)
        return {key: kept[0] for key, kept in found if kept is not None and kept[1] > now_ms}

    # ---- Leases

    async def beat(self, node: str) -> None:
        """Count one up for `node`."""
        self._beats[node] = self._beats.get(node, 0) + 1
        await yield_to_loop()

    async def beats(self) -> Sequence[Beat]:
        """The counters of all nodes."""
        await yield_to_loop()
        return [Beat(node, count) for node, count in sorted(self._beats.items())]

    async def held(self) -> Sequence[Hold]:
        """All responses that some node runs."""
        await yield_to_loop()
        return [hold for _, hold in sorted(self._holds.items())]

    # ---- Archive

    async def items(self, room: str, before: str | None, limit: int) -> Sequence[bytes] | None:
        """Items newest first, from the first older than item `before`; None when that is no item."""
        await yield_to_loop()
        kept = self._rooms[room].items if room in self._rooms else {}
        newest_first = sorted(kept.values(), key=lambda item: (item.seq, item.item_id), reverse=True)
        start = 0
        if before is not None:
            if before not in kept:
                return None
            start = newest_first.index(kept[before]) + 1
        return [item.data for item in newest_first[start : start + limit]]

    async def item(self, room: str, item_id: str) -> bytes | None:
        """One item as JSON."""
        await yield_to_loop()
        log = self._rooms.get(room)
        found = log.items.get(item_id) if log else None
        return found.data if found else None

    def close(self) -> None:
        """Let followers end."""
        self._board.close()


@asynccontextmanager
async def open_memory(*, clock: Clock, retention: Retention = DEFAULT_RETENTION) -> AsyncGenerator[MemoryStore]:
    """Open an empty store; what it holds is gone when the context ends."""
    store = MemoryStore(clock=clock, retention=retention)
    try:
        yield store
    finally:
        store.close()

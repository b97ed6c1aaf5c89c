"""A store in memory that fails, waits, forgets, or is renamed when a test wants it to."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import anyio

from roomcast.core.errors import StorageDamaged, StorageError, StorageFull
from roomcast.core.limits import Limits
from roomcast.core.ports import READ_BYTES, Append, Committed, Conflict, Events, Expired, Head, Retention
from roomcast.storage import MemoryStore
from tests.support.virtual_time import VirtualClock

__all__ = ["FaultyStore"]

DEFAULT_RETENTION = Limits().retention


class FaultyStore(MemoryStore):
    """A memory store whose appends can be made to fail, wait, or lose a race.

    Attributes:
        fail_with: Raised by appends while it is set.
        full_for: Appends with a batch that it says yes to find the disk full.
        gate: Appends wait for it while it is set.
        unreadable: Raised by whoever asks where a log stands, while it is set.
        damaged: Events cannot be read while it is set.
        slow_reads_s: How long what was read is on its way.
        appended: Every batch that was committed.
        calls: How many appends were asked for.
    """

    def __init__(self, *, retention: Retention = DEFAULT_RETENTION) -> None:
        super().__init__(clock=VirtualClock(), retention=retention)
        self.fail_with: StorageError | None = None
        self.full_for: Callable[[Append], bool] | None = None
        self.gate: anyio.Event | None = None
        self.unreadable: StorageError | None = None
        self.damaged = False
        self.slow_reads_s = 0.0
        self.appended: list[Append] = []
        self.calls = 0

    def rename(self, room: str, epoch: str, *, cut_behind: int | None = None) -> None:
        """Give a room's log another name, as after a loss; `cut_behind`: what follows this seq is the loss."""
        stored = self._rooms[room]
        seq = stored.head.seq if cut_behind is None else cut_behind
        stored.head = Head(room, epoch, seq, stored.head.floor)
        del stored.records[seq - stored.head.floor :]
        stored.checkpoint = None

    def lose(self, room: str, count: int) -> None:
        """The newest events are gone, and the head does not know."""
        del self._rooms[room].records[-count:]

    async def head(self, room: str) -> Head | None:
        found = await super().head(room)
        if self.unreadable is not None:
            raise self.unreadable
        return found

    async def read(self, room: str, after: int, limit: int, limit_bytes: int = READ_BYTES) -> Events | Expired:
        found = await super().read(room, after, limit, limit_bytes)
        await anyio.sleep(self.slow_reads_s)
        if self.damaged:
            raise StorageDamaged("damaged")
        return found

    async def append(self, batches: Sequence[Append]) -> Sequence[Committed | Conflict]:
        self.calls += 1
        await anyio.lowlevel.checkpoint()  # a real store is never done in the same step
        if self.gate is not None:
            await self.gate.wait()
        if self.fail_with is not None:
            raise self.fail_with
        if self.full_for is not None and any(map(self.full_for, batches)):
            raise StorageFull("full")
        outcomes = await super().append(batches)
        self.appended += [
            batch for batch, outcome in zip(batches, outcomes, strict=True) if isinstance(outcome, Committed)
        ]
        return outcomes

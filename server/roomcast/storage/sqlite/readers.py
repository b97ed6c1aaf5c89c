"""The connections that read, each used by one worker thread at a time.

With a write-ahead log a reader sees the newest commit and waits for no writer; beyond the
number of connections, readers wait for each other, in order.

The writer's thread may exchange all of them for others while no query runs (renewal.py).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import SimpleQueue
from threading import Lock
from typing import TypeVar

from anyio import CapacityLimiter, to_thread

from roomcast.core.errors import StorageDamaged, StorageUnavailable
from roomcast.storage.sqlite.damage import DamageAlarm
from roomcast.storage.sqlite.errors import translated

__all__ = ["Readers"]

Answer = TypeVar("Answer")


class Readers:
    """A few connections, lent to queries.

    Args:
        connections: Open for reading; this closes them.
        path: The file, for messages.
        alarm: Told of damage.
    """

    def __init__(self, connections: Sequence[sqlite3.Connection], *, path: Path, alarm: DamageAlarm) -> None:
        self._path = path
        self._alarm = alarm
        self._count = len(connections)
        self._idle: SimpleQueue[sqlite3.Connection | None] = SimpleQueue()
        for connection in connections:
            self._idle.put(connection)
        self._limiter = CapacityLimiter(self._count)
        self._all = Lock()
        self._closed = False

    async def run(self, query: Callable[[sqlite3.Connection], Answer]) -> Answer:
        """Run `query` in a thread. A caller that is cancelled waits for its end first: reads are short."""
        if self._closed:
            raise StorageUnavailable(f"{self._path}: the store is closed")
        return await to_thread.run_sync(self._run, query, limiter=self._limiter)

    def _run(self, query: Callable[[sqlite3.Connection], Answer]) -> Answer:
        connection = self._idle.get()
        try:
            if connection is None:
                raise StorageUnavailable(f"{self._path}: it could not be opened again yet")
            with translated(self._path):
                return query(connection)
        except StorageDamaged as error:
            if isinstance(error.__cause__, sqlite3.Error):  # else a query misses something in one room
                self._alarm.ring(error)
            raise
        finally:
            self._idle.put(connection)

    def exchange(self, reopen: Callable[[Sequence[sqlite3.Connection]], Sequence[sqlite3.Connection]]) -> None:
        """Hand all connections over once no query runs, and read through what `reopen` gives instead.

        Blocks. When it raises, they count as closed, and queries are refused until it is done again.
        """
        with self._all:
            fresh: Sequence[sqlite3.Connection] = ()
            there = self._take()
            try:
                fresh = reopen(there)
            finally:
                if self._closed:
                    fresh = _close(fresh)
                self._give(fresh)

    async def close(self) -> None:
        """Refuse new reads, let running and waiting ones end, close the connections."""
        self._closed = True
        for number in range(self._count):  # the limiter is first come, first served: these are the last
            await self._limiter.acquire_on_behalf_of(number)
        await to_thread.run_sync(self._close)

    def _close(self) -> None:
        with self._all:
            self._give(_close(self._take()))

    def _take(self) -> list[sqlite3.Connection]:
        lent = [self._idle.get() for _ in range(self._count)]
        return [connection for connection in lent if connection is not None]

    def _give(self, connections: Sequence[sqlite3.Connection]) -> None:
        for number in range(self._count):
            self._idle.put(connections[number] if number < len(connections) else None)


def _close(connections: Sequence[sqlite3.Connection]) -> Sequence[sqlite3.Connection]:
    for connection in connections:
        connection.close()
    return ()

"""The connections that read, each used by one worker thread at a time.

With a write-ahead log a reader sees the newest commit and waits for no writer; beyond the
number of connections, readers wait for each other, in order.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import SimpleQueue
from typing import TypeVar

from anyio import CapacityLimiter, to_thread

from roomcast.core.errors import StorageUnavailable
from roomcast.storage.sqlite.errors import translated

__all__ = ["Readers"]

Answer = TypeVar("Answer")


class Readers:
    """A few connections, lent to queries.

    Args:
        connections: Open for reading; this closes them.
        path: The file, for messages.
    """

    def __init__(self, connections: Sequence[sqlite3.Connection], *, path: Path) -> None:
        self._path = path
        self._idle: SimpleQueue[sqlite3.Connection] = SimpleQueue()
        for connection in connections:
            self._idle.put(connection)
        self._limiter = CapacityLimiter(len(connections))
        self._closed = False

    async def run(self, query: Callable[[sqlite3.Connection], Answer]) -> Answer:
        """Run `query` in a thread. A caller that is cancelled waits for its end first: reads are short."""
        if self._closed:
            raise StorageUnavailable(f"{self._path}: the store is closed")
        return await to_thread.run_sync(self._run, query, limiter=self._limiter)

    def _run(self, query: Callable[[sqlite3.Connection], Answer]) -> Answer:
        connection = self._idle.get()
        try:
            with translated(self._path):
                return query(connection)
        finally:
            self._idle.put(connection)

    async def close(self) -> None:
        """Refuse new reads, let running and waiting ones end, close the connections."""
        self._closed = True
        lent = int(self._limiter.total_tokens)
        for number in range(lent):  # the limiter is first come, first served: these are the last
            await self._limiter.acquire_on_behalf_of(number)
        await to_thread.run_sync(self._close, lent)

    def _close(self, connections: int) -> None:
        for _ in range(connections):
            self._idle.get().close()

"""What has arrived and was not taken yet: a queue between one socket and one reader.

    socket ──► put ──[ ... soft ... hard ]──► take ──► async for

Invariants
    B1  Order is kept, and nothing is left out unless `lost` says so.
    B2  Above `soft` we stop reading the socket, so the server sees a slow viewer and merges.
    B3  While somebody waits for a reply or an answer, we must read on to find it. Then the
        queue grows to `hard`, and is given up there: the reader starts again from a snapshot.

So a program that asks and waits in the middle of its loop does not wait for itself, and one
that never loops does not fill its memory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from contextlib import contextmanager

import anyio

from roomcast.client.events import RoomEvent
from roomcast.core.events import Cursor

__all__ = ["Arrival", "Inbox"]

Arrival = tuple[RoomEvent, Cursor]
"""An event, and the position of whoever has taken it."""


class Inbox:
    """Bounded queue of events, with the rule above."""

    def __init__(self, *, soft: int = 1_024, hard: int = 16_384) -> None:
        self._soft, self._hard = soft, hard
        self._events: deque[Arrival] = deque()
        self._hurried = 0
        self._lost = False
        self._reading = False
        self._ended: Exception | None = None
        self._arrived = anyio.Event()
        self._drained = anyio.Event()

    def __len__(self) -> int:
        return len(self._events)

    @property
    def lost(self) -> bool:
        """Whether the queue was given up; events are not kept until `restart`."""
        return self._lost

    def put(self, event: RoomEvent, at: Cursor) -> None:
        """Add an event; never waits. A reset begins anew, so it ends being lost."""
        if event.is_reset:
            self._lost = False
        elif self._lost:
            return
        elif len(self._events) >= self._hard:
            self._events.clear()
            self._lost = True
        if not self._lost:
            self._events.append((event, at))
        self._arrived.set()

    def restart(self) -> None:
        """Keep events again, after the reader was given a new place to start from."""
        self._lost = False

    def end(self, error: Exception) -> None:
        """Nothing more will come; the reader gets `error` after what is here."""
        self._ended = error
        self._arrived.set()
        self._drained.set()

    async def writable(self) -> None:
        """Wait until the socket may be read again (B2, B3)."""
        while len(self._events) >= self._soft and not self._hurried and self._ended is None:
            self._drained = anyio.Event()
            await self._drained.wait()

    @contextmanager
    def hurry(self) -> Generator[None]:
        """Keep the socket being read while something else is waited for."""
        self._hurried += 1
        self._drained.set()
        try:
            yield
        finally:
            self._hurried -= 1

    async def take(self) -> Arrival | None:
        """Give the next event; None when the queue was given up and the reader must start again.

        Raises:
            RuntimeError: Somebody else is taking already; each event is handed over once.
        """
        if self._reading:
            raise RuntimeError("the room is being iterated over already; one reader at a time")
        self._reading = True
        try:
            while not self._events:
                if self._ended is not None:
                    raise self._ended
                if self._lost:
                    return None
                self._arrived = anyio.Event()
                await self._arrived.wait()
            arrival = self._events.popleft()
            if len(self._events) < self._soft:
                self._drained.set()
            return arrival
        finally:
            self._reading = False

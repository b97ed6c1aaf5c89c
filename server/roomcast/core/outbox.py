"""What waits for one connection: replies and notices, in order, bounded in bytes.

Room events are not in here: a subscriber keeps a cursor and reads the log when its socket
has room again, so they need no queue and cannot be dropped. What is in here cannot be
dropped either; when it does not fit, the connection ends.

    ready      encoded frames; count against the bound
    deferred   frames that are made when they are written (a snapshot at that moment's
               position); not counted, one at a time
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

__all__ = ["Outbox", "OutboxFull", "Statistics"]

Deferred: TypeAlias = Callable[[], bytes | None]
"""Makes a frame when its turn has come; None when nobody waits for it any more."""


class OutboxFull(Exception):
    """What must be told does not fit; the connection cannot be kept."""


@dataclass(frozen=True, slots=True)
class Statistics:
    """How full it is."""

    frames: int
    size_bytes: int


class Outbox:
    """The lane of one connection that goes first.

    Args:
        limit_bytes: Most bytes of ready frames that may wait.
    """

    __slots__ = ("_limit_bytes", "_size_bytes", "_waiting")

    def __init__(self, limit_bytes: int) -> None:
        self._waiting: deque[bytes | Deferred] = deque()
        self._size_bytes = 0
        self._limit_bytes = limit_bytes

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def put(self, frame: bytes) -> None:
        """Add a frame behind what waits. Raises `OutboxFull` when it does not fit."""
        if self._size_bytes + len(frame) > self._limit_bytes:
            raise OutboxFull
        self._size_bytes += len(frame)
        self._waiting.append(frame)

    def defer(self, make: Deferred) -> None:
        """Add a frame that is made when its turn comes."""
        self._waiting.append(make)

    def take(self) -> bytes | None:
        """Remove and return the next frame; None if it turned out that nobody waits for it."""
        first = self._waiting.popleft()
        if isinstance(first, bytes):
            self._size_bytes -= len(first)
            return first
        return first()

    def clear(self) -> None:
        """Forget everything; the connection is gone."""
        self._waiting.clear()
        self._size_bytes = 0

    def statistics(self) -> Statistics:
        """How full it is now."""
        return Statistics(len(self._waiting), self._size_bytes)

"""The newest events of a room in memory, so that catching up rarely needs the store.

    store … [ floor ──── records ──── head ]

Invariants
    T1  The records are consecutive and end at the head.
    T2  `after` is exact or None; it never skips a record.
    T3  Bytes and count are bounded; the newest record stays, whatever its size.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import islice

from roomcast.core.events import Record

__all__ = ["Tail"]


class Tail:
    """A bounded window over the newest records.

    Args:
        head: Position that the window starts at; nothing up to it is held.
    """

    def __init__(self, head: int, *, limit_bytes: int, limit_events: int) -> None:
        self._records: deque[Record] = deque()
        self._head = head
        self._bytes = 0
        self._limit_bytes = limit_bytes
        self._limit_events = limit_events

    @property
    def head(self) -> int:
        """Position after the newest record."""
        return self._head

    @property
    def floor(self) -> int:
        """Oldest position that `after` can serve."""
        return self._head - len(self._records)

    @property
    def size_bytes(self) -> int:
        """Bytes held."""
        return self._bytes

    def extend(self, records: Sequence[Record]) -> None:
        """Add the records that follow the head, and drop the oldest over the bounds."""
        for record in records:
            assert record.seq == self._head + 1, f"record {record.seq} cannot follow {self._head}"
            self._head = record.seq
            self._records.append(record)
            self._bytes += len(record.data)
        while len(self._records) > 1 and (self._bytes > self._limit_bytes or len(self._records) > self._limit_events):
            self._bytes -= len(self._records.popleft().data)

    def after(self, seq: int, limit_bytes: int) -> list[Record] | None:
        """Records behind position `seq`, oldest first; None when the window does not reach back.

        Args:
            seq: Where the reader stands.
            limit_bytes: Stop before passing this many bytes, but give at least one record.
        """
        if not self.floor <= seq <= self._head:
            return None
        chosen: list[Record] = []
        for record in islice(self._records, seq - self.floor, None):
            limit_bytes -= len(record.data)
            if limit_bytes < 0 and chosen:
                break
            chosen.append(record)
        return chosen

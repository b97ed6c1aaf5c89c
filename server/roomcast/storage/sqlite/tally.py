"""Counting commits: the number goes into the rows that a commit writes, and then to the mark.

It costs no statement and no page of its own: each room has the number of the commit that
wrote it last, and the largest of them is the newest.

Invariant: the mark never says more than the file held when it was written.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from roomcast.core.ports import Clock, Committed
from roomcast.storage.retaining import Ages
from roomcast.storage.sqlite.appending import Applied, Write, apply
from roomcast.storage.sqlite.mark import Mark

__all__ = ["Tally"]


class Tally:
    """Carries out writes for the writer, and counts.

    Args:
        mark: Where the number is shown.
        commits: Number of the newest commit.
        clock: Tells which receipts have expired.
        ages: Tells when events were appended.
    """

    def __init__(self, mark: Mark, commits: int, *, clock: Clock, ages: Ages) -> None:
        self._mark = mark
        self._commits = commits
        self._clock = clock
        self._ages = ages
        self._wrote_rooms = False
        mark.show(commits)

    def transact(self, connection: sqlite3.Connection, writes: Sequence[Write]) -> Sequence[Applied]:
        """Write what `writes` ask for, under the next number."""
        applied = apply(connection, writes, self._clock.now_ms(), aged_ms=self._ages.now_ms(), commit=self._commits + 1)
        self._wrote_rooms = any(isinstance(outcome, Committed) for each in applied for outcome in each.outcomes)
        return applied

    def committed(self) -> None:
        """The transaction is in the file, and nobody has heard of it yet."""
        if self._wrote_rooms:
            self._commits += 1
            self._mark.show(self._commits)

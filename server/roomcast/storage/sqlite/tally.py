"""Counting commits: the number goes into the rows that a commit writes, and then to the mark.

It costs no statement and no page of its own: each room has the number of the commit that
wrote it last, and the largest of them is the newest.

Invariant: the mark never says more than the file held when it was written.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import structlog

from roomcast.core.ports import Committed
from roomcast.storage.retaining import Ages
from roomcast.storage.sqlite.appending import Applied, Write, apply
from roomcast.storage.sqlite.mark import Mark
from roomcast.storage.sqlite.reserve import Reserve

__all__ = ["Tally"]

log = structlog.get_logger()


class Tally:
    """Carries out writes for the writer, and counts.

    Args:
        mark: Where the number is shown.
        commits: Number of the newest commit.
        ages: Tells when events were appended, and which receipts have expired.
        reserve: Says when only what ends things is written.
    """

    def __init__(self, mark: Mark, commits: int, *, ages: Ages, reserve: Reserve | None = None) -> None:
        self._mark = mark
        self._commits = commits
        self._ages = ages
        self._reserve = reserve
        self._wrote_rooms = False
        mark.show(commits)

    @property
    def commits(self) -> int:
        """Number of the newest commit."""
        return self._commits

    def go_on(self, commits: int) -> None:
        """The file was opened again; its newest commit has this number."""
        self._commits = commits
        self._mark.show(commits)

    def transact(self, connection: sqlite3.Connection, writes: Sequence[Write]) -> Sequence[Applied]:
        """Write what `writes` ask for, under the next number.

        Raises:
            StorageFull: The disk is nearly full, and some of them can wait for another time.
        """
        if self._reserve is not None and self._reserve.low() and not all(write.ends for write in writes):
            raise self._reserve.refusal()
        aged_ms, ahead_ms = self._ages.now_ms(), self._ages.ahead_ms
        applied = apply(connection, writes, aged_ms=aged_ms, ahead_ms=ahead_ms, commit=self._commits + 1)
        self._wrote_rooms = any(isinstance(outcome, Committed) for each in applied for outcome in each.outcomes)
        return applied

    def make_room(self, write: Write) -> bool:
        """The disk was full for `write`; whether there is room for it now that there was not."""
        if self._reserve is None or not write.ends or not self._reserve.drop():
            return False
        log.warning("ballast_dropped")
        return True

    def committed(self) -> None:
        """The transaction is in the file, and nobody has heard of it yet."""
        if self._wrote_rooms:
            self._commits += 1
            self._mark.show(self._commits)

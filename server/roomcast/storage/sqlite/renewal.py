"""New connections after a sync that failed: nothing is built on what the disk did not confirm.

When a sync fails, the kernel may drop what it could not write and call it clean: the next sync then
succeeds without it (PostgreSQL's "fsyncgate"). The write-ahead log may have lost any frame since its
last good sync, and a synced commit behind such a frame would be lost with it. So, before the next commit:

    bury ──► close all ──► open: SQLite reads the log back, frame by frame, by checksum
                       ──► compare the newest commit with the one that was answered
                       ──► copy all of it into the database, synced; the log begins anew

Invariants
    N1  Nothing is committed between a failed sync and a renewal that went well.
    N2  What was refused stays refused: its frames are overwritten (buried) before the log is read back.
    N3  If anything that was answered is missing, logs get new names and nothing more is written; the next
        start goes on from there.

Until it goes well, reads are served from the connections that are there.
For one thread: the writer's.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import structlog

from roomcast.core.errors import StorageDamaged, StorageUnavailable
from roomcast.storage.sqlite.connections import connect_reader, connect_writer
from roomcast.storage.sqlite.damage import DamageAlarm
from roomcast.storage.sqlite.errors import StoreUnusable, translated
from roomcast.storage.sqlite.lives import Beginning
from roomcast.storage.sqlite.readers import Readers
from roomcast.storage.sqlite.schema import prepare
from roomcast.storage.sqlite.tally import Tally

__all__ = ["Renewal", "connect_last"]

log = structlog.get_logger()


class Renewal:
    """Closes and opens the connections of one store.

    It has a connection of its own that only keeps the file open: if the last one to be closed may write,
    SQLite empties the log into the database, which must not happen with a log that is not to be trusted.

    Args:
        path: The database.
        last: The connection that keeps it open.
        readers: Have the other connections.
        readers_count: How many those are.
        tally: Knows the newest commit that was answered.
        alarm: Told when commits are missing.
        begin: Compares the file with the number of that commit, and notes that a life began.
    """

    def __init__(
        self,
        path: Path,
        *,
        last: sqlite3.Connection,
        readers: Readers,
        readers_count: int,
        tally: Tally,
        alarm: DamageAlarm,
        begin: Callable[[sqlite3.Connection, int], Beginning],
    ) -> None:
        self._path = path
        self._readers = readers
        self._readers_count = readers_count
        self._tally = tally
        self._alarm = alarm
        self._begin = begin
        self._closed = False
        self._fresh: sqlite3.Connection | None = None
        self._last = last

    def renew(self, connection: sqlite3.Connection) -> sqlite3.Connection:
        """Give another connection for `connection`, whose sync failed; it may be tried again.

        Raises:
            StorageUnavailable: The disk still fails.
            StorageDamaged: Commits are missing that were answered, or pages are.
        """
        with translated(self._path):
            if not self._closed:
                _bury(connection)
                self._readers.exchange(partial(self._close, connection))
                self._closed = True
            self._readers.exchange(self._reopen)
        assert self._fresh is not None, "opened, or raised"
        fresh, self._fresh, self._closed = self._fresh, None, False
        log.warning("store_renewed", path=str(self._path), reason="a sync had failed")
        return fresh

    def close(self, connection: sqlite3.Connection, *, trusted: bool) -> None:
        """Close `connection` for good; its log is emptied into the database if it is to be trusted."""
        if trusted:
            self._last.close()
        self._close(connection, ())

    def _close(
        self, connection: sqlite3.Connection, readers: Sequence[sqlite3.Connection]
    ) -> Sequence[sqlite3.Connection]:
        for each in (connection, *readers, self._last):
            each.close()
        return ()

    def _reopen(self, _: Sequence[sqlite3.Connection]) -> list[sqlite3.Connection]:
        try:
            fresh = connect_writer(self._path, prepare=lambda opened: prepare(opened, self._path), make=False)
        except StoreUnusable as error:  # somebody put another file there
            raise StorageUnavailable(str(error)) from error
        try:
            beginning = self._begin(fresh, self._tally.commits)
            if beginning.renewed_for is not None:
                missing = StorageDamaged(f"{self._path}: {beginning.renewed_for}")
                self._alarm.ring(missing, final=True)
                raise missing
            busy, *_ = fresh.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if busy:
                raise StorageUnavailable(f"{self._path}: another program reads it, and it cannot be renewed meanwhile")
            self._last = connect_last(self._path)
            others = [connect_reader(self._path) for _ in range(self._readers_count)]
        except BaseException:
            fresh.close()
            raise
        self._tally.go_on(beginning.commits)
        self._fresh = fresh
        return others


def connect_last(path: Path) -> sqlite3.Connection:
    """Open the file to keep it open."""
    connection = connect_reader(path)
    connection.execute("SELECT count(*) FROM meta").fetchone()  # only a connection that has read counts
    return connection


def _bury(connection: sqlite3.Connection) -> None:
    """Commit something small and synced: it lies where the refused commit lay, and shows that syncs work again."""
    if connection.in_transaction:
        connection.rollback()
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute(
            """
            INSERT INTO meta VALUES ('buried', '1')
            ON CONFLICT DO UPDATE SET value = CAST(CAST(value AS INTEGER) + 1 AS TEXT)
            """
        )
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            connection.rollback()
        raise

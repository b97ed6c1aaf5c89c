"""The two kinds of connection to the file: one that writes, and some that only read.

Only the writer may checkpoint the WAL (see lock.py for why), so readers are opened read
only: SQLite lets such a connection neither checkpoint nor tidy up when it closes last.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Final

from roomcast.storage.sqlite.errors import StoreUnusable

__all__ = ["OLDEST_SQLITE", "WAL_KEPT_BYTES", "connect_reader", "connect_writer", "has_wal_reset_bug"]

OLDEST_SQLITE: Final = (3, 38, 0)
"""First version with STRICT tables (3.37) and JSON functions in every build."""

BUSY_TIMEOUT_S: Final = 5.0
"""How long to wait for a lock. None of ours collide; an operator's own tool may hold one."""

CACHED_STATEMENTS: Final = 512
"""Statements for many rows exist once for each number of rows (see appending.py)."""

WAL_KEPT_BYTES: Final = 4 * 1024 * 1024
"""What the write-ahead log's file keeps when the log begins anew behind a checkpoint."""


def has_wal_reset_bug(version: tuple[int, int, int]) -> bool:
    """Whether this SQLite may corrupt a file that two connections write or checkpoint at once."""
    if version >= (3, 51, 3):
        return False
    fixed_in_branch = {(3, 44): 6, (3, 50): 7}.get(version[:2])
    return version >= (3, 7, 0) and (fixed_in_branch is None or version[2] < fixed_in_branch)


def connect_writer(
    path: Path, *, prepare: Callable[[sqlite3.Connection], None], make: bool = True
) -> sqlite3.Connection:
    """Open the file for the one connection that writes.

    It never checkpoints by itself: SQLite would keep to itself that a sync failed (writer.py does it).

    Args:
        path: The database.
        prepare: Checks and upgrades the file before anything else touches it.
        make: Whether to make it if it is not there.
    """
    connection = _connect(path, "rwc" if make else "rw")
    try:
        prepare(connection)
        if connection.execute("PRAGMA journal_mode = WAL").fetchone() != ("wal",):
            raise StoreUnusable(path, "its file system has no shared memory, which a write-ahead log needs")
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute("PRAGMA secure_delete = FAST")  # else what is deleted is written once more, disk full or not
        connection.execute(f"PRAGMA journal_size_limit = {WAL_KEPT_BYTES}")
        connection.execute("PRAGMA fullfsync = ON")  # macOS: a sync that the drive's cache does not swallow
    except BaseException:
        connection.close()
        raise
    return connection


def connect_reader(path: Path) -> sqlite3.Connection:
    """Open the file for reading; the writer must have it open already."""
    return _connect(path, "ro")


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        timeout=BUSY_TIMEOUT_S,
        isolation_level=None,  # transactions are ours to begin
        check_same_thread=False,  # one thread at a time, not always the same
        cached_statements=CACHED_STATEMENTS,
    )

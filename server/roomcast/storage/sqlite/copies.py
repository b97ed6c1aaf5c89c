"""A copy of the database while a server runs, and a copy put in its place while none does.

A backup reads through a connection that can neither write nor checkpoint, in one step, so it is
the state after one commit, and the one-writer rule (lock.py) stands. Restoring takes the folder's
lock, and takes the mark away: nobody can know which commits the copy lacks, so the next start
gives every log a new name (lives.py).
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from roomcast.storage.sqlite.connections import connect_reader
from roomcast.storage.sqlite.errors import StoreUnusable, translated
from roomcast.storage.sqlite.lock import locked
from roomcast.storage.sqlite.mark import mark_path
from roomcast.storage.sqlite.schema import APPLICATION_ID, MIGRATIONS

__all__ = ["back_up", "restore"]


def back_up(database: Path, target: Path) -> None:
    """Write a consistent copy of `database` to `target`, also of one that a server has open.

    Raises:
        StoreUnusable: There is no such database, or `target` exists or cannot be written.
        StorageError: One of the two cannot be read or written now, or is damaged.
    """
    if not database.is_file():
        raise StoreUnusable(database, "there is no such file")
    if target.exists():
        raise StoreUnusable(target, "it exists already; a backup overwrites nothing")
    unfinished = target.with_name(f"{target.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    try:
        with translated(database), closing(connect_reader(database)) as source:
            _check_ours(source, database)
            with closing(sqlite3.connect(unfinished, isolation_level=None)) as copy:
                source.backup(copy)
                copy.execute("PRAGMA journal_mode = DELETE")  # one file, to be moved about
        _sync(unfinished)
        unfinished.rename(target)
    except OSError as error:
        raise StoreUnusable(target, (error.strerror or str(error)).lower()) from error
    finally:
        unfinished.unlink(missing_ok=True)


def restore(backup: Path, database: Path) -> Path | None:
    """Put `backup` in the place of `database`; every log of it gets a new name at the next start.

    Returns:
        Where the database that was there is kept, or None when there was none.

    Raises:
        StoreInUse: A server has the folder.
        StoreUnusable: `backup` is no sound database of ours, or the folder cannot be written.
    """
    _check_sound(backup)
    try:
        database.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StoreUnusable(database.parent, (error.strerror or str(error)).lower()) from error
    with locked(database.parent):
        try:
            arriving = database.with_name(f"{database.name}.arriving")
            arriving.write_bytes(b"")
            arriving.chmod(0o600)
            _copy(backup, arriving)
            kept = _set_aside(database)
            mark_path(database).unlink(missing_ok=True)
            arriving.rename(database)
            _sync(database.parent)
        except OSError as error:
            raise StoreUnusable(database, (error.strerror or str(error)).lower()) from error
    return kept


def _check_sound(backup: Path) -> None:
    if not backup.is_file():
        raise StoreUnusable(backup, "there is no such file")
    try:
        with closing(sqlite3.connect(f"{backup.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
            _check_ours(connection, backup)
            found = connection.execute("PRAGMA integrity_check(1)").fetchone()
    except sqlite3.Error as error:
        raise StoreUnusable(backup, str(error)) from error
    if found != ("ok",):
        raise StoreUnusable(backup, "it is damaged")


def _check_ours(connection: sqlite3.Connection, path: Path) -> None:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION_ID:
        raise StoreUnusable(path, "it is no database of roomcast")
    if version > len(MIGRATIONS):
        raise StoreUnusable(path, "a newer version of roomcast wrote it")


def _copy(source: Path, target: Path) -> None:
    with source.open("rb") as reading, target.open("wb") as writing:
        while some := reading.read(1024 * 1024):
            writing.write(some)
    _sync(target)


def _set_aside(database: Path) -> Path | None:
    """Keep what was there under another name, with its write-ahead log: it may be all that somebody has."""
    if not database.exists():
        _with(database, "-wal").unlink(missing_ok=True)
        return None
    number = 1
    while (kept := database.with_name(f"{database.name}.before-restore-{number}")).exists():
        number += 1
    if _with(database, "-wal").exists():
        _with(database, "-wal").rename(_with(kept, "-wal"))
    _with(database, "-shm").unlink(missing_ok=True)
    database.rename(kept)
    return kept


def _with(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

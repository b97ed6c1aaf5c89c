"""SQLite's errors in our words, and the errors of opening a store.

StorageFull         SQLITE_FULL: the device or a quota has no room
StorageUnavailable  the file cannot be reached, read or written now
  SyncFailed        of these: the disk did not confirm what it was given (renewal.py)
StorageDamaged      SQLite says that this is not a sound database
anything else       a mistake of ours; it is not translated and nobody should handle it
"""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from roomcast.core.errors import ServerError, StorageDamaged, StorageError, StorageFull, StorageUnavailable

__all__ = ["StoreInUse", "StoreUnusable", "SyncFailed", "translated"]


class SyncFailed(StorageUnavailable):
    """The disk did not confirm a sync: what was written before it may be lost, too."""


class StoreUnusable(ServerError):
    """The store cannot be opened as it is; the server does not start.

    Attributes:
        path: The folder or file at fault.
    """

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"the store {path} cannot be used: {why}")
        self.path = path


class StoreInUse(StoreUnusable):
    """Another process has the folder.

    Attributes:
        holder: Its process id, or None when it did not say.
    """

    def __init__(self, folder: Path, holder: int | None) -> None:
        who = "another process" if holder is None else f"process {holder}"
        super().__init__(folder, f"{who} is using it, and a store is for one process")
        self.holder = holder


_IN_DETAIL: Final[dict[int, type[StorageError]]] = {
    sqlite3.SQLITE_IOERR_FSYNC: SyncFailed,
    sqlite3.SQLITE_IOERR_DIR_FSYNC: SyncFailed,
}

_OURS: Final[dict[int, type[StorageError]]] = {
    sqlite3.SQLITE_FULL: StorageFull,
    sqlite3.SQLITE_CORRUPT: StorageDamaged,
    sqlite3.SQLITE_NOTADB: StorageDamaged,
    sqlite3.SQLITE_IOERR: StorageUnavailable,
    sqlite3.SQLITE_BUSY: StorageUnavailable,
    sqlite3.SQLITE_LOCKED: StorageUnavailable,
    sqlite3.SQLITE_READONLY: StorageUnavailable,
    sqlite3.SQLITE_CANTOPEN: StorageUnavailable,
    sqlite3.SQLITE_PERM: StorageUnavailable,
    sqlite3.SQLITE_PROTOCOL: StorageUnavailable,
}


@contextmanager
def translated(path: Path) -> Generator[None]:
    """Turn what SQLite raises about the file `path` into a `StorageError` that names it."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0)  # absent where the module itself complains
        ours = _IN_DETAIL.get(code) or _OURS.get(code & 0xFF)  # the low byte is the kind, the rest is detail
        if ours is None:
            raise
        raise ours(f"{path}: {error} ({error.sqlite_errorname})") from error

"""One process a folder, held by a lock that the kernel releases when the process dies.

SQLite before 3.51.3 can lose commits when two connections write or checkpoint at once
(sqlite.org/wal.html#walresetbug), and an embedded room has one committer: both need this.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from roomcast.storage.sqlite.errors import StoreInUse, StoreUnusable

__all__ = ["locked"]

LOCK_FILE = "roomcast.lock"


@contextmanager
def locked(folder: Path) -> Generator[None]:
    """Hold `folder` for this process. The file stays: removing it would let two in.

    Raises:
        StoreInUse: Somebody holds it, perhaps this very process.
        StoreUnusable: The folder cannot be written.
    """
    try:
        file = (folder / LOCK_FILE).open("a+")
    except OSError as error:
        raise StoreUnusable(folder, _reason(error)) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.readline().strip()
            raise StoreInUse(folder, int(holder) if holder.isdecimal() else None) from None
        except OSError as error:
            raise StoreUnusable(folder, _reason(error)) from error
        file.truncate(0)
        file.write(f"{os.getpid()}\n")  # for the message that the next one gets
        file.flush()
        yield


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()

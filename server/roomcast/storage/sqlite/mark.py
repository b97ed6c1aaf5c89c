"""Eight bytes beside the database: the number of the newest commit that anybody may have heard of.

    commit ──► mark ──► answers          roomcast.db  →  roomcast.mark

A write-ahead log that lost its end opens without a complaint, and so does an older file that
was put back. The mark outlives both: it is mapped, so what was written is the kernel's at once
and survives `kill -9`, without a system call that would let go of the interpreter's lock.

Not here: what follows from a mark that is ahead (lives.py).
"""

from __future__ import annotations

import mmap
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from roomcast.storage.sqlite.errors import StoreUnusable

__all__ = ["Mark", "mark_path", "marked"]

SIZE_BYTES: Final = 8


def mark_path(database: Path) -> Path:
    """Where the mark of a database is."""
    return database.with_suffix(".mark")


class Mark:
    """The number, mapped into memory.

    Attributes:
        found: The number that stood there when it was opened, or None when there was none.
    """

    def __init__(self, view: memoryview, found: int | None) -> None:
        self.found = found
        self._view = view

    def show(self, number: int) -> None:
        """Write the number: one store of eight bytes, which a kill cannot cut in two."""
        self._view[0] = number


def shown(database: Path) -> int:
    """The number that a mark shows, without making one; 0 where there is none."""
    try:
        there = mark_path(database).read_bytes()
    except OSError:
        return 0
    return int.from_bytes(there, sys.byteorder) if len(there) == SIZE_BYTES else 0


@contextmanager
def marked(database: Path) -> Generator[Mark]:
    """Open the mark of a database, or make it.

    Raises:
        StoreUnusable: It cannot be read or written.
    """
    path = mark_path(database)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            there = os.pread(descriptor, SIZE_BYTES + 1, 0)
            if len(there) != SIZE_BYTES:
                # Written, not only made longer: a hole would have to find its block later, on a full disk perhaps.
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, bytes(SIZE_BYTES), 0)
            mapped = mmap.mmap(descriptor, SIZE_BYTES)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise StoreUnusable(path, (error.strerror or str(error)).lower()) from error
    with mapped, memoryview(mapped) as flat, flat.cast("Q") as view:
        yield Mark(view, int(view[0]) if len(there) == SIZE_BYTES else None)

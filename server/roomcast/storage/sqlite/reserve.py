"""Space on the disk that is kept for what must still be written when there is no other.

    free ──── watermark ──────────────── 0 ──── ballast
         all      only what ends things         the same, when somebody else filled the disk

Above the watermark everything is written. Below it only writes that end or remove something:
terminals of responses that run, trims. When even they find no room, the ballast, a file that
does nothing else, is given away for them. It comes back when there is room again.

For one thread: the writer's.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Final

import structlog

from roomcast.core.errors import StorageFull, StorageUnavailable

__all__ = ["LOOK_INTERVAL_S", "Reserve", "Space", "ballast_path", "reserved"]

LARGEST_SHARE: Final = 8
"""Neither part takes more than one eighth: the watermark of the disk, the ballast of what is free."""

LOOK_INTERVAL_S: Final = 0.25
"""Time between two looks at the disk."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Space:
    """How much to keep, before it is scaled to the disk."""

    watermark_bytes: int
    ballast_bytes: int


def ballast_path(database: Path) -> Path:
    """Where the ballast of a database is."""
    return database.with_suffix(".ballast")


class Reserve:
    """Looks at the disk, and holds the ballast.

    Args:
        database: The file whose disk it is.
        space: How much to keep.
        now_s: Monotonic time.
    """

    def __init__(self, database: Path, space: Space, *, now_s: Callable[[], float] = monotonic) -> None:
        self._database = database
        self._path = ballast_path(database)
        self._now_s = now_s
        disk = os.statvfs(database.parent)
        self._watermark_bytes = min(space.watermark_bytes, disk.f_blocks * disk.f_frsize // LARGEST_SHARE)
        self.drop()  # of a process that was killed
        self._ballast_bytes = min(space.ballast_bytes, self._free_bytes() // LARGEST_SHARE)
        self._looked_at_s = float("-inf")
        self._low = False

    def low(self) -> bool:
        """Whether only what ends things is written now.

        Raises:
            StorageUnavailable: The folder is not there, or cannot be looked at; what is written may be lost with it.
        """
        now_s = self._now_s()
        if now_s - self._looked_at_s >= LOOK_INTERVAL_S:
            try:
                self._look()
            except OSError as error:
                raise StorageUnavailable(f"{self._database}: its folder cannot be looked at") from error
            self._looked_at_s = now_s
        return self._low

    def refusal(self) -> StorageFull:
        """Why something is not written while it is low."""
        return StorageFull(f"{self._database}: less than {self._watermark_bytes} bytes are free on its disk")

    def drop(self) -> bool:
        """Give the ballast away; False when there is none."""
        try:
            self._path.unlink()
        except OSError:
            return False
        return True

    def _look(self) -> None:
        free_bytes = self._free_bytes()
        low = free_bytes < self._watermark_bytes
        if low != self._low:
            self._low = low
            if low:
                log.warning("disk_filled", path=str(self._database), free_bytes=free_bytes)
            else:
                log.info("disk_relieved", path=str(self._database), free_bytes=free_bytes)
        if free_bytes >= self._watermark_bytes + self._ballast_bytes and not self._path.exists():
            self._load()

    def _load(self) -> None:
        try:
            self._path.write_bytes(bytes(self._ballast_bytes))
        except OSError:  # somebody else was faster: at the next look
            self.drop()

    def _free_bytes(self) -> int:
        disk = os.statvfs(self._database.parent)
        return disk.f_bavail * disk.f_frsize


@contextmanager
def reserved(database: Path, space: Space | None) -> Generator[Reserve | None]:
    """Keep space for a database while it is open; None keeps none."""
    if space is None:
        yield None
        return
    reserve = Reserve(database, space)
    try:
        yield reserve
    finally:
        reserve.drop()

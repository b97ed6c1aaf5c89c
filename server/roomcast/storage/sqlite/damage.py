"""What to do when SQLite says that the file is damaged: write nothing more, and say so once.

    sound ──ring──► damaged ──look_again: the whole file reads well──► sound

A disk that fails to read looks the same to SQLite as a damaged file. So the file is looked through again
from time to time, by a fresh connection: if all of it is sound, the disk was the trouble, and it goes on.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from time import monotonic
from typing import Final

import structlog

from roomcast.core.errors import StorageDamaged
from roomcast.storage.sqlite.connections import connect_reader

__all__ = ["DamageAlarm"]

PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 60.0
"""Between two looks; it doubles."""

PATIENCE_S: Final = 2.0
"""A file that takes longer to look through needs a new start: meanwhile nobody is answered."""

STEPS: Final = 10_000
"""Of SQLite's, between two looks at the clock."""

ADVICE: Final = (
    "nothing is written any more; start again, and if that is refused, put a backup there: roomcast restore FILE"
)

log = structlog.get_logger()


class DamageAlarm:
    """Knows whether the file is damaged.

    Args:
        path: The database.
        now_s: Monotonic time.

    Attributes:
        damage: What SQLite said first, or None while all is well.
    """

    def __init__(self, path: Path, *, now_s: Callable[[], float] = monotonic) -> None:
        self.damage: StorageDamaged | None = None
        self._path = path
        self._now_s = now_s
        self._final = False
        self._pause_s = PAUSE_S
        self._look_at_s = 0.0

    def ring(self, error: StorageDamaged, *, final: bool = False) -> None:
        """Tell the operator; the same thing again is not news. What is `final` needs a new start."""
        self._final = self._final or final
        if self.damage is None:
            self.damage = error
            self._look_at_s = self._now_s() + self._pause_s
            log.error("store_damaged", path=str(self._path), error=str(error), advice=ADVICE)

    def look_again(self) -> bool:
        """Whether it was damaged and has turned out to be sound; looks only when it is time to."""
        if self.damage is None or self._final or self._now_s() < self._look_at_s:
            return False
        sound = self._sound()
        self._pause_s = PAUSE_S if sound else min(2 * self._pause_s, LONGEST_PAUSE_S)
        self._look_at_s = self._now_s() + self._pause_s
        if sound:
            self.damage = None
            log.warning("store_sound", path=str(self._path), reason="all of it can be read again")
        return sound

    def _sound(self) -> bool:
        until_s = self._now_s() + PATIENCE_S
        try:
            with closing(connect_reader(self._path)) as fresh:
                fresh.set_progress_handler(lambda: self._now_s() > until_s, STEPS)
                found: tuple[str] = fresh.execute("PRAGMA integrity_check(1)").fetchone()
        except sqlite3.Error:
            return False
        return found == ("ok",)

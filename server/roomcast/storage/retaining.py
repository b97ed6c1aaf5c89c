"""How much of a log is kept, for every adapter: by age, by bytes and by count, whichever is reached first.

    floor ──── gone next ────┬──── kept: young, and within the bounds ──── head
                             └─ never behind the newest checkpoint

Only a checkpoint can stand for events that are gone, so nothing behind it goes. Items of the
conversation are kept in the archive beyond it.

Not here: how an adapter lets go of events, and who asks it to (`keep_trimming` below does, for a house).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

import anyio
import structlog

from roomcast.core.errors import StorageError
from roomcast.core.log import Head, Retention
from roomcast.core.ports import Clock, EventLog

__all__ = ["TRIM_BYTES", "TRIM_EVENTS", "Ages", "keep_trimming", "surplus"]

TRIM_EVENTS: Final = 1_000
"""Most events that go in one step, which holds up whatever else is to be written."""

TRIM_BYTES: Final = 8 * 1024 * 1024
"""Most bytes that go in one step, but for a single event that is larger."""

TRIM_INTERVAL_S: Final = 5.0
"""Time between two rounds over all rooms; in between, a log may be longer than asked."""

log = structlog.get_logger()


class Ages:
    """Time for telling how old something is: no jump of the wall clock makes any event or receipt old.

    It is the wall clock as it stood at first, carried on by the monotonic one; so it also
    counts the time for which nothing ran.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ahead_ms: int | None = None

    def now_ms(self) -> int:
        """Now, in milliseconds."""
        monotonic_ms = round(self._clock.monotonic_s() * 1000)
        if self._ahead_ms is None:
            self._ahead_ms = self._clock.now_ms() - monotonic_ms
        return monotonic_ms + self._ahead_ms

    @property
    def ahead_ms(self) -> int:
        """By how much it is ahead of the wall clock: next to nothing, until that jumps."""
        return self.now_ms() - self._clock.now_ms()


def surplus(
    oldest: Iterable[tuple[int, int]], *, count: int, size_bytes: int, retention: Retention, now_ms: int
) -> tuple[int, int]:
    """How many of a log's oldest events go now, and their bytes.

    Args:
        oldest: Bytes and time of those that may go, oldest first.
        count: Events that the log holds.
        size_bytes: Their bytes.
        retention: What is to be kept.
        now_ms: The time, as `Ages` tells it.
    """
    before_ms = now_ms - retention.age_s * 1000
    going, going_bytes = 0, 0
    for size, at_ms in oldest:
        fits = count - going <= retention.events and size_bytes - going_bytes <= retention.size_bytes
        enough = going == TRIM_EVENTS or (going and going_bytes + size > TRIM_BYTES)
        if enough or (fits and at_ms >= before_ms):
            break
        going += 1
        going_bytes += size
    return going, going_bytes


async def keep_trimming(event_log: EventLog, told: Callable[[Head], None]) -> None:
    """Trim for ever: all rooms, a little at a time, and then a pause. An outage is told once."""
    failing = False
    while True:
        await anyio.sleep(TRIM_INTERVAL_S)
        try:
            while await event_log.trim(told):
                await anyio.lowlevel.checkpoint()
            failing = False
        except StorageError as error:
            if not failing:
                log.warning("trim_failed", error=type(error).__name__)
            failing = True

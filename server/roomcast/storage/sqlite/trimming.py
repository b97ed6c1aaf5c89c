"""Letting go of old events, as SQL: a reader finds the rooms, the writer takes a little from each.

Not here: what goes (storage/retaining.py).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import orjson

from roomcast.core.log import Head, Retention
from roomcast.storage.retaining import TRIM_EVENTS, surplus

__all__ = ["Page", "Trim", "exceeding", "trim"]

PAGE_ROOMS: Final = 1_000
"""Rooms that one read looks at."""

TRIM_ROOMS: Final = 8
"""Most rooms in one step."""

_EXCEEDING: Final = """
WITH page AS (SELECT name, head, floor, bytes FROM rooms WHERE name > :after ORDER BY name LIMIT :page)
SELECT
    (SELECT json_array(count(*), max(name)) FROM page),
    json_group_array(name)
FROM page
WHERE floor < (SELECT seq FROM checkpoints WHERE room = name)
    AND (
        head - floor > :events OR bytes > :bytes
        OR (SELECT at FROM events WHERE room = name AND seq = floor + 1) < :before
    )
"""

_OLDEST: Final = """
SELECT epoch, head, floor, bytes, (
    SELECT json_group_array(json_array(length(data), at)) FROM (
        SELECT data, at FROM events
        WHERE room = name AND seq > floor AND seq <= floor + :limit
            AND seq <= (SELECT seq FROM checkpoints WHERE room = name)
        ORDER BY seq
    )
)
FROM rooms WHERE name = :room
"""


@dataclass(frozen=True, slots=True)
class Trim:
    """Let go of what these rooms hold too much of, a little of it.

    Attributes:
        now_ms: The time, as `Ages` tells it.
    """

    rooms: Sequence[str]
    retention: Retention
    now_ms: int


@dataclass(frozen=True, slots=True)
class Page:
    """What a look at some rooms found.

    Attributes:
        rooms: Those that hold too much.
        after: Where the next look begins when nothing is left to do in these, or None when all were seen.
    """

    rooms: Sequence[str]
    after: str | None


def exceeding(connection: sqlite3.Connection, after: str, retention: Retention, now_ms: int) -> Page:
    """Look for rooms that hold too much, from the first after `after`."""
    row: tuple[str, str] = connection.execute(
        _EXCEEDING,
        {
            "after": after,
            "page": PAGE_ROOMS,
            "events": retention.events,
            "bytes": retention.size_bytes,
            "before": now_ms - retention.age_s * 1000,
        },
    ).fetchone()
    seen, last = orjson.loads(row[0])
    rooms: list[str] = orjson.loads(row[1])
    return Page(rooms[:TRIM_ROOMS], last if seen == PAGE_ROOMS else None)


def trim(connection: sqlite3.Connection, wanted: Trim) -> list[Head]:
    """Take a little from each room, within the transaction that is open; the heads of those that had too much."""
    return [head for room in wanted.rooms if (head := _trim(connection, room, wanted)) is not None]


def _trim(connection: sqlite3.Connection, room: str, wanted: Trim) -> Head | None:
    row = connection.execute(_OLDEST, {"room": room, "limit": TRIM_EVENTS}).fetchone()
    if row is None:
        return None
    epoch, seq, floor, size_bytes, oldest = row
    going, going_bytes = surplus(
        orjson.loads(oldest), count=seq - floor, size_bytes=size_bytes, retention=wanted.retention, now_ms=wanted.now_ms
    )
    if going:
        connection.execute("DELETE FROM events WHERE room = ? AND seq <= ?", (room, floor + going))
        connection.execute(
            "UPDATE rooms SET floor = floor + ?, bytes = bytes - ? WHERE name = ?", (going, going_bytes, room)
        )
    return Head(room, epoch, seq, floor + going) if going else None

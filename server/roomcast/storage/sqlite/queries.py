"""Every read, as one statement that gives one row, so that each is a snapshot of its own.

Rows come back packed: what is text as one JSON array, what is bytes end to end in one blob
with the lengths in the array. Why is in the package's docstring. No byte is parsed.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Final

import orjson

from roomcast.core.errors import StorageDamaged
from roomcast.core.events import Record
from roomcast.core.ports import Beat, Checkpoint, Events, Expired, Head, Hold, Receipt, ReceiptKey, RoomCard

__all__ = ["beats", "checkpoint", "head", "held", "item", "items", "read", "receipts", "rooms", "unfinished"]

_EVENTS: Final = """
WITH
    sizes AS (
        SELECT seq, sum(length(data)) OVER (ORDER BY seq ROWS UNBOUNDED PRECEDING) AS upto
        FROM events WHERE room = :room AND seq > :after AND seq <= :after + :limit
    ),
    fit AS (SELECT coalesce(max(seq), :after) AS last FROM sizes WHERE upto <= :limit_bytes OR seq = :after + 1)
SELECT
    (SELECT json_array(floor, head) FROM rooms WHERE name = :room),
    json_group_array(json_array(seq, type, length(data))),
    CAST(group_concat(data, '') AS BLOB)
FROM (
    SELECT seq, type, data FROM events
    WHERE room = :room AND seq > :after AND seq <= (SELECT last FROM fit) ORDER BY seq
)
"""

_NEWEST_ITEMS: Final = """
SELECT
    1,
    json_group_array(length(data)),
    CAST(group_concat(data, '') AS BLOB)
FROM (SELECT data FROM items WHERE room = :room ORDER BY seq DESC, item_id DESC LIMIT :limit)
"""

_OLDER_ITEMS: Final = """
SELECT
    (SELECT 1 FROM items WHERE room = :room AND item_id = :before),
    json_group_array(length(data)),
    CAST(group_concat(data, '') AS BLOB)
FROM (
    SELECT data FROM items
    WHERE room = :room AND (seq, item_id) < (SELECT seq, item_id FROM items WHERE room = :room AND item_id = :before)
    ORDER BY seq DESC, item_id DESC LIMIT :limit
)
"""

_RECEIPTS: Final = """
SELECT json_group_array(json_array(room, member, command_id, hex(digest), hex(result), expires_at))
FROM json_each(:keys) AS key CROSS JOIN receipts
    ON room = json_extract(key.value, '$[0]')
    AND member = json_extract(key.value, '$[1]')
    AND command_id = json_extract(key.value, '$[2]')
WHERE expires_at > :now_ms
"""


def read(connection: sqlite3.Connection, room: str, after: int, limit: int, limit_bytes: int) -> Events | Expired:
    """Events after a position; a hole among them is damage, never an answer."""
    row: tuple[str | None, str, bytes | None] = connection.execute(
        _EVENTS, {"room": room, "after": after, "limit": limit, "limit_bytes": limit_bytes}
    ).fetchone()
    stands, index, data = row
    floor, head = (0, 0) if stands is None else orjson.loads(stands)
    if after < floor:
        return Expired(floor)
    found: list[tuple[int, str, int]] = orjson.loads(index)
    missing = limit > 0 and not found and after < head
    if missing or any(seq != expected for expected, (seq, _, _) in enumerate(found, after + 1)):
        raise StorageDamaged(f"room {room}: the log has a hole after event {after}")
    parts = _split(data, (size for _, _, size in found))
    return Events([Record(seq, kind, part) for (seq, kind, _), part in zip(found, parts, strict=True)])


def head(connection: sqlite3.Connection, room: str) -> Head | None:
    """Where a room's log stands."""
    row = connection.execute("SELECT name, epoch, head, floor FROM rooms WHERE name = ?", (room,)).fetchone()
    return None if row is None else Head(*row)


def rooms(connection: sqlite3.Connection, after: str | None, limit: int) -> Sequence[RoomCard]:
    """Rooms by name, from the first after `after`."""
    row: tuple[str] = connection.execute(
        """
        SELECT json_group_array(json_array(name, coalesce(title, ''), epoch, head, unfinished))
        FROM (SELECT * FROM rooms WHERE name > ? ORDER BY name LIMIT ?)
        """,
        (after or "", limit),
    ).fetchone()
    return [RoomCard(name, title, epoch, seq, bool(open_)) for name, title, epoch, seq, open_ in orjson.loads(row[0])]


def unfinished(connection: sqlite3.Connection) -> Sequence[str]:
    """Names of rooms with open business; looks at every room."""
    row: tuple[str] = connection.execute(
        "SELECT json_group_array(name) FROM (SELECT name FROM rooms WHERE unfinished ORDER BY name)"
    ).fetchone()
    names: list[str] = orjson.loads(row[0])
    return names


def checkpoint(connection: sqlite3.Connection, room: str) -> Checkpoint | None:
    """The newest saved state of a room."""
    row = connection.execute("SELECT epoch, seq, state FROM checkpoints WHERE room = ?", (room,)).fetchone()
    return None if row is None else Checkpoint(*row)


def receipts(connection: sqlite3.Connection, keys: Sequence[ReceiptKey], now_ms: int) -> dict[ReceiptKey, Receipt]:
    """The receipts that exist and have not expired, of those asked for."""
    wanted = orjson.dumps([(key.room, key.member, key.command_id) for key in keys]).decode()
    row: tuple[str] = connection.execute(_RECEIPTS, {"keys": wanted, "now_ms": now_ms}).fetchone()
    found = (
        Receipt(ReceiptKey(room, member, command_id), bytes.fromhex(digest), bytes.fromhex(result), expires_at)
        for room, member, command_id, digest, result, expires_at in orjson.loads(row[0])
    )
    return {receipt.key: receipt for receipt in found}


def beats(connection: sqlite3.Connection) -> Sequence[Beat]:
    """The counters of all nodes."""
    return [Beat(*row) for row in connection.execute("SELECT node, count FROM beats ORDER BY node")]


def held(connection: sqlite3.Connection) -> Sequence[Hold]:
    """All responses that some node runs."""
    rows = connection.execute("SELECT room, response_id, node FROM holds ORDER BY room, response_id")
    return [Hold(*row) for row in rows]


def items(connection: sqlite3.Connection, room: str, before: str | None, limit: int) -> Sequence[bytes] | None:
    """Items newest first, from the first older than item `before`; None when that is no item."""
    statement = _NEWEST_ITEMS if before is None else _OLDER_ITEMS
    row: tuple[int | None, str, bytes | None] = connection.execute(
        statement, {"room": room, "before": before, "limit": limit}
    ).fetchone()
    found, sizes, data = row
    return None if found is None else _split(data, orjson.loads(sizes))


def item(connection: sqlite3.Connection, room: str, item_id: str) -> bytes | None:
    """One item as JSON."""
    row: tuple[bytes] | None = connection.execute(
        "SELECT data FROM items WHERE room = ? AND item_id = ?", (room, item_id)
    ).fetchone()
    return None if row is None else row[0]


def _split(data: bytes | None, sizes: Iterable[int]) -> list[bytes]:
    parts: list[bytes] = []
    start = 0
    for size in sizes:
        assert data is not None, "sizes come with bytes"
        parts.append(data[start : start + size])
        start += size
    return parts

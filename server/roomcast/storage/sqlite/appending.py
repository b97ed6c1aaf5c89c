"""Compare-and-append as SQL, for everything that one transaction takes.

However many rooms and batches a group holds, it is about one statement a table: why is in
the package's docstring. `apply` may run again after a rollback; it changes nothing else.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from itertools import chain
from typing import Final

import orjson

from roomcast.core.ports import Append, Committed, Conflict, Head
from roomcast.storage.appends import advance
from roomcast.storage.sqlite import lives
from roomcast.storage.sqlite.trimming import Trim, trim

__all__ = ["Applied", "Write", "apply"]

ROWS_PER_STATEMENT: Final = 64
"""Bounds the length of a statement, and with it the number of different ones to keep compiled."""

Row = tuple[str | int | bytes | None, ...]


@dataclass(frozen=True, slots=True)
class Write:
    """What one call wants written, whole.

    Attributes:
        end: That nothing comes after it (lives.py).
    """

    batches: Sequence[Append] = ()
    beats: Sequence[str] = ()
    trim: Trim | None = None
    end: bool = False

    @property
    def ends(self) -> bool:
        """Whether it ends or removes something: it is written on a full disk if at all possible."""
        return not self.beats and all(batch.released or batch.deletes for batch in self.batches)


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of a `Write`, once its transaction is committed.

    Attributes:
        outcomes: One for each batch.
        moved: The heads that moved.
        trimmed: The heads of rooms whose oldest events were let go of.
    """

    outcomes: Sequence[Committed | Conflict]
    moved: Sequence[Head]
    trimmed: Sequence[Head] = ()


def apply(
    connection: sqlite3.Connection, writes: Sequence[Write], *, aged_ms: int, ahead_ms: int, commit: int
) -> list[Applied]:
    """Write what `writes` ask for, in their order, within the transaction that is open.

    Args:
        connection: The writer's.
        writes: One for each call; a later one may build on an earlier one.
        aged_ms: The time of these events, as `Ages` tells it; receipts that expired before it may go.
        ahead_ms: By how much that is ahead of the wall clock, by which a receipt's end is given.
        commit: Number of this transaction.
    """
    heads = _heads(connection, {batch.room for write in writes for batch in write.batches})
    accepted: list[Append] = []
    applied: list[Applied] = []
    for write in writes:
        outcomes: list[Committed | Conflict] = []
        moved: list[Head] = []
        for batch in write.batches:
            after = advance(heads.get(batch.room), batch)
            if isinstance(after, Conflict):
                outcomes.append(after)
                continue
            heads[batch.room] = after
            accepted.append(batch)
            outcomes.append(Committed(after.seq, after.floor))
            if batch.deletes:
                _write_batches(connection, accepted, aged_ms, ahead_ms, commit)
                accepted.clear()
                _delete(connection, batch.room, commit)
                del heads[batch.room]
                moved.append(Head(batch.room, "", 0, 0))
            elif batch.records:
                moved.append(after)
        trimmed = trim(connection, write.trim) if write.trim else []
        applied.append(Applied(outcomes, moved, trimmed))
    _write_batches(connection, accepted, aged_ms, ahead_ms, commit)
    beats = [(node, 1) for write in writes for node in write.beats]
    _insert(connection, "INSERT INTO beats VALUES", beats, "ON CONFLICT DO UPDATE SET count = count + 1")
    if any(write.end for write in writes):
        lives.end(connection)
    return applied


def _heads(connection: sqlite3.Connection, rooms: set[str]) -> dict[str, Head]:
    if not rooms:
        return {}
    row: tuple[str] = connection.execute(
        """
        SELECT json_group_array(json_array(name, epoch, head, floor)) FROM rooms
        WHERE name IN (SELECT value FROM json_each(?))
        """,
        (orjson.dumps(list(rooms)).decode(),),
    ).fetchone()
    return {name: Head(name, epoch, seq, floor) for name, epoch, seq, floor in orjson.loads(row[0])}


def _write_batches(
    connection: sqlite3.Connection, batches: Sequence[Append], aged_ms: int, ahead_ms: int, commit: int
) -> None:
    _insert(
        connection,
        "INSERT INTO rooms VALUES",
        [
            (
                batch.room,
                batch.epoch,
                batch.expected_seq + len(batch.records),
                0,
                batch.title,
                batch.unfinished,
                commit,
                sum(len(record.data) for record in batch.records),
            )
            for batch in batches
        ],
        """
        ON CONFLICT DO UPDATE SET
            head = excluded.head, title = coalesce(excluded.title, title), unfinished = excluded.unfinished,
            written = excluded.written, bytes = bytes + excluded.bytes
        """,
    )
    _insert(
        connection,
        "INSERT INTO events VALUES",
        [(batch.room, record.seq, record.type, record.data, aged_ms) for batch in batches for record in batch.records],
    )
    _insert(
        connection,
        "REPLACE INTO items VALUES",
        [(batch.room, item.item_id, item.seq, item.data) for batch in batches for item in batch.items],
    )
    _insert(
        connection,
        "REPLACE INTO checkpoints VALUES",
        [
            (batch.room, batch.epoch, batch.expected_seq + len(batch.records), batch.checkpoint)
            for batch in batches
            if batch.checkpoint is not None
        ],
    )
    _write_holds(connection, batches)
    _write_receipts(connection, batches, aged_ms, ahead_ms)


def _delete(connection: sqlite3.Connection, room: str, commit: int) -> None:
    """Take away everything but receipts; that there was this commit is noted, because its room cannot say so."""
    for table, column in (
        ("events", "room"),
        ("items", "room"),
        ("checkpoints", "room"),
        ("holds", "room"),
        ("rooms", "name"),
    ):
        connection.execute(f"DELETE FROM {table} WHERE {column} = ?", (room,))
    connection.execute("REPLACE INTO meta VALUES ('commits', ?)", (str(commit),))


def _write_holds(connection: sqlite3.Connection, batches: Sequence[Append]) -> None:
    last: dict[tuple[str, str], str | None] = {}
    for batch in batches:
        last.update(((hold.room, hold.response_id), hold.node) for hold in batch.holds)
        last.update(((batch.room, response_id), None) for response_id in batch.released)
    _insert(
        connection,
        "REPLACE INTO holds VALUES",
        [(room, response_id, node) for (room, response_id), node in last.items() if node is not None],
    )
    _insert(
        connection,
        "DELETE FROM holds WHERE (room, response_id) IN (VALUES",
        [key for key, node in last.items() if node is None],
        ")",
    )


def _write_receipts(connection: sqlite3.Connection, batches: Sequence[Append], aged_ms: int, ahead_ms: int) -> None:
    receipts: list[Row] = [
        (*astuple(receipt.key), receipt.digest, receipt.result, receipt.expires_at + ahead_ms)
        for batch in batches
        for receipt in batch.receipts
    ]
    if not receipts:
        return
    _insert(connection, "REPLACE INTO receipts VALUES", receipts)
    # Twice as many as came: however many have gathered, the table shrinks, and no append pays for all of them.
    connection.execute(
        """
        DELETE FROM receipts WHERE (room, member, command_id) IN (
            SELECT room, member, command_id FROM receipts WHERE expires_at <= ? ORDER BY expires_at LIMIT ?
        )
        """,
        (aged_ms, 2 * len(receipts)),
    )


def _insert(connection: sqlite3.Connection, into: str, rows: Sequence[Row], then: str = "") -> None:
    for some in _chunks(rows):
        marks = ",".join([f"({','.join('?' * len(some[0]))})"] * len(some))
        connection.execute(f"{into} {marks} {then}", list(chain.from_iterable(some)))


def _chunks(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    for start in range(0, len(rows), ROWS_PER_STATEMENT):
        yield rows[start : start + ROWS_PER_STATEMENT]

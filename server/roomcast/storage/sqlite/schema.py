"""Tables, and how a file of an older version becomes one of this version.

Rules
    A released migration is never edited; the next one is added after it.
    `user_version` counts the migrations that a file has had.
    Events and items are kept as the bytes that were sent; nothing here parses them.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from roomcast.storage.sqlite.errors import StoreUnusable

__all__ = ["APPLICATION_ID", "MIGRATIONS", "prepare", "store_id"]

APPLICATION_ID: Final = int.from_bytes(b"rmcs", "big")
"""Marks the file as ours, so that no other program's database is taken over by mistake."""

MIGRATIONS: Final[Sequence[Sequence[str]]] = (
    (
        """
        CREATE TABLE meta (
            name  TEXT PRIMARY KEY,
            value TEXT NOT NULL
        ) STRICT, WITHOUT ROWID
        """,
        # Rewritten by every append, so it stays small: what is large has tables of its own.
        """
        CREATE TABLE rooms (
            name       TEXT PRIMARY KEY,
            epoch      TEXT NOT NULL,
            head       INTEGER NOT NULL,
            floor      INTEGER NOT NULL,
            title      TEXT,
            unfinished INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID
        """,
        """
        CREATE TABLE events (
            room TEXT NOT NULL,
            seq  INTEGER NOT NULL,
            type TEXT NOT NULL,
            data BLOB NOT NULL,
            PRIMARY KEY (room, seq)
        ) STRICT, WITHOUT ROWID
        """,
        """
        CREATE TABLE checkpoints (
            room  TEXT PRIMARY KEY,
            epoch TEXT NOT NULL,
            seq   INTEGER NOT NULL,
            state BLOB NOT NULL
        ) STRICT
        """,
        """
        CREATE TABLE receipts (
            room       TEXT NOT NULL,
            member     TEXT NOT NULL,
            command_id TEXT NOT NULL,
            digest     BLOB NOT NULL,
            result     BLOB NOT NULL,
            expires_at INTEGER NOT NULL,
            PRIMARY KEY (room, member, command_id)
        ) STRICT, WITHOUT ROWID
        """,
        "CREATE INDEX receipts_by_expiry ON receipts (expires_at)",
        """
        CREATE TABLE holds (
            room        TEXT NOT NULL,
            response_id TEXT NOT NULL,
            node        TEXT NOT NULL,
            PRIMARY KEY (room, response_id)
        ) STRICT, WITHOUT ROWID
        """,
        """
        CREATE TABLE items (
            room    TEXT NOT NULL,
            item_id TEXT NOT NULL,
            seq     INTEGER NOT NULL,
            data    BLOB NOT NULL,
            PRIMARY KEY (room, item_id)
        ) STRICT
        """,
        "CREATE INDEX items_in_order ON items (room, seq, item_id)",
        """
        CREATE TABLE beats (
            node  TEXT PRIMARY KEY,
            count INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID
        """,
    ),
    # Number of the commit that wrote the room last (tally.py).
    ("ALTER TABLE rooms ADD COLUMN written INTEGER NOT NULL DEFAULT 0",),
    # What trimming needs to know: the bytes of a room's events, and when each was appended.
    (
        "ALTER TABLE rooms ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0",
        "UPDATE rooms SET bytes = (SELECT coalesce(sum(length(data)), 0) FROM events WHERE room = name)",
        "ALTER TABLE events ADD COLUMN at INTEGER NOT NULL DEFAULT 0",
        "UPDATE events SET at = 1000 * CAST(strftime('%s') AS INTEGER)",
    ),
)


def prepare(connection: sqlite3.Connection, path: Path) -> None:
    """Make sure that the file is ours and has every table; upgrade it whole or not at all.

    Raises:
        StoreUnusable: Another program's file, or one of a newer version of this one.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        done = _migrations_done(connection, path)
        for number, migration in enumerate(MIGRATIONS[done:], done + 1):
            for statement in migration:
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number}")
        if done == 0:
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute("INSERT INTO meta VALUES ('store_id', ?)", (secrets.token_hex(16),))
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.rollback()
        raise


def store_id(connection: sqlite3.Connection) -> str:
    """The name that the store got when it was made; a copy of the file has the same."""
    row: tuple[str] = connection.execute("SELECT value FROM meta WHERE name = 'store_id'").fetchone()
    return row[0]


def _migrations_done(connection: sqlite3.Connection, path: Path) -> int:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if application != APPLICATION_ID and (application, version, tables) != (0, 0, 0):
        raise StoreUnusable(path, "it is another program's database")
    if version > len(MIGRATIONS):
        raise StoreUnusable(
            path, f"it has schema {version}, and this version of roomcast knows up to {len(MIGRATIONS)}"
        )
    return int(version)

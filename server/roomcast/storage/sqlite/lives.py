"""One life of the store after another: what the last one may have lost, and what follows.

    open ──► begin ──► … ──► end ──► closed           (a crash leaves `end` out)

What a viewer saw was committed, but a commit can be undone from outside: by the host's end,
where commits do not wait for the disk; by a write-ahead log cut short; by an older file put
back. Events written after that would have the numbers of others that were seen. So every log
gets a new name (epoch) when any of it is possible; events keep their numbers. A process that
was merely killed loses nothing, and changes no name.

Not here: who counts commits while it runs (tally.py), and where the number is kept (mark.py).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["HOST_RESTARTED", "MARK_AHEAD", "MARK_MISSING", "Beginning", "begin", "end", "host_boot_id"]

HOST_RESTARTED: Final = "the host restarted, and the store was not closed before"
MARK_AHEAD: Final = "commits are missing: the file is older than its mark, or its write-ahead log was cut short"
MARK_MISSING: Final = "its mark is missing, so nothing says whether commits are"

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Beginning:
    """How a life begins.

    Attributes:
        commits: Number of the newest commit.
        renewed_for: Why the logs got new names, or None when they kept theirs.
        rooms: How many rooms that concerned.
    """

    commits: int
    renewed_for: str | None
    rooms: int


def host_boot_id() -> str | None:
    """Another text after each start of this machine; None where the system has none to read."""
    try:
        return _BOOT_ID.read_text("ascii").strip()
    except OSError:
        return None


def begin(
    connection: sqlite3.Connection,
    mark: int | None,
    *,
    boot_id: str | None,
    durability: str,
    new_epoch: Callable[[], str],
) -> Beginning:
    """Compare what is there with what was, rename the logs if need be, and note that a life began.

    Waits for the disk: what follows must not survive without it.

    Args:
        connection: The writer's.
        mark: What the mark says, or None when there is none.
        boot_id: This start of the machine. When it is unknown, it may be a new one.
        durability: What the commits of this life survive: `process` or `host`.
        new_epoch: Gives a name that no log ever had.
    """
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("BEGIN IMMEDIATE")
    try:
        known: dict[str, str] = dict(connection.execute("SELECT name, value FROM meta"))
        (written,) = connection.execute("SELECT coalesce(max(written), 0) FROM rooms").fetchone()
        commits = max(written, int(known.get("commits", 0)))
        why = _lost(known, commits, mark, boot_id)
        commits = max(commits, mark or 0) + 1  # never a number again: an older file is behind for ever
        rooms = _rename(connection, new_epoch) if why else 0
        _note(connection, commits=str(commits), boot_id=boot_id or "", durability=durability, closed="no")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.rollback()
        raise
    return Beginning(commits, why if rooms else None, rooms)


def end(connection: sqlite3.Connection) -> None:
    """Note, within the transaction that is open, that nothing more will be written."""
    _note(connection, closed="yes")


def _lost(known: dict[str, str], commits: int, mark: int | None, boot_id: str | None) -> str | None:
    if mark is None:
        return MARK_MISSING if commits else None
    if mark > commits:
        return MARK_AHEAD
    crashed = known.get("closed") == "no"
    same_boot = boot_id is not None and boot_id == known.get("boot_id")
    if crashed and not same_boot and known.get("durability") == "process":
        return HOST_RESTARTED
    return None


def _rename(connection: sqlite3.Connection, new_epoch: Callable[[], str]) -> int:
    connection.create_function("new_epoch", 0, new_epoch)
    renamed = connection.execute("UPDATE rooms SET epoch = new_epoch()").rowcount
    connection.execute("UPDATE checkpoints SET epoch = (SELECT epoch FROM rooms WHERE name = room)")
    return renamed


def _note(connection: sqlite3.Connection, **notes: str) -> None:
    connection.executemany("REPLACE INTO meta VALUES (?, ?)", notes.items())

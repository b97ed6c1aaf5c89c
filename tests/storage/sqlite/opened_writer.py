"""A writer with its thread, on a real file, and what a test asks of both."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import TypeAlias

import anyio

from roomcast.core.errors import StorageError
from roomcast.storage.sqlite.damage import DamageAlarm
from roomcast.storage.sqlite.writer import Writer
from tests.storage.sqlite.files import open_database

__all__ = ["Opened", "Request", "denying", "large"]

Request: TypeAlias = "str | Callable[[sqlite3.Connection], object]"
"""A node to insert, or something else to do in the transaction."""


def transact(connection: sqlite3.Connection, requests: Sequence[Request]) -> Sequence[object]:
    results: list[object] = []
    for request in requests:
        if isinstance(request, str):
            connection.execute("INSERT INTO beats VALUES (?, 1)", (request,))
            results.append(request)
        else:
            results.append(request(connection))
    return results


class Opened:
    """A writer, its connection, and what a test asks of both."""

    def __init__(self, path: Path, *, always_sync: bool = False) -> None:
        self.path = path
        self.connection = open_database(path)
        self.closed = threading.Event()
        self.commits_shown: list[int] = []
        self.rooms_to_make = 0
        self.renewed = 0
        self.cannot_renew: StorageError | None = None
        self.abandoned = False
        self.writer: Writer[Request, object] = Writer(
            self.connection,
            transact,
            path=path,
            always_sync=always_sync,
            on_committed=lambda: self.commits_shown.append(self.writer.statistics().requests),
            make_room=self.make_room,
            renewal=self,
            alarm=DamageAlarm(path),
            on_closed=self.closed.set,
        )

    def renew(self, connection: sqlite3.Connection) -> sqlite3.Connection:
        self.renewed += 1
        if self.cannot_renew is not None:
            raise self.cannot_renew
        connection.close()
        self.connection = open_database(self.path)
        return self.connection

    def close(self, connection: sqlite3.Connection, *, trusted: bool) -> None:
        assert connection is self.connection
        self.abandoned = not trusted
        connection.close()

    def make_room(self, request: Request) -> bool:
        self.rooms_to_make -= 1
        return self.rooms_to_make >= 0

    def nodes(self) -> list[str]:
        with closing(sqlite3.connect(self.path)) as connection:
            return [node for (node,) in connection.execute("SELECT node FROM beats ORDER BY node")]

    @asynccontextmanager
    async def busy(self) -> AsyncGenerator[None]:
        """Keep the thread in a transaction, so that what is submitted meanwhile gathers."""
        started, released = threading.Event(), threading.Event()

        def wait(_: sqlite3.Connection) -> None:
            started.set()
            assert released.wait(10)

        future = self.writer.submit(wait)
        assert await anyio.to_thread.run_sync(started.wait, 10)
        try:
            yield
        finally:
            released.set()
            await future


def denying(action: int, argument: str) -> Callable[[int, str | None, str | None, str | None, str | None], int]:
    """An authorizer under which one kind of statement fails."""

    def authorize(asked: int, name: str | None, *_: str | None) -> int:
        return sqlite3.SQLITE_DENY if (asked, name) == (action, argument) else sqlite3.SQLITE_OK

    return authorize


def large(connection: sqlite3.Connection) -> None:
    """A request of many pages."""
    connection.execute("INSERT INTO checkpoints VALUES ('r', 'e', 1, zeroblob(100000))")

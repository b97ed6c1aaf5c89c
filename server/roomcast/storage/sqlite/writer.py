"""The one thread that writes: it commits together whatever waits.

    submit --> queue --> [ take all ] --> one transaction --> answer all --+
                             ^---------------------------------------------+

While one transaction is under way the next one gathers, so the cost of a commit is shared
exactly when there is load, and nobody waits for a timer.

Invariants
    W1  Requests are carried out in the order of `submit`.
    W2  What was submitted is carried out, whatever becomes of whoever awaits it.
    W3  After an error nothing of the transaction is left, and the next one starts clean.
        One case is beyond us: the disk fails to confirm a commit, and the process dies before
        the next one. What was refused may then be there after the restart, whole.
    W4  After a sync that failed, of a commit or a checkpoint, the next transaction waits for a
        renewal of the connections; after damage there is none until the file turns out to be sound.

Checkpoints are made here, behind the answers: SQLite's own ones tell nobody when they fail.

Not here: what is written (appending.py), what a renewal does (renewal.py).
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Final, Generic, Protocol, TypeVar

import structlog

from roomcast.core.errors import StorageDamaged, StorageError, StorageFull, StorageUnavailable
from roomcast.storage.sqlite.connections import WAL_KEPT_BYTES
from roomcast.storage.sqlite.damage import DamageAlarm
from roomcast.storage.sqlite.errors import SyncFailed, translated

__all__ = ["Renewing", "Writer", "WriterStatistics"]

GROUP_LENGTH: Final = 256
"""Most requests in one transaction. Each room has one append on the way, so this is many rooms."""

CHECKPOINT_COMMITS: Final = 128
CHECKPOINT_BYTES: Final = 2 * WAL_KEPT_BYTES
FEWEST_COMMITS: Final = 8
"""A checkpoint is due after so many commits; or after the fewest, when the write-ahead log's file is so large."""

log = structlog.get_logger()

Request = TypeVar("Request")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class WriterStatistics:
    """How busy the writer is, and how well grouping works.

    Attributes:
        waiting: Requests that no transaction has taken yet.
        requests: Requests carried out since the start.
        transactions: Transactions committed since the start.
        synced: Those of them that waited for the disk.
    """

    waiting: int
    requests: int
    transactions: int
    synced: int


class Renewing(Protocol):
    """What to do when a connection is not to be trusted any more."""

    def renew(self, connection: sqlite3.Connection) -> sqlite3.Connection:
        """Close it and give another one, or raise a `StorageError` and be asked again."""
        ...

    def close(self, connection: sqlite3.Connection, *, trusted: bool) -> None:
        """Close it for good; if it is not to be trusted, nothing is written."""
        ...


@dataclass(frozen=True, slots=True)
class _Call(Generic[Request, Result]):
    request: Request
    sync: bool
    future: asyncio.Future[Result]


class Writer(Generic[Request, Result]):
    """Carries out requests in its own thread, in groups.

    Make it on the event loop that will call it.

    Args:
        connection: Open for writing, with no transaction begun; this closes it.
        transact: Carries out requests within the transaction that is open, and gives one
            result for each. It may be called again for the same ones after a rollback.
        path: The file, for messages.
        always_sync: Whether every commit waits for the disk.
        on_committed: Called in the thread behind each commit, before anybody is answered. Must not fail.
        make_room: Called in the thread when the disk was full for a request that stood alone; whether
            to try that one again.
        renewal: Called in the thread when a sync has failed.
        alarm: Told of damage; once it knows of any, nothing is written.
        on_closed: Called in the thread when the connection is closed, however late that is.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        transact: Callable[[sqlite3.Connection, Sequence[Request]], Sequence[Result]],
        *,
        path: Path,
        always_sync: bool,
        on_committed: Callable[[], None],
        make_room: Callable[[Request], bool],
        renewal: Renewing,
        alarm: DamageAlarm,
        on_closed: Callable[[], None],
    ) -> None:
        self._connection = connection
        self._transact = transact
        self._path = path
        self._always_sync = always_sync
        self._on_committed = on_committed
        self._make_room = make_room
        self._renewal = renewal
        self._alarm = alarm
        self._on_closed = on_closed
        self._distrusted = False
        self._wal = path.with_name(f"{path.name}-wal")
        self._commits_unmoved = 0
        self._synchronous = ""
        self._calls: SimpleQueue[_Call[Request, Result] | None] = SimpleQueue()
        self._requests = 0
        self._transactions = 0
        self._synced = 0
        self._closing = False
        self._loop = asyncio.get_running_loop()
        self._closed = self._loop.create_future()
        # A daemon: when the disk hangs for ever, the process must still be able to end.
        Thread(target=self._work, name="roomcast-writer", daemon=True).start()

    def submit(self, request: Request, *, sync: bool = False) -> asyncio.Future[Result]:
        """Hand over a request; its future has the result when it is committed.

        Args:
            request: What `transact` gets.
            sync: Have the disk confirm it, too.
        """
        if self._closing:
            raise StorageUnavailable(f"{self._path}: the store is closed")
        future: asyncio.Future[Result] = self._loop.create_future()
        self._calls.put(_Call(request, sync, future))
        return future

    def statistics(self) -> WriterStatistics:
        """Count what was done and what waits."""
        return WriterStatistics(self._calls.qsize(), self._requests, self._transactions, self._synced)

    async def close(self) -> None:
        """Refuse new requests, carry out the waiting ones, empty the write-ahead log, close the connection."""
        if not self._closing:
            self._closing = True
            self._calls.put(None)
        await asyncio.shield(self._closed)

    # ---- in the thread

    def _work(self) -> None:
        closing = False
        while not closing:
            group, closing = self._gather()
            outcomes = self._settle(group)
            self._on_loop(self._answer, outcomes)
            if not closing:
                self._checkpoint_if_due()
                self._distrusted = self._alarm.look_again() or self._distrusted
        trusted = not self._distrusted and self._alarm.damage is None
        if trusted:
            self._empty_wal()
        self._renewal.close(self._connection, trusted=trusted)
        self._on_closed()
        self._on_loop(self._closed.set_result, None)

    def _gather(self) -> tuple[list[_Call[Request, Result]], bool]:
        group: list[_Call[Request, Result]] = []
        call = self._calls.get()
        while call is not None:
            group.append(call)
            if len(group) == GROUP_LENGTH:
                return group, False
            try:
                call = self._calls.get_nowait()
            except Empty:
                return group, False
        return group, True

    def _settle(
        self, group: Sequence[_Call[Request, Result]]
    ) -> list[tuple[asyncio.Future[Result], Result | Exception]]:
        if not group:
            return []
        try:
            self._assert_fit()
            results = self._commit(group)
        except Exception as error:  # the root of this thread: whoever asked hears of it
            self._judge(error)
            if len(group) == 1 and isinstance(error, StorageFull) and self._make_room(group[0].request):
                return self._settle(group)
            if len(group) == 1 or isinstance(error, StorageUnavailable | StorageDamaged):
                return [(call.future, error) for call in group]
            # One must not fail the others: a smaller one may fit on the disk, and a mistake is its caller's alone.
            return [outcome for call in group for outcome in self._settle([call])]
        self._on_committed()
        self._requests += len(group)
        self._transactions += 1
        self._synced += self._synchronous == "FULL"
        self._commits_unmoved += 1
        return [(call.future, result) for call, result in zip(group, results, strict=True)]

    def _assert_fit(self) -> None:
        """Refuse to go on with a damaged file, and go on with another connection if this one is not to be trusted."""
        if self._alarm.damage is not None:
            raise StorageDamaged(str(self._alarm.damage))
        if self._distrusted:
            self._connection = self._renewal.renew(self._connection)
            self._synchronous = ""
            self._distrusted = False

    def _judge(self, error: Exception) -> None:
        """What an error means for everything that comes after it."""
        if isinstance(error, SyncFailed) and not self._distrusted:
            self._distrusted = True
            log.error("sync_failed", path=str(self._path), error=str(error))
        elif isinstance(error, StorageDamaged):
            self._alarm.ring(error)

    def _commit(self, group: Sequence[_Call[Request, Result]]) -> Sequence[Result]:
        with translated(self._path), self._transaction(sync=any(call.sync for call in group)):
            return self._transact(self._connection, [call.request for call in group])

    @contextmanager
    def _transaction(self, *, sync: bool) -> Generator[None]:
        connection = self._connection
        if connection.in_transaction:  # the last rollback failed with what it was to repair
            connection.rollback()
        synchronous = "FULL" if sync or self._always_sync else "NORMAL"
        if synchronous != self._synchronous:
            connection.execute(f"PRAGMA synchronous = {synchronous}")
            self._synchronous = synchronous
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                connection.rollback()
            raise

    def _checkpoint_if_due(self) -> None:
        """Move what was committed from the write-ahead log into the database, as far as no reader is in the way."""
        if self._distrusted or self._alarm.damage or not self._commits_unmoved:
            return
        if self._commits_unmoved < CHECKPOINT_COMMITS and not self._wal_is_large():
            return
        self._commits_unmoved = 0
        try:
            with translated(self._path):
                self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except (StorageError, sqlite3.Error) as error:  # nothing is lost, and it will be due again
            self._judge(error)
            log.warning("wal_checkpoint_failed", path=str(self._path), error=str(error))

    def _wal_is_large(self) -> bool:
        """Look at the file; a log that a reader holds up stays large, so not after each commit."""
        if self._commits_unmoved < FEWEST_COMMITS:
            return False
        try:
            return self._wal.stat().st_size >= CHECKPOINT_BYTES
        except OSError:  # it is not there, or cannot be looked at: the count of commits makes a checkpoint due, too
            return False

    def _empty_wal(self) -> None:
        try:
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error as error:  # nothing is lost: the next start reads the log
            log.warning("wal_checkpoint_failed", path=str(self._path), error=str(error))

    def _on_loop(self, callback: Callable[..., None], *args: object) -> None:
        with suppress(RuntimeError):  # the loop is closed, and nobody awaits anything
            self._loop.call_soon_threadsafe(callback, *args)

    # ---- on the loop again

    def _answer(self, outcomes: Sequence[tuple[asyncio.Future[Result], Result | Exception]]) -> None:
        for future, outcome in outcomes:
            if future.done():  # cancelled: nobody waits for it any more
                continue
            if isinstance(outcome, Exception):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)

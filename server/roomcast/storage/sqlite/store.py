"""The SQLite store: opening, closing, and the ports."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from os import urandom
from pathlib import Path
from typing import Final, Literal

import structlog
from anyio import move_on_after, to_thread

from roomcast.core.errors import StorageUnavailable
from roomcast.core.ids import ENTROPY_BYTES, make_id
from roomcast.core.limits import Limits
from roomcast.core.ports import (
    READ_BYTES,
    Append,
    Beat,
    Checkpoint,
    Clock,
    Committed,
    Conflict,
    Events,
    Expired,
    Head,
    Hold,
    Receipt,
    ReceiptKey,
    Retention,
    RoomCard,
)
from roomcast.storage.appends import check
from roomcast.storage.heads import HeadBoard
from roomcast.storage.retaining import Ages
from roomcast.storage.sqlite import queries
from roomcast.storage.sqlite.appending import Applied, Write
from roomcast.storage.sqlite.connections import OLDEST_SQLITE, connect_reader, connect_writer, has_wal_reset_bug
from roomcast.storage.sqlite.damage import DamageAlarm
from roomcast.storage.sqlite.errors import StoreUnusable, translated
from roomcast.storage.sqlite.lives import Beginning, begin, host_boot_id
from roomcast.storage.sqlite.lock import locked
from roomcast.storage.sqlite.mark import Mark, mark_path, marked, shown
from roomcast.storage.sqlite.readers import Readers
from roomcast.storage.sqlite.renewal import Renewal, connect_last
from roomcast.storage.sqlite.reserve import Reserve, Space, reserved
from roomcast.storage.sqlite.schema import prepare, store_id
from roomcast.storage.sqlite.tally import Tally
from roomcast.storage.sqlite.trimming import Trim, exceeding
from roomcast.storage.sqlite.writer import Writer, WriterStatistics

__all__ = ["SqliteStore", "open_sqlite"]

Durability = Literal["process", "host"]

DEFAULT_RETENTION: Final = Limits().retention

log = structlog.get_logger()


class SqliteStore:
    """`EventLog`, `Rooms`, `Leases` and `Archive` in one file; made by `open_sqlite`.

    Args:
        writer: Commits.
        readers: Read.
        ages: Tells how old events and receipts are.
        retention: How much of each log is kept when it is trimmed.
        store_id: The name that the store got when it was made.
    """

    def __init__(
        self,
        writer: Writer[Write, Applied],
        readers: Readers,
        *,
        ages: Ages,
        retention: Retention,
        store_id: str,
    ) -> None:
        self.id = store_id
        self._ages = ages
        self._retention = retention
        self._trimmed = ""
        self._writer = writer
        self._readers = readers
        self._board = HeadBoard()

    def statistics(self) -> WriterStatistics:
        """How busy the writer is, and how well grouping works."""
        return self._writer.statistics()

    # ---- EventLog

    async def append(self, batches: Sequence[Append]) -> Sequence[Committed | Conflict]:
        """Commit each batch on the head it names; done whole even if the caller is cancelled meanwhile."""
        check(batches)
        if not batches:
            return ()
        future = self._writer.submit(Write(batches=batches), sync=any(batch.sync for batch in batches))
        future.add_done_callback(self._announce)
        applied = await asyncio.shield(future)
        return applied.outcomes

    async def read(self, room: str, after: int, limit: int, limit_bytes: int = READ_BYTES) -> Events | Expired:
        """Read up to `limit` events after position `after`, of `limit_bytes` together; at least one."""
        return await self._readers.run(lambda connection: queries.read(connection, room, after, limit, limit_bytes))

    async def head(self, room: str) -> Head | None:
        """Where the room's log stands, or None when there is no such room."""
        return await self._readers.run(lambda connection: queries.head(connection, room))

    async def trim(self, told: Callable[[Head], None] | None = None) -> bool:
        """Let go of some of the oldest events of the next few rooms; whether there may be more."""
        retention, now_ms = self._retention, self._ages.now_ms()
        page = await self._readers.run(lambda connection: exceeding(connection, self._trimmed, retention, now_ms))
        if page.rooms:
            done = await asyncio.shield(self._writer.submit(Write(trim=Trim(page.rooms, retention, now_ms))))
            if told is not None:
                for head in done.trimmed:
                    told(head)
            if done.trimmed:
                return True  # the same rooms again: they may hold still more
        self._trimmed = page.after or ""
        return page.after is not None

    def follow(self) -> AbstractAsyncContextManager[AsyncIterator[Head]]:
        """Heads as they move; a follower that lags sees the newest of each room."""
        return self._board.follow()

    def _announce(self, future: asyncio.Future[Applied]) -> None:
        if not future.cancelled() and future.exception() is None:
            self._board.publish(future.result().moved)

    def _end_noted(self, future: asyncio.Future[Applied]) -> None:
        if not future.cancelled() and (error := future.exception()) is not None:
            # Nothing is lost; but after a restart of the host the next life must take this one for crashed.
            log.warning("store_end_not_noted", store=self.id, error=type(error).__name__)

    # ---- Rooms

    async def list(self, after: str | None, limit: int) -> Sequence[RoomCard]:
        """Rooms by name, from the first after `after`."""
        return await self._readers.run(lambda connection: queries.rooms(connection, after, limit))

    async def unfinished(self) -> Sequence[str]:
        """Names of rooms with open business."""
        return await self._readers.run(queries.unfinished)

    async def checkpoint(self, room: str) -> Checkpoint | None:
        """The newest saved state of a room."""
        return await self._readers.run(lambda connection: queries.checkpoint(connection, room))

    async def receipts(self, keys: Sequence[ReceiptKey]) -> Mapping[ReceiptKey, Receipt]:
        """The receipts that exist and have not expired, of those asked for."""
        now_ms = self._ages.now_ms()
        return await self._readers.run(lambda connection: queries.receipts(connection, keys, now_ms))

    # ---- Leases

    async def beat(self, node: str) -> None:
        """Count one up for `node`."""
        await asyncio.shield(self._writer.submit(Write(beats=(node,))))

    async def beats(self) -> Sequence[Beat]:
        """The counters of all nodes."""
        return await self._readers.run(queries.beats)

    async def held(self) -> Sequence[Hold]:
        """All responses that some node runs."""
        return await self._readers.run(queries.held)

    # ---- Archive

    async def items(self, room: str, before: str | None, limit: int) -> Sequence[bytes] | None:
        """Items newest first, from the first older than item `before`; None when that is no item."""
        return await self._readers.run(lambda connection: queries.items(connection, room, before, limit))

    async def item(self, room: str, item_id: str) -> bytes | None:
        """One item as JSON."""
        return await self._readers.run(lambda connection: queries.item(connection, room, item_id))

    async def close(self) -> None:
        """Refuse new calls and finish those under way."""
        await self._readers.close()
        with suppress(StorageUnavailable):  # closed already
            self._writer.submit(Write(end=True), sync=True).add_done_callback(self._end_noted)
        await self._writer.close()
        self._board.close()


@asynccontextmanager
async def open_sqlite(
    path: Path,
    *,
    clock: Clock,
    durability: Durability = "process",
    readers: int = 2,
    close_timeout_s: float = 10.0,
    retention: Retention = DEFAULT_RETENTION,
    space: Space | None = None,
    boot_id: Callable[[], str | None] = host_boot_id,
) -> AsyncGenerator[SqliteStore]:
    """Open the store in the file `path`, made with its folder if it is not there.

    Args:
        path: The database; its folder is locked for this process.
        clock: Tells how old events and receipts are.
        durability: What every commit survives: the end of the `process`, or of the `host`.
        readers: How many reads may run at once.
        close_timeout_s: How long calls under way may take at the end. The writer goes on
            after that, and keeps the folder locked until it is done or the process ends.
        retention: How much of each log is kept when it is trimmed.
        space: What to keep of the disk for terminals, when it is full.
        boot_id: Tells one start of this machine from another.

    Raises:
        StoreInUse: Another process has the folder.
        StoreUnusable: The folder or file cannot be written, or is not ours.
        StorageError: The file cannot be read now, or is damaged.
    """
    opened = await to_thread.run_sync(_open, path, readers, clock, durability, boot_id, space)
    ages = Ages(clock)
    ages.now_ms()  # from here on it does not jump
    tally = Tally(opened.mark, opened.beginning.commits, ages=ages, reserve=opened.reserve)
    alarm = DamageAlarm(path)
    lent = Readers(opened.readers, path=path, alarm=alarm)
    writer = Writer(
        opened.writer,
        tally.transact,
        path=path,
        always_sync=durability == "host",
        on_committed=tally.committed,
        make_room=tally.make_room,
        renewal=Renewal(
            path, last=opened.last, readers=lent, readers_count=readers, tally=tally, alarm=alarm, begin=opened.begin
        ),
        alarm=alarm,
        on_closed=opened.folder.close,  # and not before: as long as it may write, nobody else may
    )
    store = SqliteStore(
        writer,
        lent,
        ages=ages,
        retention=retention,
        store_id=opened.store_id,
    )
    log.info("store_opened", path=str(path), store=store.id, durability=durability, sqlite=sqlite3.sqlite_version)
    if opened.beginning.renewed_for is not None:
        log.warning("epochs_renewed", path=str(path), rooms=opened.beginning.rooms, reason=opened.beginning.renewed_for)
    try:
        yield store
    finally:
        with move_on_after(close_timeout_s, shield=True) as scope:
            await store.close()
        if scope.cancelled_caught:
            log.warning("store_close_timed_out", path=str(path), waiting=store.statistics().waiting)


@dataclass(frozen=True, slots=True)
class _Opened:
    folder: ExitStack
    writer: sqlite3.Connection
    readers: Sequence[sqlite3.Connection]
    last: sqlite3.Connection
    store_id: str
    mark: Mark
    begin: Callable[[sqlite3.Connection, int | None], Beginning]
    beginning: Beginning
    reserve: Reserve | None


def _open(
    path: Path,
    readers: int,
    clock: Clock,
    durability: Durability,
    boot_id: Callable[[], str | None],
    space: Space | None,
) -> _Opened:
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        needed = ".".join(map(str, OLDEST_SQLITE))
        raise StoreUnusable(path, f"SQLite {needed} or newer is needed, and this is {sqlite3.sqlite_version}")
    if has_wal_reset_bug(sqlite3.sqlite_version_info):
        log.warning(
            "sqlite_version_affected",
            bug="sqlite.org/wal.html#walresetbug",
            sqlite=sqlite3.sqlite_version,
            fixed_in="3.51.3, 3.50.7, 3.44.6",
            advice="let no other program write to the database while the server runs",
        )
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # what people said is nobody else's business
    except OSError as error:
        raise StoreUnusable(path.parent, (error.strerror or str(error)).lower()) from error
    with ExitStack() as opening, translated(path):
        folder = opening.enter_context(ExitStack())
        folder.enter_context(locked(path.parent))
        _require_content(path)
        writer = connect_writer(path, prepare=lambda connection: prepare(connection, path))
        opening.callback(writer.close)
        mark = folder.enter_context(marked(path))
        reserve = folder.enter_context(reserved(path, space))
        begin_on = partial(
            begin,
            boot_id=boot_id(),
            durability=durability,
            new_epoch=lambda: make_id("ep", clock.now_ms(), urandom(ENTROPY_BYTES)),
        )
        beginning = begin_on(writer, mark.found)
        some: list[sqlite3.Connection] = []
        for _ in range(readers):
            some.append(connect_reader(path))
            opening.callback(some[-1].close)
        last = connect_last(path)
        opening.callback(last.close)
        opened = _Opened(folder, writer, some, last, store_id(writer), mark, begin_on, beginning, reserve)
        opening.pop_all()
    return opened


def _require_content(path: Path) -> None:
    """Refuse an empty file, and tell of a missing one, where the mark says that there were commits."""
    if not shown(path):
        return
    if not path.exists():
        log.warning("store_missing", path=str(path), mark=str(mark_path(path)))
    elif path.stat().st_size == 0:
        way_back = f"put a backup there (roomcast restore FILE), or take {mark_path(path)} away to begin anew"
        raise StoreUnusable(path, f"it is empty, and there were commits: {way_back}")

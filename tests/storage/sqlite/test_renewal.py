"""Tests of roomcast/storage/sqlite/renewal.py. With a disk that really fails: tests/e2e/test_disk_faults.py."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Generator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from roomcast.core.errors import StorageDamaged, StorageUnavailable
from roomcast.core.ports import Committed
from roomcast.storage.retaining import Ages
from roomcast.storage.sqlite.appending import Write
from roomcast.storage.sqlite.connections import connect_reader
from roomcast.storage.sqlite.damage import DamageAlarm
from roomcast.storage.sqlite.lives import MARK_AHEAD, Beginning, begin
from roomcast.storage.sqlite.mark import marked
from roomcast.storage.sqlite.queries import head
from roomcast.storage.sqlite.readers import Readers
from roomcast.storage.sqlite.renewal import Renewal, connect_last
from roomcast.storage.sqlite.tally import Tally
from tests.conformance.examples import EPOCH, ManualClock, a_batch
from tests.storage.sqlite.files import open_database

pytestmark = pytest.mark.anyio


class Opened:
    """The parts of a store, without its threads."""

    def __init__(self, path: Path, stack: ExitStack) -> None:
        self.path = path
        self.wal = path.with_name(f"{path.name}-wal")
        self.writer = open_database(path)
        self.cannot_begin: sqlite3.OperationalError | None = None
        commits = self.begin(self.writer, None).commits
        clock = ManualClock()
        mark = stack.enter_context(marked(path))
        self.tally = Tally(mark, commits, ages=Ages(clock))
        self.alarm = DamageAlarm(path)
        self.readers = Readers([connect_reader(path), connect_reader(path)], path=path, alarm=self.alarm)
        self.renewal = Renewal(
            path,
            last=connect_last(path),
            readers=self.readers,
            readers_count=2,
            tally=self.tally,
            alarm=self.alarm,
            begin=self.begin,
        )

    def begin(self, connection: sqlite3.Connection, mark: int | None) -> Beginning:
        if self.cannot_begin is not None:
            raise self.cannot_begin
        return begin(connection, mark, boot_id="boot 1", durability="process", new_epoch=lambda: "ep_new")

    def append(self, seq: int) -> None:
        self.writer.execute("BEGIN IMMEDIATE")
        [applied] = self.tally.transact(self.writer, [Write(batches=[a_batch(on=seq - 1, epoch=EPOCH)])])
        assert list(applied.outcomes) == [Committed(seq)]
        self.writer.execute("COMMIT")
        self.tally.committed()

    def renew(self) -> None:
        self.writer = self.renewal.renew(self.writer)

    async def head(self) -> tuple[str, int]:
        found = await self.readers.run(lambda connection: head(connection, "lobby"))
        assert found is not None
        return found.epoch, found.seq


@pytest.fixture
def opened(tmp_path: Path) -> Generator[Opened]:
    with ExitStack() as stack:
        opened = Opened(tmp_path / "roomcast.db", stack)
        yield opened
        opened.renewal.close(opened.writer, trusted=True)
        opened.readers.exchange(close_all)


def close_all(connections: Sequence[sqlite3.Connection]) -> Sequence[sqlite3.Connection]:
    for connection in connections:
        connection.close()
    return ()


async def test_everything_that_was_answered_is_there_in_the_database_and_goes_on(opened: Opened) -> None:
    for seq in range(1, 21):
        opened.append(seq)
    assert await opened.head() == (EPOCH, 20)
    opened.renew()
    assert opened.wal.stat().st_size == 0, "all of it is in the database, and the log begins anew"
    assert await opened.head() == (EPOCH, 20)
    opened.append(21)
    assert await opened.head() == (EPOCH, 21)


async def test_while_the_disk_fails_reads_go_on_through_what_is_there(opened: Opened) -> None:
    opened.append(1)
    assert await opened.head() == (EPOCH, 1)
    opened.writer.execute("PRAGMA busy_timeout = 0")
    other = sqlite3.connect(opened.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageUnavailable, match="locked"):
        opened.renew()
    assert await opened.head() == (EPOCH, 1)
    other.execute("ROLLBACK")
    other.close()
    opened.renew()
    opened.append(2)
    assert await opened.head() == (EPOCH, 2)


async def test_an_opening_that_fails_is_tried_again_and_reads_are_refused_until_then(opened: Opened) -> None:
    opened.append(1)
    opened.cannot_begin = sqlite3.OperationalError("disk I/O error")
    opened.cannot_begin.sqlite_errorcode, opened.cannot_begin.sqlite_errorname = sqlite3.SQLITE_IOERR, "SQLITE_IOERR"
    for _ in range(2):
        with pytest.raises(StorageUnavailable, match="I/O error"):
            opened.renew()
        with pytest.raises(StorageUnavailable, match="opened again"):
            await opened.head()
    opened.cannot_begin = None
    opened.renew()
    opened.append(2)
    assert await opened.head() == (EPOCH, 2)


async def test_readers_that_were_closed_meanwhile_stay_closed(opened: Opened) -> None:
    opened.append(1)
    await opened.readers.close()
    opened.renew()
    opened.append(2)
    with pytest.raises(StorageUnavailable, match="the store is closed"):
        await opened.head()


async def test_where_the_log_lost_what_was_answered_nothing_more_is_written_and_the_names_change(
    opened: Opened,
) -> None:
    for seq in range(1, 21):
        opened.append(seq)
    os.truncate(opened.wal, opened.wal.stat().st_size // 2)
    with pytest.raises(StorageDamaged, match=MARK_AHEAD):
        opened.renew()
    assert MARK_AHEAD in str(opened.alarm.damage)
    opened.writer = open_database(opened.path)
    epoch, seq = opened.writer.execute("SELECT epoch, head FROM rooms").fetchone()
    assert epoch == "ep_new"
    assert 0 < seq < 20


async def test_an_abandoned_connection_leaves_its_log_to_the_next_start(opened: Opened) -> None:
    opened.append(1)
    opened.readers.exchange(close_all)
    size_bytes = opened.wal.stat().st_size
    opened.renewal.close(opened.writer, trusted=False)
    assert opened.wal.stat().st_size == size_bytes > 0
    opened.writer = open_database(opened.path)
    assert opened.writer.execute("SELECT head FROM rooms").fetchone() == (1,)


async def test_a_connection_that_is_trusted_leaves_one_file(opened: Opened) -> None:
    opened.append(1)
    opened.readers.exchange(close_all)
    opened.renewal.close(opened.writer, trusted=True)
    assert not opened.wal.exists()

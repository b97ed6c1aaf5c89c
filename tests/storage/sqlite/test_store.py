"""Tests of roomcast/storage/sqlite/store.py: what a file adds to what every store does (P2)."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Literal

import anyio
import pytest
from structlog.testing import capture_logs

from roomcast.core.errors import StorageDamaged, StorageUnavailable
from roomcast.core.ports import Beat, Checkpoint, Committed, Events, Head, Hold, RoomCard
from roomcast.storage.sqlite import SqliteStore, StoreInUse, StoreUnusable, open_sqlite
from roomcast.storage.sqlite.connections import has_wal_reset_bug
from tests.conformance.examples import EPOCH, ManualClock, a_batch, a_key, a_receipt, a_record, an_item
from tests.storage.sqlite.disks import LimitedFiles, MountedDisk, limited_files, small_disk

pytestmark = pytest.mark.anyio


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "roomcast.db"


@asynccontextmanager
async def opened(path: Path) -> AsyncGenerator[SqliteStore]:
    async with open_sqlite(path, clock=ManualClock()) as store:
        yield store


# ---- opening


async def test_a_folder_that_is_missing_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "roomcast.db"
    async with opened(path) as store:
        await store.append([a_batch()])
    assert path.exists()
    assert path.parent.stat().st_mode & 0o077 == 0


async def test_everything_is_there_after_a_restart(path: Path) -> None:
    async with opened(path) as store:
        name = store.id
        await store.beat("n1")
        await store.append(
            [
                a_batch(
                    events=3,
                    receipts=[a_receipt()],
                    holds=[Hold("lobby", "r1", "n1")],
                    items=[an_item("i1", 2)],
                    checkpoint=b"state",
                    unfinished=True,
                    title="Lobby",
                )
            ]
        )
    async with opened(path) as store:
        assert store.id == name
        assert await store.read("lobby", 0, 10) == Events([a_record(1), a_record(2), a_record(3)])
        assert await store.list(None, 10) == [RoomCard("lobby", "Lobby", EPOCH, 3, unfinished=True)]
        assert await store.checkpoint("lobby") == Checkpoint(EPOCH, 3, b"state")
        assert await store.receipts([a_key()]) == {a_key(): a_receipt()}
        assert await store.held() == [Hold("lobby", "r1", "n1")]
        assert await store.beats() == [Beat("n1", 1)]
        assert await store.item("lobby", "i1") == an_item("i1", 2).data
        assert list(await store.append([a_batch(on=3)])) == [Committed(4)]


async def test_a_second_process_on_the_same_folder_is_refused_by_name(path: Path) -> None:
    with appending(path) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(StoreInUse, match=f"{path.parent} cannot be used: process {other.pid} is using it"):
            async with opened(path):
                pytest.fail("two processes have it")


async def test_two_databases_in_one_folder_count_as_one_store(path: Path) -> None:
    async with opened(path):
        with pytest.raises(StoreInUse):
            async with opened(path.with_name("other.db")):
                pytest.fail("the folder is taken")


async def test_a_folder_that_cannot_be_written_is_named() -> None:
    with (
        unwritable_folder() as folder,
        pytest.raises(StoreUnusable, match=f"{folder} cannot be used: permission denied"),
    ):
        async with opened(folder / "roomcast.db"):
            pytest.fail("opened what it cannot write")


async def test_a_file_where_the_folder_should_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    with pytest.raises(StoreUnusable, match=f"{tmp_path / 'data'} cannot be used: file exists"):
        async with opened(tmp_path / "data" / "roomcast.db"):
            pytest.fail("opened a file as a folder")


async def test_a_folder_where_the_file_should_be_is_named(path: Path) -> None:
    make_folder(path)
    with pytest.raises(StorageUnavailable, match=f"{path}: unable to open database file"):
        async with opened(path):
            pytest.fail("opened a folder as a file")


async def test_a_file_that_is_no_database_is_named(path: Path) -> None:
    write_nonsense(path)
    with pytest.raises(StorageDamaged, match=f"{path}: file is not a database"):
        async with opened(path):
            pytest.fail("opened what is no database")


async def test_a_start_that_failed_leaves_the_folder_free(path: Path) -> None:
    write_nonsense(path)
    with pytest.raises(StorageDamaged):
        async with opened(path):
            pytest.fail("opened what is no database")
    remove(path)
    async with opened(path) as store:
        await store.append([a_batch()])


async def test_a_version_of_sqlite_that_may_lose_commits_is_told_to_the_operator(path: Path) -> None:
    with capture_logs() as lines:
        async with opened(path):
            pass
    warned = [line["sqlite"] for line in lines if line["event"] == "sqlite_version_affected"]
    assert warned == ([sqlite3.sqlite_version] if has_wal_reset_bug(sqlite3.sqlite_version_info) else [])


@pytest.mark.parametrize(("durability", "synced"), [("process", 2), ("host", 5)])
async def test_durability_decides_which_appends_wait_for_the_disk(
    path: Path, durability: Literal["process", "host"], synced: int
) -> None:
    async with open_sqlite(path, clock=ManualClock(), durability=durability) as store:
        for head, sync in enumerate([False, True, False, True, False]):
            await store.append([a_batch(on=head, sync=sync)])
        assert store.statistics().synced == synced


# ---- crash


async def test_a_kill_loses_nothing_that_was_said_to_be_committed(path: Path) -> None:
    """Three lives in a row; each goes on where the one before was killed."""
    floor = 0
    for lines in (1, 40, 25):
        with appending(path) as process:
            assert process.stdout is not None
            said = [int(process.stdout.readline()) for _ in range(lines)]
            process.kill()
            said += [int(line) for line in process.stdout if line.endswith("\n")]
        assert said[0] > floor
        async with opened(path) as store:
            head = await store.head("lobby")
            events = await store.read("lobby", 0, 100_000)
            assert head is not None
            assert isinstance(events, Events)
            assert head.seq >= said[-1]
            assert events.records == [a_record(seq) for seq in range(1, head.seq + 1)]
            floor = head.seq


# ---- reads beside writes


async def test_a_read_does_not_wait_for_a_long_write(path: Path) -> None:
    async with opened(path) as store:
        await store.append([a_batch(events=2)])
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")  # the writer waits for this one, so its append is long
            outcomes: list[object] = []

            async def append() -> None:
                outcomes.extend(await store.append([a_batch(on=2)]))

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(append)
                assert await store.read("lobby", 0, 10) == Events([a_record(1), a_record(2)])
                assert await store.head("lobby") == Head("lobby", EPOCH, 2, 0)
                assert outcomes == []
                other.execute("ROLLBACK")
            assert outcomes == [Committed(3)]


async def test_appends_of_many_rooms_share_transactions(path: Path) -> None:
    async with opened(path) as store:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            async with anyio.create_task_group() as tasks:
                for number in range(101):
                    tasks.start_soon(store.append, [a_batch(f"r{number}")])
                await anyio.wait_all_tasks_blocked()
                other.execute("ROLLBACK")
        assert len(await store.list(None, 200)) == 101
        assert store.statistics().requests == 101
        assert store.statistics().transactions <= 3


# ---- errors while it runs


@pytest.fixture
def disk(path: Path) -> Generator[MountedDisk | LimitedFiles]:
    path.parent.mkdir()
    with small_disk(path.parent) as disk:
        yield disk


async def test_a_full_disk_refuses_appends_and_serves_reads_and_then_works_again(
    path: Path, disk: MountedDisk | LimitedFiles
) -> None:
    async with opened(path) as store:
        await store.append([a_batch(events=2)])
        disk.fill()
        too_much = a_batch(on=2, records=[a_record(3, b"x" * 300_000)], title="never", receipts=[a_receipt()])
        for _ in range(3):
            with pytest.raises(disk.refusal, match=str(path)):
                await store.append([too_much])
        assert await store.head("lobby") == Head("lobby", EPOCH, 2, 0)
        assert await store.read("lobby", 0, 10) == Events([a_record(1), a_record(2)])
        assert await store.receipts([a_key()]) == {}
        disk.empty()
        assert list(await store.append([too_much])) == [Committed(3)]
    async with opened(path) as store:
        assert [card.title for card in await store.list(None, 10)] == ["never"]


async def test_a_file_that_cannot_grow_is_unavailable_until_it_can(path: Path) -> None:
    async with opened(path) as store:
        await store.append([a_batch()])
        with limited_files(path.parent) as files:
            files.fill()
            with pytest.raises(StorageUnavailable, match=f"{path}: disk I/O error"):
                await store.append([a_batch(on=1, records=[a_record(2, b"x" * 100_000)])])
            assert await store.read("lobby", 0, 10) == Events([a_record(1)])
        assert list(await store.append([a_batch(on=1)])) == [Committed(2)]


async def test_a_damaged_page_fails_what_needs_it_and_names_the_file(path: Path) -> None:
    async with opened(path) as store:
        await store.append([a_batch(events=2_000)])
    damage(path, from_page=9)
    async with opened(path) as store:
        with pytest.raises(StorageDamaged, match=str(path)):
            await store.read("lobby", 0, 2_000)
        assert await store.head("lobby") == Head("lobby", EPOCH, 2_000, 0)


# ---- closing


async def test_closing_finishes_what_was_appended(path: Path) -> None:
    async with anyio.create_task_group() as tasks, opened(path) as store:
        for number in range(50):
            tasks.start_soon(store.append, [a_batch(f"r{number}")])
        await anyio.wait_all_tasks_blocked()
    async with opened(path) as store:
        assert len(await store.list(None, 100)) == 50


async def test_a_closed_store_refuses_calls_and_ends_followers(path: Path) -> None:
    async with anyio.create_task_group() as tasks, opened(path) as store:

        async def listen() -> None:
            async with store.follow() as heads:
                assert [head.room async for head in heads] == ["lobby"]

        tasks.start_soon(listen)
        await anyio.wait_all_tasks_blocked()
        await store.append([a_batch()])
    for call in (store.append([a_batch(on=1)]), store.read("lobby", 0, 1), store.beat("n1"), store.unfinished()):
        with pytest.raises(StorageUnavailable, match="the store is closed"):
            await call


async def test_a_store_whose_owner_is_cancelled_closes_properly(path: Path) -> None:
    with anyio.CancelScope() as scope:
        async with opened(path) as store:
            await store.append([a_batch()])
            scope.cancel()
    async with opened(path) as store:
        assert await store.head("lobby") == Head("lobby", EPOCH, 1, 0)


async def test_a_disk_that_hangs_holds_up_the_end_for_a_while_only_and_lets_nobody_else_in(path: Path) -> None:
    outcomes: list[object] = []

    async def append(store: SqliteStore) -> None:
        outcomes.extend(await store.append([a_batch()]))

    async with anyio.create_task_group() as tasks:
        with capture_logs() as lines:
            async with open_sqlite(path, clock=ManualClock(), close_timeout_s=0.05) as store:
                other = sqlite3.connect(path, isolation_level=None)
                other.execute("BEGIN IMMEDIATE")  # stands for the disk: the writer waits
                tasks.start_soon(append, store)
                await anyio.wait_all_tasks_blocked()
        assert [line["event"] for line in lines if line["log_level"] == "warning"][-1:] == ["store_close_timed_out"]
        with pytest.raises(StoreInUse):
            async with opened(path):
                pytest.fail("the writer of the first is not done")
        other.execute("ROLLBACK")
        other.close()
    assert outcomes == [Committed(1)]
    with anyio.fail_after(60):
        await anyio.to_thread.run_sync(wait_until_free, path.parent, abandon_on_cancel=True)
    async with opened(path) as store:
        assert await store.head("lobby") == Head("lobby", EPOCH, 1, 0)


# ---- help


def make_folder(path: Path) -> None:
    path.mkdir(parents=True)


def write_nonsense(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"this is no database" * 1_000)


def remove(path: Path) -> None:
    path.unlink()


def damage(path: Path, *, from_page: int) -> None:
    """Overwrite the file, but for the pages before `from_page`, which say what tables there are."""
    before = path.read_bytes()[: (from_page - 1) * 4_096]
    path.write_bytes(before + b"\xa5" * (path.stat().st_size - len(before)))


def wait_until_free(folder: Path) -> None:
    with (folder / "roomcast.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)


@contextmanager
def appending(path: Path) -> Generator[subprocess.Popen[str]]:
    """A process that appends and prints what is committed; killed at the end."""
    script = Path(__file__).with_name("append_for_ever.py")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, script, path], stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def unwritable_folder() -> Generator[Path]:
    """A folder in which we may not write; root gives up being root, or it could."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o555)
        user = os.geteuid()
        if user == 0:
            os.seteuid(65_534)
        try:
            yield folder
        finally:
            os.seteuid(user)
            folder.chmod(0o755)

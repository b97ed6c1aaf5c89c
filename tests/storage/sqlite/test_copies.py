"""Tests of roomcast/storage/sqlite/copies.py: backups of a store in use, and putting one back."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from roomcast.core.errors import StorageDamaged
from roomcast.core.ports import Committed, Events, Head
from roomcast.storage.sqlite import SqliteStore, StoreInUse, StoreUnusable, open_sqlite
from roomcast.storage.sqlite.copies import back_up, restore
from roomcast.storage.sqlite.mark import mark_path
from tests.conformance.examples import EPOCH, ManualClock, a_batch, a_record

pytestmark = pytest.mark.anyio


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "roomcast.db"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "copy.db"


def content(path: Path) -> tuple[int, int]:
    """The head of the lobby and the number of its events, as the file alone has them."""
    with closing(sqlite3.connect(path)) as connection:
        (head,) = connection.execute("SELECT head FROM rooms WHERE name = 'lobby'").fetchone()
        (events,) = connection.execute("SELECT count(*) FROM events WHERE room = 'lobby'").fetchone()
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    return head, events


def put(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def got(path: Path) -> bytes:
    return path.read_bytes()


async def test_a_backup_has_what_was_committed_when_it_was_made(path: Path, target: Path) -> None:
    async with open_sqlite(path, clock=ManualClock()) as store:
        await store.append([a_batch(events=3)])
        await anyio.to_thread.run_sync(back_up, path, target)
        assert list(await store.append([a_batch(on=3)])) == [Committed(4)]
    assert content(target) == (3, 3)
    assert [file.name for file in target.parent.glob("copy*")] == ["copy.db"], "one file, to be moved about"


async def test_a_backup_made_while_appends_go_on_is_the_state_after_one_of_them(path: Path, tmp_path: Path) -> None:
    async def append(store: SqliteStore) -> None:
        seq = 0
        while True:
            await store.append([a_batch(on=seq, records=[a_record(seq + n, b"x" * 2_000) for n in (1, 2, 3)])])
            seq += 3

    async with open_sqlite(path, clock=ManualClock()) as store, anyio.create_task_group() as tasks:
        await store.append([a_batch("lobby", events=0)])
        tasks.start_soon(append, store)
        for number in range(8):
            await anyio.to_thread.run_sync(back_up, path, tmp_path / f"{number}.db")
        tasks.cancel_scope.cancel()
    found = [content(tmp_path / f"{number}.db") for number in range(8)]
    assert all(head == events and head % 3 == 0 for head, events in found), found
    assert found == sorted(found)
    assert found[-1] > found[0]


async def test_a_store_that_no_server_runs_on_can_be_backed_up(path: Path, target: Path) -> None:
    async with open_sqlite(path, clock=ManualClock()) as store:
        await store.append([a_batch(events=2)])
    back_up(path, target)
    assert content(target) == (2, 2)


async def test_a_backup_overwrites_nothing_and_leaves_nothing_half_done(path: Path, target: Path) -> None:
    with pytest.raises(StoreUnusable, match=f"{path} cannot be used: there is no such file"):
        back_up(path, target)
    async with open_sqlite(path, clock=ManualClock()):
        pass
    put(target, b"precious")
    with pytest.raises(StoreUnusable, match="overwrites nothing"):
        back_up(path, target)
    assert got(target) == b"precious"
    damaged = path.with_name("damaged.db")
    put(damaged, b"this is no database" * 1_000)
    with pytest.raises(StorageDamaged):
        back_up(damaged, target.with_name("other.db"))
    assert list(target.parent.glob("other*")) == []


async def test_a_restored_store_goes_on_where_the_backup_was_under_new_names(path: Path, target: Path) -> None:
    async with open_sqlite(path, clock=ManualClock()) as store:
        await store.append([a_batch(events=3)])
        back_up(path, target)
        await store.append([a_batch(on=3)])
    kept = restore(target, path)
    assert kept is not None
    assert content(kept) == (4, 4)
    async with open_sqlite(path, clock=ManualClock()) as store:
        head = await store.head("lobby")
        assert head is not None
        assert (head.seq, head.floor) == (3, 0)
        assert head.epoch != EPOCH
        assert await store.read("lobby", 0, 10) == Events([a_record(1), a_record(2), a_record(3)])


async def test_a_backup_of_the_very_newest_state_changes_names_too(path: Path, target: Path) -> None:
    async with open_sqlite(path, clock=ManualClock()) as store:
        await store.append([a_batch()])
    back_up(path, target)
    restore(target, path)
    assert not mark_path(path).exists()
    async with open_sqlite(path, clock=ManualClock()) as store:
        head = await store.head("lobby")
        assert head is not None
        assert head.epoch != EPOCH


async def test_a_folder_that_a_server_holds_is_not_touched(path: Path, target: Path) -> None:
    async with open_sqlite(path, clock=ManualClock()) as store:
        await store.append([a_batch()])
        back_up(path, target)
        with pytest.raises(StoreInUse):
            restore(target, path)
        assert await store.head("lobby") == Head("lobby", EPOCH, 1, 0)


async def test_a_backup_comes_back_over_a_damaged_store_and_what_was_there_is_kept(path: Path, target: Path) -> None:
    async with open_sqlite(path, clock=ManualClock()) as store:
        await store.append([a_batch(events=2)])
    back_up(path, target)
    kept: list[Path | None] = []
    for _ in range(2):
        put(path, b"this is no database" * 1_000)
        put(path.with_name("roomcast.db-wal"), b"nor is this")
        kept.append(restore(target, path))
        async with open_sqlite(path, clock=ManualClock()) as store:
            assert await store.read("lobby", 0, 10) == Events([a_record(1), a_record(2)])
    assert len({*kept, None}) == 3
    assert all(file is not None and file.read_bytes().startswith(b"this is no") for file in kept)


@pytest.mark.parametrize("backup", [None, b"this is no database" * 1_000, b""])
async def test_what_is_no_backup_replaces_nothing(path: Path, target: Path, backup: bytes | None) -> None:
    async with open_sqlite(path, clock=ManualClock()) as store:
        await store.append([a_batch()])
    if backup is not None:
        put(target, backup)
    with pytest.raises(StoreUnusable, match=str(target)):
        restore(target, path)
    assert content(path) == (1, 1)


async def test_a_damaged_backup_replaces_nothing(path: Path, target: Path) -> None:
    async with open_sqlite(path, clock=ManualClock()) as store:
        await store.append([a_batch(events=2_000)])
    back_up(path, target)
    whole = got(target)
    put(target, whole[: 8 * 4_096] + b"\xa5" * (len(whole) - 8 * 4_096))
    with pytest.raises(StoreUnusable, match=str(target)):
        restore(target, path)
    assert content(path) == (2_000, 2_000)

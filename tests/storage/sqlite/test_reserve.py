"""Tests of roomcast/storage/sqlite/reserve.py, on a disk of six megabytes."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from structlog.testing import capture_logs

from roomcast.core.errors import StorageFull, StorageUnavailable
from roomcast.core.ports import Append, Committed, Events, Head, Hold
from roomcast.storage.sqlite import SqliteStore, open_sqlite
from roomcast.storage.sqlite.reserve import LOOK_INTERVAL_S, Reserve, Space, ballast_path
from tests.conformance.examples import EPOCH, ManualClock, a_batch, a_record
from tests.storage.sqlite.disks import MountedDisk, small_disk

SPACE = Space(watermark_bytes=400_000, ballast_bytes=300_000)


@pytest.fixture
def disk(tmp_path: Path) -> Generator[MountedDisk]:
    with small_disk(tmp_path, "6m") as disk:
        if not isinstance(disk, MountedDisk):
            pytest.skip("only root can mount a disk")
        yield disk


@pytest.fixture
def path(disk: MountedDisk) -> Path:
    return disk.folder / "roomcast.db"


def fill(disk: MountedDisk, *, but_bytes: int) -> Path:
    """Leave so much free."""
    filler = disk.folder / "somebody else's"
    spare = disk.folder / "spare"
    spare.write_bytes(bytes(but_bytes))
    disk.fill()
    (disk.folder / "ballast").rename(filler)
    spare.unlink()
    return filler


class Time:
    """A clock for looks at the disk."""

    now_s = 0.0

    def __call__(self) -> float:
        self.now_s += 1
        return self.now_s


# ---- by itself


def test_both_parts_are_scaled_to_the_disk(path: Path) -> None:
    reserve = Reserve(path, Space(watermark_bytes=10**9, ballast_bytes=10**9), now_s=Time())
    assert not reserve.low()
    assert 500_000 < ballast_path(path).stat().st_size <= 6 * 1024 * 1024 // 8


def test_the_disk_is_low_below_the_watermark_only(disk: MountedDisk, path: Path) -> None:
    reserve = Reserve(path, SPACE, now_s=Time())
    assert not reserve.low()
    with capture_logs() as lines:
        filler = fill(disk, but_bytes=350_000)
        assert reserve.low()
        assert reserve.low()
        filler.unlink()
        assert not reserve.low()
    assert [line["event"] for line in lines] == ["disk_filled", "disk_relieved"]


def test_the_ballast_comes_back_when_there_is_room_for_it_and_more(disk: MountedDisk, path: Path) -> None:
    reserve = Reserve(path, SPACE, now_s=Time())
    assert not reserve.low()
    filler = fill(disk, but_bytes=0)
    assert reserve.drop()
    assert not reserve.drop(), "it is there once"
    assert reserve.low()
    assert not ballast_path(path).exists()
    filler.unlink()
    assert not reserve.low()
    assert ballast_path(path).stat().st_size == SPACE.ballast_bytes


def test_between_two_looks_the_disk_is_not_asked(disk: MountedDisk, path: Path) -> None:
    now_s = 10.0
    reserve = Reserve(path, SPACE, now_s=lambda: now_s)
    assert not reserve.low()
    fill(disk, but_bytes=0)
    now_s += 0.2
    assert not reserve.low()
    now_s += 0.1
    assert reserve.low()


# ---- under a store


@asynccontextmanager
async def opened(path: Path) -> AsyncGenerator[SqliteStore]:
    async with open_sqlite(path, clock=ManualClock(), space=SPACE) as store:
        yield store


def a_start(room: str, on: int = 0) -> Append:
    return a_batch(room, on=on, holds=[Hold(room, "r1", "n1")], unfinished=True)


async def appended(store: SqliteStore, on: int) -> bool:
    await anyio.sleep(0.05)  # the disk is looked at only now and then
    try:
        return list(await store.append([a_batch("other", on=on)])) == [Committed(on + 1)]
    except StorageFull:
        return False


@pytest.mark.anyio
@pytest.mark.parametrize("but_bytes", [350_000, 0], ids=["below the watermark", "filled by somebody else"])
async def test_what_ends_something_is_written_on_a_full_disk_and_the_rest_when_there_is_room(
    disk: MountedDisk, path: Path, but_bytes: int
) -> None:
    async with opened(path) as store:
        await store.append([a_start("lobby"), a_batch("other", events=2)])
        filler = fill(disk, but_bytes=but_bytes)
        on = 2
        with anyio.fail_after(60):
            while await appended(store, on):
                on += 1
        assert await store.read("other", 0, 1_000) == Events([a_record(seq) for seq in range(1, on + 1)])
        terminal = a_batch("lobby", on=1, records=[a_record(2, b"x" * 50_000)], released=["r1"], sync=True)
        assert list(await store.append([terminal])) == [Committed(2)]
        assert await store.head("lobby") == Head("lobby", EPOCH, 2, 0)
        assert list(await store.held()) == []
        filler.unlink()
        with anyio.fail_after(60):
            while not (await appended(store, on) and ballast_path(path).exists()):
                head = await store.head("other")
                on = head.seq if head else 0
    assert not ballast_path(path).exists(), "a closed store keeps no room"


@pytest.mark.anyio
async def test_while_its_folder_is_gone_a_store_refuses_and_it_works_again_when_that_is_back(tmp_path: Path) -> None:
    folder, away = tmp_path / "data", tmp_path / "away"
    async with opened(folder / "roomcast.db") as store:
        await store.append([a_batch("lobby")])
        folder.rename(away)
        await anyio.sleep(2 * LOOK_INTERVAL_S)
        with pytest.raises(StorageUnavailable):
            await store.append([a_batch("lobby", on=1)])
        away.rename(folder)
        assert list(await store.append([a_batch("lobby", on=1)])) == [Committed(2)]


@pytest.mark.anyio
async def test_without_a_reserve_a_full_disk_refuses_terminals_too(disk: MountedDisk, path: Path) -> None:
    async with open_sqlite(path, clock=ManualClock()) as store:
        await store.append([a_start("lobby")])
        fill(disk, but_bytes=0)
        terminal = a_batch("lobby", on=1, records=[a_record(2, b"x" * 500_000)], released=["r1"])
        with pytest.raises(StorageFull):
            await store.append([terminal])

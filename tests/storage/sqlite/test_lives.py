"""Tests of roomcast/storage/sqlite/lives.py: when the logs of a store get new names, and when not.

Files are copied aside while a process runs on them, and put back: that is what a crash of the
host, a cut write-ahead log and an older file look like to whoever opens them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import AsyncGenerator, MutableMapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import pytest
from structlog.testing import capture_logs

from roomcast.core.ports import Checkpoint, Committed, Conflict, Events, Head
from roomcast.storage.sqlite import SqliteStore, open_sqlite
from roomcast.storage.sqlite.errors import StoreUnusable
from roomcast.storage.sqlite.lives import HOST_RESTARTED, MARK_AHEAD, MARK_MISSING, host_boot_id
from roomcast.storage.sqlite.mark import mark_path
from tests.conformance.examples import EPOCH, ManualClock, a_batch, a_record

pytestmark = pytest.mark.anyio

FILES = ("roomcast.db", "roomcast.db-wal", "roomcast.mark")


@dataclass
class Place:
    """A store's folder, and what is told of it.

    Attributes:
        renewals: Why logs were renamed, one for each time.
    """

    folder: Path
    boot_id: str | None = "boot 1"
    renewals: list[str] = field(default_factory=list[str])

    @property
    def path(self) -> Path:
        return self.folder / "roomcast.db"

    @asynccontextmanager
    async def store(self, durability: Literal["process", "host"] = "process") -> AsyncGenerator[SqliteStore]:
        opening = open_sqlite(self.path, clock=ManualClock(), durability=durability, boot_id=lambda: self.boot_id)
        with capture_logs() as lines:
            store = await opening.__aenter__()
        self.renewals += [line["reason"] for line in lines if self.is_renewal(line)]
        try:
            yield store
        finally:
            await opening.__aexit__(None, None, None)

    def is_renewal(self, line: MutableMapping[str, Any]) -> bool:
        if line["event"] != "epochs_renewed":
            return False
        assert (line["log_level"], line["path"]) == ("warning", str(self.path))
        return True

    def copy_aside(self, name: str, *files: str) -> Path:
        """What a crash at this moment would leave."""
        aside = self.folder.parent / name
        aside.mkdir()
        for file in files or FILES:
            if (self.folder / file).exists():
                shutil.copyfile(self.folder / file, aside / file)
        return aside

    def put_back(self, aside: Path) -> None:
        """The files of `aside` instead of what is there; a file that it has not stays."""
        for name in ("roomcast.db-wal", "roomcast.db-shm"):
            (self.folder / name).unlink(missing_ok=True)
        for file in aside.iterdir():
            shutil.copyfile(file, self.folder / file.name)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    (tmp_path / "data").mkdir()
    return Place(tmp_path / "data")


async def write(store: SqliteStore, seq: int, room: str = "lobby", checkpoint: bytes | None = None) -> None:
    head = await store.head(room)
    outcomes = await store.append(
        [a_batch(room, on=seq - 1, epoch=head.epoch if head else EPOCH, checkpoint=checkpoint)]
    )
    assert list(outcomes) == [Committed(seq)]


async def epoch(store: SqliteStore, room: str = "lobby") -> str:
    head = await store.head(room)
    assert head is not None
    return head.epoch


# ---- names stay


async def test_a_store_that_was_closed_keeps_its_names_also_when_the_host_restarts(place: Place) -> None:
    async with place.store() as store:
        await write(store, 1)
    place.boot_id = "boot 2"
    async with place.store() as store:
        assert await epoch(store) == EPOCH
    assert place.renewals == []


async def test_what_a_kill_leaves_keeps_its_names(place: Place) -> None:
    async with place.store() as store:
        await write(store, 1)
        await store.beat("n1")  # a commit that no viewer can see
        left = place.copy_aside("left")
    for times in range(2):
        place.put_back(left)
        async with place.store() as store:
            assert await epoch(store) == EPOCH
            left = place.copy_aside(f"left {times}")
    assert place.renewals == []


async def test_a_deleted_room_takes_no_commit_with_it(place: Place) -> None:
    """The newest commits are told by the rooms that they wrote, and this one is gone."""
    async with place.store() as store:
        await write(store, 1)
        await store.append([a_batch("attic", epoch="ep_attic")])
        await store.append([replace(a_batch("attic", on=1, epoch="ep_attic"), deletes=True)])
        left = place.copy_aside("left")
    place.put_back(left)
    async with place.store() as store:
        assert await epoch(store) == EPOCH
        assert await store.head("attic") is None
    assert place.renewals == []


async def test_a_process_that_is_killed_in_mid_write_keeps_its_names(place: Place) -> None:
    """The real thing: `kill -9`, three times, on this machine's own boot id."""
    place.boot_id = host_boot_id()
    for commits in (1, 30, 10):
        append_and_be_killed(place.path, commits)
        async with place.store() as store:
            assert await epoch(store) == EPOCH
    assert place.renewals == []


async def test_what_a_crash_of_the_host_leaves_of_commits_that_it_confirmed_keeps_its_names(place: Place) -> None:
    async with place.store("host") as store:
        await write(store, 1)
        left = place.copy_aside("left")
    place.put_back(left)
    place.boot_id = "boot 2"
    async with place.store("process") as store:
        assert await epoch(store) == EPOCH
    assert place.renewals == []


# ---- names change


async def test_a_host_that_restarted_under_a_running_store_renames_every_log_and_keeps_the_events(
    place: Place,
) -> None:
    async with place.store() as store:
        for seq in (1, 2):
            await write(store, seq)
        await write(store, 1, "other", checkpoint=b"state")
        left = place.copy_aside("left")
    place.put_back(left)
    place.boot_id = "boot 2"
    async with place.store("host") as store:
        assert place.renewals == [HOST_RESTARTED]
        names = {EPOCH, await epoch(store), await epoch(store, "other")}
        assert len(names) == 3, "each log has a name of its own, and none the old one"
        assert await store.head("lobby") == Head("lobby", await epoch(store), seq=2, floor=0)
        assert await store.read("lobby", 0, 10) == Events([a_record(1), a_record(2)])
        assert await store.checkpoint("other") == Checkpoint(await epoch(store, "other"), 1, b"state")
        stale = await store.append([a_batch(on=2)])
        assert list(stale) == [Conflict(Head("lobby", await epoch(store), 2, 0))]
        await write(store, 3)  # numbers go on
        name = await epoch(store)
    async with place.store() as store:
        assert await epoch(store) == name, "once is enough"
    assert place.renewals == [HOST_RESTARTED]


async def test_where_the_start_of_the_machine_cannot_be_told_every_crash_counts_as_one_of_the_host(
    place: Place,
) -> None:
    place.boot_id = None
    async with place.store() as store:
        await write(store, 1)
        left = place.copy_aside("left")
    async with place.store() as store:
        assert place.renewals == []
    place.put_back(left)
    async with place.store():
        assert place.renewals == [HOST_RESTARTED]


async def test_a_write_ahead_log_that_lost_its_end_renames_every_log(place: Place) -> None:
    """SQLite opens it without a word: the head is just lower."""
    async with place.store() as store:
        for seq in range(1, 41):
            await write(store, seq)
        left = place.copy_aside("left")
    place.put_back(left)
    wal = place.folder / "roomcast.db-wal"
    os.truncate(wal, wal.stat().st_size // 2)
    async with place.store() as store:
        head = await store.head("lobby")
        assert head is not None
        assert 0 < head.seq < 40
        assert head.epoch != EPOCH
        await write(store, head.seq + 1)
    assert place.renewals == [MARK_AHEAD]


@pytest.mark.parametrize("garbage", [b"", b"\xa5" * 50_000], ids=["empty", "garbage"])
async def test_a_write_ahead_log_that_is_none_any_more_renames_every_log(place: Place, garbage: bytes) -> None:
    async with place.store() as store:
        await write(store, 1)
    async with place.store() as store:
        for seq in range(2, 11):
            await write(store, seq)
        left = place.copy_aside("left")
    place.put_back(left)
    (place.folder / "roomcast.db-wal").write_bytes(garbage)
    async with place.store() as store:
        head = await store.head("lobby")
        assert head is not None
        assert (head.seq, head.epoch != EPOCH) == (1, True)
    assert place.renewals == [MARK_AHEAD]


@pytest.mark.parametrize("running", [True, False], ids=["copied while it ran", "copied after it was closed"])
async def test_an_older_file_that_is_put_back_renames_every_log_each_time(place: Place, running: bool) -> None:
    async with place.store() as store:
        await write(store, 1)
        old = place.copy_aside("old", "roomcast.db", "roomcast.db-wal")
    if not running:
        old = place.copy_aside("closed", "roomcast.db")
    async with place.store() as store:
        await write(store, 2)
    names = {EPOCH}
    for times in (1, 2):
        place.put_back(old)
        async with place.store() as store:
            names.add(await epoch(store))
        assert len(names) == 1 + times
    assert place.renewals == [MARK_AHEAD, MARK_AHEAD]


@pytest.mark.parametrize("left", [None, b"", b"123"])
async def test_a_mark_that_is_missing_renames_every_log(place: Place, left: bytes | None) -> None:
    async with place.store() as store:
        await write(store, 1)
    mark_path(place.path).unlink()
    if left is not None:
        mark_path(place.path).write_bytes(left)
    async with place.store() as store:
        assert await epoch(store) != EPOCH
    async with place.store() as store:
        pass
    assert place.renewals == [MARK_MISSING]


async def test_c6_an_empty_file_beside_a_mark_is_refused_and_not_touched(place: Place) -> None:
    async with place.store() as store:
        await write(store, 1)
    place.path.write_bytes(b"")
    with pytest.raises(StoreUnusable, match=r"it is empty, and there were commits: .*roomcast restore FILE"):
        async with place.store():
            pytest.fail("it serves nothing as if that were all")
    assert place.path.read_bytes() == b""
    mark_path(place.path).unlink()
    async with place.store() as store:
        assert await store.head("lobby") is None


async def test_a_new_file_beside_an_old_mark_has_nothing_to_rename(place: Place) -> None:
    async with place.store() as store:
        await write(store, 1)
    place.path.unlink()
    with capture_logs() as lines:
        async with open_sqlite(place.path, clock=ManualClock(), boot_id=lambda: place.boot_id) as store:
            await write(store, 1)
    assert ("warning", "store_missing") in [(line["log_level"], line["event"]) for line in lines]
    async with place.store() as store:
        assert await epoch(store) == EPOCH
    assert place.renewals == []


def append_and_be_killed(path: Path, commits: int) -> None:
    command = [sys.executable, str(Path(__file__).with_name("append_for_ever.py")), str(path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        for _ in range(commits):
            assert process.stdout.readline()
        process.kill()


def test_the_start_of_this_machine_has_a_name() -> None:
    name = host_boot_id()
    assert name is None or len(name) == 36

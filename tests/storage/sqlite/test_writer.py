"""Tests of roomcast/storage/sqlite/writer.py."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Callable
from contextlib import closing
from pathlib import Path

import anyio
import pytest
from structlog.testing import capture_logs

from roomcast.core.errors import StorageDamaged, StorageFull, StorageUnavailable
from tests.storage.sqlite.opened_writer import Opened, Request, denying, large

pytestmark = pytest.mark.anyio


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncGenerator[Opened]:
    opened = Opened(tmp_path / "db")
    yield opened
    await opened.writer.close()


# ---- grouping


async def test_what_waits_is_committed_in_one_transaction(opened: Opened) -> None:
    async with opened.busy():
        futures = [opened.writer.submit(f"n{number}") for number in range(50)]
        before = opened.writer.statistics()
        assert before.waiting == 50
    assert [await future for future in futures] == [f"n{number}" for number in range(50)]
    after = opened.writer.statistics()
    assert (after.waiting, after.requests, after.transactions) == (0, 51, 2)


async def test_a_transaction_takes_a_bounded_number_of_requests(opened: Opened) -> None:
    async with opened.busy():
        futures = [opened.writer.submit(str(number)) for number in range(600)]
    for future in futures:
        await future
    assert opened.writer.statistics().transactions == 1 + 3


async def test_requests_are_carried_out_in_the_order_of_submission(opened: Opened) -> None:
    seen: list[int] = []

    def see(number: int) -> Callable[[sqlite3.Connection], None]:
        return lambda _: seen.append(number)

    async with opened.busy():
        futures = [opened.writer.submit(see(number)) for number in range(20)]
    for future in futures:
        await future
    assert seen == list(range(20))


async def test_a_request_that_nobody_awaits_any_more_is_carried_out(opened: Opened) -> None:
    async with opened.busy():
        opened.writer.submit("forsaken").cancel()
    await opened.writer.submit("last")
    assert opened.nodes() == ["forsaken", "last"]


# ---- synchronous


def synchronous(connection: sqlite3.Connection) -> str:
    (level,) = connection.execute("PRAGMA synchronous").fetchone()
    return {1: "NORMAL", 2: "FULL"}[level]


async def test_a_request_that_asks_for_it_is_synced_and_others_are_not(opened: Opened) -> None:
    asked = [False, True, True, False, True, False]
    levels = [await opened.writer.submit(synchronous, sync=sync) for sync in asked]
    assert levels == ["FULL" if sync else "NORMAL" for sync in asked]


async def test_one_request_that_asks_for_it_has_its_whole_group_synced(opened: Opened) -> None:
    async with opened.busy():
        futures = [opened.writer.submit(synchronous, sync=number == 2) for number in range(4)]
    assert [await future for future in futures] == ["FULL"] * 4


async def test_everything_is_synced_when_that_is_asked_of_the_writer(tmp_path: Path) -> None:
    opened = Opened(tmp_path / "db", always_sync=True)
    assert await opened.writer.submit(synchronous) == "FULL"
    await opened.writer.close()


# ---- errors


def fail(_: sqlite3.Connection) -> None:
    raise LookupError("a mistake")


async def test_after_an_error_nothing_of_the_request_is_left(opened: Opened) -> None:
    def half(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO beats VALUES ('half', 1)")
        raise LookupError

    with pytest.raises(LookupError):
        await opened.writer.submit(half)
    assert not opened.connection.in_transaction
    await opened.writer.submit("next")
    assert opened.nodes() == ["next"]


async def test_a_mistake_in_one_request_does_not_fail_its_group(opened: Opened) -> None:
    async with opened.busy():
        futures = [opened.writer.submit(request) for request in ("a", fail, "b")]
    assert await futures[0] == "a"
    with pytest.raises(LookupError):
        await futures[1]
    assert await futures[2] == "b"
    assert opened.nodes() == ["a", "b"]


def limit_pages(connection: sqlite3.Connection, more: int) -> None:
    """Let the file grow by `more` pages: what SQLite itself calls full."""
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages + more}")


async def test_a_request_that_does_not_fit_is_told_so_and_a_smaller_one_beside_it_fits(opened: Opened) -> None:
    limit_pages(opened.connection, more=2)
    async with opened.busy():
        futures = [opened.writer.submit(request) for request in ("before", large, "after")]
    with pytest.raises(StorageFull, match=r"db: database or disk is full"):
        await futures[1]
    assert [await futures[0], await futures[2]] == ["before", "after"]
    limit_pages(opened.connection, more=100)
    await opened.writer.submit(large)
    assert opened.nodes() == ["after", "before"]


async def test_a_request_for_which_room_was_made_is_tried_again_as_often_as_that_was_done(opened: Opened) -> None:
    limit_pages(opened.connection, more=2)
    opened.rooms_to_make = 2
    with pytest.raises(StorageFull):
        await opened.writer.submit(large)
    assert opened.rooms_to_make == -1
    assert opened.nodes() == []


async def test_a_database_that_somebody_else_locks_is_unavailable_until_they_let_go(opened: Opened) -> None:
    opened.connection.execute("PRAGMA busy_timeout = 0")
    with closing(sqlite3.connect(opened.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageUnavailable, match="database is locked"):
            await opened.writer.submit("refused")
        other.execute("ROLLBACK")
    await opened.writer.submit("accepted")
    assert opened.nodes() == ["accepted"]


@pytest.mark.parametrize("code", [sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT])
async def test_an_engine_that_fails_is_not_asked_again_for_each_of_a_group(opened: Opened, code: int) -> None:
    calls = 0

    def broken(_: sqlite3.Connection) -> None:
        nonlocal calls
        calls += 1
        error = sqlite3.OperationalError("as the engine says")
        error.sqlite_errorcode, error.sqlite_errorname = code, "SQLITE_AS_GIVEN"
        raise error

    async with opened.busy():
        futures = [opened.writer.submit(broken) for _ in range(3)]
    for future in futures:
        with pytest.raises((StorageUnavailable, StorageDamaged)):
            await future
    assert calls == 1


def failing(code: int) -> Request:
    """A request in whose transaction SQLite fails so."""

    def fail(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO beats VALUES ('half', 1)")
        error = sqlite3.OperationalError("as the engine says")
        error.sqlite_errorcode, error.sqlite_errorname = code, "SQLITE_AS_GIVEN"
        raise error

    return fail


async def test_nothing_is_committed_behind_a_failed_sync_before_the_connections_are_renewed(opened: Opened) -> None:
    with pytest.raises(StorageUnavailable):
        await opened.writer.submit(failing(sqlite3.SQLITE_IOERR_FSYNC))
    opened.cannot_renew = StorageUnavailable("still failing")
    for times in (1, 2):
        with pytest.raises(StorageUnavailable, match="still failing"):
            await opened.writer.submit("refused")
        assert (opened.renewed, opened.nodes()) == (times, [])
    opened.cannot_renew = None
    await opened.writer.submit("accepted")
    await opened.writer.submit("another")
    assert (opened.renewed, opened.nodes()) == (3, ["accepted", "another"])


async def test_an_error_of_another_kind_needs_no_renewal(opened: Opened) -> None:
    with pytest.raises(StorageUnavailable):
        await opened.writer.submit(failing(sqlite3.SQLITE_IOERR_WRITE))
    await opened.writer.submit("accepted")
    assert (opened.renewed, opened.nodes()) == (0, ["accepted"])


async def test_a_damaged_file_is_written_no_more_and_the_operator_is_told_once(opened: Opened) -> None:
    await opened.writer.submit("before")
    with capture_logs() as lines:
        for request in (failing(sqlite3.SQLITE_CORRUPT), "refused", "refused"):
            with pytest.raises(StorageDamaged, match="as the engine says"):
                await opened.writer.submit(request)
    assert [line["event"] for line in lines] == ["store_damaged"]
    assert opened.nodes() == ["before"]
    await opened.writer.close()
    assert opened.abandoned


async def test_a_connection_that_is_not_to_be_trusted_empties_no_log_when_it_closes(opened: Opened) -> None:
    with pytest.raises(StorageUnavailable):
        await opened.writer.submit(failing(sqlite3.SQLITE_IOERR_FSYNC))
    await opened.writer.close()
    assert opened.abandoned


async def test_a_transaction_that_could_not_be_rolled_back_is_gone_before_the_next(opened: Opened) -> None:
    """As after a disk that failed twice: once in the transaction, once in its rollback."""

    def stuck(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO beats VALUES ('half', 1)")
        connection.set_authorizer(denying(sqlite3.SQLITE_TRANSACTION, "ROLLBACK"))
        raise LookupError

    with pytest.raises(LookupError):
        await opened.writer.submit(stuck)
    assert opened.connection.in_transaction
    opened.connection.set_authorizer(None)
    await opened.writer.submit("next")
    assert opened.nodes() == ["next"]


# ---- closing


async def test_closing_carries_out_what_waits_and_refuses_the_rest(opened: Opened) -> None:
    futures: list[asyncio.Future[object]] = []
    async with opened.busy(), anyio.create_task_group() as tasks:
        futures.extend(opened.writer.submit(str(number)) for number in range(300))
        tasks.start_soon(opened.writer.close)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(StorageUnavailable, match="the store is closed"):
            opened.writer.submit("late")
        tasks.cancel_scope.cancel()  # whoever closes may give up; the writer does not
    for future in futures:
        await future
    await opened.writer.close()
    assert opened.closed.is_set()
    assert len(opened.nodes()) == 300


async def test_a_closed_writer_leaves_one_file(opened: Opened) -> None:
    await opened.writer.submit("n1")
    assert opened.path.with_name("db-wal").exists()
    await opened.writer.close()
    assert [path.name for path in opened.path.parent.iterdir()] == ["db"]


async def test_the_log_is_emptied_even_if_somebody_else_has_the_file_open(opened: Opened) -> None:
    with closing(sqlite3.connect(opened.path)) as other:
        assert other.execute("SELECT count(*) FROM beats").fetchone() == (0,)
        await opened.writer.submit("n1")
        await opened.writer.close()
        assert opened.path.with_name("db-wal").stat().st_size == 0


async def test_a_log_that_cannot_be_emptied_is_no_obstacle_to_closing(opened: Opened) -> None:
    await opened.writer.submit("n1")
    opened.connection.set_authorizer(denying(sqlite3.SQLITE_PRAGMA, "wal_checkpoint"))
    await opened.writer.close()
    assert opened.closed.is_set()
    assert opened.nodes() == ["n1"]

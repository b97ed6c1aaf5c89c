"""Tests of roomcast/storage/sqlite/trimming.py; the conformance suite has what is kept."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import closing
from pathlib import Path

import pytest

from roomcast.core.ports import Retention
from roomcast.storage.sqlite import open_sqlite
from roomcast.storage.sqlite.appending import Write, apply
from roomcast.storage.sqlite.schema import MIGRATIONS
from roomcast.storage.sqlite.trimming import TRIM_ROOMS, Page, Trim, exceeding, trim
from tests.conformance.examples import ManualClock, a_batch
from tests.storage.sqlite.files import database

KEEP_TWO = Retention(age_s=1_000_000, size_bytes=10**9, events=2)


@pytest.fixture
def connection(tmp_path: Path) -> Generator[sqlite3.Connection]:
    with database(tmp_path / "db") as connection:
        yield connection


def append(connection: sqlite3.Connection, *rooms: str, events: int = 5) -> None:
    batches = [a_batch(room, events=events, checkpoint=b"state") for room in rooms]
    apply(connection, [Write(batches)], ahead_ms=0, aged_ms=0, commit=1)


def test_the_bytes_of_a_room_are_those_of_the_events_that_it_holds(connection: sqlite3.Connection) -> None:
    append(connection, "a", "b")
    apply(connection, [Write([a_batch("a", on=5)]), Write([a_batch("a", on=6)])], ahead_ms=0, aged_ms=0, commit=2)
    trim(connection, Trim(["a"], KEEP_TWO, now_ms=0))
    for room in "ab":
        (counted,) = connection.execute("SELECT bytes FROM rooms WHERE name = ?", (room,)).fetchone()
        (held,) = connection.execute("SELECT sum(length(data)) FROM events WHERE room = ?", (room,)).fetchone()
        assert counted == held


def test_only_so_many_rooms_are_trimmed_at_a_time(connection: sqlite3.Connection) -> None:
    rooms = [f"r{number:02}" for number in range(TRIM_ROOMS + 3)]
    append(connection, *rooms)
    assert exceeding(connection, "", KEEP_TWO, 0) == Page(rooms[:TRIM_ROOMS], None)
    trim(connection, Trim(rooms[:TRIM_ROOMS], KEEP_TWO, now_ms=0))
    assert exceeding(connection, "", KEEP_TWO, 0) == Page(rooms[TRIM_ROOMS:], None)


def test_a_look_that_did_not_see_every_room_says_where_to_go_on(connection: sqlite3.Connection) -> None:
    names = [f"r{number:04}" for number in range(1_001)]
    append(connection, *names, events=1)
    page = exceeding(connection, "", KEEP_TWO, 0)
    assert page == Page([], names[999])
    assert page.after is not None
    assert exceeding(connection, page.after, KEEP_TWO, 0) == Page([], None)


def test_a_log_with_a_hole_does_not_hold_trimming_up(connection: sqlite3.Connection) -> None:
    append(connection, "a")
    connection.execute("DELETE FROM events WHERE room = 'a'")
    assert trim(connection, Trim(["a", "nowhere"], KEEP_TWO, now_ms=0)) == []


@pytest.mark.anyio
async def test_every_room_is_reached_though_one_look_does_not_see_them_all(tmp_path: Path) -> None:
    async with open_sqlite(tmp_path / "db", clock=ManualClock(), retention=KEEP_TWO) as store:
        for number in range(1_010):
            await store.append([a_batch(f"r{number:04}", events=1 if number % 500 else 5, checkpoint=b"state")])
        while await store.trim():
            pass
        heads = [await store.head(room) for room in ("r0000", "r0500", "r1000")]
        assert [head.floor for head in heads if head] == [3, 3, 3]


@pytest.mark.anyio
async def test_trimming_goes_on_past_a_room_that_cannot_be_trimmed(tmp_path: Path) -> None:
    async with open_sqlite(tmp_path / "db", clock=ManualClock(), retention=KEEP_TWO) as store:
        await store.append([a_batch("a", events=5, checkpoint=b"state"), a_batch("b", events=5, checkpoint=b"state")])
        with closing(sqlite3.connect(tmp_path / "db")) as other, other:
            other.execute("DELETE FROM events WHERE room = 'a'")
        for _ in range(10):
            if not await store.trim():
                break
        else:
            pytest.fail("it never ends")
        head = await store.head("b")
        assert head is not None
        assert head.floor == 3


def test_a_file_from_before_gets_the_bytes_of_its_events_and_a_time_for_them(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "old", isolation_level=None)) as old:
        for statement in [*MIGRATIONS[0], *MIGRATIONS[1]]:
            old.execute(statement)
        old.execute("INSERT INTO rooms VALUES ('a', 'e', 2, 0, NULL, 0, 0), ('b', 'e', 0, 0, NULL, 0, 0)")
        old.executemany("INSERT INTO events VALUES ('a', ?, 'x', ?)", [(1, b"12"), (2, b"345")])
        for statement in MIGRATIONS[2]:
            old.execute(statement)
        assert old.execute("SELECT bytes FROM rooms ORDER BY name").fetchall() == [(5,), (0,)]
        assert old.execute("SELECT count(*) FROM events WHERE at > 1600000000000").fetchone() == (2,)

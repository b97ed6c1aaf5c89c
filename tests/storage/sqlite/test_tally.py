"""Tests of roomcast/storage/sqlite/tally.py: the mark goes along with the commits, never ahead."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from pathlib import Path

import pytest

from roomcast.storage.retaining import Ages
from roomcast.storage.sqlite.appending import Write
from roomcast.storage.sqlite.mark import mark_path, marked
from roomcast.storage.sqlite.tally import Tally
from tests.conformance.examples import ManualClock, a_batch
from tests.storage.sqlite.files import database


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "db"


@pytest.fixture
def connection(path: Path) -> Generator[sqlite3.Connection]:
    with database(path) as connection:
        yield connection


def shown(path: Path) -> int:
    return int.from_bytes(mark_path(path).read_bytes(), "little")


def newest(connection: sqlite3.Connection) -> int:
    (number,) = connection.execute("SELECT max(written) FROM rooms").fetchone()
    return int(number)


def test_each_commit_has_the_next_number_in_its_rooms_and_then_in_the_mark(
    path: Path, connection: sqlite3.Connection
) -> None:
    with marked(path) as mark:
        tally = Tally(mark, 10, ages=Ages(ManualClock()))
        assert shown(path) == 10
        for head in range(3):
            tally.transact(connection, [Write([a_batch("a", on=head)]), Write([a_batch("b", on=head)])])
            assert (newest(connection), shown(path)) == (11 + head, 10 + head)
            tally.committed()
            assert shown(path) == 11 + head


def test_what_was_rolled_back_does_not_count(path: Path, connection: sqlite3.Connection) -> None:
    with marked(path) as mark:
        tally = Tally(mark, 10, ages=Ages(ManualClock()))
        connection.execute("BEGIN")
        tally.transact(connection, [Write([a_batch()])])
        connection.execute("ROLLBACK")
        tally.transact(connection, [Write([a_batch()])])
        tally.committed()
        assert (newest(connection), shown(path)) == (11, 11)


def test_what_writes_no_room_leaves_the_mark_where_the_file_is(path: Path, connection: sqlite3.Connection) -> None:
    with marked(path) as mark:
        tally = Tally(mark, 10, ages=Ages(ManualClock()))
        tally.transact(connection, [Write([a_batch()])])
        tally.committed()
        tally.transact(connection, [Write(beats=["n1"]), Write([a_batch()])])  # the batch conflicts
        tally.committed()
        assert (newest(connection), shown(path)) == (11, 11)

"""Tests of roomcast/storage/sqlite/connections.py."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from roomcast.storage.sqlite.connections import connect_reader, connect_writer, has_wal_reset_bug
from tests.storage.sqlite.files import database


@pytest.mark.parametrize(
    ("version", "affected"),
    [
        ((3, 6, 23), False),
        ((3, 7, 0), True),
        ((3, 40, 1), True),
        ((3, 44, 5), True),
        ((3, 44, 6), False),
        ((3, 45, 9), True),
        ((3, 50, 6), True),
        ((3, 50, 7), False),
        ((3, 51, 2), True),
        ((3, 51, 3), False),
        ((3, 53, 0), False),
        ((4, 0, 0), False),
    ],
)
def test_the_versions_with_the_wal_reset_bug_are_known(version: tuple[int, int, int], affected: bool) -> None:
    assert has_wal_reset_bug(version) is affected


def test_the_writer_keeps_a_write_ahead_log(tmp_path: Path) -> None:
    with database(tmp_path / "db") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_reader_sees_what_was_committed_while_the_writer_writes(tmp_path: Path) -> None:
    with database(tmp_path / "db") as writer, closing(connect_reader(tmp_path / "db")) as reader:
        writer.execute("INSERT INTO beats VALUES ('n1', 1)")
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("INSERT INTO beats VALUES ('n2', 1)")
        assert reader.execute("SELECT node FROM beats").fetchall() == [("n1",)]
        writer.execute("COMMIT")
        assert reader.execute("SELECT node FROM beats").fetchall() == [("n1",), ("n2",)]


def test_a_reader_can_neither_write_nor_checkpoint(tmp_path: Path) -> None:
    with database(tmp_path / "db") as writer, closing(connect_reader(tmp_path / "db")) as reader:
        writer.execute("INSERT INTO beats VALUES ('n1', 1)")
        before = (tmp_path / "db").read_bytes()
        for statement in ("DELETE FROM beats", "PRAGMA wal_checkpoint(TRUNCATE)"):
            with pytest.raises(sqlite3.OperationalError):
                reader.execute(statement)
        assert (tmp_path / "db").read_bytes() == before


def test_a_reader_makes_no_file(tmp_path: Path) -> None:
    with pytest.raises(sqlite3.OperationalError, match="unable to open"):
        connect_reader(tmp_path / "db")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["with space", "what?mode=memory", "100%25#", "ünï"])
def test_any_file_name_will_do(tmp_path: Path, name: str) -> None:
    with database(tmp_path / name) as writer, closing(connect_reader(tmp_path / name)) as reader:
        writer.execute("INSERT INTO beats VALUES ('n1', 1)")
        assert reader.execute("SELECT count(*) FROM beats").fetchone() == (1,)
    assert (tmp_path / name).exists()


def test_a_file_that_may_not_be_used_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "db"
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE theirs (n)")
    before = path.read_bytes()

    def refuse(connection: sqlite3.Connection) -> None:
        raise LookupError

    with pytest.raises(LookupError):
        connect_writer(path, prepare=refuse)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]

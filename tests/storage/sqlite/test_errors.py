"""Tests of roomcast/storage/sqlite/errors.py."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from roomcast.core.errors import ServerError, StorageDamaged, StorageError, StorageFull, StorageUnavailable
from roomcast.storage.sqlite.errors import StoreInUse, StoreUnusable, SyncFailed, translated

PATH = Path("data/roomcast.db")


def an_error(code: int) -> sqlite3.Error:
    error = sqlite3.OperationalError("what SQLite says")
    error.sqlite_errorcode = code
    error.sqlite_errorname = "SQLITE_SOMETHING"
    return error


@pytest.mark.parametrize(
    ("code", "ours"),
    [
        (sqlite3.SQLITE_FULL, StorageFull),
        (sqlite3.SQLITE_CORRUPT, StorageDamaged),
        (sqlite3.SQLITE_CORRUPT_INDEX, StorageDamaged),
        (sqlite3.SQLITE_NOTADB, StorageDamaged),
        (sqlite3.SQLITE_IOERR, StorageUnavailable),
        (sqlite3.SQLITE_IOERR_WRITE, StorageUnavailable),
        (sqlite3.SQLITE_IOERR_FSYNC, SyncFailed),
        (sqlite3.SQLITE_IOERR_DIR_FSYNC, SyncFailed),
        (sqlite3.SQLITE_BUSY, StorageUnavailable),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, StorageUnavailable),
        (sqlite3.SQLITE_READONLY_DBMOVED, StorageUnavailable),
        (sqlite3.SQLITE_CANTOPEN, StorageUnavailable),
    ],
)
def test_each_kind_of_error_is_ours_and_names_the_file(code: int, ours: type[StorageError]) -> None:
    with (
        pytest.raises(ours, match=r"^data/roomcast\.db: what SQLite says \(SQLITE_SOMETHING\)$") as raised,
        translated(PATH),
    ):
        raise an_error(code)
    assert type(raised.value) is ours
    assert isinstance(raised.value.__cause__, sqlite3.OperationalError)


def test_a_mistake_in_a_statement_stays_what_it_is(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "db")) as connection:
        with pytest.raises(sqlite3.OperationalError, match="syntax error"), translated(PATH):
            connection.execute("SELEKT")
        with pytest.raises(sqlite3.IntegrityError), translated(PATH):
            connection.executescript("CREATE TABLE t (n INTEGER NOT NULL); INSERT INTO t VALUES (NULL)")


def test_a_misused_connection_stays_what_it_is(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "db")
    connection.close()
    with pytest.raises(sqlite3.ProgrammingError), translated(PATH):
        connection.execute("SELECT 1")


def test_a_store_in_use_names_the_folder_and_who_has_it() -> None:
    assert str(StoreInUse(Path("data"), 42)) == (
        "the store data cannot be used: process 42 is using it, and a store is for one process"
    )
    assert "another process is using it" in str(StoreInUse(Path("data"), None))


def test_errors_of_opening_are_the_servers_own() -> None:
    assert issubclass(StoreInUse, StoreUnusable)
    assert issubclass(StoreUnusable, ServerError)
    assert StoreUnusable(PATH, "no").path == PATH

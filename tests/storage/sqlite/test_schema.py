"""Tests of roomcast/storage/sqlite/schema.py."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from roomcast.storage.sqlite.errors import StoreUnusable
from roomcast.storage.sqlite.schema import APPLICATION_ID, MIGRATIONS, prepare, store_id
from tests.storage.sqlite.files import database


def test_a_new_file_gets_every_table_and_the_newest_version(tmp_path: Path) -> None:
    with database(tmp_path / "db") as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
        assert tables == {"meta", "rooms", "events", "checkpoints", "receipts", "holds", "items", "beats"}
        assert connection.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
        assert connection.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)


def test_every_table_is_strict(tmp_path: Path) -> None:
    with database(tmp_path / "db") as connection:
        lax = connection.execute(
            "SELECT name FROM pragma_table_list WHERE schema = 'main' AND name NOT LIKE 'sqlite%' AND NOT strict"
        )
        assert lax.fetchall() == []


def test_a_store_keeps_its_name(tmp_path: Path) -> None:
    with database(tmp_path / "a") as first, database(tmp_path / "b") as other:
        name = store_id(first)
        assert len(name) == 32
        assert store_id(other) != name
    with database(tmp_path / "a") as again:
        assert store_id(again) == name


def test_a_file_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "db"
    with database(path) as connection:
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    with pytest.raises(StoreUnusable, match=f"db cannot be used: it has schema {len(MIGRATIONS) + 1}"), database(path):
        pytest.fail("opened what it does not know")


@pytest.mark.parametrize("theirs", ["CREATE TABLE theirs (n)", "PRAGMA user_version = 1", "PRAGMA application_id = 7"])
def test_the_database_of_another_program_is_refused(tmp_path: Path, theirs: str) -> None:
    path = tmp_path / "db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(theirs)
    with pytest.raises(StoreUnusable, match="db cannot be used: it is another program's database"), database(path):
        pytest.fail("took over what is not ours")


def test_an_upgrade_that_fails_leaves_nothing(tmp_path: Path) -> None:
    """As if the power went: the statement that makes `items` is the first that cannot be carried out."""
    path = tmp_path / "db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:

        def refuse(action: int, *names: str | None) -> int:
            return (
                sqlite3.SQLITE_DENY
                if (action, names[0]) == (sqlite3.SQLITE_CREATE_TABLE, "items")
                else sqlite3.SQLITE_OK
            )

        connection.set_authorizer(refuse)
        with pytest.raises(sqlite3.DatabaseError, match="not authorized"):
            prepare(connection, path)
        assert not connection.in_transaction
        assert connection.execute("SELECT count(*) FROM sqlite_schema").fetchone() == (0,)
    with database(path) as connection:
        assert connection.execute("SELECT count(*) FROM items").fetchone() == (0,)

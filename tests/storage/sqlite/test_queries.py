"""Tests of roomcast/storage/sqlite/queries.py; the conformance suite has what each answers."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from roomcast.core.errors import StorageDamaged
from roomcast.core.ports import Events, Hold
from roomcast.storage.sqlite import queries
from roomcast.storage.sqlite.appending import Write, apply
from tests.conformance.examples import a_batch, a_key, a_receipt, a_record, an_item
from tests.storage.sqlite.files import database


@pytest.fixture
def connection(tmp_path: Path) -> Generator[sqlite3.Connection]:
    with database(tmp_path / "db") as connection:
        yield connection


ON_THE_HOT_PATH: dict[str, Callable[[sqlite3.Connection], object]] = {
    "read": lambda connection: queries.read(connection, "lobby", 3, 10, 10**9),
    "head": lambda connection: queries.head(connection, "lobby"),
    "list": lambda connection: queries.rooms(connection, "lobby", 10),
    "checkpoint": lambda connection: queries.checkpoint(connection, "lobby"),
    "receipts": lambda connection: queries.receipts(connection, [a_key()], 0),
    "newest items": lambda connection: queries.items(connection, "lobby", None, 10),
    "older items": lambda connection: queries.items(connection, "lobby", "i1", 10),
    "item": lambda connection: queries.item(connection, "lobby", "i1"),
    "append": lambda connection: apply(
        connection,
        [Write([a_batch(receipts=[a_receipt()], holds=[Hold("lobby", "r1", "n1")], released=["r2"])], ["n1"])],
        ahead_ms=0,
        aged_ms=0,
        commit=1,
    ),
}


@pytest.mark.parametrize("name", ON_THE_HOT_PATH)
def test_no_query_looks_through_a_whole_table_or_sorts_it(connection: sqlite3.Connection, name: str) -> None:
    statements: list[str] = []
    connection.set_trace_callback(statements.append)
    ON_THE_HOT_PATH[name](connection)
    connection.set_trace_callback(None)
    plans = [
        step
        for statement in statements
        if not statement.lstrip().startswith("--")
        for *_, step in connection.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall()
    ]
    tables = ("rooms", "events", "checkpoints", "receipts", "holds", "items", "beats")
    assert [step for step in plans if step.startswith("SCAN") and step.split()[1] in tables] == []
    assert [step for step in plans if "TEMP B-TREE FOR ORDER BY" in step] == []


def test_a_thousand_events_are_one_row(connection: sqlite3.Connection) -> None:
    """Each row costs a thread up to five milliseconds beside a busy event loop."""
    apply(connection, [Write([a_batch(events=1_000)])], ahead_ms=0, aged_ms=0, commit=1)
    rows = 0

    def count(cursor: sqlite3.Cursor, row: tuple[object, ...]) -> tuple[object, ...]:
        nonlocal rows
        rows += 1
        return row

    connection.row_factory = count
    events = queries.read(connection, "lobby", 0, 1_000, 10**9)
    assert isinstance(events, Events)
    assert (len(events.records), rows) == (1_000, 1)


@pytest.mark.parametrize("missing", [1, 3])
def test_a_hole_in_the_log_is_damage_and_not_an_answer(connection: sqlite3.Connection, missing: int) -> None:
    apply(connection, [Write([a_batch(events=5)])], ahead_ms=0, aged_ms=0, commit=1)
    connection.execute("DELETE FROM events WHERE seq = ?", (missing,))
    with pytest.raises(StorageDamaged, match="room lobby: the log has a hole after event 0"):
        queries.read(connection, "lobby", 0, 10, 10**9)
    assert queries.read(connection, "lobby", 3, 10, 10**9) == Events([a_record(4), a_record(5)])


def test_a_log_that_ends_before_its_head_is_damage_and_not_an_answer(connection: sqlite3.Connection) -> None:
    apply(connection, [Write([a_batch(events=5)])], ahead_ms=0, aged_ms=0, commit=1)
    connection.execute("DELETE FROM events WHERE seq = 5")
    with pytest.raises(StorageDamaged, match="room lobby: the log has a hole after event 4"):
        queries.read(connection, "lobby", 4, 10, 10**9)


def test_items_of_a_page_are_cut_where_they_were_joined(connection: sqlite3.Connection) -> None:
    parts = [b"", b"\x00", b"\xff\xfe", b"", "🎉".encode()]
    items = [an_item(f"i{number}", number, part) for number, part in enumerate(parts)]
    apply(connection, [Write([a_batch(items=items)])], ahead_ms=0, aged_ms=0, commit=1)
    assert queries.items(connection, "lobby", None, 10) == parts[::-1]

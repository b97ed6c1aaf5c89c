"""Tests of roomcast/storage/sqlite/appending.py; the conformance suite has what an append does."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from pathlib import Path

import pytest

from roomcast.core.ports import Committed, Conflict, Head, Hold
from roomcast.storage.sqlite.appending import ROWS_PER_STATEMENT, Write, apply
from roomcast.storage.sqlite.queries import head, held, rooms
from tests.conformance.examples import EPOCH, a_batch, a_receipt, an_item
from tests.storage.sqlite.files import database


@pytest.fixture
def connection(tmp_path: Path) -> Generator[sqlite3.Connection]:
    with database(tmp_path / "db") as connection:
        yield connection


def test_a_later_call_of_a_group_builds_on_an_earlier_one(connection: sqlite3.Connection) -> None:
    first, second, third = apply(
        connection,
        [Write([a_batch(events=2)]), Write([a_batch(on=2)]), Write([a_batch(on=2)])],
        ahead_ms=0,
        aged_ms=0,
        commit=1,
    )
    assert first.outcomes == [Committed(2)]
    assert second.outcomes == [Committed(3)]
    assert third.outcomes == [Conflict(Head("lobby", EPOCH, 3, 0))]
    assert head(connection, "lobby") == Head("lobby", EPOCH, 3, 0)


def test_what_calls_of_a_group_say_of_one_room_holds_in_their_order(connection: sqlite3.Connection) -> None:
    apply(
        connection,
        [
            Write([a_batch(title="first", unfinished=True, holds=[Hold("lobby", "r1", "n1")])]),
            Write([a_batch(on=1, released=["r1"])]),
            Write([a_batch(on=2, title="last", holds=[Hold("lobby", "r1", "n2")])]),
        ],
        ahead_ms=0,
        aged_ms=0,
        commit=1,
    )
    assert [(card.title, card.unfinished) for card in rooms(connection, None, 10)] == [("last", False)]
    assert held(connection) == [Hold("lobby", "r1", "n2")]


def test_only_heads_that_moved_are_told(connection: sqlite3.Connection) -> None:
    (applied,) = apply(
        connection, [Write([a_batch("a"), a_batch("b", on=5), a_batch("c", events=0)])], ahead_ms=0, aged_ms=0, commit=1
    )
    assert applied.moved == [Head("a", EPOCH, 1, 0)]


def test_beats_and_appends_share_a_transaction(connection: sqlite3.Connection) -> None:
    apply(
        connection,
        [Write(beats=["n1"]), Write([a_batch()]), Write(beats=["n1", "n2"])],
        ahead_ms=0,
        aged_ms=0,
        commit=1,
    )
    assert connection.execute("SELECT * FROM beats").fetchall() == [("n1", 2), ("n2", 1)]
    assert head(connection, "lobby") == Head("lobby", EPOCH, 1, 0)


def test_statements_do_not_multiply_with_rooms_and_events(connection: sqlite3.Connection) -> None:
    """Each costs a thread up to five milliseconds beside a busy event loop."""
    seen: list[str] = []
    connection.set_trace_callback(seen.append)
    rooms_in_group, events = 60, 3
    apply(
        connection,
        [
            Write([a_batch(f"r{n}", events=events, items=[an_item("i", 1)], receipts=[a_receipt(room=f"r{n}")])])
            for n in range(rooms_in_group)
        ],
        ahead_ms=0,
        aged_ms=0,
        commit=1,
    )
    statements = [statement for statement in seen if not statement.lstrip().startswith("--")]
    heads_rooms_items_receipts_expiry = 5
    assert len(statements) <= heads_rooms_items_receipts_expiry + -(-rooms_in_group * events // ROWS_PER_STATEMENT)


def test_expired_receipts_go_with_later_ones_a_few_at_a_time(connection: sqlite3.Connection) -> None:
    def kept() -> int:
        (count,) = connection.execute("SELECT count(*) FROM receipts").fetchone()
        return int(count)

    old = [a_receipt(f"old{number}", expires_at=10) for number in range(10)]
    apply(connection, [Write([a_batch(receipts=old)])], ahead_ms=0, aged_ms=0, commit=1)
    counts: list[int] = []
    for number in range(1, 7):
        receipt = a_receipt(f"new{number}", expires_at=100)
        apply(connection, [Write([a_batch(on=number, receipts=[receipt])])], aged_ms=10, ahead_ms=0, commit=1)
        counts.append(kept())
    assert counts == [9, 8, 7, 6, 5, 6]


def test_a_checkpoint_is_not_rewritten_by_appends_that_have_none(connection: sqlite3.Connection) -> None:
    """A large state in the row that every append updates would cost each of them its size."""
    apply(connection, [Write([a_batch(checkpoint=b"x" * 200_000)])], ahead_ms=0, aged_ms=0, commit=1)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    apply(connection, [Write([a_batch(on=1)])], ahead_ms=0, aged_ms=0, commit=1)
    (_, pages_in_wal, _) = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    assert 0 < pages_in_wal < 10

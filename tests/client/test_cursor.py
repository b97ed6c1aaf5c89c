"""Tests of roomcast/client/cursor.py. U1 … U3 are the invariants of its header."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from roomcast.client.cursor import Coverage, Verdict
from roomcast.core.events import Cursor


def standing_at(seq: int, *, complete: bool = True) -> Coverage:
    coverage = Coverage()
    coverage.start(Cursor("e1", seq), complete=complete)
    return coverage


def test_the_next_number_applies() -> None:
    coverage = standing_at(4)
    assert coverage.take(5) is Verdict.APPLY
    assert coverage.cursor == Cursor("e1", 5)


def test_an_event_that_covers_a_run_moves_behind_all_of_it() -> None:
    coverage = standing_at(4)
    assert coverage.take(9, 5) is Verdict.APPLY
    assert coverage.cursor == Cursor("e1", 9)


def test_what_is_covered_already_is_dropped() -> None:
    coverage = standing_at(4)
    assert [coverage.take(4), coverage.take(3, 1)] == [Verdict.DROP, Verdict.DROP]
    assert coverage.cursor == Cursor("e1", 4)


def test_a_hole_is_a_gap_and_moves_nothing() -> None:
    coverage = standing_at(4)
    assert [coverage.take(6), coverage.take(9, 6)] == [Verdict.GAP, Verdict.GAP]
    assert coverage.cursor == Cursor("e1", 4)


def test_a_run_that_we_have_half_of_is_a_gap() -> None:
    """Its text cannot be cut in two; the server can cut it where we stand."""
    assert standing_at(4).take(6, 3) is Verdict.GAP


def test_a_head_where_we_stand_says_nothing_new() -> None:
    assert standing_at(4).head(Cursor("e1", 4)) is Verdict.DROP


def test_a_head_that_was_overtaken_says_nothing_new() -> None:
    assert standing_at(4).head(Cursor("e1", 3)) is Verdict.DROP


def test_a_head_beyond_us_reveals_a_lost_tail() -> None:
    coverage = standing_at(4)
    assert coverage.head(Cursor("e1", 6)) is Verdict.GAP
    assert coverage.cursor == Cursor("e1", 4)


def test_a_head_of_another_epoch_is_a_gap() -> None:
    assert standing_at(4).head(Cursor("e2", 4)) is Verdict.GAP


def test_a_head_beyond_us_is_coverage_when_we_asked_for_some_kinds_only() -> None:
    coverage = standing_at(4, complete=False)
    assert coverage.head(Cursor("e1", 6)) is Verdict.APPLY
    assert coverage.cursor == Cursor("e1", 6)


def test_a_second_head_after_a_join_that_brought_nothing_is_coverage() -> None:
    """Else a viewer that may not see something would join again every fifteen seconds."""
    coverage = standing_at(4)
    assert coverage.head(Cursor("e1", 6)) is Verdict.GAP
    coverage.start(Cursor("e1", 4), complete=True)
    assert coverage.head(Cursor("e1", 6)) is Verdict.APPLY


def test_a_head_after_an_event_counts_as_the_first_again() -> None:
    coverage = standing_at(4)
    assert coverage.head(Cursor("e1", 6)) is Verdict.GAP
    coverage.start(Cursor("e1", 4), complete=True)
    assert coverage.take(5) is Verdict.APPLY
    assert coverage.head(Cursor("e1", 7)) is Verdict.GAP


def test_forgetting_leaves_no_position() -> None:
    coverage = standing_at(4)
    coverage.forget()
    assert coverage.cursor is None


@given(
    start=st.integers(0, 5),
    arrivals=st.lists(st.tuples(st.integers(1, 30), st.integers(0, 4)), max_size=60),
)
def test_whatever_arrives_each_number_applies_once_and_in_order(start: int, arrivals: list[tuple[int, int]]) -> None:
    coverage, applied = standing_at(start), list[int]()
    for seq, extra in arrivals:
        seq_from = max(1, seq - extra)
        if coverage.take(seq, seq_from) is Verdict.APPLY:
            applied.extend(range(seq_from, seq + 1))
    assert applied == list(range(start + 1, start + 1 + len(applied)))  # U1, U2
    assert coverage.cursor == Cursor("e1", start + len(applied))  # U3

"""Tests of roomcast/storage/appends.py."""

from __future__ import annotations

import pytest

from roomcast.core.ports import Conflict, Head
from roomcast.storage.appends import advance, check
from tests.conformance.examples import a_batch, a_record


def test_a_batch_on_the_head_moves_it_by_its_records() -> None:
    assert advance(Head("lobby", "e1", 4, 2), a_batch(on=4, events=3)) == Head("lobby", "e1", 7, 2)


def test_a_batch_on_nothing_makes_the_room() -> None:
    assert advance(None, a_batch(epoch="mine", events=2)) == Head("lobby", "mine", 2, 0)


def test_a_batch_that_expected_a_room_conflicts_with_an_empty_log() -> None:
    assert advance(None, a_batch(on=1)) == Conflict(Head("lobby", "", 0, 0))


@pytest.mark.parametrize(("on", "epoch"), [(3, "e1"), (5, "e1"), (4, "e2")])
def test_a_batch_on_another_position_conflicts(on: int, epoch: str) -> None:
    head = Head("lobby", "e1", 4, 2)
    assert advance(head, a_batch(on=on, epoch=epoch)) == Conflict(head)


def test_check_lets_pass_what_the_port_allows() -> None:
    check([])
    check([a_batch("a", on=3, events=2), a_batch("b", events=0)])


@pytest.mark.parametrize("seqs", [[4], [6], [5, 5], [5, 7], [6, 5]])
def test_check_refuses_records_that_do_not_follow_the_head(seqs: list[int]) -> None:
    with pytest.raises(AssertionError, match="room lobby: records do not follow the head"):
        check([a_batch(on=4, records=[a_record(seq) for seq in seqs])])


def test_check_refuses_a_log_without_a_name() -> None:
    with pytest.raises(AssertionError, match="a log has a name"):
        check([a_batch(epoch="")])

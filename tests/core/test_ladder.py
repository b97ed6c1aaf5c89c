"""Tests of roomcast/core/ladder.py."""

from __future__ import annotations

import pytest

from roomcast.core.ladder import WORTH_BYTES, Ladder

BIG = 10 * WORTH_BYTES


@pytest.mark.parametrize("policy", ["coalesce", "snapshot", "disconnect"])
def test_the_first_step_is_what_the_viewer_chose_and_it_is_new_once(policy: str) -> None:
    ladder = Ladder(policy)
    assert ladder.step is None
    assert ladder.descend(1, lambda: BIG) == policy
    assert ladder.descend(2, lambda: BIG) is None
    assert ladder.step == policy


def test_merging_is_given_up_when_more_is_missing_than_a_snapshot_has() -> None:
    ladder = Ladder("coalesce")
    ladder.descend(1, lambda: BIG)
    assert ladder.descend(BIG, lambda: BIG) is None
    assert ladder.descend(BIG + 1, lambda: BIG) == "snapshot"
    assert (ladder.step, ladder.descend(2 * BIG, lambda: 1)) == ("snapshot", None)


def test_a_snapshot_is_measured_only_when_it_may_be_smaller() -> None:
    measured: list[int] = []

    def measure() -> int:
        measured.append(BIG)
        return BIG

    ladder = Ladder("coalesce")
    for missing in (1, WORTH_BYTES, WORTH_BYTES + 1, BIG // 2, BIG, BIG + 1):
        ladder.descend(missing, measure)
    assert len(measured) == 2, "once when it began to matter, once when there was as much missing"


def test_little_is_never_worth_a_snapshot() -> None:
    ladder = Ladder("coalesce")
    ladder.descend(1, lambda: 0)
    assert ladder.descend(WORTH_BYTES, lambda: 0) is None


def test_a_snapshot_is_a_new_beginning_of_which_the_end_is_still_to_be_told() -> None:
    ladder = Ladder("coalesce")
    ladder.descend(1, lambda: 0)
    ladder.descend(BIG, lambda: 0)
    ladder.restart()
    assert ladder.step is None
    assert ladder.descend(1, lambda: 0) == "coalesce"
    ladder.restart()
    assert ladder.recover()
    assert not ladder.recover()


def test_nobody_climbs_but_by_catching_up() -> None:
    ladder = Ladder("coalesce")
    assert not ladder.recover()
    ladder.descend(1, lambda: 0)
    ladder.descend(BIG, lambda: 0)
    assert ladder.descend(1, lambda: 0) is None
    assert ladder.step == "snapshot"
    assert ladder.recover()
    assert ladder.descend(1, lambda: 0) == "coalesce"

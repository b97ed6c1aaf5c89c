"""Tests of roomcast/core/attempts.py."""

import pytest

from roomcast.core.attempts import MOST_TRIES, wait_before_retry
from roomcast.core.errors import UpstreamError

LIMITED = UpstreamError("upstream_rate_limited", "slow down", retryable=True, retry_after_ms=2_000)
GONE = UpstreamError("upstream_unavailable", "gone", retryable=True)
REJECTED = UpstreamError("upstream_rejected", "no")


def test_what_cannot_succeed_is_not_tried_again() -> None:
    assert wait_before_retry(REJECTED, 1, left_s=60, roll=0.5) is None


def test_there_is_an_end_to_trying() -> None:
    assert wait_before_retry(GONE, MOST_TRIES - 1, left_s=60, roll=0.5) is not None
    assert wait_before_retry(GONE, MOST_TRIES, left_s=60, roll=0.5) is None


@pytest.mark.parametrize(("tries", "bound_s"), [(1, 0.5), (2, 1.0)])
def test_the_wait_is_a_draw_below_a_bound_that_doubles(tries: int, bound_s: float) -> None:
    assert wait_before_retry(GONE, tries, left_s=60, roll=0.0) == 0.0
    assert wait_before_retry(GONE, tries, left_s=60, roll=0.999) == pytest.approx(0.999 * bound_s)


def test_what_the_upstream_asks_for_is_waited_for() -> None:
    assert wait_before_retry(LIMITED, 1, left_s=60, roll=0.0) == 2.0


def test_a_wait_that_passes_the_deadline_is_not_begun() -> None:
    assert wait_before_retry(LIMITED, 1, left_s=2.0, roll=0.0) is None

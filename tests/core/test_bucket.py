"""Tests of roomcast/core/bucket.py."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given

from roomcast.core.bucket import Bucket


def test_a_full_bucket_gives_its_burst_and_then_nothing() -> None:
    bucket = Bucket(1.0, 2, now_s=0.0)
    assert [bucket.take(0.0) for _ in range(3)] == [1, 0, -1]


def test_tokens_come_back_at_the_rate() -> None:
    bucket = Bucket(10.0, 1, now_s=0.0)
    assert bucket.take(0.0) == 0
    assert bucket.wait_s() == pytest.approx(0.1)
    assert bucket.take(0.1) == pytest.approx(0)
    assert bucket.wait_s() == pytest.approx(0.1)


def test_nothing_is_waited_for_while_a_token_is_there() -> None:
    assert Bucket(10.0, 5, now_s=0.0).wait_s() == 0.0


def test_a_clock_that_goes_back_gives_nothing() -> None:
    bucket = Bucket(10.0, 1, now_s=100.0)
    bucket.take(100.0)
    assert bucket.take(50.0) == -1


@given(waits_s=st.lists(st.floats(0, 10), max_size=30))
def test_what_is_left_stays_between_the_burst_and_its_negative(waits_s: list[float]) -> None:
    bucket, now_s = Bucket(3.0, 4, now_s=0.0), 0.0
    for wait_s in waits_s:
        now_s += wait_s
        assert -4 <= bucket.take(now_s) <= 3


@given(waits_s=st.lists(st.floats(0, 2), max_size=50))
def test_no_pattern_of_asking_gets_more_than_the_burst_and_the_rate(waits_s: list[float]) -> None:
    bucket, now_s = Bucket(2.0, 3, now_s=0.0), 0.0
    granted = 0
    for wait_s in waits_s:
        now_s += wait_s
        granted += bucket.take(now_s) >= 0
    assert granted <= 3 + 2.0 * now_s + 1e-6

"""Tests of roomcast/core/backoff.py."""

from __future__ import annotations

import hypothesis.strategies as st
from hypothesis import given

from roomcast.core.backoff import full_jitter


def test_the_bound_doubles_with_every_failure_up_to_the_cap() -> None:
    bounds = [full_jitter(attempt, base_s=0.5, cap_s=3.0, roll=1.0) for attempt in range(1, 6)]
    assert bounds == [0.5, 1.0, 2.0, 3.0, 3.0]


def test_the_draw_is_uniform_below_the_bound() -> None:
    assert full_jitter(2, base_s=0.5, cap_s=3.0, roll=0.25) == 0.25
    assert full_jitter(2, base_s=0.5, cap_s=3.0, roll=0.0) == 0.0


@given(attempt=st.integers(1, 10**9), roll=st.floats(0, 1, exclude_max=True))
def test_no_number_of_failures_passes_the_cap(attempt: int, roll: float) -> None:
    assert 0 <= full_jitter(attempt, base_s=0.1, cap_s=30.0, roll=roll) <= 30.0

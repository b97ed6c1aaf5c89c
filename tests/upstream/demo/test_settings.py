"""Tests of roomcast/upstream/demo/settings.py."""

from __future__ import annotations

import math

import pytest

from roomcast.upstream.demo.settings import DemoSettings


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("first_token_ms", -1.0),
        ("first_token_ms", math.nan),
        ("tokens_per_second", 0.0),
        ("tokens_per_second", math.nan),
        ("jitter", 1.1),
        ("jitter", -0.1),
    ],
)
def test_a_rhythm_that_cannot_be_played_is_refused_by_name(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=field):
        DemoSettings(**{field: value})  # type: ignore[arg-type]  # all the fields tried here are numbers


def test_no_pause_at_all_is_a_rhythm() -> None:
    assert DemoSettings(first_token_ms=0, tokens_per_second=math.inf, jitter=0).tokens_per_second == math.inf


def test_faults_are_off_unless_asked_for() -> None:
    assert not DemoSettings().faults

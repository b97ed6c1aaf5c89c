"""Tests of roomcast/upstream/demo/steps.py."""

from __future__ import annotations

import math

from roomcast.upstream.demo.settings import DemoSettings
from roomcast.upstream.demo.steps import Pace, Pause


def test_without_jitter_the_rhythm_is_a_metronome() -> None:
    pace = Pace(DemoSettings(first_token_ms=250, tokens_per_second=50, jitter=0), "key")
    assert pace.before_first() == Pause(0.25)
    assert [pace.after_piece() for _ in range(3)] == [Pause(0.02)] * 3


def test_jitter_keeps_the_mean_and_its_bounds() -> None:
    pace = Pace(DemoSettings(tokens_per_second=10, jitter=0.5), "key")
    pauses = [pace.after_piece().seconds for _ in range(2_000)]
    assert all(0.05 <= pause <= 0.15 for pause in pauses)
    assert math.isclose(sum(pauses) / len(pauses), 0.1, rel_tol=0.05)
    assert max(pauses) - min(pauses) > 0.08


def test_the_same_answer_has_the_same_rhythm() -> None:
    def rhythm(key: str, seed: int = 0) -> list[Pause]:
        pace = Pace(DemoSettings(seed=seed), key)
        return [pace.before_first(), *(pace.after_piece() for _ in range(10))]

    assert rhythm("a") == rhythm("a")
    assert rhythm("a") != rhythm("b")
    assert rhythm("a") != rhythm("a", seed=1)


def test_at_infinite_speed_there_is_nothing_to_wait_for() -> None:
    assert Pace(DemoSettings(tokens_per_second=math.inf), "key").after_piece() == Pause(0)

"""Tests of tests/soak/watch.py: what is said of memory is right."""

from __future__ import annotations

import random

import pytest

from tests.soak.watch import Sample, Watch, slope_mib_per_hour
from tests.support.memory import MIB


def samples(mib_per_hour: float, *, pid: int = 1, count: int = 300, noise_mib: float = 0.0) -> list[Sample]:
    """Two seconds apart, beginning at 100 MiB."""
    chance = random.Random(7)
    sizes = [100 + mib_per_hour * at * 2 / 3_600 + chance.uniform(-noise_mib, noise_mib) for at in range(count)]
    return [Sample(at * 2.0, pid, int(size * MIB), 30, 9, 4) for at, size in enumerate(sizes)]


@pytest.mark.parametrize("slope", [-60.0, 0.0, 240.0])
def test_the_slope_is_that_of_the_samples(slope: float) -> None:
    assert slope_mib_per_hour(samples(slope)) == pytest.approx(slope, abs=0.1)
    assert slope_mib_per_hour(samples(slope, noise_mib=5)) == pytest.approx(slope, abs=12)


def test_too_few_samples_have_no_slope() -> None:
    assert slope_mib_per_hour(samples(100, count=2)) == 0


def test_only_the_second_half_of_the_last_life_counts() -> None:
    watch = Watch()
    watch.samples = [*samples(9_000, pid=1), *samples(9_000, pid=2, count=100), *samples(30, pid=2, count=100)]
    assert len(watch.last_life) == 200
    assert watch.slope_mib_per_hour == pytest.approx(30, abs=0.1)

"""Tests of roomcast/observe/loop_lag.py."""

import anyio
import pytest

from roomcast.observe import watch_loop

pytestmark = pytest.mark.anyio

INTERVAL_S = 0.001


class ScriptedClock:
    """Tells the given instants, two for each round: before and after the sleep."""

    def __init__(self, *instants_s: float) -> None:
        self._instants_s = iter(instants_s)
        self.exhausted = anyio.Event()

    def now_ms(self) -> int:
        raise AssertionError("wall time has no say here")

    def monotonic_s(self) -> float:
        try:
            return next(self._instants_s)
        except StopIteration:
            self.exhausted.set()
            return 0.0


class Lags:
    """An observer that keeps the values of histograms."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def count(self, name: str, amount: float = 1, /, **labels: str) -> None:
        raise AssertionError(name)

    def gauge(self, name: str, value: float, /, **labels: str) -> None:
        raise AssertionError(name)

    def time(self, name: str, seconds: float, /, **labels: str) -> None:
        assert name == "roomcast_loop_lag_seconds"
        self.seconds.append(seconds)


async def test_lag_is_what_a_sleep_took_too_long_and_never_negative() -> None:
    lags = Lags()
    clock = ScriptedClock(10.0, 10.0 + INTERVAL_S, 20.0, 20.25 + INTERVAL_S, 30.0, 30.0)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: watch_loop(lags, clock, interval_s=INTERVAL_S))
        await clock.exhausted.wait()
        tasks.cancel_scope.cancel()
    assert lags.seconds == pytest.approx([0.0, 0.25, 0.0], abs=1e-9)

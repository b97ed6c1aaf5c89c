"""Tests of roomcast/observe/loop_lag.py."""

import time

import anyio
import anyio.lowlevel
import pytest

from roomcast.observe import watch_loop

pytestmark = pytest.mark.anyio


class RealClock:
    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic_s(self) -> float:
        return time.monotonic()


class Lags:
    """An observer that keeps the values of histograms."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.seen = anyio.Event()

    def count(self, name: str, amount: float = 1, /, **labels: str) -> None:
        raise AssertionError(name)

    def gauge(self, name: str, value: float, /, **labels: str) -> None:
        raise AssertionError(name)

    def time(self, name: str, seconds: float, /, **labels: str) -> None:
        assert name == "roomcast_loop_lag_seconds"
        self.seconds.append(seconds)
        self.seen.set()


async def test_a_loop_that_was_blocked_shows_as_lag() -> None:
    lags = Lags()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: watch_loop(lags, RealClock(), interval_s=0.01))
        await anyio.lowlevel.checkpoint()
        await anyio.lowlevel.checkpoint()
        time.sleep(0.1)  # noqa: ASYNC251  # blocking the loop is the case
        await lags.seen.wait()
        tasks.cancel_scope.cancel()
    assert max(lags.seconds) > 0.08
    assert min(lags.seconds) >= 0

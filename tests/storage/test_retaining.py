"""Tests of roomcast/storage/retaining.py; the conformance suite has what is kept."""

from __future__ import annotations

from collections.abc import Callable

import anyio
import pytest
from structlog.testing import capture_logs

from roomcast.core.errors import StorageUnavailable
from roomcast.core.ports import Head, Retention
from roomcast.storage import MemoryStore, keep_trimming
from roomcast.storage.retaining import TRIM_BYTES, Ages, surplus
from tests.conformance.examples import EPOCH, a_batch
from tests.support import virtual_time
from tests.support.virtual_time import VirtualClock

KEEP_NOTHING = Retention(age_s=1, size_bytes=0, events=0)


class TwoClocks:
    """A wall clock that can jump, beside one that cannot."""

    def __init__(self) -> None:
        self.wall_ms, self.steady_s = 5_000_000, 70.0

    def now_ms(self) -> int:
        return self.wall_ms

    def monotonic_s(self) -> float:
        return self.steady_s


@pytest.mark.parametrize("jump_ms", [86_400_000, -86_400_000])
def test_a_jump_of_the_wall_clock_makes_nothing_older(jump_ms: int) -> None:
    clock = TwoClocks()
    ages = Ages(clock)
    assert ages.now_ms() == 5_000_000
    clock.wall_ms += jump_ms
    assert ages.now_ms() == 5_000_000
    assert ages.ahead_ms == -jump_ms
    clock.steady_s += 1.5
    assert ages.now_ms() == 5_001_500


def test_one_event_goes_however_large_it_is_and_then_no_more_than_the_bound() -> None:
    sizes = [TRIM_BYTES + 1, TRIM_BYTES - 10, 10, 10]
    for start, gone in ((0, 1), (1, 2)):
        rest = sizes[start:]
        going = surplus(
            [(size, 0) for size in rest], count=len(rest), size_bytes=sum(rest), retention=KEEP_NOTHING, now_ms=0
        )
        assert going == (gone, sum(rest[:gone]))


def test_trimming_goes_on_after_the_store_failed() -> None:
    class Failing(MemoryStore):
        failures = 3

        async def trim(self, told: Callable[[Head], None] | None = None) -> bool:
            if self.failures:
                self.failures -= 1
                raise StorageUnavailable("gone")
            return await super().trim(told)

    async def scenario() -> None:
        store = Failing(clock=VirtualClock(), retention=KEEP_NOTHING)
        await store.append([a_batch(events=2_500, checkpoint=b"state")])
        heads: list[Head] = []
        with capture_logs() as lines:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(keep_trimming, store, heads.append)
                await anyio.sleep(30)
                tasks.cancel_scope.cancel()
        assert [line["event"] for line in lines] == ["trim_failed"], "an outage is told once"
        assert await store.head("lobby") == heads[-1] == Head("lobby", EPOCH, 2_500, 2_500)

    virtual_time.run(scenario())

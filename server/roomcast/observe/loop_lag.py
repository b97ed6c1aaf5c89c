"""How late the event loop is: what a viewer waits before anything is done for it."""

from __future__ import annotations

import anyio

from roomcast.core.ports import Clock, Observer

__all__ = ["watch_loop"]


async def watch_loop(observer: Observer, clock: Clock, *, interval_s: float = 0.5) -> None:
    """Sleep `interval_s` again and again, and record how much longer it took; ends when cancelled."""
    while True:
        due_s = clock.monotonic_s() + interval_s
        await anyio.sleep(interval_s)
        observer.time("roomcast_loop_lag_seconds", max(0.0, clock.monotonic_s() - due_s))

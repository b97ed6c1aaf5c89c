"""An event loop whose clock jumps to the next timer when every task waits.

A test that spans an hour takes a millisecond, and a test that would hang fails at once with
a name for it. Use only with in-memory peers: with a real socket, "nothing is ready" does not
mean "nothing is coming".
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

__all__ = ["Deadlock", "VirtualClock", "run"]

T = TypeVar("T")

_FAR_S = 10 * 365 * 86_400
"""A clock that got here is following a timer set to infinity."""


class Deadlock(RuntimeError):
    """Every task waits and nothing can wake one."""


class _JumpingSelector(selectors.SelectSelector):
    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            if timeout is None or (timeout > 0 and self.now > _FAR_S):
                raise Deadlock("every task waits and nothing can wake one")
            self.now += timeout
        return ready


class _VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Selector loop with a clock that starts at 0.0 and only moves by jumping."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


class VirtualClock:
    """The port `Clock` on the virtual loop; wall time starts in 2026.

    Attributes:
        jump_s: How far somebody has set the wall clock forward, or back.
    """

    def __init__(self) -> None:
        self.jump_s = 0.0

    def now_ms(self) -> int:
        return 1_795_334_400_000 + int((asyncio.get_running_loop().time() + self.jump_s) * 1000)

    def monotonic_s(self) -> float:
        return asyncio.get_running_loop().time()


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run `coroutine` to completion in virtual time."""
    with asyncio.Runner(loop_factory=_VirtualTimeLoop) as runner:
        return runner.run(coroutine)

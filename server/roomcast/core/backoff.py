"""How long to wait before trying again: exponential, with full jitter.

The rule is the one of "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015): a
uniform draw between zero and the exponential bound spreads a herd best.
"""

from __future__ import annotations

__all__ = ["full_jitter"]


def full_jitter(attempt: int, *, base_s: float, cap_s: float, roll: float) -> float:
    """Seconds to wait before try number `attempt` + 1.

    Args:
        attempt: How many tries have failed in a row, from 1.
        base_s: Bound behind the first failure.
        cap_s: Bound that is never passed.
        roll: A uniform random number in [0, 1).
    """
    return roll * min(cap_s, base_s * 2.0 ** min(attempt - 1, 62))

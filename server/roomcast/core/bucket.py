"""A token bucket: so many a second, so many at once. Time is handed in."""

from __future__ import annotations

__all__ = ["Bucket"]


class Bucket:
    """Counts what a rate allows.

    Args:
        rate_per_s: Tokens that come back each second.
        burst: Tokens when it is full; it starts full.
    """

    __slots__ = ("_at_s", "_burst", "_rate_per_s", "_tokens")

    def __init__(self, rate_per_s: float, burst: float, now_s: float) -> None:
        self._rate_per_s = rate_per_s
        self._burst = burst
        self._tokens = burst
        self._at_s = now_s

    def take(self, now_s: float) -> float:
        """Take one token; returns what is left, below zero when there was none.

        A caller that goes on regardless sinks deeper, down to minus `burst`, and climbs out at
        the rate: how far below zero it is says how much it insists.
        """
        passed_s = max(0.0, now_s - self._at_s)
        self._at_s = now_s
        self._tokens = max(-self._burst, min(self._burst, self._tokens + passed_s * self._rate_per_s) - 1)
        return self._tokens

    def wait_s(self) -> float:
        """Seconds until a token is there again."""
        return max(0.0, (1 - self._tokens) / self._rate_per_s)

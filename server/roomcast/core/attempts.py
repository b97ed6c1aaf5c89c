"""Whether a failed attempt is made again: only before any output, a few times, in one deadline.

Output that was shown cannot be taken back by trying again in silence, so a retry after output
is a visible new attempt (a later issue). Before output nobody saw anything, and the same
request may succeed: a rate limit, a failing server, a connection that did not come about.
"""

from __future__ import annotations

from typing import Final

from roomcast.core.backoff import full_jitter
from roomcast.core.errors import UpstreamError

__all__ = ["MOST_TRIES", "wait_before_retry"]

MOST_TRIES: Final = 3
_BASE_S: Final = 0.5
_CAP_S: Final = 8.0


def wait_before_retry(error: UpstreamError, tries: int, *, left_s: float, roll: float) -> float | None:
    """Seconds to wait before the next try, or None when there is to be none.

    Args:
        error: Why the last try failed, before any output.
        tries: How many tries were made, from 1.
        left_s: Seconds until the first output is overdue; what the upstream asks us to wait must fit.
        roll: A uniform random number in [0, 1).
    """
    if not error.retryable or tries >= MOST_TRIES:
        return None
    wait_s = full_jitter(tries, base_s=_BASE_S, cap_s=_CAP_S, roll=roll)
    if error.retry_after_ms is not None:
        wait_s = max(wait_s, error.retry_after_ms / 1000)
    return wait_s if wait_s < left_s else None

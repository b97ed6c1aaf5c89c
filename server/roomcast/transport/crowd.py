"""How many there are, and from where: caps on connections and on how fast they come.

Invariant: what is kept grows with open connections only; the table of rates is bounded, and
forgets whoever was not seen for longest.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from roomcast.core.bucket import Bucket
from roomcast.core.limits import Limits
from roomcast.core.ports import Clock
from roomcast.transport.origins import address_key
from roomcast.transport.rejected import Rejected

__all__ = ["Crowd"]

_ADDRESSES: Final = 4_096
"""Most addresses whose rate is remembered; some 200 bytes each."""

_FULL_RETRY_MS: Final = 5_000


class Crowd:
    """The open connections of this process, and the rate of each address."""

    def __init__(self, limits: Limits, clock: Clock) -> None:
        self._limits = limits
        self._clock = clock
        self._open: dict[str, int] = {}
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()
        self.connections = 0

    @property
    def addresses(self) -> int:
        """Addresses with a connection."""
        return len(self._open)

    @property
    def rates(self) -> int:
        """Addresses whose rate is remembered."""
        return len(self._buckets)

    def enter(self, address: str) -> None:
        """Count a connection in. Raises `Rejected` (429, 503); call `leave` for each that was let in."""
        self.knock(address)
        if self.connections >= self._limits.connections:
            raise Rejected(503, "unavailable", "the server is full; try again later", retry_after_ms=_FULL_RETRY_MS)
        key = address_key(address)
        here = self._open.get(key, 0)
        if here >= self._limits.connections_per_address:
            raise Rejected(
                429, "rate_limited", "your address has as many connections as it may", retry_after_ms=_FULL_RETRY_MS
            )
        self._open[key] = here + 1
        self.connections += 1

    def leave(self, address: str) -> None:
        """Count a connection out."""
        key = address_key(address)
        here = self._open[key] - 1
        if here:
            self._open[key] = here
        else:
            del self._open[key]
        self.connections -= 1

    def knock(self, address: str) -> None:
        """Take one token of the address. Raises `Rejected` (429) when it comes too fast."""
        now_s, key = self._clock.monotonic_s(), address_key(address)
        bucket = self._buckets.get(key)
        if bucket is None:
            limits = self._limits
            bucket = Bucket(limits.handshakes_per_address_per_s, limits.handshakes_per_address_burst, now_s)
            self._buckets[key] = bucket
            if len(self._buckets) > _ADDRESSES:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(key)
        if bucket.take(now_s) < 0:
            wait_ms = int(bucket.wait_s() * 1000) + 1
            raise Rejected(429, "rate_limited", "your address asks too fast; slow down", retry_after_ms=wait_ms)

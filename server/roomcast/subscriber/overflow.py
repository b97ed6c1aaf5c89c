"""Those whose socket is full: hold each to its deadline, and tell it that it lags.

One set for the process, walked a few times a second; connections that keep up are not in it
and cost nothing. No progress for `write_deadline_s` with bytes waiting ends the connection:
no library's keepalive or close does that for a peer that stopped reading.
"""

from __future__ import annotations

from roomcast.core.errors import CloseCode, Disconnect
from roomcast.core.ports import Clock, Observer
from roomcast.subscriber.pump import Pump

__all__ = ["Overflow"]


class Overflow:
    """The connections that are not writable at the moment."""

    def __init__(self, clock: Clock, observer: Observer) -> None:
        self._clock = clock
        self._observer = observer
        self._paused: set[Pump] = set()

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._paused)

    def watch(self, pump: Pump) -> None:
        """A connection stopped taking bytes."""
        pump.progress_at_s = self._clock.monotonic_s()
        pump.progress_bytes = -1
        self._paused.add(pump)

    def tick(self, now_s: float) -> None:
        """Look at each: does it take bytes again, does it get on, has it had its time?"""
        behind, longest_s = 0, 0.0
        for pump in list(self._paused):
            if pump.closed or pump.writable:
                self._paused.discard(pump)
                continue
            waiting_bytes = pump.sink.buffered_bytes()
            if not waiting_bytes:
                # It was found full below high water, so no transport tells that it is not any more.
                self._paused.discard(pump)
                pump.resume()
                continue
            if pump.progress_bytes < 0 or waiting_bytes < pump.progress_bytes:
                if pump.progress_bytes >= 0:
                    pump.progress_at_s = now_s
                pump.progress_bytes = waiting_bytes
            if now_s - pump.progress_at_s >= pump.limits.write_deadline_s:
                self._paused.discard(pump)
                self._observer.count("roomcast_slow_viewers_total", action="abort")
                pump.sink.end(Disconnect(CloseCode.TOO_SLOW, "nothing could be written for too long"))
                continue
            for subscriber in list(pump.subscribers.values()):
                subscriber.check_lag()
                if subscriber.missing_since_s is not None:
                    behind += 1
                    longest_s = max(longest_s, now_s - subscriber.missing_since_s)
        self._observer.gauge("roomcast_viewers_behind", behind)
        self._observer.gauge("roomcast_viewer_lag_max_seconds", longest_s)

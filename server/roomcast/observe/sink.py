"""Where log lines go, without ever waiting for whoever reads them.

A terminal with its output held (Ctrl-S), a full pipe or a slow disk would stop the event loop, and
with it every viewer, for as long as a plain `write` waits. So lines are handed to one thread.

The price: a line is written a moment after the call, and what the thread has not written when the
process is killed is lost (`close` waits for it at an orderly end). When the reader stalls, up to
`limit_bytes` wait; later lines are dropped and counted, and the count is written after the stall.
"""

from __future__ import annotations

import os
import select
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress

__all__ = ["LineSink"]


class LineSink:
    """A file for lines that never blocks and never raises.

    The descriptor is written to directly. A buffered file would be locked by the waiting thread, and
    the interpreter aborts when it finds its standard error locked at exit.

    Args:
        descriptor: Where the thread writes.
        limit_bytes: Most bytes that wait.
        on_dropped: Makes the line that tells how many were dropped.
    """

    def __init__(self, descriptor: int, *, limit_bytes: int, on_dropped: Callable[[int], bytes]) -> None:
        self._descriptor = descriptor
        self._limit_bytes = limit_bytes
        self._on_dropped = on_dropped
        self._waiting: deque[bytes] = deque()
        self._bytes = 0
        self._dropped = 0
        self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="roomcast-log", daemon=True)
        self._thread.start()

    def write(self, line: bytes, /) -> int:
        """Take a line; drop it when too much waits."""
        with self._changed:
            if self._closed or self._bytes + len(line) > self._limit_bytes:
                self._dropped += 1
            else:
                self._waiting.append(line)
                self._bytes += len(line)
                self._changed.notify()
        return len(line)

    def flush(self) -> None:
        """Do nothing: waiting is what this class avoids."""

    def close(self, timeout_s: float) -> None:
        """Write what waits, for at most `timeout_s` seconds, and take no more."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closed)
                if not self._waiting:
                    return
                data, dropped = b"".join(self._waiting), self._dropped
                self._waiting.clear()
                self._bytes = self._dropped = 0
            with suppress(OSError):  # nobody reads any more; there is no better place to say so
                self._write_all(data + (self._on_dropped(dropped) if dropped else b""))

    def _write_all(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[os.write(self._descriptor, rest) :]
            except BlockingIOError:  # another process made the terminal non-blocking
                select.select([], [self._descriptor], [])

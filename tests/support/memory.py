"""What a server holds: memory and descriptors, as the system sees them."""

from __future__ import annotations

import time
from collections import deque
from pathlib import Path

import psutil

from tests.support.server import Server

__all__ = ["MIB", "descriptors", "rss_bytes", "settled_rss_bytes"]

MIB = 1024 * 1024
SAMPLES = 6
INTERVAL_S = 0.25


def rss_bytes(server: Server) -> int:
    """Resident memory now."""
    return int(psutil.Process(server.pid).memory_info().rss)


def settled_rss_bytes(server: Server) -> int:
    """Resident memory once it has stopped growing: what a server loads behind its start is then there."""
    samples: deque[int] = deque(maxlen=SAMPLES)
    while len(samples) < SAMPLES or samples[-1] - samples[0] > MIB // 4:
        if samples:
            time.sleep(INTERVAL_S)
        samples.append(rss_bytes(server))
    return samples[-1]


def descriptors(server: Server) -> int:
    """Open files and sockets."""
    return sum(1 for _ in Path(f"/proc/{server.pid}/fd").iterdir())

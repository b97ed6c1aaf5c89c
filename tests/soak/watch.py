"""What the server holds while it runs, and where it is going."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.error import URLError
from urllib.request import urlopen

import anyio
import psutil

from tests.support.memory import MIB, descriptors, rss_bytes
from tests.support.restarting import Serving
from tests.support.server import Server

__all__ = ["Held", "Sample", "Watch", "held", "slope_mib_per_hour"]

EVERY_S = 2.0
GAUGES = ("roomcast_tasks", "roomcast_rooms_loaded", "roomcast_connections")


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at a server.

    Attributes:
        pid: Tells one life from the next.
    """

    at_s: float
    pid: int
    rss_bytes: int
    descriptors: int
    tasks: float
    rooms: float


@dataclass(frozen=True, slots=True)
class Held:
    """What a server holds that must not grow."""

    descriptors: int
    tasks: float
    rooms: float
    connections: float

    def __str__(self) -> str:
        return f"{self.descriptors} descriptors, {self.tasks:g} tasks, {self.rooms:g} rooms"


class Watch:
    """Looks at the server every two seconds.

    Attributes:
        base: What a server holds that has answered once and is left alone.
        end: The same, after everything.
    """

    def __init__(self) -> None:
        self.samples: list[Sample] = []
        self.base: Held | None = None
        self.end: Held | None = None

    @property
    def last_life(self) -> list[Sample]:
        """Samples since the last start."""
        return [sample for sample in self.samples if sample.pid == self.samples[-1].pid]

    @property
    def steady(self) -> list[Sample]:
        """The second half of the last life: what is made once is made by then."""
        return self.last_life[len(self.last_life) // 2 :]

    @property
    def slope_mib_per_hour(self) -> float:
        """Where memory is going."""
        return slope_mib_per_hour(self.steady)

    async def run(self, serving: Serving) -> None:
        """Look until this is cancelled; a server that is just not there is not looked at."""
        while True:
            await anyio.sleep(EVERY_S)
            server = serving.server
            try:
                now = await anyio.to_thread.run_sync(held, server)
                rss = rss_bytes(server)
            except (OSError, URLError, psutil.Error):
                continue
            self.samples.append(Sample(time.monotonic(), server.pid, rss, now.descriptors, now.tasks, now.rooms))


def held(server: Server) -> Held:
    """What it holds now; gauges are as of the last second."""
    with urlopen(f"{server.url}/metrics", timeout=15) as answer:
        lines = (line.rpartition(" ") for line in answer.read().decode().splitlines() if not line.startswith("#"))
        found = {name: float(value) for name, _, value in lines if name in GAUGES}
    tasks, rooms, connections = (found[name] for name in GAUGES)
    return Held(descriptors(server), tasks, rooms, connections)


def slope_mib_per_hour(samples: Sequence[Sample]) -> float:
    """The slope of memory over time, by least squares; 0 for too few samples."""
    if len(samples) < 3:
        return 0.0
    at_h = [sample.at_s / 3_600 for sample in samples]
    mib = [sample.rss_bytes / MIB for sample in samples]
    mean_h, mean_mib = sum(at_h) / len(at_h), sum(mib) / len(mib)
    spread = sum((at - mean_h) ** 2 for at in at_h)
    return sum((at - mean_h) * (size - mean_mib) for at, size in zip(at_h, mib, strict=True)) / spread

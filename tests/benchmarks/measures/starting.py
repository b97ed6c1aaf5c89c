"""How long a start takes with 100,000 events stored, three rooms of them with an answer that was cut off.

From starting the process to its line that says ready. An empty store is started beside it: the interpreter and the
imports are most of the time. CPU is what the process had used by then, which a busy machine changes less.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter

import anyio
import psutil

from tests.benchmarks.measures.stored import fill
from tests.benchmarks.plan import Plan
from tests.benchmarks.report import Figure
from tests.support.server import roomcast_server

__all__ = ["measure"]

EVENTS = 100_000
TIMES = 3
SETTINGS = {"ROOMCAST_LOG__LEVEL": "warning", "OPENAI_BASE_URL": "http://127.0.0.1:9/v1", "OPENAI_API_KEY": "none"}


def measure(plan: Plan) -> None:
    """Start on a full and on an empty store, in turns."""
    with tempfile.TemporaryDirectory(prefix="roomcast-bench-") as folder:
        plan.report.step(f"starting: storing {EVENTS:,} events")
        full = Path(folder) / "full"
        full.mkdir()
        anyio.run(fill, full / "roomcast.db", EVENTS)
        starts: dict[str, list[tuple[float, float]]] = {"full": [], "empty": []}
        for turn in range(1 if plan.quick else TIMES):
            plan.report.step("starting: roomcast")
            starts["full"].append(_start(full))
            starts["empty"].append(_start(Path(folder) / f"empty-{turn}"))
    for key, found in starts.items():
        title = f"start to ready, {EVENTS if key == 'full' else 0:,} events stored"
        target = 2.0 if key == "full" else None
        plan.report.add(Figure(f"start_{key}_s", title, median(took_s for took_s, _ in found), "s", target))
        plan.report.add(
            Figure(f"start_{key}_cpu_s", f"CPU of it, {key} store", median(cpu_s for _, cpu_s in found), "s")
        )


def _start(data: Path) -> tuple[float, float]:
    """Seconds that passed, and seconds of CPU."""
    began_s = perf_counter()
    with roomcast_server(data, environ=SETTINGS) as server:
        took_s = perf_counter() - began_s
        used = psutil.Process(server.pid).cpu_times()
        server.kill()  # so that the next start finds what a crash leaves
    return took_s, used.user + used.system

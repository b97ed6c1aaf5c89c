"""How much one room takes from a model service: deltas per second, and what a commit takes at light load.

Deltas: one viewer, and a model that sends as fast as the socket takes it, through the real `openai` client. Every
one is committed. Commit: at 50 tokens/s and 100 viewers, from the server's own histogram, so between two of its bounds.
"""

from __future__ import annotations

import re
from itertools import pairwise
from urllib.request import urlopen

from tests.benchmarks.contenders import contender
from tests.benchmarks.plan import Plan
from tests.benchmarks.report import Figure

__all__ = ["measure"]


def measure(plan: Plan) -> None:
    """Measure the commits first: the server's histogram is of everything since its start."""
    with contender("roomcast", plan.tools, plan.core) as server:
        plan.report.step("commits, 100 viewers, 50 tokens/s: roomcast")
        run = server.run("-r", "50", *plan.window, viewers=100)
        plan.report.ran("commits", run)
        with urlopen(f"http://127.0.0.1:{server.port}/metrics") as answer:
            commit_ms = 1000 * _median(answer.read().decode(), "roomcast_commit_seconds")
        plan.report.step("intake, 1 viewer, as fast as it goes: roomcast")
        run = server.run("-w", "0.3", "-d", "0.8", "-b", str(900 * 1024), viewers=1)
        plan.report.ran("intake", run)
    plan.report.add(Figure("commit_p50_ms", "commit p50 at light load", commit_ms, "ms", target=1.0))
    plan.report.add(Figure("intake_per_s", "deltas from one stream", run.tokens_per_s, "/s", 10_000, "higher"))
    plan.report.add(Figure("intake_cpu_us", "CPU a delta, committed", run.cpu_us_per_token, "µs"))


def _median(metrics: str, name: str) -> float:
    """Median of a histogram, interpolated between the bounds it lies between."""
    found = re.findall(rf'^{name}_bucket{{le="([^"]+)"}} ([0-9.e+]+)$', metrics, re.MULTILINE)
    buckets = [(0.0, 0.0), *((float(bound), float(count)) for bound, count in found)]
    half = buckets[-1][1] / 2
    for (low, below), (high, upto) in pairwise(buckets):
        if upto >= half and upto > below:
            return low + (high - low) * (half - below) / (upto - below)
    raise ValueError(f"nothing was counted in {name}")

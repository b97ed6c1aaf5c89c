"""What viewers that stop reading do to the others, and what becomes of them.

200 viewers, 60 tokens/s of 1 kB, so that a socket that nobody reads is full within seconds. None, 1 % and 10 % stop
reading when the window begins. The write deadline is shortened (10 s by default), so that their end is in it.
"""

from __future__ import annotations

from tests.benchmarks.contenders import contender
from tests.benchmarks.plan import Plan
from tests.benchmarks.report import Figure, mark
from tests.benchmarks.tools import Run

__all__ = ["measure"]

VIEWERS = 200
LOAD = ("-r", "60", "-t", "1000", "-w", "0.7", "-d", "9", "-b", str(900 * 1024))
QUICK_LOAD = ("-r", "120", "-t", "1000", "-w", "0.4", "-d", "5.5", "-b", str(900 * 1024))
DEADLINE_S, QUICK_DEADLINE_S = 2, 1
SHARES = (0.0, 0.01, 0.10)


def measure(plan: Plan) -> None:
    """Measure with none, some and many stalled."""
    runs: dict[float, Run] = {}
    settings = {"ROOMCAST_LIMITS__WRITE_DEADLINE_S": str(QUICK_DEADLINE_S if plan.quick else DEADLINE_S)}
    with contender("roomcast", plan.tools, plan.core, settings) as server:
        for share in (SHARES[0], SHARES[2]) if plan.quick else SHARES:
            load = f"stalled readers, {share:.0%} of {VIEWERS}"
            plan.report.step(f"{load}: roomcast")
            stalled = str(round(VIEWERS * share))
            runs[share] = server.run("-s", stalled, *(QUICK_LOAD if plan.quick else LOAD), viewers=VIEWERS)
            plan.report.ran(load, runs[share])
    plan.report.tabulate(
        "Beside viewers that stopped reading (* = disturbed)",
        ("stalled", "p50 of the others ms", "p99 ms", "max ms", "ended", "last one after s", "memory grew MB"),
        [_row(run) for run in runs.values()],
    )
    none, many = runs[SHARES[0]], runs[SHARES[2]]
    title = "p99 of the others beside 10 % stalled : none stalled"
    plan.report.add(Figure("stalled_p99_ratio", title, many.p99_ms / none.p99_ms, "×", target=1.1))
    grew_mb = (many.rss_end_kb - many.rss_begin_kb) / 1024
    plan.report.add(Figure("stalled_memory_mb", "memory grown beside 10 % stalled", grew_mb, "MB", target=20.0))
    ended = many.stalled_ended / many.stalled
    plan.report.add(Figure("stalled_ended", "share of the stalled that was ended", ended, "", 1.0, "higher"))


def _row(run: Run) -> list[str]:
    return [
        str(run.stalled),
        f"{run.p50_ms:.2f}{mark(run)}",
        f"{run.p99_ms:.2f}",
        f"{run.max_ms:.1f}",
        f"{run.stalled_ended}",
        f"{run.stalled_ended_s:.1f}" if run.stalled_ended else "",
        f"{(run.rss_end_kb - run.rss_begin_kb) / 1024:.1f}",
    ]

"""How long a token takes from the model service to a viewer, at loads that do not saturate.

From just before the model's send() to just after the viewer's recv(): the `openai` client, the commit, and on
average half of the round in which all viewers are written to. Open loop: the model sends at its rate, whatever happens.
"""

from __future__ import annotations

from tests.benchmarks.contenders import Contender, contender
from tests.benchmarks.plan import Plan
from tests.benchmarks.report import Figure, mark
from tests.benchmarks.tools import Run

__all__ = ["measure"]

LOADS = ((100, 50), (1_000, 20), (1_000, 500), (5_000, 100))
PEERS = ("floor", "raw")
WINDOW = ("-w", "0.7", "-d", "4")
SHORT_WINDOW = ("-w", "0.4", "-d", "1.5")


def measure(plan: Plan) -> None:
    """Measure each load with ours, the floor and raw uvloop."""
    rows: list[list[str]] = []
    with contender("roomcast", plan.tools, plan.core) as ours:
        for viewers, rate in LOADS[:2] if plan.quick else LOADS:
            if viewers > plan.most_viewers:
                continue
            found = {"roomcast": _run(plan, ours, viewers, rate)}
            # At the heavier loads raw uvloop only shows how long a queue gets in the window.
            for name in PEERS[:1] if plan.quick or (viewers, rate) not in LOADS[:2] else PEERS:
                with contender(name, plan.tools, plan.core) as peer:
                    found[name] = _run(plan, peer, viewers, rate)
            rows += [_row(viewers, rate, name, run) for name, run in found.items()]
            _figures(plan, viewers, rate, found)
    plan.report.tabulate(
        "Latency from model to viewer, open loop (* = disturbed)",
        ("viewers", "tokens/s", "server", "p50 ms", "p99 ms", "max ms", "CPU %", "CPU µs each", "carried"),
        rows,
    )


def _run(plan: Plan, server: Contender, viewers: int, rate: int) -> Run:
    load = f"latency, {viewers} viewers, {rate} tokens/s"
    plan.report.step(f"{load}: {server.name}")
    run = server.run("-r", str(rate), *(SHORT_WINDOW if plan.quick else WINDOW), viewers=viewers)
    plan.report.ran(load, run)
    return run


def _row(viewers: int, rate: int, name: str, run: Run) -> list[str]:
    return [
        f"{viewers:,}",
        str(rate),
        name,
        f"{run.p50_ms:.2f}{mark(run)}",
        f"{run.p99_ms:.2f}",
        f"{run.max_ms:.1f}",
        f"{run.server_cpu_percent:.0f}",
        f"{run.cpu_us_per_delivery:.1f}",
        f"{run.deliveries_per_s / (rate * viewers):.0%}",
    ]


def _figures(plan: Plan, viewers: int, rate: int, found: dict[str, Run]) -> None:
    ours, floor = found["roomcast"], found["floor"]
    key, title = f"latency_{viewers}x{rate}", f"{viewers:,} viewers × {rate} tokens/s"
    target = 3.0 if (viewers, rate) == LOADS[0] else None
    plan.report.add(Figure(f"{key}_p50_ms", f"latency p50, {title}", ours.p50_ms, "ms", target))
    plan.report.add(Figure(f"{key}_p99_ms", f"latency p99, {title}", ours.p99_ms, "ms"))
    plan.report.add(Figure(f"{key}_p50_to_floor", f"p50, ours : floor, {title}", ours.p50_ms / floor.p50_ms, "×"))
    plan.report.add(Figure(f"{key}_p99_to_floor", f"p99, ours : floor, {title}", ours.p99_ms / floor.p99_ms, "×"))

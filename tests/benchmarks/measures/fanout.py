"""How many tokens reach viewers in a second, and what one costs: 100, 1,000 and 5,000 viewers of one room.

Closed loop: the model sends the next token when one has reached everybody, with 16, 128 or 1,024 on the way.
More on the way than a round can show one by one is overload: the server has to merge, or falls behind.

The peers relay each token by itself (floor: all of one read together), so that the ratio says what merging is
worth, less what a log, rooms and checks cost.
"""

from __future__ import annotations

from tests.benchmarks.contenders import PEERS, Contender, contender
from tests.benchmarks.plan import Plan
from tests.benchmarks.report import Figure, mark
from tests.benchmarks.tools import Run

__all__ = ["measure"]

VIEWERS = (100, 1_000, 5_000)
OUTSTANDING = (16, 128, 1_024)


def measure(plan: Plan) -> None:
    """Measure every crowd at every load, ours and the peers'."""
    rows: list[list[str]] = []
    for viewers in VIEWERS[:2] if plan.quick else VIEWERS:
        if viewers > plan.most_viewers:
            continue
        found: dict[tuple[str, int], Run] = {}
        with contender("roomcast", plan.tools, plan.core) as ours:
            for outstanding in OUTSTANDING:
                found["roomcast", outstanding] = _run(plan, ours, viewers, outstanding)
        for name in PEERS[:1] if plan.quick or viewers > 1_000 else PEERS:
            # The Python peers send every token by itself: a token costs them the same at any load.
            for outstanding in OUTSTANDING if name == "floor" and not plan.quick else OUTSTANDING[1:2]:
                with contender(name, plan.tools, plan.core) as peer:
                    found[name, outstanding] = _run(plan, peer, viewers, outstanding)
        rows += [_row(viewers, name, outstanding, run) for (name, outstanding), run in found.items()]
        _figures(plan, viewers, found)
    plan.report.tabulate(
        "Fan-out of one room, closed loop (* = disturbed)",
        (
            "viewers",
            "server",
            "on the way",
            "deliveries/s",
            "CPU µs each",
            "user µs",
            "p50 ms",
            "p99 ms",
            "tokens a write",
        ),
        rows,
    )


def _run(plan: Plan, server: Contender, viewers: int, outstanding: int) -> Run:
    load = f"fan-out, {viewers} viewers, {outstanding} on the way"
    plan.report.step(f"{load}: {server.name}")
    run = server.run("-W", str(outstanding), *plan.window, viewers=viewers)
    plan.report.ran(load, run)
    return run


def _row(viewers: int, name: str, outstanding: int, run: Run) -> list[str]:
    return [
        f"{viewers:,}",
        name,
        str(outstanding),
        f"{run.deliveries_per_s:,.0f}{mark(run)}",
        f"{run.cpu_us_per_delivery:.2f}",
        f"{run.user_us_per_delivery:.2f}",
        f"{run.p50_ms:.1f}",
        f"{run.p99_ms:.1f}",
        f"{run.tokens_per_read:.1f}",
    ]


def _figures(plan: Plan, viewers: int, found: dict[tuple[str, int], Run]) -> None:
    low, middle, high = (found["roomcast", outstanding] for outstanding in OUTSTANDING)
    key = f"fanout_{viewers}"
    plan.report.add(
        Figure(f"{key}_per_s", f"deliveries/s, {viewers:,} viewers, 128 on the way", middle.deliveries_per_s, "")
    )
    plan.report.add(
        Figure(f"{key}_cpu_us", f"CPU a delivery, {viewers:,} viewers, 128", middle.cpu_us_per_delivery, "µs")
    )
    plan.report.add(
        Figure(
            f"{key}_rising",
            f"deliveries/s under overload (1,024) : at 16, {viewers:,} viewers",
            high.deliveries_per_s / low.deliveries_per_s,
            "×",
            target=1.0,
            better="higher",
        )
    )
    for name in PEERS:
        peer = found.get((name, OUTSTANDING[1]))
        if peer is None:
            continue
        ratio = middle.deliveries_per_s / peer.deliveries_per_s
        plan.report.add(
            Figure(f"{key}_to_{name}", f"ours : {name}, {viewers:,} viewers, 128", ratio, "×", better="higher")
        )

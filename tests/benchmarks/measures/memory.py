"""What an idle connection costs that has joined a room: resident memory, and the time to let it in.

The server's memory with everybody joined, less that before the first came, divided by how many they are. All are in one
room; the kernel's own memory for sockets is not in it.
"""

from __future__ import annotations

from tests.benchmarks.contenders import contender
from tests.benchmarks.plan import Plan
from tests.benchmarks.report import Figure

__all__ = ["measure"]

VIEWERS = 5_000
SETTLE = ("-x", "2", "-d", "0")
"""Longer than it takes the presence that follows the last join."""


def measure(plan: Plan) -> None:
    """Let everybody in, ours and `websockets`' server."""
    viewers = min(1_000 if plan.quick else VIEWERS, plan.most_viewers)
    found: dict[str, float] = {}
    joins_per_s = 0.0
    for name in ("roomcast", "broadcast"):
        load = f"memory, {viewers} idle viewers"
        plan.report.step(f"{load}: {name}")
        with contender(name, plan.tools, plan.core) as server:
            run = server.run(*SETTLE, viewers=viewers)
        plan.report.ran(load, run)
        found[name] = (run.rss_idle_kb - run.rss_start_kb) / viewers
        if name == "roomcast":
            joins_per_s = viewers / run.joined_s
    ours = found["roomcast"]
    plan.report.add(
        Figure(f"memory_{viewers}_kb", f"memory an idle connection, {viewers:,} joined", ours, "kB", target=8.0)
    )
    plan.report.add(
        Figure(f"memory_{viewers}_to_websockets", "memory, ours : websockets", ours / found["broadcast"], "×")
    )
    plan.report.add(
        Figure(
            f"joins_{viewers}_per_s", f"connections joined per second, {viewers:,}", joins_per_s, "", better="higher"
        )
    )

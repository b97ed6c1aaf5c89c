"""Measure, show, write down. `python -m tests.benchmarks --help` lists the options.

Exit status: 0; 1 when a viewer of ours missed something or a measure failed; 2 when it cannot be measured here.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from rich.console import Console

from tests.benchmarks.checking import check
from tests.benchmarks.machine import Unfit, compiler, cores, describe, require_open_files
from tests.benchmarks.measures import fanout, intake, joining, latency, memory, stalled, starting
from tests.benchmarks.plan import Plan
from tests.benchmarks.report import Report
from tests.benchmarks.tools import build

MEASURES: Mapping[str, Callable[[Plan], None]] = {
    "latency": latency.measure,
    "fanout": fanout.measure,
    "memory": memory.measure,
    "joining": joining.measure,
    "stalled": stalled.measure,
    "intake": intake.measure,
    "starting": starting.measure,
}
WIDTH = 120
"""Of the tables where there is no terminal to ask."""

MOST_VIEWERS = 5_000
QUICK_VIEWERS = 1_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks", description="Measure roomcast from the outside."
    )
    parser.add_argument("--quick", action="store_true", help="fewer loads, shorter windows: under a minute")
    parser.add_argument("--only", action="append", choices=[*MEASURES], help="one measure; may be given again")
    parser.add_argument("--repeat", type=int, default=1, help="measure so many times; figures are medians then")
    parser.add_argument(
        "--patience",
        type=float,
        default=0.0,
        metavar="S",
        help="wait so many seconds for a quiet machine before each run",
    )
    parser.add_argument("--viewers", type=int, help="leave out what needs more viewers")
    parser.add_argument("--out", type=Path, help="results as JSON (default: a new file in the temporary folder)")
    asked = parser.parse_args(arguments)
    console = Console(highlight=False) if sys.stdout.isatty() else Console(highlight=False, width=WIDTH)
    most_viewers: int = asked.viewers or (QUICK_VIEWERS if asked.quick else MOST_VIEWERS)
    try:
        path = compiler()
        require_open_files(most_viewers)
        server_core, own_core = cores()
        with tempfile.TemporaryDirectory(prefix="roomcast-bench-") as folder:
            tools = build(path, Path(folder), own_core, patience_s=asked.patience)
            report = Report(console, describe())
            if server_core == own_core:
                console.print("[yellow]There is one core only: servers and viewers take it from each other.[/]")
            plan = Plan(tools, report, server_core, asked.quick, most_viewers)
            began_s = time.monotonic()
            check(plan)
            for _ in range(asked.repeat):
                for name in asked.only or MEASURES:
                    _measure(name, plan)
    except Unfit as unfit:
        console.print(f"[bold red]{unfit}[/]")
        return 2
    report.show()
    out: Path = asked.out or Path(tempfile.gettempdir()) / f"roomcast-bench-{time.strftime('%Y%m%d-%H%M%S')}.json"
    report.write(out)
    console.print(f"\n{time.monotonic() - began_s:.0f} s; everything is in {out}")
    return 1 if report.lost or report.failed else 0


def _measure(name: str, plan: Plan) -> None:
    """Measure one thing; when it fails, the others are still worth having."""
    try:
        MEASURES[name](plan)
    except (RuntimeError, AssertionError, subprocess.TimeoutExpired) as error:
        plan.report.failed.append(f"{name}: {error}")


if __name__ == "__main__":
    sys.exit(main())

"""Figures with their targets, tables to read, and a file to compare with."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Literal

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tests.benchmarks.tools import Run

__all__ = ["Figure", "Report", "mark", "read_figures"]

BASELINE = Path(__file__).parent / "baseline.json"
NOISY_PERCENT = 15.0
"""More of the server's core than this was used by others: the run says little."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One result.

    Attributes:
        key: Stable name, for the results file and the baseline.
        target: What docs/performance.md aims at, if anything.
        better: Which direction is good.
    """

    key: str
    title: str
    value: float
    unit: str
    target: float | None = None
    better: Literal["lower", "higher"] = "lower"

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None without one."""
        if self.target is None:
            return None
        return self.value <= self.target if self.better == "lower" else self.value >= self.target


@dataclass(slots=True)
class Report:
    """What was found, in the order it was found. What is measured several times counts with its median.

    Attributes:
        lost: Runs of ours in which a viewer missed something, in words.
        failed: Measures that did not come to an end, in words.
    """

    console: Console
    machine: dict[str, str | int | float]
    figures: list[Figure] = field(default_factory=list[Figure])
    runs: list[tuple[str, Run]] = field(default_factory=list["tuple[str, Run]"])
    tables: list[Table] = field(default_factory=list[Table])
    lost: list[str] = field(default_factory=list[str])
    failed: list[str] = field(default_factory=list[str])

    def step(self, what: str) -> None:
        """Say what is being done."""
        self.console.print(f"[dim]{what} …[/]")

    def add(self, figure: Figure) -> None:
        """Keep a figure."""
        self.figures.append(figure)

    def ran(self, load: str, run: Run) -> None:
        """Keep a run, and say at once if anything was lost in it."""
        self.runs.append((load, run))
        if run.label == "roomcast" and not run.lossless:
            self.lost.append(
                f"{load}: {run.incomplete_viewers} viewers incomplete, {run.holes} holes, "
                f"{run.lost_connections} connections lost, text equal: {run.witness_text_equal}"
            )

    def medians(self) -> list[Figure]:
        """One figure for each key: the median where it was measured several times."""
        found: dict[str, list[Figure]] = {}
        for figure in self.figures:
            found.setdefault(figure.key, []).append(figure)
        return [replace(same[0], value=median(figure.value for figure in same)) for same in found.values()]

    def tabulate(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Keep a table; measured again, it replaces the one before."""
        table = Table(title=title, title_justify="left", title_style="bold")
        for position, column in enumerate(columns):
            table.add_column(column, justify="left" if position == 0 else "right")
        for row in rows:
            table.add_row(*row)
        self.tables = [known for known in self.tables if known.title != title] + [table]

    def show(self) -> None:
        """Print everything."""
        for table in self.tables:
            self.console.print()
            self.console.print(table)
        known = read_figures(BASELINE)
        table = Table(title="Figures", title_justify="left", title_style="bold")
        for column in ("what", "now", "target", "", "baseline"):
            table.add_column(column, justify="left" if column in ("what", "") else "right")
        for figure in self.medians():
            target = (
                "" if figure.target is None else f"{'≤' if figure.better == 'lower' else '≥'} {_number(figure.target)}"
            )
            verdict = {None: "", True: "[green]met[/]", False: "[red]missed[/]"}[figure.met]
            before = known.get(figure.key)
            table.add_row(
                figure.title,
                f"{_number(figure.value)} {figure.unit}",
                target,
                verdict,
                "" if before is None else _number(before),
            )
        self.console.print()
        self.console.print(table)
        disturbed = sum(run.foreign_percent > NOISY_PERCENT for _, run in self.runs)
        if disturbed:
            self.console.print(
                f"[yellow]{disturbed} of {len(self.runs)} runs (marked *) shared the server's core: more than "
                f"{NOISY_PERCENT:.0f} % of it was used by something else. Do not compare them.[/]"
            )
        for loss in self.lost:
            self.console.print(f"[bold red]LOST: {escape(loss)}[/]")
        for failure in self.failed:
            self.console.print(f"[bold red]FAILED: {escape(failure)}[/]")

    def write(self, path: Path) -> None:
        """Write everything as JSON."""
        found = {
            "machine": self.machine,
            "figures": {figure.key: float(f"{figure.value:.4g}") for figure in self.medians()},
            "runs": [{"load": load, **msgspec.to_builtins(run)} for load, run in self.runs],
        }
        path.write_text(json.dumps(found, indent=1) + "\n")


def mark(run: Run) -> str:
    """A star behind what a disturbed run says."""
    return "*" if run.foreign_percent > NOISY_PERCENT else ""


def read_figures(path: Path) -> dict[str, float]:
    """The figures of a results file; none where there is no file."""
    if not path.exists():
        return {}
    stored: dict[str, dict[str, float]] = json.loads(path.read_text())
    return stored["figures"]


def _number(value: float) -> str:
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 10 else f"{value:.1f}"

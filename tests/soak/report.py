"""What a soak saw, and how it is told."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from rich.console import Console

from tests.soak.watch import Sample, Watch
from tests.support.memory import MIB

__all__ = ["Tally", "report"]

SHOWN = 40


@dataclass
class Tally:
    """What adds up over the chapters.

    Attributes:
        findings: What is wrong, one sentence each.
        endings: How answers ended.
        refusals: What askers were refused, by code.
        faults: What went wrong on purpose.
        frames: Frames that the auditor has judged.
    """

    findings: list[str] = field(default_factory=list[str])
    endings: Counter[str] = field(default_factory=Counter[str])
    refusals: Counter[str] = field(default_factory=Counter[str])
    faults: Counter[str] = field(default_factory=Counter[str])
    chapters: int = 0
    events: int = 0
    frames: int = 0
    visits: int = 0


def report(tally: Tally, watch: Watch, minutes: float, seed: int) -> None:
    """Say what was seen."""
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"{minutes:.1f} minutes from seed {seed}: {tally.chapters} chapters, each audited whole")
    console.print(f"audited: {tally.events} events, {tally.frames} frames of {tally.visits} visits")
    console.print(f"answers: {_listed(tally.endings)}; refused: {_listed(tally.refusals)}")
    console.print(f"faults: {_listed(tally.faults)}")
    last = watch.last_life
    if last:
        console.print(
            f"memory since the last start: {last[0].rss_bytes / MIB:.0f} MiB, {last[-1].rss_bytes / MIB:.0f} MiB"
            f" {_minutes(last):.1f} minutes later; slope {watch.slope_mib_per_hour:+.1f} MiB an hour"
            f" over the last {_minutes(watch.steady):.1f} minutes"
        )
        console.print(
            f"at most: {max(sample.descriptors for sample in last)} descriptors, {max(s.tasks for s in last):g} tasks,"
            f" {max(s.rooms for s in last):g} rooms; at the end {watch.end} beside {watch.base} at the start"
        )
    console.print(f"findings: {len(tally.findings)}")
    for finding in tally.findings[:SHOWN]:
        console.print(f"  {finding}", style="red", markup=False)


def _minutes(samples: list[Sample]) -> float:
    return (samples[-1].at_s - samples[0].at_s) / 60


def _listed(counter: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counter.most_common()) or "none"

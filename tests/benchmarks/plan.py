"""What a run of the benchmarks may use and how long it may take."""

from __future__ import annotations

from dataclasses import dataclass

from tests.benchmarks.report import Report
from tests.benchmarks.tools import Tools

__all__ = ["Plan"]


@dataclass(frozen=True, slots=True)
class Plan:
    """Given to every measure.

    Attributes:
        quick: Fewer loads and shorter windows.
        most_viewers: Measures with more are left out.
        core: Where servers run; `tools` has the core of the viewers.
    """

    tools: Tools
    report: Report
    core: int
    quick: bool
    most_viewers: int

    @property
    def window(self) -> list[str]:
        """Options of `crowd`: warm-up and window in seconds."""
        return ["-w", "0.4", "-d", "1"] if self.quick else ["-w", "0.7", "-d", "2"]

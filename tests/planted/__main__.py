"""`make planted`: plant every fault, and see each caught by the tests that are named for it.

Exit status 0 when all were caught, 1 when one was not, when its tests fail without it too, or when it cannot be
planted any more. Words as arguments choose the faults whose names contain one of them.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from tests.planted.faults import FAULTS
from tests.planted.planting import CannotRun, Copy, DoesNotApply, Fault, copied

CAUGHT = "[green]caught[/]"
WIDTH = 150
"""Of the table where there is no terminal to ask."""


def main(words: Sequence[str]) -> int:
    """Run it; returns the exit status."""
    console = Console() if sys.stdout.isatty() else Console(width=WIDTH)
    chosen = [fault for fault in FAULTS if not words or any(word in fault.name for word in words)]
    began_s = time.monotonic()
    with copied() as copy:
        console.print("the tests as they are, without a fault …")
        try:
            sound = copy.failing([test for fault in chosen for test in fault.caught_by])
        except (CannotRun, subprocess.TimeoutExpired) as why:
            console.print(f"They could not be run: {why}", style="red", markup=False)
            return 1
        verdicts: list[str] = []
        for fault in chosen:
            verdicts.append(_verdict(copy, fault, broken=[test for test in fault.caught_by if sound[test]]))
            console.print(f"{fault.name}: {verdicts[-1]}", highlight=False)
    table = Table("planted", Column("noticed by", overflow="fold"), Column("verdict", overflow="fold"), show_lines=True)
    for fault, verdict in zip(chosen, verdicts, strict=True):
        table.add_row(fault.name, "\n".join(map(_short, fault.caught_by)), verdict)
    console.print(table)
    caught = verdicts.count(CAUGHT)
    console.print(f"{caught} of {len(chosen)} planted faults were caught, in {time.monotonic() - began_s:.0f} s")
    return 0 if caught == len(chosen) else 1


def _verdict(copy: Copy, fault: Fault, *, broken: Sequence[str]) -> str:
    if broken:
        return "[red]fails without the fault too:[/] " + ", ".join(map(_short, broken))
    try:
        with copy.planted(fault):
            failed = copy.failing(fault.caught_by)
    except DoesNotApply as why:
        return f"[red]cannot be planted:[/] {escape(str(why))}"
    except (CannotRun, subprocess.TimeoutExpired) as why:
        return f"[red]its tests could not be run:[/] {escape(str(why))}"
    blind = [test for test in fault.caught_by if not failed[test]]
    return "[red]not noticed by[/] " + ", ".join(map(_short, blind)) if blind else CAUGHT


def _short(test: str) -> str:
    """A test without its folder, and safe for the table."""
    return escape(test.rpartition("/")[2])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""`make conformance`: run the suite and compare with the table.

Exit status 0 when every case did what the table says, 1 when one did not, 2 when the suite cannot be run here.
`--write` stores what was found; the reasons are then written by hand, and a test asks for them.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections import Counter
from functools import partial
from pathlib import Path

import anyio
from anyio import to_thread
from rich.console import Console
from rich.table import Table as Columns

from tests.conformance.autobahn.echo import echoing
from tests.conformance.autobahn.suite import Unfit, installed, run
from tests.conformance.autobahn.table import Table, differences, results


def main(arguments: list[str]) -> int:
    """Run it; returns the exit status."""
    console = Console(soft_wrap=True)
    try:
        found = results(anyio.run(_index, installed(os.environ), backend_options={"use_uvloop": True}))
    except Unfit as why:
        console.print(f"The Autobahn profile was not run: {why}", markup=False, highlight=False)
        return 2
    expected = Table.read()
    if "--write" in arguments:
        Table(found, expected.reasons).write()
        expected = Table.read()
    wrong = differences(expected.cases, found)
    counts = Counter(result.split()[0] for result in found.values())
    console.print(f"Autobahn, fast profile: {len(found)} cases, {_in_words(counts)}")
    for reason, cases in expected.reasons.items():
        console.print(f"  {len(cases):3} {reason}", highlight=False)
    if wrong:
        console.print(_columns(wrong))
        console.print(f"[red]{len(wrong)} cases differ from tests/conformance/autobahn/table.json[/]")
    else:
        console.print("[green]every case is as the table says[/]")
    return 1 if wrong else 0


async def _index(program: Path) -> dict[str, dict[str, object]]:
    async with echoing() as url:
        with tempfile.TemporaryDirectory(prefix="autobahn-") as folder:
            return await to_thread.run_sync(partial(run, program, url, Path(folder)))


def _in_words(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {behaviour}" for behaviour, count in counts.most_common())


def _columns(wrong: list[tuple[str, str, str]]) -> Columns:
    columns = Columns("case", "expected", "found")
    for row in wrong:
        columns.add_row(*row)
    return columns


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

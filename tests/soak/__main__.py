"""Run, judge, report. Exit status 0 means that nothing was found."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import anyio
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from roomcast.client import connect
from tests.soak.chapters import Chapter
from tests.soak.model import demo_model
from tests.soak.report import Tally, report
from tests.soak.watch import Held, Watch, held
from tests.support.memory import MIB
from tests.support.restarting import Serving

CHAPTER_S = 45.0
TOKENS_PER_SECOND = 60
SETTINGS = {
    "ROOMCAST_UPSTREAM__FIRST_OUTPUT_TIMEOUT_S": "4",
    "ROOMCAST_UPSTREAM__IDLE_TIMEOUT_S": "3",
    "ROOMCAST_UPSTREAM__TOTAL_TIMEOUT_S": "12",
    "ROOMCAST_ROOMS__DEBOUNCE_S": "0.5",
    "ROOMCAST_LIMITS__WRITE_DEADLINE_S": "3",
    "ROOMCAST_LIMITS__IDLE_ROOM_S": "5",
    "ROOMCAST_LIMITS__RETAIN_AGE_S": "900",  # longer than a chapter, so that the auditor has it whole
}
KEPT_FOR_THE_MODEL_S = 16.0
"""An idle connection to the model is kept for 15 s, and closed at the next question."""
LETS_GO_WITHIN_S = 90.0
ENOUGH = 1_000
"""Findings after which no other chapter begins."""


async def soak(minutes: float, seed: int, folder: Path) -> int:
    """Run, judge, report; returns the exit status."""
    tally, watch = Tally(), Watch()
    begin_s, until_s = time.monotonic(), time.monotonic() + minutes * 60
    with ExitStack() as stack:
        serving = Serving(stack, folder, **SETTINGS, **stack.enter_context(demo_model(TOKENS_PER_SECOND)))
        progress = stack.enter_context(_progress())
        bar = progress.add_task("", total=minutes * 60, told="begins")
        async with anyio.create_task_group() as tasks:
            watch.base = await _left_alone(serving)
            tasks.start_soon(watch.run, serving)
            while tally.chapters == 0 or (time.monotonic() < until_s and len(tally.findings) < ENOUGH):
                chapter = Chapter(f"s{seed}-chapter-{tally.chapters}", serving, folder, tally)
                early = time.monotonic() - begin_s < minutes * 60 / 3
                await chapter.run(min(CHAPTER_S, minutes * 20), ends_the_server=early)
                progress.update(bar, completed=time.monotonic() - begin_s, told=_told(tally, watch, serving))
            watch.end = await _left_alone(serving, watch.base)
            tasks.cancel_scope.cancel()
        if watch.end != watch.base:
            tally.findings.append(f"the server holds {watch.end} in the end, and held {watch.base} in the beginning")
        if (status := serving.stop()) != 0:
            tally.findings.append(f"the last server ended with status {status}")
        tally.findings += _faults_logged(serving.server.log)
    report(tally, watch, (time.monotonic() - begin_s) / 60, seed)
    return 1 if tally.findings else 0


async def _left_alone(serving: Serving, wanted: Held | None = None) -> Held:
    """What the server holds when everybody has left and one question was answered; waits for `wanted` for a while."""
    if wanted is not None:
        await anyio.sleep(KEPT_FOR_THE_MODEL_S)
    async with connect(serving.server.url, "quiet", wait_s=30) as room:
        await room.answer(await room.ask("short"))
    now, patience_until_s = await anyio.to_thread.run_sync(held, serving.server), time.monotonic() + LETS_GO_WITHIN_S
    while (now.rooms or now.connections or wanted not in {None, now}) and time.monotonic() < patience_until_s:
        await anyio.sleep(1.5)
        now = await anyio.to_thread.run_sync(held, serving.server)
    return now


def _faults_logged(log: Path) -> list[str]:
    """Lines of the servers' log that are errors; a line that a kill has cut short is none."""
    findings: list[str] = []
    for line in log.read_text(errors="replace").splitlines():
        try:
            told = json.loads(line)
        except json.JSONDecodeError:
            continue
        if told["level"] in {"error", "critical"} or "exception" in told:
            findings.append(f"logged: {line[:500]}")
    return findings


def _progress() -> Progress:
    columns = ("soaking", BarColumn(), TimeRemainingColumn(), TextColumn("{task.fields[told]}"))
    return Progress(*columns, console=Console(stderr=True))


def _told(tally: Tally, watch: Watch, serving: Serving) -> str:
    ended = serving.restarts + serving.crashes
    memory = f"{watch.samples[-1].rss_bytes / MIB:.0f} MiB" if watch.samples else ""
    return (
        f"{tally.frames} frames of {tally.events} events · {ended} restarts · {memory} · {len(tally.findings)} findings"
    )


def main() -> int:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--seed", type=int, default=20_261_122)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="roomcast-soak-") as folder:
        return anyio.run(soak, given.minutes, given.seed, Path(folder))


if __name__ == "__main__":
    sys.exit(main())

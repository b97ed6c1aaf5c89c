"""Run rooms, churn and cancels for a while from a seed, with the auditor on; report what grew.

    make soak MINUTES=20            (or: python -m tests.soak --minutes 20 --seed 7)

Visitors come, watch, vanish without a goodbye and come back with their cursor; askers ask,
and sometimes stop what they asked. In the end the server is drained, and every visitor's
transcript is held against the log by the same auditor that the tests use. Exit status 0
means that it found nothing.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

import anyio
from rich.console import Console
from rich.progress import BarColumn, Progress, TimeRemainingColumn

from tests.support.memory import MIB, descriptors, rss_bytes
from tests.support.reference import audit_log
from tests.support.server import Server, roomcast_server
from tests.support.visitor import Visitor, audit, stored
from tests.support.wire_client import wire_client

ROOMS, VISITORS_PER_ROOM = 4, 12
SETTINGS = {
    "ROOMCAST_DEMO__TOKENS_PER_SECOND": "60",
    "ROOMCAST_LIMITS__RETAIN_EVENTS": "10000000",  # the auditor wants the whole log
    "ROOMCAST_LIMITS__RETAIN_BYTES": str(2**30),
}


async def come_and_go(visitor: Visitor, dice: random.Random, until_s: float) -> None:
    """Come and go until the time is over."""
    while time.monotonic() < until_s:
        with anyio.move_on_after(min(dice.uniform(0.5, 30), max(0.0, until_s - time.monotonic()))):
            await visitor.visit()
        await anyio.sleep(dice.uniform(0, 1))


async def ask(server: Server, room: str, dice: random.Random, until_s: float) -> None:
    """Ask one question after the other, and stop every fifth answer."""
    async with anyio.create_task_group() as tasks, wire_client(server.ws_url, tasks, member=f"asker-{room}") as asker:
        await asker.join(room)
        while time.monotonic() < until_s - 15:
            asked = await asker.ask(room, dice.choice(["short", "a list", "a table", "emoji", "tell me a long story"]))
            if dice.random() < 0.2:
                await anyio.sleep(dice.uniform(0, 2))
                await asker.command("response.cancel", room=room)
            await asker.ending(asked["response_id"], timeout_s=60)
            asker.heard.clear()
        tasks.cancel_scope.cancel()


async def live(server: Server, visitors: list[Visitor], minutes: float, seed: int) -> list[tuple[int, int]]:
    """Let everybody live for so long; returns samples of memory (bytes) and descriptors."""
    begin_s, until_s = time.monotonic(), time.monotonic() + minutes * 60
    samples: list[tuple[int, int]] = []
    async with anyio.create_task_group() as tasks:
        for visitor in visitors:
            tasks.start_soon(come_and_go, visitor, random.Random(f"{seed} {visitor.name}"), until_s)
        for room in sorted({visitor.room for visitor in visitors}):
            tasks.start_soon(ask, server, room, random.Random(f"{seed} {room}"), until_s)
        with Progress("soaking", BarColumn(), TimeRemainingColumn(), console=Console(stderr=True)) as progress:
            task = progress.add_task("", total=minutes * 60)
            while time.monotonic() < until_s:
                await anyio.sleep(1)
                samples.append((rss_bytes(server), descriptors(server)))
                progress.update(task, completed=time.monotonic() - begin_s)
    return samples


async def soak(minutes: float, seed: int, folder: Path) -> int:
    """Run, audit, report; returns the exit status."""
    findings: list[str] = []
    with roomcast_server(folder, environ=SETTINGS) as server:
        names = [
            (f"room-{room}", f"visitor-{room}-{number}") for room in range(ROOMS) for number in range(VISITORS_PER_ROOM)
        ]
        visitors = [Visitor(server.port, room, name) for room, name in names]
        samples = await live(server, visitors, minutes, seed)
        status = server.stop()
    if status != 0:
        findings.append(f"the server ended with status {status}")
    heard, events = 0, 0
    for room in sorted({visitor.room for visitor in visitors}):
        log = await stored(folder, room)
        events += len(log)
        findings += [f"{room}: {finding}" for finding in audit_log(log, at_rest=True)]
        inside = [visitor for visitor in visitors if visitor.room == room]
        heard += sum(len(visitor.transcript) for visitor in inside)
        findings += [f"{room}: {finding}" for finding in audit(inside, log)]
    report(samples, minutes, events, heard, findings)
    return 1 if findings else 0


def report(samples: list[tuple[int, int]], minutes: float, events: int, heard: int, findings: list[str]) -> None:
    """Say what was seen."""
    third = max(1, len(samples) // 3)
    early, late = samples[third : 2 * third] or samples, samples[-third:]
    grown = (statistics.median(rss for rss, _ in late) - statistics.median(rss for rss, _ in early)) / MIB
    console = Console()
    console.print(f"{minutes:g} minutes, {events} events, {heard} frames audited")
    console.print(f"memory: {samples[-1][0] / MIB:.0f} MiB at the end; last third over middle third {grown:+.1f} MiB")
    console.print(f"descriptors: {max(files for _, files in samples)} at most, {samples[-1][1]} at the end")
    console.print(f"findings: {len(findings)}")
    for finding in findings[:20]:
        console.print(f"  {finding}", style="red", markup=False)


def main() -> int:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.soak", description=__doc__.splitlines()[0] if __doc__ else ""
    )
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--seed", type=int, default=20_261_122)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="roomcast-soak-") as folder:
        return anyio.run(soak, given.minutes, given.seed, Path(folder))


if __name__ == "__main__":
    sys.exit(main())

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
from typing import Any

import anyio
import orjson
from rich.console import Console
from rich.progress import BarColumn, Progress, TimeRemainingColumn
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from roomcast.core.log import Events
from roomcast.storage import open_sqlite
from roomcast.wiring.outside import SystemClock
from tests.support.auditor import DISCONNECTED, audit_viewer
from tests.support.memory import MIB, descriptors, rss_bytes
from tests.support.reference import Json, audit_log
from tests.support.server import Server, roomcast_server
from tests.support.wire_client import wire_client

ROOMS, VISITORS_PER_ROOM = 4, 12
SETTINGS = {
    "ROOMCAST_DEMO__TOKENS_PER_SECOND": "60",
    "ROOMCAST_LIMITS__RETAIN_EVENTS": "10000000",  # the auditor wants the whole log
    "ROOMCAST_LIMITS__RETAIN_BYTES": str(2**30),
}
BREAK = orjson.dumps(DISCONNECTED)


class Visitor:
    """Comes and goes in one room, and keeps every frame of both ways."""

    def __init__(self, server: Server, room: str, name: str, dice: random.Random) -> None:
        self.room = room
        self.transcript: list[bytes] = []
        self._url = f"{server.ws_url}?member={name}"
        self._name = name
        self._dice = dice
        self._cursor: Json | None = None
        self._joins = 0

    async def visit(self, until_s: float) -> None:
        """Come and go until the time is over."""
        while time.monotonic() < until_s:
            if self.transcript:
                self.transcript.append(BREAK)
            try:
                async with connect(self._url, compression=None, max_size=None, proxy=None) as connection:
                    await self._join(connection)
                    stay_s = min(self._dice.uniform(0.5, 30), max(0.0, until_s - time.monotonic()))
                    with anyio.move_on_after(stay_s):
                        async for frame in connection:
                            self._take(frame if isinstance(frame, bytes) else frame.encode())
                    connection.transport.abort()
            except (ConnectionClosed, OSError):
                pass
            await anyio.sleep(self._dice.uniform(0, 1))

    async def _join(self, connection: ClientConnection) -> None:
        self._joins += 1
        command = {"type": "room.join", "id": f"{self._name}-{self._joins}", "room": self.room, "after": self._cursor}
        frame = orjson.dumps({name: value for name, value in command.items() if value is not None})
        self.transcript.append(frame)
        await connection.send(frame, text=True)

    def _take(self, frame: bytes) -> None:
        self.transcript.append(frame)
        got: Json = orjson.loads(frame)
        if got["type"] == "reply":
            self._cursor = {"epoch": got["result"]["epoch"], "seq": got["result"]["seq"]}
        elif got["type"] == "room.reset":
            self._cursor = {"epoch": got["epoch"], "seq": got["seq"]}
        elif "at" in got and self._cursor is not None:
            self._cursor["seq"] = got["seq"]


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
            tasks.start_soon(visitor.visit, until_s)
        for room in sorted({visitor.room for visitor in visitors}):
            tasks.start_soon(ask, server, room, random.Random(f"{seed} {room}"), until_s)
        with Progress("soaking", BarColumn(), TimeRemainingColumn(), console=Console(stderr=True)) as progress:
            task = progress.add_task("", total=minutes * 60)
            while time.monotonic() < until_s:
                await anyio.sleep(1)
                samples.append((rss_bytes(server), descriptors(server)))
                progress.update(task, completed=time.monotonic() - begin_s)
    return samples


async def stored(folder: Path, room: str) -> list[Json]:
    """The room's whole log, after the server is gone."""
    log: list[Json] = []
    async with open_sqlite(folder / "roomcast.db", clock=SystemClock()) as store:
        while True:
            read = await store.read(room, len(log), 10_000)
            assert isinstance(read, Events)
            if not read.records:
                return log
            log += [orjson.loads(record.data) for record in read.records]


async def soak(minutes: float, seed: int, folder: Path) -> int:
    """Run, audit, report; returns the exit status."""
    findings: list[str] = []
    with roomcast_server(folder, environ=SETTINGS) as server:
        names = [
            (f"room-{room}", f"visitor-{room}-{number}") for room in range(ROOMS) for number in range(VISITORS_PER_ROOM)
        ]
        visitors = [Visitor(server, room, name, random.Random(f"{seed} {name}")) for room, name in names]
        samples = await live(server, visitors, minutes, seed)
        status = server.stop()
    if status != 0:
        findings.append(f"the server ended with status {status}")
    heard, events = 0, 0
    for room in sorted({visitor.room for visitor in visitors}):
        log = await stored(folder, room)
        events += len(log)
        findings += [f"{room}: {finding}" for finding in audit_log(log, at_rest=True)]
        for visitor in (visitor for visitor in visitors if visitor.room == room):
            transcript: list[Any] = [orjson.loads(frame) for frame in visitor.transcript]
            heard += len(transcript)
            findings += [f"{room}: {finding}" for finding in audit_viewer(transcript, log, room=room)]
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

"""A chapter: a while of life in rooms that nobody has named before; then rest; then the auditor.

    live ──► askers wait for their last answers ──► visitors read to the end ──► log and transcripts are judged

Findings
    those of the auditor (tests/support/auditor.py) and of the log (reference.py)
    a prompt that was accepted and is not in the log
    a visitor that comes back with its cursor and has to begin anew, or does not get to the end
"""

from __future__ import annotations

import random
from contextlib import closing as closed_after
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import orjson

from roomcast.core.log import Events
from roomcast.storage.sqlite import queries
from roomcast.storage.sqlite.connections import connect_reader
from tests.soak.misfortune import end_the_server, trouble_the_visitors
from tests.soak.people import BACKOFF, ask_on, come_and_go
from tests.soak.report import Tally
from tests.support.reference import TERMINALS, Json, audit_log
from tests.support.restarting import Serving
from tests.support.visitor import Visitor, audit

__all__ = ["Chapter"]

ROOMS, VISITORS = 4, 12
POLICIES = ("coalesce", "coalesce", "snapshot", "disconnect")
CATCHES_UP_WITHIN_S = 60.0


@dataclass
class Chapter:
    """One of many.

    Attributes:
        name: Of its rooms, the beginning; also what its chances follow from.
        folder: Of the store.
    """

    name: str
    serving: Serving
    folder: Path
    tally: Tally
    _promised: dict[str, list[str]] = field(default_factory=dict[str, list[str]])

    async def run(self, seconds: float, *, ends_the_server: bool) -> None:
        """Live for so long, rest, and judge."""
        rooms = [f"{self.name}-room-{number}" for number in range(ROOMS)]
        visitors = [visitor for room in rooms for visitor in self._visitors(room)]
        await self._live(rooms, visitors, seconds, ends_the_server=ends_the_server)
        logs = {room: read_log(self.folder, room) for room in rooms}
        await self._read_to_the_end(visitors, logs)
        self.tally.chapters += 1
        for room in rooms:
            self._judge(room, [visitor for visitor in visitors if visitor.room == room], logs[room])

    def _visitors(self, room: str) -> list[Visitor]:
        frames, dice = dict[bytes, bytes](), random.Random(room)
        return [
            Visitor(
                self.serving.port,
                room,
                f"{room}-visitor-{number}",
                frames=frames,
                receive_buffer_bytes=4_096 if number % 3 == 0 else None,
                on_slow=dice.choice(POLICIES),
            )
            for number in range(VISITORS)
        ]

    async def _live(self, rooms: list[str], visitors: list[Visitor], seconds: float, *, ends_the_server: bool) -> None:
        end, dice = anyio.Event(), random.Random(self.name)
        async with anyio.create_task_group() as tasks:
            for visitor in visitors:
                tasks.start_soon(come_and_go, visitor, random.Random(visitor.name))
            async with anyio.create_task_group() as asking, anyio.create_task_group() as misfortunes:
                for room in rooms:
                    asking.start_soon(self._ask, room, end)
                misfortunes.start_soon(trouble_the_visitors, visitors, dice, self.tally)
                if ends_the_server:
                    await end_the_server(self.serving, random.Random(f"{self.name} end"), seconds / 2, self.tally)
                await anyio.sleep(seconds)
                misfortunes.cancel_scope.cancel()
                end.set()
            tasks.cancel_scope.cancel()

    async def _ask(self, room: str, end: anyio.Event) -> None:
        url = self.serving.server.url
        self._promised[room] = await ask_on(url, room, random.Random(f"{room} asker"), end, self.tally)

    async def _read_to_the_end(self, visitors: list[Visitor], logs: dict[str, list[Json]]) -> None:
        with anyio.move_on_after(CATCHES_UP_WITHIN_S) as patience:
            async with anyio.create_task_group() as tasks:
                for visitor in visitors:
                    tasks.start_soon(visitor.follow, BACKOFF)
                for visitor in visitors:
                    await visitor.until_seq(len(logs[visitor.room]))
                tasks.cancel_scope.cancel()
        if patience.cancelled_caught:
            self.tally.findings.append(f"{self.name}: not everybody got to the end in {CATCHES_UP_WITHIN_S:g} s")

    def _judge(self, room: str, visitors: list[Visitor], log: list[Json]) -> None:
        tally = self.tally
        created = {event["response_id"] for event in log if event["type"] == "response.created"}
        findings = [
            f"{response_id} was promised and never made"
            for response_id in self._promised[room]
            if response_id not in created
        ]
        findings += audit_log(log, at_rest=True)
        findings += audit(visitors, log, complete=True)
        for visitor in visitors:
            findings += [
                f"{visitor.name} came with {visit.after} and had to begin anew: {visit.joined['reset']}"
                for visit in visitor.visits
                if visit.after and visit.joined and not visit.joined["resumed"]
            ]
            tally.frames += len(visitor.transcript)
            tally.visits += sum(visit.joined is not None for visit in visitor.visits)
        tally.events += len(log)
        tally.endings.update(event["type"].removeprefix("response.") for event in log if event["type"] in TERMINALS)
        tally.findings += [f"{room}: {finding}" for finding in findings]


def read_log(folder: Path, room: str) -> list[Json]:
    """The whole log of a room, of a store that a server has open: read only, so that neither is in the other's way."""
    log: list[Json] = []
    with closed_after(connect_reader(folder / "roomcast.db")) as connection:
        while True:
            read = queries.read(connection, room, len(log), 5_000, 2**24)
            assert isinstance(read, Events), f"the log of {room} was trimmed before it was judged"
            if not read.records:
                return log
            log += [orjson.loads(record.data) for record in read.records]

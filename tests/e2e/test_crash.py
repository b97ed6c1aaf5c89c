"""Kill -9, again and again, under viewers that always come back (C1, C2)."""

from __future__ import annotations

import random
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import anyio
import pytest

from tests.support.auditor import audit_viewer
from tests.support.disk.faulty_disk import FaultyDisk
from tests.support.reference import audit_log
from tests.support.returning_viewer import ReturningViewer
from tests.support.server import ENDLESS, Server, roomcast_server, starting_server
from tests.support.visitor import stored

pytestmark = pytest.mark.anyio

KILLS = 20
ROOMS = ("attic", "cellar", "lobby")
VIEWERS = ("ann", "bob", "cleo")
STREAMING = {"ROOMCAST_DEMO__TOKENS_PER_SECOND": "150", "ROOMCAST_DEMO__FIRST_TOKEN_MS": "5"}


class Crowd:
    """Three viewers in each of three rooms; one of each room keeps asking."""

    def __init__(self) -> None:
        self.viewers = [ReturningViewer(f"{name}-{room}", room) for room in ROOMS for name in VIEWERS]
        self.asked: dict[str, list[str]] = {room: [] for room in ROOMS}
        self.asking = True
        self._finished = [anyio.Event() for _ in ROOMS]

    def send_to(self, server: Server | None) -> None:
        """Tell everybody where the server is now."""
        for viewer in self.viewers:
            viewer.address = None if server is None else server.ws_url

    def of(self, room: str) -> list[ReturningViewer]:
        return [viewer for viewer in self.viewers if viewer.room == room]

    async def keep_asking(self, room: str) -> None:
        """Two long answers at a time: one streams, one waits."""
        asker = self.of(room)[0]
        while self.asking:
            self.asked[room] += [await asker.ask("tell me a long story"), await asker.ask("short one please")]
            await asker.until_ended(self.asked[room][-1])
        self._finished[ROOMS.index(room)].set()

    async def settle(self) -> None:
        """Wait until every answer has ended, for everybody."""
        self.asking = False
        for finished in self._finished:
            await finished.wait()
        for room, asked in self.asked.items():
            for viewer in self.of(room):
                await viewer.until_ended(*asked)


@pytest.mark.timeout(900)
async def test_c1_twenty_kills_at_any_moment_lose_nothing_that_anybody_saw(tmp_path: Path) -> None:
    dice = random.Random(20_261_122)
    crowd = Crowd()
    with ExitStack() as lives:
        async with anyio.create_task_group() as tasks:
            for viewer in crowd.viewers:
                tasks.start_soon(viewer.stay)
            for room in ROOMS:
                tasks.start_soon(crowd.keep_asking, room)
            for life in range(KILLS + 1):
                server = await anyio.to_thread.run_sync(
                    lives.enter_context, roomcast_server(tmp_path, environ=STREAMING)
                )
                crowd.send_to(server)
                if life == KILLS:
                    break
                await dice.choice(crowd.viewers).until_heard("reply")
                await anyio.sleep(dice.uniform(0, 0.8))
                crowd.send_to(None)
                await anyio.to_thread.run_sync(server.kill)
            await crowd.settle()
            tasks.cancel_scope.cancel()
    await audit(tmp_path, crowd)


async def audit(folder: Path, crowd: Crowd) -> None:
    """Hold every transcript against the log, and the log against its rules."""
    endings: Counter[str] = Counter()
    for room in ROOMS:
        log = await stored(folder, room)
        assert audit_log(log, at_rest=True) == [], room
        created = [event["response_id"] for event in log if event["type"] == "response.created"]
        assert created == crowd.asked[room], "each command that was answered made one response, however often it came"
        for viewer in crowd.of(room):
            assert audit_viewer(viewer.transcript, log, room=room, complete=True) == [], viewer.name
            assert viewer.resets == ["new"], "whoever comes back with a cursor gets exactly what follows it"
            assert viewer.connections > KILLS // 2, "a life may be over before everybody is back"
        endings += Counter(event["type"] for event in log if "digest" in event)
    assert endings["response.interrupted"] >= KILLS // 2, "the kills hit what was running"
    assert endings["response.completed"] > 0


RECOVERING = {**STREAMING, "ROOMCAST_DEMO__TOKENS_PER_SECOND": "20"}
SLOW_SYNC_MS = 6_000
"""Long enough for us to see it and to kill, also when the machine keeps us waiting."""


@pytest.mark.timeout(600)
async def test_c2_a_recovery_that_is_killed_twice_is_carried_out_once(tmp_path: Path, faulty_disk: FaultyDisk) -> None:
    """Killed while the disk confirms that a life began, then while it confirms the recovery itself."""
    crowd = [ReturningViewer("ann", f"room-{number:02}") for number in range(12)]
    asked: dict[str, list[str]] = {}
    with roomcast_server(tmp_path, environ=RECOVERING) as server:
        async with anyio.create_task_group() as tasks:
            for viewer in crowd:
                viewer.address = server.ws_url
                tasks.start_soon(viewer.stay)
            for viewer in crowd:
                asked[viewer.room] = [await viewer.ask(text) for text in (ENDLESS, "a table", "short please")]
            for viewer in crowd:
                await viewer.until_heard("response.output_text.delta")
            await anyio.to_thread.run_sync(server.kill)
            tasks.cancel_scope.cancel()
    faulty_disk.syncs.delay(SLOW_SYNC_MS)
    for opened in (False, True):
        await anyio.to_thread.run_sync(kill_while_it_syncs, tmp_path, faulty_disk, opened)
    faulty_disk.syncs.delay(0)
    with roomcast_server(tmp_path, environ=STREAMING) as server:
        async with anyio.create_task_group() as tasks:
            for viewer in crowd:
                viewer.address = server.ws_url
                tasks.start_soon(viewer.stay)
            for viewer in crowd:
                await viewer.until_ended(*asked[viewer.room])
            tasks.cancel_scope.cancel()
    for viewer in crowd:
        log = await stored(tmp_path, viewer.room)
        assert audit_log(log, at_rest=True) == []
        assert audit_viewer(viewer.transcript, log, room=viewer.room, complete=True) == []
        ends = [viewer.ended[response_id] for response_id in asked[viewer.room]]
        # The recovery that was killed had ended the first and begun the second; the next one found it done.
        assert ends == ["response.interrupted", "response.interrupted", "response.completed"]


def kill_while_it_syncs(folder: Path, disk: FaultyDisk, opened: bool) -> None:
    """Start a server on a slow disk, and kill it in mid-sync: the first at all, or the first behind its opening."""
    log = folder / "server.log"
    openings, killed = log.read_text().count("store_opened"), disk.syncs.waiting
    with starting_server(folder, environ={**RECOVERING, **disk.environ}) as process:
        while (opened and log.read_text().count("store_opened") == openings) or disk.syncs.waiting == killed:
            assert process.poll() is None
            time.sleep(0.01)
        assert (log.read_text().count("store_opened") == openings) is not opened
        process.kill()

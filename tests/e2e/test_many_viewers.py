"""200 viewers of one room: some stop reading, some come and go, and everybody who reads is told the truth."""

from __future__ import annotations

import random
import time
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path
from typing import Any

import anyio
import orjson
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from roomcast.core.log import Events
from roomcast.storage import open_sqlite
from roomcast.wiring.outside import SystemClock
from tests.support.auditor import DISCONNECTED, audit_viewer
from tests.support.memory import MIB, rss_bytes, settled_rss_bytes
from tests.support.raw_peer import RawPeer
from tests.support.reference import Json, audit_log
from tests.support.server import Server, roomcast_server
from tests.support.unharmed import log_lines, metric
from tests.support.wire_client import wire_client

pytestmark = pytest.mark.anyio

READERS, COMERS, STALLED = 180, 10, 10
BREAK = orjson.dumps(DISCONNECTED)
ROOM = "arena"
SETTINGS = {"ROOMCAST_DEMO__TOKENS_PER_SECOND": "120"}


class Viewer:
    """Keeps what goes to and fro, undecoded; comes back with its cursor when it is told to leave.

    Attributes:
        transcript: Frames of both ways, and `DISCONNECTED` between connections.
    """

    def __init__(self, server: Server, name: str) -> None:
        self.transcript: list[bytes] = []
        self.joined = anyio.Event()
        self._url = f"{server.ws_url}?member={name}"
        self._name = name
        self._joins = 0
        self._cursor: Json | None = None

    async def watch(self, until: str, chance: random.Random | None = None) -> None:
        """Watch until an event of this type; with `chance`, leave at random and come back."""
        leaves_after = chance.randrange(20, 120) if chance else None
        while not await self._once(until, leaves_after):
            assert chance is not None, f"{self._name} was disconnected"
            self.transcript.append(BREAK)
            leaves_after = chance.randrange(20, 120)
            await anyio.sleep(chance.random() * 0.3)

    async def _once(self, until: str, leaves_after: int | None) -> bool:
        async with connect(self._url, compression=None, max_size=None, proxy=None) as connection:
            await self._join(connection)
            heard = 0
            while True:
                try:
                    frame = await connection.recv(decode=False)
                except ConnectionClosed:
                    return False
                self.transcript.append(frame)
                got: dict[str, Any] = orjson.loads(frame)
                self._take(got)
                if got["type"] == until:
                    return True
                heard += 1
                if heard == leaves_after:
                    connection.transport.abort()

    async def _join(self, connection: ClientConnection) -> None:
        self._joins += 1
        command = {"type": "room.join", "id": f"{self._name}-{self._joins}", "room": ROOM, "after": self._cursor}
        frame = orjson.dumps({name: value for name, value in command.items() if value is not None})
        self.transcript.append(frame)
        await connection.send(frame, text=True)

    def _take(self, got: Json) -> None:
        if got["type"] == "reply":
            assert got["ok"], got
            self._cursor = {"epoch": got["result"]["epoch"], "seq": got["result"]["seq"]}
            self.joined.set()
        elif "at" in got and self._cursor is not None:
            self._cursor["seq"] = got["seq"]


async def stored(folder: Path) -> list[Json]:
    """The log as the store has it, after the server is gone."""
    async with open_sqlite(folder / "roomcast.db", clock=SystemClock()) as store:
        read = await store.read(ROOM, 0, 1_000_000)
        assert isinstance(read, Events)
        return [orjson.loads(record.data) for record in read.records]


def counted_at(server: Server, action: str, number: int) -> float:
    """Wait until this happened to so many slow viewers; returns when that was."""
    name, patience_until = f'roomcast_slow_viewers_total{{action="{action}"}}', time.monotonic() + 60
    while metric(server, name) < number:
        assert time.monotonic() < patience_until, f"{metric(server, name)} of {number}: {action}"
        time.sleep(0.1)
    return time.monotonic()


@pytest.mark.timeout(180)
async def test_200_viewers_are_told_the_truth_beside_stalled_and_fickle_ones(tmp_path: Path) -> None:
    chance = random.Random(20_261_122)
    grown_bytes, stalled_for_s, done = 0, 0.0, dict[str, Any]()
    readers, comers = list[Viewer](), list[Viewer]()
    with roomcast_server(tmp_path, environ=SETTINGS) as server, ExitStack() as sockets:
        readers += [Viewer(server, f"reader-{number}") for number in range(READERS)]
        comers += [Viewer(server, f"comer-{number}") for number in range(COMERS)]
        for number in range(STALLED):
            peer = RawPeer.upgraded(server.port, member=f"stalled-{number}", receive_buffer_bytes=4_096)
            assert sockets.enter_context(peer).reply("room.join", room=ROOM)["ok"]
        async with anyio.create_task_group() as tasks:
            async with (
                wire_client(server.ws_url, tasks, member="asker") as asker,
                anyio.create_task_group() as watching,
            ):
                for viewer in readers:
                    watching.start_soon(viewer.watch, "response.completed")
                for viewer in comers:
                    watching.start_soon(viewer.watch, "response.completed", chance)
                for viewer in (*readers, *comers):
                    await viewer.joined.wait()
                await asker.join(ROOM)
                idle_bytes = await anyio.to_thread.run_sync(settled_rss_bytes, server)
                response_id = (await asker.ask(ROOM, "tell me a long story"))["response_id"]
                refused_at = await anyio.to_thread.run_sync(counted_at, server, "coalesce", 1)
                done = await asker.ending(response_id, timeout_s=60)
                stalled_for_s = await anyio.to_thread.run_sync(counted_at, server, "abort", STALLED) - refused_at
                grown_bytes = rss_bytes(server) - idle_bytes
            tasks.cancel_scope.cancel()
        server.stop()
        assert not [line for line in log_lines(server) if line["level"] == "error" or "exception" in line]
    log = await stored(tmp_path)
    assert audit_log(log, at_rest=True) == []
    for viewer in (*readers, *comers):
        transcript = [orjson.loads(frame) for frame in viewer.transcript]
        assert audit_viewer(transcript, log, room=ROOM, complete=True) == []
    assert sum(viewer.transcript.count(BREAK) for viewer in comers) >= COMERS
    text = "".join(event["delta"] for event in log if event["type"] == "response.output_text.delta")
    assert done["digest"] == "sha256:" + sha256(text.encode()).hexdigest()
    assert grown_bytes < 20 * MIB, f"{grown_bytes / MIB:.1f} MiB"
    assert stalled_for_s < 20 - 2, "it takes us two seconds at most to hear of the first byte that was refused"

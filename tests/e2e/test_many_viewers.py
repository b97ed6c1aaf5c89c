"""200 viewers of one room: some stop reading, some come and go, and everybody who reads is told the truth."""

from __future__ import annotations

import random
import time
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.support.memory import MIB, rss_bytes, settled_rss_bytes
from tests.support.raw_peer import RawPeer
from tests.support.reference import audit_log
from tests.support.server import Server, roomcast_server
from tests.support.unharmed import log_lines, metric
from tests.support.visitor import Visitor, audit, stored
from tests.support.wire_client import wire_client

pytestmark = pytest.mark.anyio

READERS, COMERS, STALLED = 180, 10, 10
ROOM = "arena"
BUSY_S = 20
"""What a busy machine may add; tests/subscriber/ holds the deadline itself to the second, on a clock of its own."""
LIVELY = "!fault drip every_ms=8\ntell me a long story"
"""Goes on until all has happened that is to happen beside it, however slow the machine is."""


async def comes_and_goes(visitor: Visitor, chance: random.Random) -> None:
    """Come, watch for a while, vanish, and come back with the cursor."""
    while True:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(visitor.visit)
            await visitor.until_here()
            await visitor.until_heard(chance.randrange(20, 120))
            visitor.drop()
        await anyio.sleep(chance.random() * 0.3)


def counted_at(server: Server, action: str, number: int) -> float:
    """Wait until this happened to so many slow viewers; returns when that was."""
    name, patience_until = f'roomcast_slow_viewers_total{{action="{action}"}}', time.monotonic() + 120
    while metric(server, name) < number:
        assert time.monotonic() < patience_until, f"{metric(server, name)} of {number}: {action}"
        time.sleep(0.1)
    return time.monotonic()


@pytest.mark.timeout(600)
async def test_200_viewers_are_told_the_truth_beside_stalled_and_fickle_ones(tmp_path: Path) -> None:
    chance = random.Random(20_261_122)
    grown_bytes, stalled_for_s, done = 0, 0.0, dict[str, Any]()
    frames = dict[bytes, bytes]()
    readers, comers = list[Visitor](), list[Visitor]()
    with roomcast_server(tmp_path) as server, ExitStack() as sockets:
        readers += [Visitor(server.port, ROOM, f"reader-{number}", frames=frames) for number in range(READERS)]
        comers += [Visitor(server.port, ROOM, f"comer-{number}", frames=frames) for number in range(COMERS)]
        for number in range(STALLED):
            peer = RawPeer.upgraded(server.port, member=f"stalled-{number}", receive_buffer_bytes=4_096)
            assert sockets.enter_context(peer).reply("room.join", room=ROOM)["ok"]
        async with anyio.create_task_group() as tasks:
            async with (
                wire_client(server.ws_url, tasks, member="asker") as asker,
                anyio.create_task_group() as watching,
            ):
                for viewer in readers:
                    watching.start_soon(viewer.visit)
                for viewer in comers:
                    watching.start_soon(comes_and_goes, viewer, chance)
                for viewer in (*readers, *comers):
                    await viewer.until_here()
                await asker.join(ROOM)
                idle_bytes = await anyio.to_thread.run_sync(settled_rss_bytes, server)
                response_id = (await asker.ask(ROOM, LIVELY))["response_id"]
                refused_at = await anyio.to_thread.run_sync(counted_at, server, "coalesce", 1)
                stalled_for_s = await anyio.to_thread.run_sync(counted_at, server, "abort", STALLED) - refused_at
                while sum(viewer.breaks for viewer in comers) < 3 * COMERS:  # noqa: ASYNC110  # nothing announces it
                    await anyio.sleep(0.1)
                await asker.command("response.cancel", room=ROOM)
                done = await asker.ending(response_id)
                grown_bytes = rss_bytes(server) - idle_bytes
                for viewer in (*readers, *comers):
                    await viewer.until_type("response.cancelled")
                assert not any(viewer.breaks for viewer in readers), "a reader was disconnected"
                watching.cancel_scope.cancel()
            tasks.cancel_scope.cancel()
        server.stop()
        assert not [line for line in log_lines(server) if line["level"] == "error" or "exception" in line]
    log = await stored(tmp_path, ROOM)
    assert audit_log(log, at_rest=True) == []
    assert audit((*readers, *comers), log, complete=True) == []
    assert sum(viewer.breaks for viewer in comers) >= COMERS
    text = "".join(event["delta"] for event in log if event["type"] == "response.output_text.delta")
    assert done["digest"] == "sha256:" + sha256(text.encode()).hexdigest()
    assert grown_bytes < 20 * MIB, f"{grown_bytes / MIB:.1f} MiB"
    assert stalled_for_s < 20 - 2 + BUSY_S, "it takes us two seconds at most to hear of the first byte that was refused"

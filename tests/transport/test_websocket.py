"""Tests of roomcast/transport/websocket.py that look inside; tests/e2e/ has what shows on the outside."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import anyio
import pytest
from anyio import to_thread

from roomcast.config import load
from roomcast.wiring import House, house
from tests.support.raw_peer import RawPeer

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def a_house(tmp_path: Path, **limits: int) -> AsyncGenerator[House]:
    flags = {f"limits.{name}": value for name, value in limits.items()}
    settings = load(flags={"server.port": 0, "storage.data": str(tmp_path), **flags}, environ={}, file=None)
    async with house(settings) as running:
        yield running


async def eventually(holds: Callable[[], object]) -> None:
    """Wait for something inside the server that the network brings about."""
    with anyio.fail_after(10):
        while not holds():  # noqa: ASYNC110  # nothing announces it
            await anyio.sleep(0.005)


async def test_replies_that_wait_for_their_snapshot_count_as_commands_under_way(tmp_path: Path) -> None:
    """A peer that reads a drop now and then has no deadline: it must not make joins pile up."""
    async with a_house(tmp_path, commands_in_flight=4) as running:
        port = int(running.url.rpartition(":")[2])
        writer = await to_thread.run_sync(partial(RawPeer.upgraded, port, member="writer"))
        with writer:
            for _ in range(5):
                said = partial(writer.reply, "message.create", room="lobby", content="x" * 50_000, respond="never")
                await to_thread.run_sync(said)
        peer = await to_thread.run_sync(partial(RawPeer.upgraded, port, receive_buffer_bytes=4_096))
        with peer:
            await eventually(lambda: len(running.wheel.connections) == 1)
            [connection] = running.wheel.connections
            pump = connection.pump
            assert pump is not None
            for number in range(30):
                peer.text(json.dumps({"type": "room.join", "id": f"j{number}", "room": "lobby"}))
                await anyio.sleep(0.01)
            assert not pump.writable
            assert pump.outbox.statistics().frames <= 8
            heard = [await to_thread.run_sync(partial(peer.until_type, "reply", id=f"j{n}")) for n in range(30)]
            assert all(reply["ok"] for reply in heard), "what waited outside is answered when it reads on"

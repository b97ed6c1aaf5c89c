"""Tests of a drain in roomcast/wiring/house.py: who is told, and what is waited for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import anyio
import pytest

from roomcast.core.ports import Append, Committed, Conflict
from roomcast.wiring import house
from tests.support.wire_client import wire_client
from tests.wiring.test_house import settings

pytestmark = pytest.mark.anyio


async def test_a_drain_is_told_also_to_who_has_joined_no_room(tmp_path: Path) -> None:
    async with house(settings(tmp_path)) as running:
        ws_url = running.url.replace("http", "ws", 1) + "/v1/ws"
        async with anyio.create_task_group() as tasks, wire_client(ws_url, tasks) as ann:
            await ann.command("session.ping")
            await running.drain()
            assert (await ann.until_closed())[0] == 1012
            assert [heard["type"] for heard in ann.heard] == ["reply", "server.draining"]


async def test_a_drain_waits_also_for_what_the_commit_under_way_starts(tmp_path: Path) -> None:
    asked_for = settings(tmp_path, **{"server.drain_timeout_s": 60.0, "demo.tokens_per_second": 1_000.0})
    async with house(asked_for) as running:
        ws_url = running.url.replace("http", "ws", 1) + "/v1/ws"
        async with anyio.create_task_group() as tasks, wire_client(ws_url, tasks) as ann:
            await ann.join("lobby")
            append, asked, go_on = running.hub.event_log.append, anyio.Event(), anyio.Event()

            async def slow_append(batches: Sequence[Append]) -> Sequence[Committed | Conflict]:
                asked.set()
                await go_on.wait()
                return await append(batches)

            running.hub.event_log.append = slow_append  # type: ignore[method-assign]  # a disk that takes its time
            await ann.send("message.create", room="lobby", content="short one please")
            await asked.wait()
            tasks.start_soon(running.drain)
            await ann.until_type("server.draining")
            go_on.set()
            await ann.until_closed()
            assert [heard["type"] for heard in ann.heard if "digest" in heard] == ["response.completed"]

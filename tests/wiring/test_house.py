"""Tests of roomcast/wiring/house.py: starting, refusing to start, and stopping, in this process."""

from __future__ import annotations

import socket
from pathlib import Path

import anyio
import pytest

from roomcast.config import load
from roomcast.core.settings import Settings
from roomcast.wiring import StartError, house, new_id
from tests.support.wire_client import Heard, wire_client

pytestmark = pytest.mark.anyio


def settings(data: Path, **flags: object) -> Settings:
    given = {"server.port": 0, "storage.data": str(data), "demo.first_token_ms": 1.0, **flags}
    return load(flags=given, environ={}, file=None)


async def test_a_house_listens_where_it_says_and_answers(tmp_path: Path) -> None:
    async with house(settings(tmp_path, **{"demo.tokens_per_second": 1_000.0})) as running:
        assert running.ready
        ws_url = running.url.replace("http", "ws", 1) + "/v1/ws"
        async with anyio.create_task_group() as tasks, wire_client(ws_url, tasks, member="ann") as ann:
            await ann.join("lobby")
            asked = await ann.ask("lobby", "short one please")
            done = await ann.ending(asked["response_id"])
            assert done["type"] == "response.completed"
            assert done["response"]["model"] == "roomcast-demo"


async def test_the_demo_goes_by_its_own_name_from_the_first_event_on(tmp_path: Path) -> None:
    async with house(settings(tmp_path)) as running:
        ws_url = running.url.replace("http", "ws", 1) + "/v1/ws"
        async with anyio.create_task_group() as tasks, wire_client(ws_url, tasks) as ann:
            await ann.join("lobby")
            await ann.ask("lobby", "hello")
            created = await ann.until_type("response.created")
            assert created["response"]["model"] == "roomcast-demo"
            assert created["response"]["simulated"] is True
        assert "simulated" in running.upstream


async def test_a_taken_port_is_said_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(StartError, match=rf"cannot listen on 127\.0\.0\.1:{port}.*--port"):
            async with house(settings(tmp_path, **{"server.port": port})):
                pass


async def test_a_folder_in_use_is_said_in_one_line(tmp_path: Path) -> None:
    async with house(settings(tmp_path)):
        with pytest.raises(StartError, match="is using it"):
            async with house(settings(tmp_path)):
                pass


async def test_a_drain_without_anything_to_wait_for_is_quick_and_refuses_what_comes(tmp_path: Path) -> None:
    async with house(settings(tmp_path, **{"server.drain_timeout_s": 60.0})) as running:
        ws_url = running.url.replace("http", "ws", 1) + "/v1/ws"
        async with anyio.create_task_group() as tasks, wire_client(ws_url, tasks) as ann:
            await ann.join("lobby")
            with anyio.fail_after(50):
                await running.drain()
            assert (await ann.until_closed())[0] == 1012
        assert not running.ready


async def test_hurry_cuts_the_drain_short_and_what_ran_is_interrupted(tmp_path: Path) -> None:
    asked_for = settings(tmp_path, **{"server.drain_timeout_s": 600.0, "demo.tokens_per_second": 5.0})
    async with house(asked_for) as running:
        ws_url = running.url.replace("http", "ws", 1) + "/v1/ws"
        async with anyio.create_task_group() as tasks, wire_client(ws_url, tasks) as ann:
            await ann.join("lobby")
            asked = await ann.ask("lobby", "tell me a long story")
            await ann.until_type("response.output_text.delta")
            tasks.start_soon(running.drain)
            await ann.until_type("server.draining")
            running.hurry()
            ended = await ann.ending(asked["response_id"])
            assert ended["type"] == "response.interrupted"
            await ann.until_closed()


async def _said_before(tmp_path: Path) -> tuple[Heard, Heard]:
    """Say something in a house that is then closed; returns the join's result and the message's."""
    async with house(settings(tmp_path)) as running:
        ws_url = running.url.replace("http", "ws", 1) + "/v1/ws"
        async with anyio.create_task_group() as tasks, wire_client(ws_url, tasks) as ann:
            return await ann.join("lobby"), await ann.ask("lobby", "remember", respond="never")
    raise AssertionError("unreachable")


async def test_what_a_house_stored_the_next_one_serves(tmp_path: Path) -> None:
    joined, said = await _said_before(tmp_path)
    async with house(settings(tmp_path)) as running:
        ws_url = running.url.replace("http", "ws", 1) + "/v1/ws"
        async with anyio.create_task_group() as tasks, wire_client(ws_url, tasks) as bob:
            again = await bob.join("lobby", after={"epoch": joined["epoch"], "seq": joined["seq"]})
            assert again["resumed"]
            event = await bob.until_type("item.created")
            assert event["item"]["id"] == said["item_id"]


async def test_memory_needs_no_folder(tmp_path: Path) -> None:
    asked_for = settings(tmp_path / "never", **{"storage.url": "memory://"})
    async with house(asked_for) as running:
        assert running.store == "memory://"
    assert not (tmp_path / "never").exists()


def test_ids_are_fresh_and_carry_their_prefix() -> None:
    made = {new_id("msg") for _ in range(1_000)}
    assert len(made) == 1_000
    assert all(name.startswith("msg_") and len(name) == 30 for name in made)

"""Who may talk when, over real sockets: with the wheel that turns by itself, and viewers that really leave."""

from __future__ import annotations

import json
import time
from pathlib import Path
from urllib.request import urlopen

import anyio
import pytest

from tests.support.server import ENDLESS, Server, roomcast_server
from tests.support.wire_client import PATIENCE_S, Heard, WireClient, wire_client

pytestmark = pytest.mark.anyio

QUICK = {"ROOMCAST_DEMO__FIRST_TOKEN_MS": "1", "ROOMCAST_DEMO__TOKENS_PER_SECOND": "40", "ROOMCAST_DEMO__JITTER": "0"}
SLOW = {"ROOMCAST_DEMO__FIRST_TOKEN_MS": "1", "ROOMCAST_DEMO__TOKENS_PER_SECOND": "100", "ROOMCAST_DEMO__JITTER": "0"}
DEBOUNCE = {**SLOW, "ROOMCAST_ROOMS__ON_BUSY": "debounce", "ROOMCAST_ROOMS__DEBOUNCE_S": "1"}
GRACE = {**SLOW, "ROOMCAST_ROOMS__ORPHAN_GRACE_S": "1"}


async def test_a_burst_is_answered_once_and_what_it_replaced_says_by_what(tmp_path: Path) -> None:
    with roomcast_server(tmp_path, environ=DEBOUNCE) as server:
        async with anyio.create_task_group() as tasks, wire_client(server.ws_url, tasks, member="ann") as ann:
            await ann.join("lobby")
            first = await ann.ask("lobby", ENDLESS)
            second, third = await ann.ask("lobby", "and?"), await ann.ask("lobby", "and then?")
            left = await ann.ending(second["response_id"])
            assert (left["reason"], left["into"]) == ("superseded", third["response_id"])
            await ann.command("response.cancel", room="lobby", response_id=first["response_id"])
            assert (await ann.ending(first["response_id"]))["type"] == "response.cancelled"
            assert (await ann.ending(third["response_id"]))["type"] == "response.completed"
            created = await ann.until_type("response.created", response_id=third["response_id"])
            started = await ann.until_type("response.in_progress", response_id=third["response_id"])
            assert started["at"] - created["at"] >= 950
            tasks.cancel_scope.cancel()


async def test_a_room_has_a_policy_of_its_own_that_outlives_the_server(tmp_path: Path) -> None:
    with roomcast_server(tmp_path, environ=SLOW) as server:
        async with anyio.create_task_group() as tasks, wire_client(server.ws_url, tasks, member="ann") as ann:
            await ann.join("lobby")
            changed = await ann.command("room.update", room="lobby", title="Plans", settings={"on_busy": "reject"})
            assert changed["result"] == {"title": "Plans", "settings": {"on_busy": "reject", "respond": "always"}}
            told = await ann.until_type("room.updated")
            assert (told["title"], told["settings"], told["by"]["id"]) == (
                "Plans",
                changed["result"]["settings"],
                "ann",
            )
            wrong = await ann.command("room.update", room="lobby", settings={"on_busy": "sometimes"})
            assert (wrong["error"]["code"], wrong["error"]["param"]) == ("invalid_value", "settings.on_busy")
            wrong = await ann.command("room.update", room="lobby", settings={"colour": "red"})
            assert (wrong["error"]["code"], wrong["error"]["param"]) == ("unknown_field", "settings.colour")
            tasks.cancel_scope.cancel()
        server.kill()
    with roomcast_server(tmp_path, environ=SLOW) as server:
        async with anyio.create_task_group() as tasks, wire_client(server.ws_url, tasks, member="bob") as bob:
            shown = (await bob.join("lobby"))["snapshot"]["room"]
            assert (shown["title"], shown["settings"]["on_busy"]) == ("Plans", "reject")
            await bob.ask("lobby", ENDLESS)
            refused = await bob.command("message.create", room="lobby", content="me too")
            assert refused["error"]["code"] == "room_busy"
            tasks.cancel_scope.cancel()


async def test_an_answer_goes_on_while_somebody_watches_and_no_longer(tmp_path: Path) -> None:
    with roomcast_server(tmp_path, environ=GRACE) as server:
        async with anyio.create_task_group() as tasks:
            async with wire_client(server.ws_url, tasks, member="bob") as bob:
                async with wire_client(server.ws_url, tasks, member="ann") as ann:
                    await ann.join("lobby")
                    asked = await ann.ask("lobby", ENDLESS)
                    await bob.join("lobby")
                await anyio.sleep(2)
                assert not [got for got in bob.heard if got["type"] == "response.cancelling"]
            ended = await anyio.to_thread.run_sync(until_over, server, asked["response_id"])
            assert (ended["status"], ended["reason"]) == ("cancelled", "orphaned")
            assert ended["receipt"]["by"] == {"id": "system", "name": "system"}
            tasks.cancel_scope.cancel()


def until_over(server: Server, response_id: str) -> Heard:
    """Look again and again, without becoming somebody who watches, until a response has ended; returns it."""
    patience_until = time.monotonic() + PATIENCE_S
    while True:
        with urlopen(f"{server.url}/v1/rooms/lobby", timeout=PATIENCE_S) as answer:
            shown: list[Heard] = json.load(answer)["snapshot"]["responses"]
        [found] = [response for response in shown if response["id"] == response_id]
        if found["status"] != "in_progress":
            return found
        assert time.monotonic() < patience_until, found
        time.sleep(0.1)


async def test_L4_a_cancel_at_any_time_ends_once_and_the_same_for_everybody(tmp_path: Path) -> None:
    """From before the first token to behind the last."""
    with roomcast_server(tmp_path, environ=QUICK) as server:
        async with anyio.create_task_group() as tasks:
            async with (
                wire_client(server.ws_url, tasks, member="ann") as ann,
                wire_client(server.ws_url, tasks, member="bob") as bob,
            ):
                await ann.join("lobby")
                await bob.join("lobby")
                outcomes = {await _cancelled_after(ann, bob, wait_ms) for wait_ms in (*range(0, 480, 30), 3_000)}
                assert outcomes == {"response.cancelled", "response.completed"}
            tasks.cancel_scope.cancel()


async def _cancelled_after(ann: WireClient, bob: WireClient, wait_ms: int) -> str:
    asked = (await ann.ask("lobby", "short one please"))["response_id"]
    await anyio.sleep(wait_ms / 1000)
    told = (await bob.command("response.cancel", room="lobby", response_id=asked))["result"]["status"]
    ending = await ann.ending(asked)
    assert ending == await bob.ending(asked)
    assert ending["type"] == {"cancelling": "response.cancelled", "completed": "response.completed"}[told]
    parts = [part for item in ending["response"]["output"] for part in item["content"]]
    assert ann.text(asked) == bob.text(asked) == "".join(part["text"] for part in parts)
    kind: str = ending["type"]
    return kind

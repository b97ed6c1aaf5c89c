"""Tests of roomcast/client/outbox.py. O1 … O3 are the invariants of its header."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import orjson
import pytest

from roomcast.client.errors import Refused
from roomcast.client.outbox import COMMAND_BYTES, Outbox, fresh_id
from roomcast.core.events import JsonObject
from roomcast.core.ids import COMMAND_ID

pytestmark = pytest.mark.anyio


class Asking:
    """Commands that wait for their replies in the background, by their text."""

    def __init__(self, outbox: Outbox) -> None:
        self.outbox = outbox
        self.results: dict[str, JsonObject | Exception] = {}
        self.scopes: dict[str, anyio.CancelScope] = {}

    async def ask(self, text: str) -> None:
        with anyio.CancelScope() as self.scopes[text]:
            try:
                self.results[text] = await self.outbox.ask("message.create", {"room": "lobby", "content": text})
            except Exception as error:
                self.results[text] = error


@asynccontextmanager
async def asking(outbox: Outbox, *texts: str) -> AsyncGenerator[Asking]:
    async with anyio.create_task_group() as tasks:
        asked = Asking(outbox)
        for text in texts:
            tasks.start_soon(asked.ask, text)
            await anyio.wait_all_tasks_blocked()
        with anyio.fail_after(60):
            yield asked
        tasks.cancel_scope.cancel()


async def written(outbox: Outbox) -> list[JsonObject]:
    """Everything that can be written without waiting."""
    frames: list[JsonObject] = []
    with anyio.move_on_after(0.02):
        while True:
            frames.append(orjson.loads(await outbox.next_frame()))
    return frames


def reply(command: JsonObject, **fields: Any) -> JsonObject:
    return {"type": "reply", "id": command["id"], "ok": True, "result": {}, **fields}


def an_open_outbox(**options: int) -> Outbox:
    outbox = Outbox(**options)
    outbox.open()
    return outbox


async def test_commands_are_written_in_the_order_they_were_asked_each_with_an_id() -> None:
    """O2."""
    outbox = an_open_outbox()
    async with asking(outbox, "a", "b", "c"):
        frames = await written(outbox)
    assert [frame["content"] for frame in frames] == ["a", "b", "c"]
    assert all(COMMAND_ID.fullmatch(frame["id"]) for frame in frames)
    assert len({frame["id"] for frame in frames}) == 3


async def test_each_asker_gets_its_own_reply_in_any_order() -> None:
    outbox = an_open_outbox()
    async with asking(outbox, "a", "b") as asked:
        first, second = await written(outbox)
        outbox.reply(reply(second, result={"is": "b"}))
        outbox.reply(reply(first, result={"is": "a"}))
        await anyio.wait_all_tasks_blocked()
    assert asked.results == {"a": {"is": "a"}, "b": {"is": "b"}}


async def test_a_refusal_is_raised_where_it_was_asked() -> None:
    outbox = an_open_outbox()
    async with asking(outbox, "a") as asked:
        (command,) = await written(outbox)
        outbox.reply(reply(command, ok=False, error={"code": "queue_full", "message": "full", "retryable": True}))
        await anyio.wait_all_tasks_blocked()
    refused = asked.results["a"]
    assert isinstance(refused, Refused)
    assert (refused.code, refused.retryable) == ("queue_full", True)


async def test_nothing_is_written_before_the_room_is_joined_but_the_join() -> None:
    outbox = Outbox()
    async with asking(outbox, "a"):
        outbox.first(b'{"type":"room.join"}')
        assert [frame["type"] for frame in await written(outbox)] == ["room.join"]
        outbox.open()
        assert [frame["content"] for frame in await written(outbox)] == ["a"]


async def test_what_is_unanswered_goes_again_on_the_next_connection_under_the_same_id() -> None:
    """O1, O2."""
    outbox = an_open_outbox()
    async with asking(outbox, "a", "b", "c"):
        before = await written(outbox)
        outbox.reply(reply(before[1]))
        outbox.close()
        assert await written(outbox) == []
        outbox.open()
        assert await written(outbox) == [before[0], before[2]]


async def test_what_could_not_be_written_any_more_goes_once_on_the_next_connection() -> None:
    outbox = an_open_outbox()
    async with asking(outbox, "a"):
        outbox.close()
        outbox.open()
        assert [frame["content"] for frame in await written(outbox)] == ["a"]


async def test_a_join_goes_before_what_waits_already() -> None:
    outbox = an_open_outbox()
    async with asking(outbox, "a"):
        outbox.first(b'{"type":"room.join"}')
        assert [frame["type"] for frame in await written(outbox)] == ["room.join", "message.create"]


async def test_joining_again_on_the_same_connection_sends_nothing_twice() -> None:
    outbox = an_open_outbox()
    async with asking(outbox, "a"):
        assert len(await written(outbox)) == 1
        outbox.open()
        assert await written(outbox) == []


async def test_a_command_that_nobody_waits_for_any_more_is_not_sent_again() -> None:
    """O3."""
    outbox = an_open_outbox()
    async with asking(outbox, "a", "b") as asked:
        await written(outbox)
        asked.scopes["a"].cancel()
        await anyio.wait_all_tasks_blocked()
        outbox.close()
        outbox.open()
        assert [frame["content"] for frame in await written(outbox)] == ["b"]


async def test_a_second_reply_and_a_strange_one_are_ignored() -> None:
    outbox = an_open_outbox()
    async with asking(outbox, "a") as asked:
        (command,) = await written(outbox)
        outbox.reply({"type": "reply", "id": "nobody", "ok": True})
        outbox.reply(reply(command, result={"is": "first"}))
        await anyio.wait_all_tasks_blocked()
        outbox.reply(reply(command, result={"is": "second"}))
    assert asked.results["a"] == {"is": "first"}


async def test_only_so_many_commands_wait_at_once_and_the_others_wait_for_a_place() -> None:
    outbox = an_open_outbox(most=1)
    async with asking(outbox, "a", "b"):
        (first,) = await written(outbox)
        outbox.reply(reply(first))
        assert [frame["content"] for frame in await written(outbox)] == ["b"]


async def test_a_command_that_no_server_takes_is_refused_here() -> None:
    with pytest.raises(Refused) as caught:
        await an_open_outbox().ask("message.create", {"content": "x" * COMMAND_BYTES})
    assert caught.value.code == "too_large"


async def test_the_end_reaches_everybody_who_waits_and_who_comes_after() -> None:
    outbox = an_open_outbox()
    async with asking(outbox, "a") as asked:
        outbox.end(RuntimeError("closed"))
        await anyio.wait_all_tasks_blocked()
    assert isinstance(asked.results["a"], RuntimeError)
    with pytest.raises(RuntimeError, match="closed"):
        await outbox.ask("session.ping", {})


def test_ids_do_not_repeat() -> None:
    assert len({fresh_id("cmd") for _ in range(1_000)}) == 1_000

"""Tests of roomcast/storage/memory.py; the conformance suite has what every adapter promises."""

from __future__ import annotations

import weakref

import anyio
import pytest

from roomcast.core.ports import Receipt
from roomcast.storage import open_memory
from tests.conformance.examples import ManualClock, a_batch, a_key, a_receipt

pytestmark = pytest.mark.anyio


async def test_what_it_held_is_gone_when_it_is_opened_again() -> None:
    async with open_memory(clock=ManualClock()) as store:
        await store.append([a_batch()])
    async with open_memory(clock=ManualClock()) as store:
        assert await store.head("lobby") is None


async def test_a_follower_ends_with_the_store() -> None:
    async with anyio.create_task_group() as tasks, open_memory(clock=ManualClock()) as store:

        async def listen() -> None:
            async with store.follow() as heads:
                assert [head.room async for head in heads] == ["lobby"]

        tasks.start_soon(listen)
        await anyio.wait_all_tasks_blocked()
        await store.append([a_batch()])


async def test_every_call_lets_others_run() -> None:
    """A store that never yields would hide races that a disk shows."""
    turns: list[str] = []
    async with open_memory(clock=ManualClock()) as store, anyio.create_task_group() as tasks:

        async def other() -> None:
            turns.append("other")

        tasks.start_soon(other)
        await store.append([a_batch()])
        turns.append("append")
    assert turns == ["other", "append"]


class Watched(Receipt):
    """A receipt that can be seen to be gone."""

    __slots__ = ("__weakref__",)


async def test_an_expired_receipt_is_forgotten_when_the_next_one_comes() -> None:
    clock = ManualClock()
    watched = Watched(a_key("old"), b"", b"", expires_at=clock.at_ms + 1)
    gone = weakref.ref(watched)
    async with open_memory(clock=clock) as store:
        await store.append([a_batch(receipts=[watched])])
        del watched
        clock.at_ms += 1
        assert gone() is not None
        await store.append([a_batch(on=1, receipts=[a_receipt("new")])])
        assert gone() is None

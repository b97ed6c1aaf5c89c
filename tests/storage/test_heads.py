"""Tests of roomcast/storage/heads.py; the conformance suite has what every adapter promises."""

from __future__ import annotations

import anyio
import pytest

from roomcast.core.ports import Head
from roomcast.storage.heads import HeadBoard

pytestmark = pytest.mark.anyio


def at(seq: int, room: str = "lobby") -> Head:
    return Head(room, "e1", seq, 0)


async def test_a_follower_holds_one_head_a_room_however_long_it_sleeps() -> None:
    board = HeadBoard()
    async with board.follow() as heads:
        for seq in range(1_000):
            board.publish([at(seq, "a"), at(seq, "b")])
        board.close()
        assert [head async for head in heads] == [at(999, "a"), at(999, "b")]


async def test_a_busy_room_does_not_push_a_quiet_one_back() -> None:
    board = HeadBoard()
    async with board.follow() as heads:
        board.publish([at(1, "quiet"), at(1, "busy")])
        assert await anext(heads) == at(1, "quiet")
        board.publish([at(2, "busy"), at(2, "quiet")])
        assert await anext(heads) == at(2, "busy")


async def test_a_follower_that_waits_ends_when_the_board_closes() -> None:
    board = HeadBoard()
    async with board.follow() as heads, anyio.create_task_group() as tasks:

        async def listen() -> None:
            assert [head async for head in heads] == []

        tasks.start_soon(listen)
        await anyio.wait_all_tasks_blocked()
        board.close()


async def test_who_has_left_is_told_nothing() -> None:
    board = HeadBoard()
    async with board.follow() as heads:
        pass
    board.publish([at(1)])
    board.close()
    with anyio.move_on_after(0.01) as scope:  # never told, not even of the end
        await anext(heads)
    assert scope.cancelled_caught

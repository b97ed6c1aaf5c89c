"""Tests of roomcast/client/inbox.py. B1 … B3 are the invariants of its header."""

from __future__ import annotations

import anyio
import pytest

from roomcast.client.inbox import Inbox
from roomcast.core.events import Cursor
from tests.client.scripted import as_event, delta

pytestmark = pytest.mark.anyio


def put(inbox: Inbox, *seqs: int) -> None:
    for seq in seqs:
        inbox.put(as_event(delta(seq, str(seq))), Cursor("e1", seq))


def put_reset(inbox: Inbox, seq: int) -> None:
    inbox.put(as_event({"type": "room.reset", "seq": seq}), Cursor("e1", seq))


async def take(inbox: Inbox) -> int | None:
    arrival = await inbox.take()
    return None if arrival is None else arrival[1].seq


def is_writable(inbox: Inbox) -> bool:
    """Whether `writable` would return at once: a coroutine that does not wait ends in its first step."""
    waiting = inbox.writable()
    try:
        waiting.send(None)
    except StopIteration:
        return True
    waiting.close()
    return False


async def test_events_are_taken_in_order() -> None:
    inbox = Inbox()
    put(inbox, 1, 2, 3)
    assert [await take(inbox) for _ in range(3)] == [1, 2, 3]


async def test_taking_waits_for_the_next() -> None:
    inbox = Inbox()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_put_later, inbox)
        assert await take(inbox) == 1


async def _put_later(inbox: Inbox) -> None:
    await anyio.lowlevel.checkpoint()
    put(inbox, 1)


async def test_a_full_queue_stops_the_socket_until_something_is_taken() -> None:
    """B2."""
    inbox = Inbox(soft=2)
    put(inbox, 1)
    assert is_writable(inbox)
    put(inbox, 2)
    assert not is_writable(inbox)
    await take(inbox)
    assert is_writable(inbox)


async def test_who_waits_for_something_else_keeps_the_socket_going() -> None:
    """B3."""
    inbox = Inbox(soft=2)
    put(inbox, 1, 2)
    with inbox.hurry():
        assert is_writable(inbox)
    assert not is_writable(inbox)


async def test_a_stopped_socket_goes_on_when_somebody_begins_to_wait() -> None:
    """B3."""
    inbox, went_on = Inbox(soft=1), anyio.Event()
    put(inbox, 1)

    async def reader() -> None:
        await inbox.writable()
        went_on.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(reader)
        await anyio.wait_all_tasks_blocked()
        assert not went_on.is_set()
        with inbox.hurry(), anyio.fail_after(60):
            await went_on.wait()


async def test_a_queue_that_nobody_empties_is_given_up_and_says_so() -> None:
    """B1, B3."""
    inbox = Inbox(soft=2, hard=3)
    with inbox.hurry():
        put(inbox, 1, 2, 3, 4, 5)
    assert (inbox.lost, len(inbox)) == (True, 0)
    assert await take(inbox) is None


async def test_a_queue_that_was_given_up_keeps_again_after_a_restart() -> None:
    inbox = Inbox(hard=1)
    put(inbox, 1, 2)
    inbox.restart()
    put(inbox, 9)
    assert await take(inbox) == 9


async def test_a_reset_of_the_server_begins_anew_as_well() -> None:
    inbox = Inbox(hard=1)
    put(inbox, 1, 2)
    put_reset(inbox, 7)
    assert (inbox.lost, await take(inbox)) == (False, 7)


async def test_who_waits_is_told_when_the_queue_is_given_up() -> None:
    inbox = Inbox(hard=0)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_put_later, inbox)
        with anyio.fail_after(60):
            assert await take(inbox) is None


async def test_the_end_comes_after_what_is_here() -> None:
    inbox = Inbox()
    put(inbox, 1)
    inbox.end(RuntimeError("over"))
    assert await take(inbox) == 1
    with pytest.raises(RuntimeError, match="over"):
        await take(inbox)


async def test_two_readers_at_once_are_refused() -> None:
    inbox = Inbox()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(inbox.take)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(RuntimeError, match="one reader"):
            await inbox.take()
        tasks.cancel_scope.cancel()


async def test_a_cancelled_reader_leaves_the_place_to_the_next() -> None:
    inbox = Inbox()
    with anyio.move_on_after(0.01):
        await inbox.take()
    put(inbox, 1)
    assert await take(inbox) == 1

"""A batch that deletes its room: all or nothing of it, and the name is free for a new log."""

from __future__ import annotations

from dataclasses import replace

import pytest

from roomcast.core.ports import Append, Committed, Conflict, Events, Head
from roomcast.storage import Store
from tests.conformance.examples import EPOCH, a_batch, a_hold, a_key, a_receipt, an_item

pytestmark = pytest.mark.anyio

NOTHING = Head("lobby", "", seq=0, floor=0)


def deleting(batch: Append) -> Append:
    return replace(batch, deletes=True)


async def a_full_room(store: Store, name: str = "lobby") -> None:
    await store.append(
        [
            a_batch(
                name,
                events=2,
                receipts=[a_receipt(room=name)],
                items=[an_item("i1", 1)],
                holds=[a_hold(name, "resp_1", "node_1")],
                checkpoint=b"{}",
                unfinished=True,
                title="Plans",
            )
        ]
    )


async def test_nothing_is_left_of_the_room_but_its_receipts(store: Store) -> None:
    await a_full_room(store)
    goodbye = deleting(a_batch(on=2, receipts=[a_receipt("c2")]))
    assert list(await store.append([goodbye])) == [Committed(3)]
    assert await store.head("lobby") is None
    assert await store.read("lobby", 0, 10) == Events([])
    assert await store.checkpoint("lobby") is None
    assert await store.items("lobby", None, 10) in (None, [])
    assert (list(await store.list(None, 10)), list(await store.unfinished()), list(await store.held())) == ([], [], [])
    assert set(await store.receipts([a_key("c1"), a_key("c2")])) == {a_key("c1"), a_key("c2")}


async def test_other_rooms_are_as_they_were(store: Store) -> None:
    await a_full_room(store)
    await a_full_room(store, "lobby2")
    await store.append([deleting(a_batch(on=2)), a_batch("third")])
    assert [card.name for card in await store.list(None, 10)] == ["lobby2", "third"]
    assert await store.head("lobby2") == Head("lobby2", EPOCH, seq=2, floor=0)
    assert [hold.room for hold in await store.held()] == ["lobby2"]
    assert await store.item("lobby2", "i1") is not None


async def test_the_name_is_free_for_a_new_log(store: Store) -> None:
    await a_full_room(store)
    await store.append([deleting(a_batch(on=2))])
    assert list(await store.append([a_batch(on=3)])) == [Conflict(NOTHING)]
    assert list(await store.append([a_batch(epoch="other", events=1)])) == [Committed(1)]
    assert await store.head("lobby") == Head("lobby", "other", seq=1, floor=0)
    read = await store.read("lobby", 0, 10)
    assert isinstance(read, Events)
    assert [record.seq for record in read.records] == [1]
    assert await store.item("lobby", "i1") is None


async def test_a_deletion_on_a_stale_head_deletes_nothing(store: Store) -> None:
    await a_full_room(store)
    assert list(await store.append([deleting(a_batch(on=1))])) == [Conflict(Head("lobby", EPOCH, 2, 0))]
    assert await store.item("lobby", "i1") is not None


async def test_a_follower_hears_that_there_is_no_such_log_any_more(store: Store) -> None:
    await a_full_room(store)
    async with store.follow() as heads:
        await store.append([deleting(a_batch(on=2))])
        assert await anext(heads) == NOTHING

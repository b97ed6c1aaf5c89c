"""What every `EventLog` promises of events that are old, many or large."""

from __future__ import annotations

import pytest

from roomcast.core.ports import Checkpoint, Committed, Events, Expired, Head, Retention
from roomcast.storage import Store
from tests.conformance.examples import EPOCH, ManualClock, a_batch, a_record, an_item

pytestmark = pytest.mark.anyio

ROOMY = Retention(age_s=1_000_000, size_bytes=1_000_000_000, events=1_000_000)
THREE_EVENTS = pytest.mark.parametrize("retention", [Retention(age_s=1_000_000, size_bytes=10**9, events=3)])


async def trim(store: Store) -> None:
    for _ in range(100):
        if not await store.trim():
            return
    pytest.fail("it never ends")


async def floor(store: Store, room: str = "lobby") -> int:
    head = await store.head(room)
    assert head is not None
    return head.floor


@THREE_EVENTS
async def test_of_many_events_the_newest_are_kept(store: Store) -> None:
    await store.append([a_batch(events=10, checkpoint=b"state")])
    await trim(store)
    assert await store.head("lobby") == Head("lobby", EPOCH, seq=10, floor=7)
    assert await store.read("lobby", 6, 10) == Expired(7)
    assert await store.read("lobby", 0, 10) == Expired(7)
    assert await store.read("lobby", 7, 10) == Events([a_record(8), a_record(9), a_record(10)])
    assert await store.read("lobby", 10, 10) == Events([])


@pytest.mark.parametrize("retention", [Retention(age_s=1_000_000, size_bytes=250, events=1_000)])
async def test_of_large_events_the_newest_are_kept(store: Store) -> None:
    records = [a_record(seq, b"x" * 100) for seq in range(1, 6)]
    await store.append([a_batch(records=records[:3])])
    await store.append([a_batch(on=3, records=records[3:], checkpoint=b"state")])
    await trim(store)
    assert await store.read("lobby", 3, 10) == Events(records[3:])
    await store.append([a_batch(on=5, records=[a_record(6, b"")], checkpoint=b"state")])
    await trim(store)
    assert await floor(store) == 3, "what it holds is counted on from there"


@pytest.mark.parametrize("retention", [Retention(age_s=100, size_bytes=10**9, events=1_000)])
async def test_events_are_kept_for_their_time_and_then_not_even_the_newest(store: Store, clock: ManualClock) -> None:
    await store.append([a_batch(events=2)])
    clock.at_ms += 60_000
    await store.append([a_batch(on=2, checkpoint=b"state")])
    clock.at_ms += 40_000
    await trim(store)
    assert await floor(store) == 0
    clock.at_ms += 1
    await trim(store)
    assert await floor(store) == 2
    clock.at_ms += 100_000
    await trim(store)
    assert await store.head("lobby") == Head("lobby", EPOCH, seq=3, floor=3)
    assert await store.read("lobby", 3, 10) == Events([])


@THREE_EVENTS
async def test_nothing_goes_that_no_checkpoint_stands_for(store: Store) -> None:
    await store.append([a_batch("none", events=10)])
    await store.append([a_batch("some", events=4, checkpoint=b"state")])
    await store.append([a_batch("some", on=4, events=6)])
    await trim(store)
    assert (await floor(store, "none"), await floor(store, "some")) == (0, 4)
    assert await store.checkpoint("some") == Checkpoint(EPOCH, 4, b"state")


@THREE_EVENTS
async def test_an_append_tells_the_floor_and_leaves_it_where_it_is(store: Store) -> None:
    assert list(await store.append([a_batch(events=5, checkpoint=b"state")])) == [Committed(5, floor=0)]
    await trim(store)
    assert list(await store.append([a_batch(on=5, checkpoint=b"state")])) == [Committed(6, floor=2)]
    assert await floor(store) == 2
    await trim(store)
    assert await floor(store) == 3


@THREE_EVENTS
async def test_messages_are_kept_beyond_the_events_that_brought_them(store: Store) -> None:
    await store.append([a_batch(events=10, items=[an_item("i1", 1), an_item("i2", 2)], checkpoint=b"state")])
    await trim(store)
    assert await store.items("lobby", None, 10) == [an_item("i2", 2).data, an_item("i1", 1).data]


@THREE_EVENTS
async def test_every_room_is_trimmed_and_one_that_holds_little_is_left_alone(store: Store) -> None:
    rooms = [f"r{number:03}" for number in range(30)]
    for room in rooms:
        await store.append([a_batch(room, events=2 if room == "r007" else 5, checkpoint=b"state")])
    await trim(store)
    assert [await floor(store, room) for room in rooms] == [0 if room == "r007" else 2 for room in rooms]
    assert await store.trim() is False


@THREE_EVENTS
async def test_one_step_is_bounded_and_says_that_there_is_more(store: Store) -> None:
    await store.append([a_batch(events=2_500, checkpoint=b"state")])
    assert await store.trim()
    assert await floor(store) == 1_000
    await trim(store)
    assert await floor(store) == 2_497


@pytest.mark.parametrize("retention", [ROOMY])
async def test_what_is_within_the_bounds_stays(store: Store) -> None:
    await store.append([a_batch(events=50, checkpoint=b"state")])
    assert await store.trim() is False
    assert await floor(store) == 0


@THREE_EVENTS
async def test_whoever_trims_is_told_where_each_log_begins_now(store: Store) -> None:
    await store.append([a_batch("many", events=10, checkpoint=b"state"), a_batch("few")])
    told: list[Head] = []
    while await store.trim(told.append):
        pass
    assert told
    assert {head.room for head in told} == {"many"}
    assert told[-1] == await store.head("many")

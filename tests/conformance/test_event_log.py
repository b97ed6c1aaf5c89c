"""What every `EventLog` promises (P1, P3 and P4 of core/ports.py; P2 is each adapter's own)."""

from __future__ import annotations

import anyio
import pytest

from roomcast.core.events import Record
from roomcast.core.ports import Committed, Conflict, Events, Head
from roomcast.storage import Store
from tests.conformance.examples import EPOCH, a_batch, a_key, a_receipt, a_record, an_item

pytestmark = pytest.mark.anyio


# ---- append


async def test_the_first_append_makes_the_room_under_the_epoch_it_names(store: Store) -> None:
    assert await store.head("lobby") is None
    assert list(await store.append([a_batch("lobby", epoch="mine", events=3)])) == [Committed(3)]
    assert await store.head("lobby") == Head("lobby", "mine", seq=3, floor=0)


async def test_each_append_builds_on_the_one_before(store: Store) -> None:
    for head in range(3):
        assert list(await store.append([a_batch(on=head)])) == [Committed(head + 1)]


async def test_an_append_on_a_stale_head_is_told_where_the_log_stands(store: Store) -> None:
    await store.append([a_batch(events=2)])
    stands = Head("lobby", EPOCH, seq=2, floor=0)
    for stale in (0, 1, 3):
        assert list(await store.append([a_batch(on=stale)])) == [Conflict(stands)]


async def test_an_append_on_another_epoch_conflicts(store: Store) -> None:
    await store.append([a_batch(events=2)])
    assert list(await store.append([a_batch(on=2, epoch="other")])) == [Conflict(Head("lobby", EPOCH, 2, 0))]


async def test_an_append_on_a_room_that_is_not_there_conflicts_with_an_empty_log(store: Store) -> None:
    assert list(await store.append([a_batch(on=7)])) == [Conflict(Head("lobby", "", seq=0, floor=0))]
    assert await store.head("lobby") is None


async def test_nothing_of_a_batch_that_conflicts_takes_effect(store: Store) -> None:
    await store.append([a_batch(events=2, title="before", checkpoint=b"before")])
    await store.append(
        [
            a_batch(
                on=1,
                receipts=[a_receipt()],
                items=[an_item("i1", 2)],
                checkpoint=b"after",
                unfinished=True,
                title="after",
            )
        ]
    )
    assert await store.head("lobby") == Head("lobby", EPOCH, 2, 0)
    assert await store.read("lobby", 0, 10) == Events([a_record(1), a_record(2)])
    assert await store.receipts([a_key()]) == {}
    assert await store.item("lobby", "i1") is None
    assert await store.unfinished() == []
    assert [card.title for card in await store.list(None, 10)] == ["before"]
    saved = await store.checkpoint("lobby")
    assert saved is not None
    assert saved.state == b"before"


async def test_a_conflict_in_one_room_leaves_the_other_rooms_of_the_call_alone(store: Store) -> None:
    await store.append([a_batch("b")])
    outcomes = await store.append([a_batch("a"), a_batch("b"), a_batch("c", events=2)])
    assert list(outcomes) == [Committed(1), Conflict(Head("b", EPOCH, 1, 0)), Committed(2)]


async def test_of_two_appends_that_name_the_same_head_one_is_committed(store: Store) -> None:
    outcomes: list[Committed | Conflict] = []

    async def append() -> None:
        outcomes.extend(await store.append([a_batch()]))

    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(append)
    assert outcomes.count(Committed(1)) == 1
    assert outcomes.count(Conflict(Head("lobby", EPOCH, 1, 0))) == 4


async def test_writers_that_try_again_on_the_head_they_are_told_lose_nothing(store: Store) -> None:
    async def write(name: bytes) -> None:
        head = 0
        while True:
            batch = a_batch(on=head, records=[a_record(head + 1, name)])
            match (await store.append([batch]))[0]:
                case Committed():
                    return
                case Conflict(stands):
                    head = stands.seq

    names = [b"%d" % number for number in range(20)]
    async with anyio.create_task_group() as tasks:
        for name in names:
            tasks.start_soon(write, name)
    events = await store.read("lobby", 0, 100)
    assert isinstance(events, Events)
    assert [record.seq for record in events.records] == list(range(1, 21))
    assert sorted(record.data for record in events.records) == sorted(names)


async def test_a_batch_without_events_saves_the_rest_and_leaves_the_head(store: Store) -> None:
    await store.append([a_batch(events=2)])
    assert list(await store.append([a_batch(on=2, events=0, checkpoint=b"state")])) == [Committed(2)]
    saved = await store.checkpoint("lobby")
    assert saved is not None
    assert (saved.seq, saved.state) == (2, b"state")


async def test_an_append_of_nothing_is_nothing(store: Store) -> None:
    assert list(await store.append([])) == []


async def test_a_caller_who_is_cancelled_does_not_undo_the_append(store: Store) -> None:
    with anyio.CancelScope() as scope:
        scope.cancel()
        await store.append([a_batch("lobby")])
    await store.append([a_batch("later")])  # committed after the other, so that is over
    assert await store.head("lobby") == Head("lobby", EPOCH, 1, 0)


async def test_two_batches_for_one_room_in_one_call_are_a_mistake_of_the_caller(store: Store) -> None:
    with pytest.raises(AssertionError, match="one batch a room"):
        await store.append([a_batch(on=0), a_batch(on=1)])


async def test_records_that_do_not_follow_the_head_are_a_mistake_of_the_caller(store: Store) -> None:
    with pytest.raises(AssertionError, match="do not follow"):
        await store.append([a_batch(records=[a_record(1), a_record(3)])])
    assert await store.head("lobby") is None


# ---- read


async def test_a_reader_gets_exactly_what_follows_its_position(store: Store) -> None:
    await store.append([a_batch(events=5)])
    assert await store.read("lobby", 3, 10) == Events([a_record(4), a_record(5)])


async def test_a_read_stops_at_its_limit_and_goes_on_from_there(store: Store) -> None:
    await store.append([a_batch(events=5)])
    assert await store.read("lobby", 0, 2) == Events([a_record(1), a_record(2)])
    assert await store.read("lobby", 2, 2) == Events([a_record(3), a_record(4)])
    assert await store.read("lobby", 4, 2) == Events([a_record(5)])


@pytest.mark.parametrize(
    ("limit_bytes", "given"), [(0, 1), (99, 1), (100, 1), (199, 1), (200, 2), (299, 2), (300, 3), (10**9, 3)]
)
async def test_a_read_stops_at_its_bytes_but_gives_at_least_one_event(
    store: Store, limit_bytes: int, given: int
) -> None:
    records = [a_record(seq, bytes([seq]) * 100) for seq in range(1, 6)]
    await store.append([a_batch(records=records)])
    assert await store.read("lobby", 1, 3, limit_bytes) == Events(records[1 : 1 + given])


async def test_reads_that_are_bound_by_bytes_miss_nothing(store: Store) -> None:
    records = [a_record(seq, b"x" * (seq * 37 % 200)) for seq in range(1, 200)]
    await store.append([a_batch(records=records)])
    found: list[Record] = []
    while len(found) < len(records):
        some = await store.read("lobby", len(found), 50, 500)
        assert isinstance(some, Events)
        assert some.records
        assert len(some.records) == 1 or sum(len(record.data) for record in some.records) <= 500
        found += some.records
    assert found == records


async def test_a_read_that_names_no_bytes_is_bounded_all_the_same(store: Store) -> None:
    records = [a_record(seq, b"x" * 300_000) for seq in range(1, 6)]
    await store.append([a_batch(records=records)])
    assert await store.read("lobby", 0, 10) == Events(records[:3])


@pytest.mark.parametrize("after", [2, 3, 1_000])
async def test_a_reader_at_the_head_or_beyond_gets_nothing(store: Store, after: int) -> None:
    await store.append([a_batch(events=2)])
    assert await store.read("lobby", after, 10) == Events([])


async def test_a_room_that_is_not_there_has_no_events(store: Store) -> None:
    assert await store.read("nowhere", 0, 10) == Events([])


async def test_rooms_whose_names_begin_alike_do_not_mix(store: Store) -> None:
    await store.append([a_batch("a", events=2), a_batch("a.b", events=1), a_batch("A", events=1)])
    assert await store.read("a", 0, 10) == Events([a_record(1), a_record(2)])
    assert await store.read("a.b", 0, 10) == Events([a_record(1)])


@pytest.mark.parametrize(
    "data", [b"", b'{"a":"\\n, \\u0000"}', b"\x00\n,\xff\xfe", "🎉 עברית".encode(), b"x" * 300_000]
)
@pytest.mark.parametrize("kind", ["", "a,b\nc", 'quote " and \\ and \x00', "🎉"])
async def test_an_event_comes_back_byte_for_byte(store: Store, data: bytes, kind: str) -> None:
    records = [Record(1, "x", b"before"), Record(2, kind, data), Record(3, "y", b"after")]
    await store.append([a_batch(records=records)])
    assert await store.read("lobby", 0, 10) == Events(records)


async def test_more_events_than_any_one_statement_takes_come_back_in_order(store: Store) -> None:
    await store.append([a_batch("a", events=333), a_batch("b", events=1)])
    assert await store.read("a", 0, 1_000) == Events([a_record(seq) for seq in range(1, 334)])


# ---- follow


async def test_a_follower_hears_of_every_head_that_moves(store: Store) -> None:
    async with store.follow() as heads:
        await store.append([a_batch("a"), a_batch("b", events=2)])
        assert {await anext(heads), await anext(heads)} == {Head("a", EPOCH, 1, 0), Head("b", EPOCH, 2, 0)}


async def test_a_follower_that_waits_is_woken(store: Store) -> None:
    heard: list[Head] = []
    async with store.follow() as heads, anyio.create_task_group() as tasks:

        async def listen() -> None:
            heard.append(await anext(heads))

        tasks.start_soon(listen)
        await anyio.wait_all_tasks_blocked()
        assert heard == []
        await store.append([a_batch()])
    assert heard == [Head("lobby", EPOCH, 1, 0)]


async def test_a_follower_that_lags_hears_of_the_newest_head_only(store: Store) -> None:
    async with store.follow() as heads:
        for head in range(5):
            await store.append([a_batch("a", on=head)])
        await store.append([a_batch("b")])
        assert await anext(heads) == Head("a", EPOCH, 5, 0)
        assert await anext(heads) == Head("b", EPOCH, 1, 0)


async def test_a_follower_hears_nothing_of_what_moved_no_head(store: Store) -> None:
    async with store.follow() as heads:
        await store.append([a_batch("a")])
        await store.append([a_batch("a")])  # a conflict
        await store.append([a_batch("a", on=1, events=0)])
        await store.append([a_batch("b")])
        assert await anext(heads) == Head("a", EPOCH, 1, 0)
        assert await anext(heads) == Head("b", EPOCH, 1, 0)


async def test_a_follower_hears_of_an_append_whose_caller_was_cancelled(store: Store) -> None:
    async with store.follow() as heads:
        with anyio.CancelScope() as scope:
            scope.cancel()
            await store.append([a_batch()])
        assert await anext(heads) == Head("lobby", EPOCH, 1, 0)


async def test_followers_do_not_disturb_each_other(store: Store) -> None:
    async with store.follow() as first:
        async with store.follow() as second:
            await store.append([a_batch("a")])
            assert await anext(second) == Head("a", EPOCH, 1, 0)
        await store.append([a_batch("b")])
        assert [await anext(first), await anext(first)] == [Head("a", EPOCH, 1, 0), Head("b", EPOCH, 1, 0)]

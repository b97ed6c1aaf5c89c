"""What every `Archive` promises."""

from __future__ import annotations

import pytest

from roomcast.core.ports import ItemRow
from roomcast.storage import Store
from tests.conformance.examples import a_batch, an_item

pytestmark = pytest.mark.anyio


def names(*item_ids: str) -> list[bytes]:
    return [an_item(item_id, 0).data for item_id in item_ids]


async def test_items_come_newest_first(store: Store) -> None:
    await store.append([a_batch(events=3, items=[an_item("b", 1), an_item("a", 2), an_item("c", 3)])])
    assert await store.items("lobby", None, 10) == names("c", "a", "b")


async def test_a_page_goes_on_after_the_oldest_item_of_the_one_before(store: Store) -> None:
    await store.append([a_batch(events=5, items=[an_item(f"i{seq}", seq) for seq in range(1, 6)])])
    assert await store.items("lobby", None, 2) == names("i5", "i4")
    assert await store.items("lobby", "i4", 2) == names("i3", "i2")
    assert await store.items("lobby", "i2", 2) == names("i1")
    assert await store.items("lobby", "i1", 2) == []


async def test_paging_neither_skips_nor_repeats_items_that_one_event_brought(store: Store) -> None:
    await store.append([a_batch(items=[an_item(item_id, 1) for item_id in "abcde"])])
    assert await store.items("lobby", None, 10) == names("e", "d", "c", "b", "a")
    assert await store.items("lobby", "d", 2) == names("c", "b")


async def test_an_unknown_item_is_told_apart_from_the_oldest_one(store: Store) -> None:
    await store.append([a_batch(items=[an_item("i1", 1)]), a_batch("other", items=[an_item("elsewhere", 1)])])
    assert await store.items("lobby", "i1", 10) == []
    assert await store.items("lobby", "elsewhere", 10) is None
    assert await store.items("lobby", "", 10) is None


async def test_a_room_that_is_not_there_has_no_items(store: Store) -> None:
    assert await store.items("nowhere", None, 10) == []
    assert await store.items("nowhere", "i1", 10) is None
    assert await store.item("nowhere", "i1") is None


async def test_an_item_that_is_written_again_replaces_itself(store: Store) -> None:
    await store.append([a_batch(events=2, items=[an_item("a", 1, b"old"), an_item("b", 2)])])
    await store.append([a_batch(on=2, items=[an_item("a", 3, b"new")])])
    assert await store.items("lobby", None, 10) == [b"new", *names("b")]
    assert await store.item("lobby", "a") == b"new"


async def test_of_an_item_written_twice_in_one_batch_the_later_stays(store: Store) -> None:
    await store.append([a_batch(items=[an_item("a", 1, b"old"), an_item("a", 1, b"new")])])
    assert await store.items("lobby", None, 10) == [b"new"]


@pytest.mark.parametrize("data", [b"", b"\x00\xff,\n", b"x" * 200_000])
async def test_an_item_comes_back_byte_for_byte(store: Store, data: bytes) -> None:
    await store.append([a_batch(items=[an_item("a", 1, b"x"), ItemRow("b", 1, data), an_item("c", 1, b"y")])])
    assert await store.item("lobby", "b") == data
    assert await store.items("lobby", None, 10) == [b"y", data, b"x"]

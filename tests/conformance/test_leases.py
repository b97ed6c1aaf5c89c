"""What every `Leases` promises."""

from __future__ import annotations

import pytest

from roomcast.core.ports import Beat, Hold
from roomcast.storage import Store
from tests.conformance.examples import a_batch

pytestmark = pytest.mark.anyio


async def test_each_node_has_a_counter_of_its_own(store: Store) -> None:
    assert list(await store.beats()) == []
    for node in ("n1", "n2", "n1", "n1"):
        await store.beat(node)
    assert list(await store.beats()) == [Beat("n1", 3), Beat("n2", 1)]


async def test_the_append_that_starts_a_response_holds_it(store: Store) -> None:
    await store.append([a_batch("a", holds=[Hold("a", "r1", "n1")]), a_batch("b", holds=[Hold("b", "r1", "n2")])])
    assert list(await store.held()) == [Hold("a", "r1", "n1"), Hold("b", "r1", "n2")]


async def test_the_append_that_ends_a_response_releases_it_and_may_start_the_next(store: Store) -> None:
    await store.append([a_batch(holds=[Hold("lobby", "r1", "n1")])])
    await store.append([a_batch(on=1, released=["r1"], holds=[Hold("lobby", "r2", "n1")])])
    assert list(await store.held()) == [Hold("lobby", "r2", "n1")]


async def test_releasing_spares_a_response_of_the_same_name_in_another_room(store: Store) -> None:
    await store.append([a_batch("a", holds=[Hold("a", "r1", "n1")]), a_batch("b", holds=[Hold("b", "r1", "n1")])])
    await store.append([a_batch("a", on=1, released=["r1", "never-held"])])
    assert list(await store.held()) == [Hold("b", "r1", "n1")]


async def test_a_response_that_starts_and_ends_in_one_append_is_not_held(store: Store) -> None:
    await store.append([a_batch(holds=[Hold("lobby", "r1", "n1")], released=["r1"])])
    assert list(await store.held()) == []


async def test_another_node_can_take_a_response_over(store: Store) -> None:
    await store.append([a_batch(holds=[Hold("lobby", "r1", "n1")])])
    await store.append([a_batch(on=1, holds=[Hold("lobby", "r1", "n2")])])
    assert list(await store.held()) == [Hold("lobby", "r1", "n2")]


async def test_a_batch_that_conflicts_neither_holds_nor_releases(store: Store) -> None:
    await store.append([a_batch(holds=[Hold("lobby", "r1", "n1")])])
    await store.append([a_batch(holds=[Hold("lobby", "r2", "n2")], released=["r1"])])
    assert list(await store.held()) == [Hold("lobby", "r1", "n1")]

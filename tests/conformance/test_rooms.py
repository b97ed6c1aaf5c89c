"""What every `Rooms` promises."""

from __future__ import annotations

import pytest

from roomcast.core.ports import Checkpoint, RoomCard
from roomcast.storage import Store
from tests.conformance.examples import EPOCH, ManualClock, a_batch, a_key, a_receipt

pytestmark = pytest.mark.anyio


# ---- list, unfinished


async def test_rooms_are_listed_by_name_with_what_they_stand_at(store: Store) -> None:
    await store.append([a_batch("b", events=2, title="Bees", unfinished=True), a_batch("a")])
    assert list(await store.list(None, 10)) == [
        RoomCard("a", "", EPOCH, 1, unfinished=False),
        RoomCard("b", "Bees", EPOCH, 2, unfinished=True),
    ]


async def test_the_list_goes_on_after_the_last_name(store: Store) -> None:
    await store.append([a_batch(name) for name in ("d", "b", "a", "C", "c")])
    first = await store.list(None, 3)
    assert [card.name for card in first] == ["C", "a", "b"]
    assert [card.name for card in await store.list(first[-1].name, 3)] == ["c", "d"]
    assert list(await store.list("d", 3)) == []


async def test_a_title_stays_until_a_batch_changes_it(store: Store) -> None:
    for head, title in enumerate(["first", None, "second \x00 🎉", None]):
        await store.append([a_batch(on=head, title=title)])
    assert [card.title for card in await store.list(None, 1)] == ["second \x00 🎉"]


async def test_a_title_can_be_taken_away(store: Store) -> None:
    await store.append([a_batch(title="something")])
    await store.append([a_batch(on=1, title="")])
    assert [card.title for card in await store.list(None, 1)] == [""]


async def test_a_room_is_unfinished_as_its_newest_batch_says(store: Store) -> None:
    await store.append([a_batch("b", unfinished=True), a_batch("a", unfinished=True), a_batch("c")])
    assert list(await store.unfinished()) == ["a", "b"]
    await store.append([a_batch("a", on=1), a_batch("c", on=1, unfinished=True)])
    assert list(await store.unfinished()) == ["b", "c"]


# ---- checkpoints


async def test_the_newest_checkpoint_is_kept_with_the_position_it_stands_for(store: Store) -> None:
    assert await store.checkpoint("lobby") is None
    await store.append([a_batch(events=3, checkpoint=b"\x00three\xff")])
    assert await store.checkpoint("lobby") == Checkpoint(EPOCH, 3, b"\x00three\xff")
    await store.append([a_batch(on=3)])
    assert await store.checkpoint("lobby") == Checkpoint(EPOCH, 3, b"\x00three\xff")
    await store.append([a_batch(on=4, checkpoint=b"")])
    assert await store.checkpoint("lobby") == Checkpoint(EPOCH, 5, b"")


# ---- receipts


async def test_a_receipt_is_found_by_room_member_and_command(store: Store) -> None:
    receipt = a_receipt("c1", result=b'{"ok":true}')
    await store.append([a_batch(receipts=[receipt])])
    near_misses = [a_key("c2"), a_key("c1", room="other"), a_key("c1", member="bob")]
    assert await store.receipts([*near_misses, a_key("c1")]) == {a_key("c1"): receipt}


async def test_several_receipts_are_found_at_once(store: Store) -> None:
    receipts = [a_receipt(f"c{number}") for number in range(200)]
    await store.append([a_batch(receipts=receipts)])
    assert await store.receipts([receipt.key for receipt in receipts]) == {r.key: r for r in receipts}


async def test_asking_for_no_receipts_gives_none(store: Store) -> None:
    assert await store.receipts([]) == {}


async def test_a_receipt_is_gone_when_it_has_expired(store: Store, clock: ManualClock) -> None:
    await store.append([a_batch(receipts=[a_receipt(expires_at=clock.at_ms + 10)])])
    clock.at_ms += 9
    assert a_key() in await store.receipts([a_key()])
    clock.at_ms += 1
    assert await store.receipts([a_key()]) == {}


@pytest.mark.parametrize("jump_s", [100 * 3_600, -100 * 3_600])
async def test_a_jump_of_the_wall_clock_makes_no_receipt_expire_and_keeps_none(
    store: Store, clock: ManualClock, jump_s: int
) -> None:
    await store.append([a_batch(receipts=[a_receipt("before", expires_at=clock.now_ms() + 10_000)])])
    clock.jumped_ms = jump_s * 1_000
    await store.append([a_batch(on=1, receipts=[a_receipt("behind", expires_at=clock.now_ms() + 20_000)])])
    keys = [a_key("before"), a_key("behind")]
    assert list(await store.receipts(keys)) == keys
    clock.at_ms += 10_000
    assert list(await store.receipts(keys)) == [a_key("behind")]
    clock.jumped_ms = 0
    clock.at_ms += 9_999
    assert list(await store.receipts(keys)) == [a_key("behind")]
    clock.at_ms += 1
    assert await store.receipts(keys) == {}


async def test_a_new_receipt_replaces_an_expired_one(store: Store, clock: ManualClock) -> None:
    await store.append([a_batch(receipts=[a_receipt(expires_at=clock.at_ms)])])
    fresh = a_receipt(expires_at=clock.at_ms + 1, result=b"[2]")
    await store.append([a_batch(on=1, receipts=[fresh])])
    assert await store.receipts([a_key()]) == {a_key(): fresh}


async def test_forgetting_the_expired_spares_the_others(store: Store, clock: ManualClock) -> None:
    old = [a_receipt(f"old{number}", expires_at=clock.at_ms + 1) for number in range(20)]
    kept = [a_receipt(f"kept{number}", expires_at=clock.at_ms + 1_000) for number in range(20)]
    await store.append([a_batch(receipts=[*old, *kept])])
    clock.at_ms += 1
    for head in range(1, 30):
        await store.append([a_batch(on=head, receipts=[a_receipt(f"new{head}", expires_at=clock.at_ms + 1_000)])])
    found = await store.receipts([receipt.key for receipt in [*old, *kept]])
    assert found == {receipt.key: receipt for receipt in kept}

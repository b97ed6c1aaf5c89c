"""Tests of roomcast/subscriber/subscriber.py: live, behind, and the seam between them."""

from __future__ import annotations

import random
from collections.abc import Sequence

import anyio
import pytest

from roomcast.core.errors import StorageFull
from roomcast.core.events import JsonObject
from roomcast.core.limits import Limits
from roomcast.core.ports import READ_BYTES, Append, Committed, Conflict, Events, Expired, Finish
from tests.support import virtual_time
from tests.support.rig import FaultyStore, Rig, Viewer, a_rig, said


def first_seq(event: JsonObject) -> int:
    """The first seq that an event covers."""
    seq: int = event["seq_from"] if "seq_from" in event else event["seq"]
    return seq


def coverage(viewer: Viewer, room: str) -> list[int]:
    """Every seq that the viewer's events cover, in the order they came."""
    return [seq for got in viewer.events(room) for seq in range(first_seq(got), got["seq"] + 1)]


async def note(viewer: Viewer, room: str, count: int, size: int = 10) -> None:
    for _ in range(count):
        await viewer.ask(room, "n" * size, respond="never")


def test_a_new_viewer_gets_a_snapshot_and_then_what_follows() -> None:
    async def scenario() -> None:
        async with a_rig() as rig:
            ann, bob = rig.viewer("ann"), rig.viewer("bob")
            await note(ann, "lobby", 3)
            joined = await bob.join("lobby")
            assert (joined["resumed"], joined["reset"], joined["seq"]) == (False, "new", 4)
            assert len(joined["snapshot"]["items"]) == 3
            await note(ann, "lobby", 2)
            await bob.until(lambda got: got.get("seq") == 6)
            assert coverage(bob, "lobby") == [5, 6]

    virtual_time.run(scenario())


def test_a_viewer_that_joins_in_mid_answer_sees_the_text_so_far_and_then_the_rest() -> None:
    async def scenario() -> None:
        async with a_rig(said("one ", 1.0, "two ", 1.0, "three")) as rig:
            ann = rig.viewer("ann")
            await ann.join("lobby")
            await ann.ask("lobby", "count")
            await anyio.sleep(1.5)
            bob = rig.viewer("bob")
            joined = await bob.join("lobby")
            [running] = joined["snapshot"]["responses"]
            so_far = running["output"][0]["content"][0]["text"]
            assert so_far == "one two "
            await bob.until_type("response.completed")
            assert so_far + bob.text("lobby") == "one two three"

    virtual_time.run(scenario())


@pytest.mark.parametrize("missed", [0, 1, 2, 5])
def test_a_viewer_that_resumes_gets_exactly_what_it_missed(missed: int) -> None:
    async def scenario() -> None:
        async with a_rig() as rig:
            ann, bob = rig.viewer("ann"), rig.viewer("bob")
            await note(ann, "lobby", 6)
            head = rig.room("lobby").position
            joined = await bob.join("lobby", after={"epoch": head.epoch, "seq": head.seq - missed})
            assert (joined["resumed"], joined["seq"], joined["head"]) == (True, head.seq - missed, head.seq)
            assert "snapshot" not in joined
            await note(ann, "lobby", 1)
            await bob.until(lambda got: got.get("seq") == head.seq + 1)
            assert coverage(bob, "lobby") == list(range(head.seq - missed + 1, head.seq + 2))

    virtual_time.run(scenario())


@pytest.mark.parametrize(
    ("after", "reason"),
    [({"epoch": "another", "seq": 1}, "epoch_changed"), ({"epoch": None, "seq": 99}, "ahead_of_head")],
)
def test_a_cursor_that_cannot_be_served_gets_one_snapshot_and_the_reason(after: JsonObject, reason: str) -> None:
    async def scenario() -> None:
        async with a_rig() as rig:
            ann = rig.viewer("ann")
            await note(ann, "lobby", 2)
            cursor = {"epoch": after["epoch"] or rig.room("lobby").epoch, "seq": after["seq"]}
            joined = await ann.join("lobby", after=cursor)
            assert (joined["resumed"], joined["reset"]) == (False, reason)
            assert len(joined["snapshot"]["items"]) == 2

    virtual_time.run(scenario())


def test_resuming_behind_what_memory_holds_reads_the_store_without_a_gap() -> None:
    async def scenario() -> None:
        limits = Limits(tail_events=5, read_events=7)
        async with a_rig(limits=limits) as rig:
            ann, bob = rig.viewer("ann"), rig.viewer("bob")
            await note(ann, "lobby", 40)
            position = rig.room("lobby").position
            bob.send("room.join", "lobby", after={"epoch": position.epoch, "seq": 3})
            await note(ann, "lobby", 10)
            await bob.until(lambda got: got.get("seq") == 51)
            assert coverage(bob, "lobby") == list(range(4, 52))

    virtual_time.run(scenario())


def test_what_is_stored_but_not_yet_shown_is_not_read_ahead_of_the_round_that_shows_it() -> None:
    """A read may see what an append under way has just committed; it would come a second time."""

    async def scenario() -> None:
        store = LateToTell()
        async with a_rig(limits=Limits(tail_events=5), store=store) as rig:
            ann, bob = rig.viewer("ann"), rig.viewer("bob")
            await note(ann, "lobby", 20)
            position = rig.room("lobby").position
            store.told = anyio.Event()
            bob.send("room.join", "lobby", after={"epoch": position.epoch, "seq": 3})
            await bob.until_type("reply")
            asked = ann.send("message.create", "lobby", content="one more", respond="never")
            await bob.until(lambda got: got.get("seq") == position.seq)
            await anyio.sleep(1)
            store.told.set()
            await ann.reply_to(asked)
            await bob.until(lambda got: got.get("seq") == position.seq + 1)
            assert coverage(bob, "lobby") == list(range(4, position.seq + 2))

    virtual_time.run(scenario())


class LateToTell(FaultyStore):
    """Has an append committed for a while before it says so, and takes a moment to read."""

    told: anyio.Event | None = None

    async def append(self, batches: Sequence[Append]) -> Sequence[Committed | Conflict]:
        outcomes = await super().append(batches)
        if self.told is not None:
            await self.told.wait()
        return outcomes

    async def read(self, room: str, after: int, limit: int, limit_bytes: int = READ_BYTES) -> Events | Expired:
        await anyio.sleep(0.1)
        return await super().read(room, after, limit, limit_bytes)


def test_a_stalled_viewer_keeps_only_its_cursor_and_nobody_waits_for_it() -> None:
    async def scenario() -> None:
        async with a_rig(said(*["word "] * 50)) as rig:
            ann, slow = rig.viewer("ann"), rig.viewer("slow")
            await ann.join("lobby")
            await slow.join("lobby")
            slow.socket.stall()
            asked = await ann.ask("lobby", "talk")
            await ann.until_type("response.completed", asked["response_id"])
            await note(ann, "lobby", 100, size=1_000)
            assert slow.socket.buffered_bytes() < 10_000, "what it does not take is not kept for it"
            slow.socket.read_on()
            await slow.until(lambda got: got.get("seq") == rig.room("lobby").state.seq)
            covered = coverage(slow, "lobby")
            assert covered == list(range(covered[0], covered[-1] + 1))
            assert slow.text("lobby") == "word " * 50

    virtual_time.run(scenario())


def test_deltas_merge_for_a_viewer_that_lags_and_cover_what_they_stand_for() -> None:
    async def scenario() -> None:
        script = [step for _ in range(30) for step in ("x", 0.1)]
        async with a_rig([*script, Finish("completed")]) as rig:
            ann, slow = rig.viewer("ann"), rig.viewer("slow")
            await ann.join("lobby")
            await slow.join("lobby")
            await ann.ask("lobby", "talk")
            await slow.until_type("response.output_text.delta")
            slow.socket.stall()
            await ann.until_type("response.completed")
            slow.socket.read_on()
            await slow.until_type("response.completed")
            merged = [got for got in slow.events("lobby") if "seq_from" in got]
            assert merged
            assert slow.text("lobby") == "x" * 30
            covered = coverage(slow, "lobby")
            assert covered == list(range(covered[0], covered[-1] + 1))

    virtual_time.run(scenario())


@pytest.mark.parametrize("resumes", [False, True])
def test_who_joins_a_room_whose_store_refuses_is_told_so_behind_the_reply(resumes: bool) -> None:
    async def scenario() -> None:
        async with a_rig(said("a", 1.0, "b", 500.0)) as rig:
            ann, bob = rig.viewer("ann"), rig.viewer("bob")
            await ann.join("lobby")
            await ann.ask("lobby", "talk")
            await ann.until_text("lobby", "a")
            rig.store.fail_with = StorageFull("full")
            degraded = await ann.until_type("room.degraded")
            after = rig.room("lobby").position._asdict()
            await bob.join("lobby", **({"after": after} if resumes else {}))
            assert [got["type"] for got in bob.received[:2]] == ["reply", "room.degraded"]
            assert bob.received[1] == degraded
            rig.store.fail_with = None
            await bob.until_type("room.restored")

    virtual_time.run(scenario())


def test_leaving_is_the_last_that_is_heard_of_a_room() -> None:
    async def scenario() -> None:
        async with a_rig() as rig:
            ann, bob = rig.viewer("ann"), rig.viewer("bob")
            await bob.join("lobby")
            left = await bob.command("room.leave", "lobby")
            assert left["ok"]
            await note(ann, "lobby", 3)
            rig.tick()
            assert bob.received[-1] == left
            again = await bob.command("room.leave", "lobby")
            assert again["error"]["code"] == "not_joined"

    virtual_time.run(scenario())


def test_joining_leaving_and_joining_again_in_one_breath_is_consistent() -> None:
    async def scenario() -> None:
        async with a_rig() as rig:
            ann, bob = rig.viewer("ann"), rig.viewer("bob")
            await note(ann, "lobby", 1)
            ids = [bob.send("room.join", "lobby"), bob.send("room.leave", "lobby"), bob.send("room.join", "lobby")]
            replies = [await bob.reply_to(command_id) for command_id in ids]
            assert [reply["ok"] for reply in replies] == [True, True, True]
            await note(ann, "lobby", 2)
            await bob.until(lambda got: got.get("seq") == 4)
            assert coverage(bob, "lobby") == [3, 4]

    virtual_time.run(scenario())


@pytest.mark.parametrize("seed", range(15))
def test_whatever_a_viewer_does_its_coverage_is_consecutive_and_its_text_whole(seed: int) -> None:
    """Random stalls, partial reads, leaves and resumes while an answer streams."""
    dice = random.Random(seed)

    async def scenario() -> None:
        text = [f"{index} " for index in range(200)]
        script = [step for piece in text for step in (piece, 0.01)]
        limits = Limits(
            tail_events=dice.choice([3, 50, 10_000]),
            read_events=dice.choice([2, 1_000]),
            read_bytes=dice.choice([1, 1_000, 1_000_000]),
        )
        async with a_rig([*script, Finish("completed")], limits=limits) as rig:
            ann = rig.viewer("ann")
            await ann.join("lobby")
            asked = await ann.ask("lobby", "count")
            start = rig.room("lobby").position
            got: list[JsonObject] = []
            cursor = {"epoch": start.epoch, "seq": start.seq}
            while not got or "digest" not in got[-1]:
                viewer = rig.viewer("bob")
                await viewer.join("lobby", after=cursor)
                await _misbehave(dice, rig, viewer)
                got += viewer.events("lobby")
                cursor["seq"] = got[-1]["seq"] if got else cursor["seq"]
                viewer.pump.close()
            covered = [seq for event in got for seq in range(first_seq(event), event["seq"] + 1)]
            assert covered == list(range(start.seq + 1, got[-1]["seq"] + 1))
            assert "".join(event.get("delta", "") for event in got) == "".join(text)
            assert got[-1]["response_id"] == asked["response_id"]

    virtual_time.run(scenario())


async def _misbehave(dice: random.Random, rig: Rig, viewer: Viewer) -> None:
    for _ in range(dice.randrange(1, 5)):
        await anyio.sleep(dice.random() / 3)
        viewer.socket.stall()
        await anyio.sleep(dice.random() / 3)
        if dice.random() < 0.5:
            viewer.socket.read_on(dice.randrange(1, 4_000))
        rig.tick()
    viewer.socket.read_on()
    await anyio.sleep(0.01)

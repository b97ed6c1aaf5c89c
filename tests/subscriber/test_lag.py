"""Viewers that fall behind: what they are told, and how far down they go. Each step costs nobody else."""

from __future__ import annotations

import anyio

from roomcast.core.limits import Limits
from tests.support import virtual_time
from tests.support.rig import Rig, Viewer, a_rig, said


async def note(viewer: Viewer, room: str, count: int, size: int = 10) -> None:
    """Add so many messages of this size."""
    for number in range(count):
        await viewer.ask(room, str(number).ljust(size, "."), respond="never")


def test_lag_is_announced_and_so_is_its_end() -> None:
    async def scenario() -> None:
        async with a_rig() as rig:
            ann, slow = rig.viewer("ann"), rig.viewer("slow")
            await ann.join("lobby")
            await slow.join("lobby")
            slow.socket.stall()
            await note(ann, "lobby", 5)
            await anyio.sleep(1)
            rig.tick()
            slow.socket.read_on()
            lagging = await slow.until_type("subscriber.lagging")
            assert lagging["policy"] == "coalesce"
            assert lagging["behind_events"] == 4  # the first was written before the socket said stop
            await slow.until_type("subscriber.caught_up")

    virtual_time.run(scenario())


def test_on_slow_snapshot_skips_to_a_reset() -> None:
    async def scenario() -> None:
        async with a_rig() as rig:
            ann, slow = rig.viewer("ann"), rig.viewer("slow")
            await ann.join("lobby")
            await slow.join("lobby", on_slow="snapshot")
            slow.socket.stall()
            await note(ann, "lobby", 20)
            rig.tick()
            slow.socket.read_on()
            reset = await slow.until_type("room.reset")
            assert reset["reason"] == "lagging"
            assert reset["seq"] == rig.room("lobby").state.seq
            await note(ann, "lobby", 1)
            await slow.until(lambda got: got.get("seq") == reset["seq"] + 1 and got["type"] == "item.created")
            after = slow.received[slow.received.index(reset) + 1 :]
            assert [got["seq"] for got in after if got["type"] == "item.created"] == [reset["seq"] + 1]

    virtual_time.run(scenario())


def test_a_reset_for_lag_lists_every_response_that_ended_meanwhile() -> None:
    async def scenario() -> None:
        async with a_rig(said("before"), said("meanwhile")) as rig:
            ann, slow = rig.viewer("ann"), rig.viewer("slow")
            await ann.join("lobby")
            await slow.join("lobby", on_slow="snapshot", items=1)
            known = await ann.ask("lobby", "one")
            await slow.until_type("response.completed", known["response_id"])
            slow.socket.stall()
            missed = await ann.ask("lobby", "two")
            await ann.until_type("response.completed", missed["response_id"])
            await note(ann, "lobby", 20)
            rig.tick()
            slow.socket.read_on()
            reset = await slow.until_type("room.reset")
            assert len(reset["snapshot"]["items"]) == 1
            shown = [(response["id"], response["status"]) for response in reset["snapshot"]["responses"]]
            assert shown == [(missed["response_id"], "completed")]

    virtual_time.run(scenario())


def test_on_slow_disconnect_ends_a_viewer_that_falls_behind() -> None:
    async def scenario() -> None:
        async with a_rig() as rig:
            ann, slow = rig.viewer("ann"), rig.viewer("slow")
            await ann.join("lobby")
            await slow.join("lobby", on_slow="disconnect")
            slow.socket.stall()
            await note(ann, "lobby", 3)
            rig.tick()
            assert slow.socket.ended is not None
            assert slow.socket.ended.close_code == 4408

    virtual_time.run(scenario())


async def fallen_behind(rig: Rig, notes: int, size: int, **join: object) -> Viewer:
    """A viewer that stands at a full socket while so much is said; the wheel turned after each."""
    ann, slow = rig.viewer("ann"), rig.viewer("slow")
    await ann.join("lobby")
    await slow.join("lobby", **join)
    slow.socket.stall()
    for _ in range(notes):
        await note(ann, "lobby", 1, size)
        rig.tick()
    return slow


def test_merging_gives_way_to_a_snapshot_when_more_is_missing_than_that_has() -> None:
    async def scenario() -> None:
        async with a_rig() as rig:
            slow = await fallen_behind(rig, 20, 30_000, items=5)
            slow.socket.read_on()
            reset = await slow.until_type("room.reset")
            assert (reset["reason"], reset["seq"], len(reset["snapshot"]["items"])) == ("lagging", 21, 5)
            steps = [got["policy"] for got in slow.received if got["type"] == "subscriber.lagging"]
            assert steps == ["coalesce", "snapshot"], "each step is announced, once"
            await slow.until_type("subscriber.caught_up")
            assert len(slow.events("lobby")) == 1, "what the snapshot stands for is not sent as well"

    virtual_time.run(scenario())


def test_who_caught_up_by_a_snapshot_begins_at_the_top_again() -> None:
    async def scenario() -> None:
        async with a_rig() as rig:
            slow = await fallen_behind(rig, 20, 30_000, items=5)
            slow.socket.read_on()
            await slow.until_type("subscriber.caught_up")
            slow.socket.stall()
            bob = rig.viewer("bob")
            for _ in range(4):
                await note(bob, "lobby", 1)
                rig.tick()
            slow.socket.read_on()
            await slow.until(lambda got: got.get("seq") == rig.room("lobby").state.seq)
            assert [got["seq"] for got in slow.events("lobby")] == [2, 22, 23, 24, 25]
            steps = [got["policy"] for got in slow.received if got["type"] == "subscriber.lagging"]
            assert steps == ["coalesce", "snapshot", "coalesce"]

    virtual_time.run(scenario())


def test_a_snapshot_that_fills_the_socket_is_not_followed_by_another_for_what_it_has() -> None:
    async def scenario() -> None:
        async with a_rig() as rig:
            slow = await fallen_behind(rig, 20, 30_000, items=5)
            slow.socket.read_on(slow.socket.buffered_bytes() + 1_000)  # what waited, and the beginning of the snapshot
            bob = rig.viewer("bob")
            for _ in range(4):
                await note(bob, "lobby", 1)
                rig.tick()
            slow.socket.read_on()
            await slow.until(lambda got: got.get("seq") == rig.room("lobby").state.seq)
            assert sum(got["type"] == "room.reset" for got in slow.received) == 1
            assert [got["seq"] for got in slow.events("lobby")] == [2, 22, 23, 24, 25]

    virtual_time.run(scenario())


def test_merging_goes_on_while_what_is_missing_is_not_much() -> None:
    async def scenario() -> None:
        async with a_rig() as rig:
            slow = await fallen_behind(rig, 8, 30_000, items=1)
            slow.socket.read_on()
            await slow.until_type("subscriber.caught_up")
            kinds = {got["type"] for got in slow.received}
            assert "room.reset" not in kinds
            assert [got["seq"] for got in slow.events("lobby")] == list(range(2, 10))

    virtual_time.run(scenario())


def test_a_long_answer_in_many_pieces_is_merged_however_long_it_gets() -> None:
    """A snapshot has the text so far as well: what merges to less than it is never skipped."""

    async def scenario() -> None:
        pieces = [piece for number in range(2_000) for piece in (f"word {number} ", 0.003)]
        async with a_rig(said(*pieces)) as rig:
            ann, slow = rig.viewer("ann"), rig.viewer("slow")
            await ann.join("lobby")
            await slow.join("lobby")
            asked = await ann.ask("lobby", "talk")
            await slow.until_text("lobby", "word 0")
            slow.socket.stall()
            done = ann.until_type("response.completed", asked["response_id"])
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(rig.turn, 8)
                await done
            slow.socket.read_on()
            await slow.until_type("response.completed", asked["response_id"])
            assert slow.text("lobby") == "".join(piece for piece in pieces if isinstance(piece, str))
            assert not [got for got in slow.received if got["type"] == "room.reset"]
            assert len(slow.events("lobby")) < 100

    virtual_time.run(scenario())


def test_what_a_resuming_viewer_asked_for_is_not_held_against_it() -> None:
    async def scenario() -> None:
        async with a_rig(limits=Limits(tail_bytes=1_000_000)) as rig:
            ann, back = rig.viewer("ann"), rig.viewer("back")
            await note(ann, "lobby", 20, 30_000)
            room = rig.room("lobby")
            back.socket.room_bytes = 2_000  # it gets the reply, and then is full
            joined = back.send("room.join", "lobby", items=1, after={"epoch": room.epoch, "seq": 1})
            await rig.turn(1)
            back.socket.read_on()
            assert (await back.reply_to(joined))["result"]["resumed"]
            await back.until(lambda got: got.get("seq") == room.state.seq)
            assert [got["seq"] for got in back.events("lobby")] == list(range(2, 22))

    virtual_time.run(scenario())


def test_lag_is_told_as_it_is_when_it_can_be_told_and_counts_from_the_first_event_missed() -> None:
    async def scenario() -> None:
        async with a_rig() as rig:
            ann, slow = rig.viewer("ann"), rig.viewer("slow")
            await ann.join("lobby")
            await slow.join("lobby")
            slow.socket.stall()
            await note(ann, "lobby", 1)  # it was written before the socket said stop
            await rig.turn(3)  # nothing is missed yet
            await note(ann, "lobby", 3)
            await rig.turn(2)
            await note(ann, "lobby", 2)
            assert rig.observer.gauges["roomcast_viewers_behind"] == 1
            assert 1.5 <= rig.observer.gauges["roomcast_viewer_lag_max_seconds"] <= 2.5
            slow.socket.read_on()
            lagging = await slow.until_type("subscriber.lagging")
            assert lagging["behind_events"] == 5
            assert 1_500 <= lagging["behind_ms"] <= 2_500
            await slow.until_type("subscriber.caught_up")
            [lag_s] = rig.observer.times["roomcast_viewer_lag_seconds"]
            assert 1.5 <= lag_s <= 2.5
            await rig.turn(1)
            assert rig.observer.gauges["roomcast_viewers_behind"] == 0
            assert rig.observer.gauges["roomcast_viewer_lag_max_seconds"] == 0

    virtual_time.run(scenario())


def test_c9_lag_does_not_follow_the_wall_clock() -> None:
    async def scenario() -> None:
        async with a_rig() as rig:
            slow = await fallen_behind(rig, 3, 10)
            rig.clock.jump_s = 86_400
            slow.socket.read_on()
            assert (await slow.until_type("subscriber.lagging"))["behind_ms"] < 1_000

    virtual_time.run(scenario())

"""What viewers are told of events that are not kept any more: `expired`, and a snapshot; never a part."""

from __future__ import annotations

import pytest

from roomcast.core.limits import Limits
from roomcast.core.ports import Retention
from tests.support import virtual_time
from tests.support.faulty_store import FaultyStore
from tests.support.rig import Rig, a_rig

LIMITS = Limits(checkpoint_events=10, tail_events=3)
TEN_EVENTS = Retention(age_s=1_000_000, size_bytes=10**9, events=10)


async def note(rig: Rig, count: int, by: str = "ann") -> None:
    author = rig.viewer(by)
    for number in range(count):
        await author.ask("lobby", str(number), respond="never")


async def trim(rig: Rig) -> None:
    while await rig.store.trim():
        pass


def test_a_viewer_from_below_the_floor_starts_from_a_snapshot_and_one_at_the_floor_resumes() -> None:
    async def scenario() -> None:
        async with a_rig(limits=LIMITS, store=FaultyStore(retention=TEN_EVENTS)) as rig:
            await note(rig, 40)
            await trim(rig)
            await note(rig, 1, by="cat")
            room = rig.room("lobby")
            assert room.floor == 31, "an append tells the room where its log begins"
            late, last = rig.viewer("late"), rig.viewer("last")
            joined = await late.join("lobby", after={"epoch": room.epoch, "seq": 30})
            assert (joined["resumed"], joined["reset"], joined["seq"]) == (False, "expired", room.state.seq)
            texts = [item["content"][0]["text"] for item in joined["snapshot"]["items"]]
            assert texts == [*map(str, range(40)), "0"], "messages are kept beyond the events"
            joined = await last.join("lobby", after={"epoch": room.epoch, "seq": 31})
            assert joined["resumed"]
            await last.until(lambda got: got.get("seq") == room.state.seq)
            assert [got["seq"] for got in last.events("lobby")] == list(range(32, room.state.seq + 1))

    virtual_time.run(scenario())


def test_a_room_that_is_told_where_its_log_begins_answers_so_though_memory_reaches_further_back() -> None:
    async def scenario() -> None:
        async with a_rig(limits=LIMITS, store=FaultyStore(retention=TEN_EVENTS)) as rig:
            await note(rig, 40)
            while await rig.store.trim(rig.hub.trimmed):
                pass
            room, bob = rig.room("lobby"), rig.viewer("bob")
            joined = await bob.join("lobby", after={"epoch": room.epoch, "seq": 5})
            assert (joined["resumed"], joined["reset"], joined["seq"]) == (False, "expired", room.state.seq)
            assert [got["type"] for got in bob.received] == ["reply"], "one answer, and no reset behind it"

    virtual_time.run(scenario())


@pytest.mark.parametrize("reopened", [False, True], ids=["in memory", "opened anew"])
def test_where_trimming_came_between_the_viewer_is_reset(reopened: bool) -> None:
    """The room has not appended since, so it cannot know: the join resumes, and the log says no."""

    async def scenario() -> None:
        store = FaultyStore(retention=TEN_EVENTS)
        async with a_rig(limits=LIMITS, store=store) as rig:
            await note(rig, 40)
            if not reopened:
                await come_back(rig)
        if reopened:
            async with a_rig(limits=LIMITS, store=store) as rig:
                await come_back(rig)

    async def come_back(rig: Rig) -> None:
        await rig.viewer("ann").join("lobby")
        room = rig.room("lobby")
        await trim(rig)
        bob = rig.viewer("bob")
        joined = await bob.join("lobby", after={"epoch": room.epoch, "seq": 5})
        assert joined["resumed"]
        reset = await bob.until_type("room.reset")
        assert (reset["reason"], reset["seq"]) == ("expired", room.state.seq)
        assert bob.events("lobby") == [], "never a part"

    virtual_time.run(scenario())


def test_a_viewer_that_is_behind_when_its_events_go_is_reset_and_reads_on() -> None:
    async def scenario() -> None:
        async with a_rig(limits=LIMITS, store=FaultyStore(retention=TEN_EVENTS)) as rig:
            bob = rig.viewer("bob")
            await bob.join("lobby")
            bob.socket.stall()
            await note(rig, 40)
            await trim(rig)
            bob.socket.read_on()
            reset = await bob.until_type("room.reset")
            assert reset["reason"] == "expired"
            await note(rig, 1, by="cat")
            await bob.until(lambda got: got.get("seq") == reset["seq"] + 1)

    virtual_time.run(scenario())


def test_a_viewer_whose_events_are_damaged_is_reset_and_goes_on() -> None:
    """Sent away, it would come back from the same place for ever."""

    async def scenario() -> None:
        async with a_rig(limits=LIMITS) as rig:
            await note(rig, 40)
            room = rig.room("lobby")
            rig.store.damaged = True
            bob = rig.viewer("bob")
            assert (await bob.join("lobby", after={"epoch": room.epoch, "seq": 5}))["resumed"]
            reset = await bob.until_type("room.reset")
            assert (reset["reason"], reset["seq"], bob.events("lobby")) == ("expired", room.state.seq, [])
            await note(rig, 1, by="cat")
            await bob.until(lambda got: got.get("seq") == reset["seq"] + 1)
            assert bob.socket.ended is None

    virtual_time.run(scenario())


def test_a_room_whose_log_was_trimmed_opens_from_its_checkpoint() -> None:
    async def scenario() -> None:
        store = FaultyStore(retention=Retention(age_s=1, size_bytes=0, events=0))
        async with a_rig(limits=LIMITS, store=store) as rig:
            await note(rig, 25)
            state = rig.room("lobby").state.dump()
            await trim(rig)
        async with a_rig(limits=LIMITS, store=store) as rig:
            await rig.viewer("bob").join("lobby")
            assert rig.room("lobby").state.dump() == state
            assert rig.room("lobby").floor == 20

    virtual_time.run(scenario())

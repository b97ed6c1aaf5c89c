"""Tests of roomcast/room/timers.py: in the whole pipeline, on virtual time."""

from __future__ import annotations

import pytest

from roomcast.core.errors import StorageError
from roomcast.core.limits import Limits
from roomcast.core.profile import Profile
from roomcast.core.rules import Rulebook
from roomcast.core.session import SYSTEM
from tests.support import virtual_time
from tests.support.rig import a_rig, said

DEBOUNCED = Rulebook(
    limits=Limits(), profiles={"default": Profile(name="default")}, model="m", on_busy="debounce", debounce_s=3.0
)

SLOWLY = [step for letter in "abcdefghij" for step in (letter, 20.0)]


def test_a_burst_is_answered_once_when_it_has_been_quiet_for_a_while() -> None:
    async def scenario() -> None:
        async with a_rig(said("a", 0.5), said("b"), rulebook=DEBOUNCED) as rig:
            ann = rig.viewer("ann")
            await ann.join("lobby")
            await ann.ask("lobby", "one")
            for text in ("two", "three"):
                await ann.ask("lobby", text)
                await rig.turn(2)
            newest = await ann.ask("lobby", "four")
            await rig.turn(2)
            assert len(rig.upstream.requests) == 1, "two seconds are no quiet"
            await rig.turn(0.75)
            assert len(rig.upstream.requests) == 1
            await rig.turn(0.5)
            await ann.until_type("response.completed", newest["response_id"])
            told = [item["content"][0]["text"] for item in rig.upstream.requests[1].input]
            assert told == ["one", "a", "two", "three", "four"]
            await rig.turn(10)
            assert len(rig.upstream.requests) == 2

    virtual_time.run(scenario())


def test_quiet_is_waited_for_anew_after_a_restart() -> None:
    async def scenario() -> None:
        async with a_rig(said("a", 0.5), rulebook=DEBOUNCED) as rig:  # nothing runs then, so nothing is committed
            ann = rig.viewer("ann")
            await ann.ask("lobby", "one")
            waits = await ann.ask("lobby", "two")
            await rig.turn(2)
            store = rig.store
        async with a_rig(said("b"), store=store, rulebook=DEBOUNCED) as rig:
            await rig.hub.recover()
            late = rig.viewer("late")
            await late.join("lobby")
            await rig.turn(2.75)
            assert rig.upstream.requests == []
            await rig.turn(0.75)
            await late.until_type("response.completed", waits["response_id"])

    virtual_time.run(scenario())


def test_what_is_due_while_the_store_refuses_happens_when_it_takes_events_again() -> None:
    async def scenario() -> None:
        async with a_rig(said("a"), said("b"), rulebook=DEBOUNCED) as rig:
            ann = rig.viewer("ann")
            await ann.join("lobby")
            await ann.ask("lobby", "one")
            waits = await ann.ask("lobby", "two")
            await ann.until_type("response.completed")
            rig.store.fail_with = StorageError("gone")
            await rig.turn(20)
            assert len(rig.upstream.requests) == 1
            rig.store.fail_with = None
            await rig.turn(5)
            await ann.until_type("response.completed", waits["response_id"])
            assert len(rig.upstream.requests) == 2

    virtual_time.run(scenario())


def test_an_answer_that_nobody_watches_any_more_is_stopped_after_the_grace() -> None:
    async def scenario() -> None:
        async with a_rig(SLOWLY, said("b"), orphan_grace_s=10.0) as rig:
            ann, bob = rig.viewer("ann"), rig.viewer("bob")
            await ann.join("lobby")
            await bob.join("lobby")
            running, waiting = await ann.ask("lobby", "one"), await ann.ask("lobby", "two")
            ann.pump.close()
            await rig.turn(20)
            assert rig.upstream.hung_up == 0, "bob watches"
            await bob.command("room.leave", "lobby")
            await rig.turn(9.5)
            assert rig.upstream.hung_up == 0
            await rig.turn(1)
            responses = rig.room("lobby").state.responses
            for response_id in (running["response_id"], waiting["response_id"]):
                assert responses[response_id].status == "cancelled"
                receipt = responses[response_id].ending["receipt"]
                assert (receipt["by"], receipt["reason"]) == (SYSTEM.by(), "orphaned")
            assert (rig.upstream.hung_up, len(rig.upstream.requests)) == (1, 1)
            asked = await bob.ask("lobby", "without watching")
            await rig.turn(20)
            assert rig.room("lobby").state.responses[asked["response_id"]].status == "completed"

    virtual_time.run(scenario())


def test_whoever_joins_in_time_keeps_it_going() -> None:
    async def scenario() -> None:
        async with a_rig(SLOWLY, orphan_grace_s=10.0) as rig:
            ann, bob = rig.viewer("ann"), rig.viewer("bob")
            await ann.join("lobby")
            await ann.ask("lobby", "one")
            await ann.command("room.leave", "lobby")
            await rig.turn(9.5)
            await bob.join("lobby")
            await bob.command("room.leave", "lobby")
            await rig.turn(9.5)
            assert rig.room("lobby").state.running, "counted from the last one's leaving"
            await rig.turn(1)
            assert not rig.room("lobby").state.running

    virtual_time.run(scenario())


@pytest.mark.parametrize("grace_s", [None, 5.0])
def test_a_room_that_nobody_ever_watched_goes_on_and_so_does_any_without_a_grace(grace_s: float | None) -> None:
    async def scenario() -> None:
        async with a_rig(said("a", 20.0), orphan_grace_s=grace_s) as rig:
            ann = rig.viewer("ann")
            if grace_s is None:
                await ann.join("lobby")
                await ann.command("room.leave", "lobby")
            asked = await ann.ask("lobby", "one")
            await rig.turn(25)
            assert rig.room("lobby").state.responses[asked["response_id"]].status == "completed"

    virtual_time.run(scenario())

"""Two hubs on one log: each decides for itself, and the log decides between them."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import pytest

from roomcast.core.errors import StorageUnavailable
from roomcast.core.events import TERMINAL_TYPES, JsonObject
from roomcast.core.ports import Hold
from tests.support import virtual_time
from tests.support.pausable_store import Pausable
from tests.support.rig import FaultyStore, Rig, ScriptedUpstream, Step, Viewer, a_rig, said


@asynccontextmanager
async def two_hubs(*script: Step) -> AsyncGenerator[tuple[Rig, Rig]]:
    """Two nodes on one log; the model says the same on both."""
    shared = FaultyStore()
    async with (
        a_rig(script or said("Hel", "lo"), store=Pausable(shared), node="a", shared=True) as a,
        a_rig(script or said("Hel", "lo"), store=Pausable(shared), node="b", shared=True) as b,
    ):
        yield a, b


async def log_of(rig: Rig, room: str) -> list[JsonObject]:
    """The whole log, as a viewer reads it that comes from the beginning."""
    reader = rig.viewer("auditor")
    joined = await reader.join(room, after={"epoch": rig.room(room).epoch, "seq": 0})
    await reader.until(lambda got: got.get("seq", 0) >= joined["head"])
    await reader.command("room.leave", room)
    return reader.events(room)


def terminals(log: list[JsonObject]) -> list[tuple[str, str]]:
    return [(got["type"], got["response_id"]) for got in log if got["type"] in TERMINAL_TYPES]


def assert_dense(viewer: Viewer, room: str) -> None:
    seqs = [got["seq"] for got in viewer.events(room)]
    assert seqs == list(range(seqs[0], seqs[-1] + 1))


def test_what_one_hub_appends_the_viewers_of_the_other_see_too() -> None:
    async def scenario() -> None:
        async with two_hubs() as (a, b):
            ann, bob = a.viewer("ann"), b.viewer("bob")
            await ann.join("lobby")
            await bob.join("lobby")
            asked = await ann.ask("lobby", "hello")
            done = await bob.until_type("response.completed", asked["response_id"])
            assert done == await ann.until_type("response.completed", asked["response_id"])
            assert (bob.text("lobby"), len(a.upstream.requests), len(b.upstream.requests)) == ("Hello", 1, 0)
            again = await bob.ask("lobby", "and you?")
            assert await ann.until_type("response.completed", again["response_id"])
            assert (len(a.upstream.requests), len(b.upstream.requests)) == (1, 1), "whoever starts it runs it"
            assert_dense(ann, "lobby")
            assert_dense(bob, "lobby")

    virtual_time.run(scenario())


async def say(viewer: Viewer, *texts: str) -> None:
    for text in texts:
        await viewer.ask("lobby", text, respond="never")


def test_what_could_not_be_read_when_it_was_heard_of_is_read_when_the_store_answers_again() -> None:
    async def scenario() -> None:
        async with two_hubs() as (a, b):
            ann, bob = a.viewer("ann"), b.viewer("bob")
            await ann.join("lobby")
            await bob.join("lobby")
            b.store.unreadable = StorageUnavailable("down")
            await say(ann, "hello")
            await anyio.sleep(1)
            b.store.unreadable = None
            await bob.until_type("item.created")

    virtual_time.run(scenario())


@pytest.mark.parametrize("joined", [True, False])
def test_what_another_appends_while_a_room_is_being_read_is_seen_too(joined: bool) -> None:
    async def scenario() -> None:
        async with two_hubs() as (a, b):
            ann, bob = a.viewer("ann"), b.viewer("bob")
            await ann.join("lobby")
            if joined:
                await bob.join("lobby")
            b.store.slow_reads_s = 1.0
            if joined:
                await say(ann, "which makes it read on")
            else:
                bob.send("room.join", "lobby")
            await anyio.sleep(0.5)
            await say(ann, "meanwhile")
            await bob.until(lambda got: got["type"] == "item.created" and "meanwhile" in str(got["item"]))
            assert_dense(bob, "lobby")

    virtual_time.run(scenario())


def test_a_room_is_not_forgotten_while_it_is_being_caught_up_with() -> None:
    """What goes on in a room that is forgotten would go on beside the room of that name which is loaded next."""

    async def scenario() -> None:
        async with two_hubs() as (a, b):
            ann, bob = a.viewer("ann"), b.viewer("bob")
            await ann.join("lobby")
            await bob.join("lobby")
            await bob.command("room.leave", "lobby")
            await b.turn(b.limits.idle_room_s - 1)
            await b.hub.save()
            room = b.room("lobby")
            b.store.slow_reads_s = 10.0
            await say(ann, "hello")
            await b.turn(5)
            assert b.hub.loaded == [room]
            await b.turn(10)
            assert room.state.seq == a.room("lobby").state.seq

    virtual_time.run(scenario())


def test_who_was_second_decides_again_on_what_is_true_by_then() -> None:
    """Compare-and-append: both start a response in the same moment; one runs, the other waits in line."""

    async def scenario() -> None:
        async with two_hubs(*said("Hel", 1.0, "lo")) as (a, b):
            ann, bob = a.viewer("ann"), b.viewer("bob")
            await ann.join("lobby")
            await bob.join("lobby")
            first, second = (
                ann.send("message.create", "lobby", content="1"),
                bob.send("message.create", "lobby", content="2"),
            )
            replies = [(await ann.reply_to(first))["result"], (await bob.reply_to(second))["result"]]
            assert sorted(reply["status"] for reply in replies) == ["in_progress", "queued"]
            for reply in replies:
                assert await ann.until_type("response.completed", reply["response_id"])
            assert (
                a.observer.counted["roomcast_append_conflicts_total"]
                + b.observer.counted["roomcast_append_conflicts_total"]
            )
            assert len(a.upstream.requests) + len(b.upstream.requests) == 2
            assert len(terminals(await log_of(b, "lobby"))) == 2

    virtual_time.run(scenario())


def test_a_copy_of_a_command_on_the_other_hub_gets_the_first_answer() -> None:
    async def scenario() -> None:
        async with two_hubs() as (a, b):
            here, there = a.viewer("ann"), b.viewer("ann")
            await here.join("lobby")
            await there.join("lobby")
            here.send("message.create", "lobby", id="same", content="x")
            there.send("message.create", "lobby", id="same", content="x")
            assert (await here.reply_to("same"))["result"] == (await there.reply_to("same"))["result"]
            await here.until_type("response.completed")
            assert len(a.upstream.requests) + len(b.upstream.requests) == 1

    virtual_time.run(scenario())


def test_a_cancel_from_the_other_hub_hangs_up_where_it_runs() -> None:
    async def scenario() -> None:
        async with two_hubs("one ", 500.0, "two") as (a, b):
            ann, bob = a.viewer("ann"), b.viewer("bob")
            await ann.join("lobby")
            await bob.join("lobby")
            asked = await ann.ask("lobby", "talk")
            await bob.until_text("lobby", "one ")
            before_s = b.clock.monotonic_s()
            reply = await bob.command("response.cancel", "lobby")
            assert reply["result"] == {"response_id": asked["response_id"], "status": "cancelling"}
            done = await bob.until_type("response.cancelled", asked["response_id"])
            assert b.clock.monotonic_s() - before_s <= 1
            assert (a.upstream.hung_up, done["receipt"]["by"]["id"]) == (1, "bob")
            assert await ann.until_type("response.cancelled", asked["response_id"]) == done
            assert await a.store.held() == []

    virtual_time.run(scenario())


def test_a_node_that_died_is_noticed_and_what_it_ran_is_ended_by_the_other() -> None:
    async def scenario() -> None:
        shared = FaultyStore()
        upstream = ScriptedUpstream(["one ", 500.0, "two"])
        async with a_rig(store=Pausable(shared), node="b", shared=True) as b:
            bob = b.viewer("bob")
            async with a_rig(upstream=upstream, store=Pausable(shared), node="a", shared=True) as a:
                ann = a.viewer("ann")
                await ann.join("lobby")
                await bob.join("lobby")
                asked = await ann.ask("lobby", "talk")
                waiting = await ann.ask("lobby", "and then?")
                await bob.until_text("lobby", "one ")
                assert await shared.held() == [Hold("lobby", asked["response_id"], "a")]
            died_s = b.clock.monotonic_s()  # its tasks are gone, and it appended nothing
            ended = await bob.until_type("response.interrupted", asked["response_id"])
            assert 10 <= b.clock.monotonic_s() - died_s <= 15
            assert (ended["cause"], ended["response"]["output"][0]["content"][0]["text"]) == ("owner_lost", "one ")
            assert await bob.until_type("response.completed", waiting["response_id"]), "what waited goes on elsewhere"
            assert len(b.upstream.requests) == 1

    virtual_time.run(scenario())


def test_n2_what_another_node_began_meanwhile_is_not_given_up_with_it() -> None:
    """Two notice the death; one of them also starts what waited, and the other leaves that alone."""

    async def scenario() -> None:
        shared = FaultyStore()
        slow = said("b", 5.0, "c")
        async with (
            a_rig(slow, store=Pausable(shared), node="b", shared=True) as b,
            a_rig(slow, store=Pausable(shared), node="c", shared=True) as c,
        ):
            bob, cyd = b.viewer("bob"), c.viewer("cyd")
            async with a_rig(["one ", 500.0], store=Pausable(shared), node="a", shared=True) as a:
                ann = a.viewer("ann")
                for viewer in (ann, bob, cyd):
                    await viewer.join("lobby")
                await ann.ask("lobby", "talk")
                waiting = await ann.ask("lobby", "and then?")
                await bob.until_text("lobby", "one ")
            done = await cyd.until(lambda got: got["type"] in TERMINAL_TYPES)
            assert done["type"] == "response.interrupted"
            assert await bob.until_type("response.completed", waiting["response_id"])
            assert len(terminals(await log_of(c, "lobby"))) == 2

    virtual_time.run(scenario())


def test_a_former_holder_that_was_only_paused_is_refused_by_the_log() -> None:
    """K6: its output after the pause is in no log, and it learns from the log that it holds nothing any more."""

    async def scenario() -> None:
        async with two_hubs("one ", 12.0, "late ", 500.0) as (a, b):
            ann, bob = a.viewer("ann"), b.viewer("bob")
            await ann.join("lobby")
            await bob.join("lobby")
            asked = await ann.ask("lobby", "talk")
            await bob.until_text("lobby", "one ")
            assert isinstance(a.store, Pausable)
            a.store.pause()
            assert (await bob.until_type("response.interrupted"))["cause"] == "owner_lost"
            await anyio.sleep(5)
            assert a.scheduler.running == 1, "it knows nothing yet"
            a.store.awake.set()
            await ann.until_type("response.interrupted", asked["response_id"])
            await anyio.sleep(1)
            assert (a.scheduler.running, a.upstream.hung_up) == (0, 1)
            for viewer in (ann, bob):
                assert viewer.text("lobby") == "one "
                assert_dense(viewer, "lobby")
            assert terminals(await log_of(b, "lobby")) == [("response.interrupted", asked["response_id"])]
            again = await ann.ask("lobby", "still there?")
            assert again["status"] == "in_progress"

    virtual_time.run(scenario())


def test_n1_a_pause_of_ours_is_not_held_against_the_others() -> None:
    async def scenario() -> None:
        async with two_hubs("one ", 28.0, *said("two")) as (a, b):
            ann, bob = a.viewer("ann"), b.viewer("bob")
            await ann.join("lobby")
            await bob.join("lobby")
            asked = await ann.ask("lobby", "talk")
            await bob.until_text("lobby", "one ")
            for rig in (a, b):
                assert isinstance(rig.store, Pausable)
                rig.store.pause()
            await anyio.sleep(20)  # the whole machine stood still
            assert isinstance(b.store, Pausable)
            b.store.awake.set()
            await anyio.sleep(4)
            assert isinstance(a.store, Pausable)
            a.store.awake.set()
            done = await bob.until(lambda got: got["type"] in TERMINAL_TYPES)
            assert (done["type"], done["response_id"]) == ("response.completed", asked["response_id"])

    virtual_time.run(scenario())


def test_a_node_that_begins_starts_what_a_drained_one_left_waiting() -> None:
    async def scenario() -> None:
        shared = FaultyStore()
        async with a_rig(["one ", 500.0], store=shared, node="a") as a:
            ann = a.viewer("ann")
            await ann.join("lobby")
            await ann.ask("lobby", "talk")
            waiting = await ann.ask("lobby", "and then?")
            await ann.until_text("lobby", "one ")
            a.hub.settle()
            a.scheduler.interrupt("drain")
            await ann.until_type("response.interrupted")
        async with a_rig(store=Pausable(shared), node="b", shared=True) as b:
            bob = b.viewer("bob")
            await bob.join("lobby")
            assert await bob.until_type("response.completed", waiting["response_id"])

    virtual_time.run(scenario())


def test_what_a_node_leaves_waiting_when_it_drains_is_started_by_one_that_goes_on() -> None:
    async def scenario() -> None:
        async with two_hubs("one ", 5.0, *said("two")) as (a, b):
            ann, bob = a.viewer("ann"), b.viewer("bob")
            await ann.join("lobby")
            await bob.join("lobby")
            await ann.ask("lobby", "talk")
            waiting = await ann.ask("lobby", "and then?")
            a.hub.settle()
            await a.scheduler.drain(30)
            await bob.until_type("response.completed", waiting["response_id"])
            assert (len(a.upstream.requests), len(b.upstream.requests)) == (1, 1)

    virtual_time.run(scenario())


def test_many_commands_on_both_hubs_make_one_log_that_all_viewers_agree_on() -> None:
    async def scenario() -> None:
        async with two_hubs("a", 0.1, "b", 0.1, *said("c")) as (a, b):
            viewers = [rig.viewer(f"{rig.node}{number}") for rig in (a, b) for number in range(3)]
            for viewer in viewers:
                await viewer.join("lobby")
            ids: list[tuple[Viewer, str]] = []
            for turn in range(8):
                for viewer in viewers:
                    respond = "always" if turn % 4 == 0 else "never"
                    ids.append((viewer, viewer.send("message.create", "lobby", content=f"{turn}", respond=respond)))
                await anyio.sleep(0.05)
            replies = [await viewer.reply_to(command_id) for viewer, command_id in ids]
            assert all(reply["ok"] for reply in replies)
            asked = [reply["result"]["response_id"] for reply in replies if "response_id" in reply["result"]]
            for response_id in asked:
                await viewers[-1].until_type("response.completed", response_id)
            log = await log_of(a, "lobby")
            head = log[-1]["seq"]
            for viewer in viewers:
                await viewer.until(lambda got: got.get("seq") == head)
                assert_dense(viewer, "lobby")
                assert viewer.text("lobby") == "abc" * len(asked)
            assert len(terminals(log)) == len(asked) == 12
            assert len(a.upstream.requests) + len(b.upstream.requests) == len(asked)
            assert b.observer.counted["roomcast_append_conflicts_total"], "they did meet"

    virtual_time.run(scenario())

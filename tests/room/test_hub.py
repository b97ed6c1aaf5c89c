"""Tests of roomcast/room/hub.py: forgetting rooms, recovery, the end."""

from __future__ import annotations

import gc
import weakref

import anyio

from roomcast.core.errors import StorageFull
from roomcast.core.limits import Limits
from tests.support import virtual_time
from tests.support.rig import FaultyStore, Rig, a_rig, said


async def pass_time(rig: Rig, seconds: int) -> None:
    for _ in range(seconds):
        await anyio.sleep(1)
        rig.tick()


def test_a_room_that_nobody_needs_is_forgotten_whole_and_comes_back_as_it_was() -> None:
    async def scenario() -> None:
        async with a_rig(limits=Limits(idle_room_s=5)) as rig:
            ann = rig.viewer("ann")
            await ann.join("lobby")
            await ann.ask("lobby", "remember me", respond="never")
            position, room = rig.room("lobby").position, weakref.ref(rig.room("lobby"))
            await pass_time(rig, 20)
            assert rig.hub.loaded, "somebody follows it"
            await ann.command("room.leave", "lobby")
            gc.disable()
            try:
                await pass_time(rig, 20)
                assert rig.hub.loaded == []
                assert list(rig.desk.fanouts()) == []
                assert room() is None, "nothing holds on to it, and its memory waits for no collection"
            finally:
                gc.enable()
            joined = await ann.join("lobby")
            assert joined["seq"] == position.seq
            assert joined["snapshot"]["items"][0]["content"][0]["text"] == "remember me"

    virtual_time.run(scenario())


def test_a_room_is_not_forgotten_while_a_join_is_under_way() -> None:
    async def scenario() -> None:
        async with a_rig(limits=Limits(idle_room_s=5)) as rig:
            ann, bob = rig.viewer("ann"), rig.viewer("bob")
            await bob.ask("lobby", "first", respond="never")
            await rig.hub.save()
            await anyio.sleep(20)
            rig.store.gate = anyio.Event()
            bob.send("message.create", "elsewhere", content="hold the store", respond="never")
            join = ann.send("room.join", "lobby")
            await anyio.sleep(0.1)
            rig.tick()
            rig.store.gate.set()
            await ann.reply_to(join)
            told = await bob.ask("lobby", "second", respond="never")
            await ann.until(lambda got: got.get("seq") == told["seq"] and got["type"] == "item.created")

    virtual_time.run(scenario())


def test_a_full_disk_delays_recovery_and_does_not_keep_the_server_from_its_readers() -> None:
    async def scenario() -> None:
        store = FaultyStore()
        async with a_rig(said("some text", 500.0), store=store) as rig:
            ann = rig.viewer("ann")
            await ann.join("lobby")
            ran = await ann.ask("lobby", "one")
            waited = await ann.ask("lobby", "two")
            await ann.until_type("response.output_text.delta")
        store.fail_with = StorageFull("full")
        async with a_rig(said("answer"), store=store) as rig:
            with anyio.fail_after(30):
                assert await rig.hub.recover() == 0
            bob = rig.viewer("bob")
            joined = await bob.join("lobby")
            assert joined["snapshot"]["responses"][0]["output"][0]["content"][0]["text"] == "some text"
            refused = await bob.command("message.create", "lobby", content="three")
            assert refused["error"]["code"] == "storage_full"
            store.fail_with = None
            await bob.until_type("response.interrupted", ran["response_id"])
            await bob.until_type("response.completed", waited["response_id"])

    virtual_time.run(scenario())


def test_a_room_that_cannot_be_read_keeps_no_other_from_its_recovery() -> None:
    async def scenario() -> None:
        store = FaultyStore()
        async with a_rig(said("some text", 500.0), store=store) as rig:
            ann = rig.viewer("ann")
            for room in ("broken", "whole"):
                await ann.join(room)
                await ann.ask(room, "x")
            await ann.until(lambda got: got["type"] == "response.output_text.delta" and got["room"] == "whole")
        store.lose("broken", 2)
        async with a_rig(store=store) as rig:
            with anyio.fail_after(1):
                assert await rig.hub.recover() == 1
            bob = rig.viewer("bob")
            refused = await bob.command("room.join", "broken")
            assert refused["error"]["code"] == "unavailable"
            assert (await bob.join("whole"))["snapshot"]["responses"][0]["status"] == "incomplete"

    virtual_time.run(scenario())


def test_all_rooms_are_saved_in_one_append() -> None:
    async def scenario() -> None:
        store = FaultyStore()
        async with a_rig(store=store) as rig:
            ann = rig.viewer("ann")
            for index in range(20):
                await ann.ask(f"room-{index}", "x", respond="never")
            store.calls = 0
            await rig.hub.save()
            assert store.calls <= 2
            saved = await store.checkpoint("room-19")
            assert saved is not None
            assert saved.seq == rig.room("room-19").state.seq

    virtual_time.run(scenario())

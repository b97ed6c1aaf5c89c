"""A room that is deleted: everybody is told, nothing is left, and its name begins a new log."""

from __future__ import annotations

import anyio

from roomcast.core.errors import StorageFull
from tests.support import virtual_time
from tests.support.pausable_store import Pausable
from tests.support.rig import FaultyStore, a_rig, said


def test_viewers_are_told_and_begin_anew_and_what_ran_is_hung_up_on() -> None:
    async def scenario() -> None:
        async with a_rig(said("Hel", 500.0, "lo"), said("new")) as rig:
            ann, bob = rig.viewer("ann"), rig.viewer("bob")
            joined = await ann.join("lobby")
            await bob.join("lobby")
            asked = await ann.ask("lobby", "hello")
            await bob.until_text("lobby", "Hel")
            assert (await ann.command("room.delete", "lobby"))["result"] == {}
            for viewer in (ann, bob):
                assert (await viewer.until_type("response.cancelled", asked["response_id"]))["reason"] == "deleted"
                gone = await viewer.until_type("room.deleted")
                reset = await viewer.until_type("room.reset")
                assert viewer.received.index(gone) < viewer.received.index(reset)
                assert (reset["reason"], reset["seq"], reset["snapshot"]["items"]) == ("epoch_changed", 0, [])
                assert reset["epoch"] != joined["epoch"]
            await anyio.sleep(1)
            assert (rig.upstream.hung_up, rig.scheduler.running) == (1, 0)
            assert not await rig.hub.exists("lobby")
            assert (await rig.store.head("lobby"), await rig.store.held()) == (None, [])
            again = await ann.ask("lobby", "anybody?")
            assert again["seq"] == 2, "a new room, in a new log"
            await bob.until_type("response.completed", again["response_id"])
            assert [got["seq"] for got in bob.events("lobby") if got["type"] == "room.created"] == [1]

    virtual_time.run(scenario())


def test_what_stands_in_line_behind_it_is_about_the_next_room_of_that_name() -> None:
    async def scenario() -> None:
        async with a_rig() as rig:
            ann = rig.viewer("ann")
            await ann.join("lobby")
            await ann.ask("lobby", "old", respond="never")
            rig.store.gate = anyio.Event()
            first = ann.send("message.create", "lobby", content="older", respond="never")
            deleted = ann.send("room.delete", "lobby")
            after = ann.send("message.create", "lobby", content="new", respond="never")
            await anyio.sleep(1)
            rig.store.gate.set()
            assert (await ann.reply_to(first))["result"]["seq"] == 3
            assert (await ann.reply_to(deleted))["ok"]
            assert (await ann.reply_to(after))["result"]["seq"] == 2
            shown = (await rig.viewer("bob").join("lobby"))["snapshot"]
            assert [item["content"][0]["text"] for item in shown["items"]] == ["new"]

    virtual_time.run(scenario())


def test_a_copy_of_a_deletion_gets_the_first_answer_and_spares_the_new_room() -> None:
    async def scenario() -> None:
        async with a_rig() as rig:
            ann, twin = rig.viewer("ann"), rig.viewer("ann")
            await ann.ask("lobby", "old", respond="never")
            assert (await ann.command("room.delete", "lobby", id="gone"))["ok"]
            await ann.ask("lobby", "new", respond="never")
            assert (await twin.command("room.delete", "lobby", id="gone"))["result"] == {}
            assert await rig.hub.exists("lobby")
            assert (await twin.command("room.delete", "nowhere"))["error"]["code"] == "room_not_found"

    virtual_time.run(scenario())


def test_who_comes_back_with_a_cursor_of_the_old_room_starts_from_the_new_one() -> None:
    async def scenario() -> None:
        async with a_rig() as rig:
            ann, late = rig.viewer("ann"), rig.viewer("late")
            await ann.ask("lobby", "old", respond="never")
            cursor = rig.room("lobby").position._asdict()
            await ann.command("room.delete", "lobby")
            await ann.ask("lobby", "new", respond="never")
            joined = await late.join("lobby", after=cursor)
            assert (joined["resumed"], joined["reset"]) == (False, "epoch_changed")

    virtual_time.run(scenario())


def test_a_slow_viewer_is_told_by_a_reset_where_the_goodbye_went_with_the_log() -> None:
    async def scenario() -> None:
        async with a_rig() as rig:
            ann, slow = rig.viewer("ann"), rig.viewer("slow")
            await ann.join("lobby")
            await slow.join("lobby")
            slow.socket.stall()
            for number in range(5):
                await ann.ask("lobby", str(number), respond="never")
            await ann.command("room.delete", "lobby")
            slow.socket.read_on()
            reset = await slow.until_type("room.reset")
            assert (reset["reason"], reset["seq"]) == ("epoch_changed", 0)
            told = await ann.ask("lobby", "new", respond="never")
            await slow.until(lambda got: got.get("item", {}).get("id") == told["item_id"])

    virtual_time.run(scenario())


def test_a_deletion_that_could_not_be_stored_deletes_nothing() -> None:
    async def scenario() -> None:
        async with a_rig(said("a", 1.0, "b")) as rig:
            ann = rig.viewer("ann")
            await ann.join("lobby")
            asked = await ann.ask("lobby", "talk")
            await ann.until_text("lobby", "a")
            rig.store.fail_with = StorageFull("full")
            assert (await ann.command("room.delete", "lobby"))["error"]["code"] == "storage_full"
            rig.store.fail_with = None
            assert await ann.until_type("response.completed", asked["response_id"])

    virtual_time.run(scenario())


def test_a_room_that_another_hub_deleted_is_gone_here_too() -> None:
    async def scenario() -> None:
        shared = FaultyStore()
        script = said("Hel", 500.0, "lo")
        async with (
            a_rig(script, store=Pausable(shared), node="a", shared=True) as a,
            a_rig(script, store=Pausable(shared), node="b", shared=True) as b,
        ):
            ann, bob = a.viewer("ann"), b.viewer("bob")
            await ann.join("lobby")
            await bob.join("lobby")
            await ann.ask("lobby", "hello")
            await bob.until_text("lobby", "Hel")
            assert (await bob.command("room.delete", "lobby"))["ok"]
            assert (await ann.until_type("room.reset"))["reason"] == "epoch_changed"
            await anyio.sleep(1)
            assert (a.scheduler.running, a.upstream.hung_up) == (0, 1)
            told = await ann.ask("lobby", "new", respond="never")
            await bob.until(lambda got: got["type"] == "room.reset" and got["seq"] == told["seq"])
            assert a.room("lobby").position == b.room("lobby").position

    virtual_time.run(scenario())

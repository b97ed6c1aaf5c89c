"""Tests of roomcast/subscriber/fanout.py: rounds, presence, beacons."""

from __future__ import annotations

import anyio

from roomcast.core.limits import Limits
from tests.support import virtual_time
from tests.support.rig import a_rig


def test_a_round_is_one_write_for_each_live_viewer() -> None:
    async def scenario() -> None:
        async with a_rig() as rig:
            ann, bob = rig.viewer("ann"), rig.viewer("bob")
            await ann.join("lobby")
            await bob.join("lobby")
            writes = 0
            write = bob.socket.write

            def counted(data: bytes) -> None:
                nonlocal writes
                writes += 1
                write(data)

            fanout = rig.desk.fanout(rig.room("lobby"))
            [subscriber] = [known for known in fanout.subscribers if known.pump is bob.pump]
            subscriber.leave_live()
            bob.pump.write = counted
            subscriber.advance()
            rig.store.gate = anyio.Event()
            ids = [ann.send("message.create", "lobby", content=str(index), respond="never") for index in range(10)]
            await anyio.sleep(1)
            rig.store.gate.set()
            for command_id in ids:
                await ann.reply_to(command_id)
            assert len(bob.events("lobby")) == 10
            assert writes <= 2, "what waited for one commit is one write"

    virtual_time.run(scenario())


def test_presence_is_one_diff_for_all_who_came_and_went() -> None:
    async def scenario() -> None:
        async with a_rig() as rig:
            ann = rig.viewer("ann")
            joined = await ann.join("lobby")
            assert [member["id"] for member in joined["members"]] == ["ann"]
            rig.tick()
            others = [rig.viewer(f"m{index}") for index in range(5)]
            for other in others:
                await other.join("lobby")
            others[0].pump.close()
            rig.tick()
            diffs = [got for got in ann.received if got["type"] == "presence.updated"]
            assert [member["id"] for member in diffs[-1]["joined"]] == ["m1", "m2", "m3", "m4"]
            assert diffs[-1]["left"] == ["m0"], "whoever joined meanwhile was told of it"
            assert diffs[-1]["count"] == 5
            assert len(diffs) == 2

    virtual_time.run(scenario())


def test_a_viewer_that_missed_diffs_is_told_everybody_when_it_is_live_again() -> None:
    async def scenario() -> None:
        async with a_rig() as rig:
            ann, slow = rig.viewer("ann"), rig.viewer("slow")
            await ann.join("lobby")
            await slow.join("lobby")
            rig.tick()
            slow.socket.stall()
            await ann.ask("lobby", "x", respond="never")
            await rig.viewer("late").join("lobby")
            rig.tick()
            slow.socket.read_on()
            whole = await slow.until(lambda got: got["type"] == "presence.updated" and "members" in got)
            assert [member["id"] for member in whole["members"]] == ["ann", "slow", "late"]

    virtual_time.run(scenario())


def test_members_are_told_also_when_the_socket_is_full_again_at_once() -> None:
    async def scenario() -> None:
        async with a_rig() as rig:
            ann, slow = rig.viewer("ann"), rig.viewer("slow")
            await ann.join("lobby")
            await slow.join("lobby")
            rig.tick()
            slow.socket.stall()
            for _ in range(2):
                await ann.ask("lobby", "x", respond="never")
            await rig.viewer("late").join("lobby")
            rig.tick()

            def stall_at_the_end(data: bytes) -> None:
                if b"subscriber.caught_up" in data:
                    slow.socket.stall()
                slow.socket.write(data)

            slow.pump.write = stall_at_the_end
            slow.socket.read_on()
            assert not slow.pump.writable
            slow.socket.read_on()
            whole = await slow.until(lambda got: got["type"] == "presence.updated" and "members" in got)
            assert [member["id"] for member in whole["members"]] == ["ann", "slow", "late"]

    virtual_time.run(scenario())


def test_a_viewer_that_missed_no_diff_is_not_told_everybody_again() -> None:
    async def scenario() -> None:
        async with a_rig() as rig:
            ann, slow = rig.viewer("ann"), rig.viewer("slow")
            await ann.join("lobby")
            await slow.join("lobby")
            await rig.viewer("late").join("lobby")
            rig.tick()
            await slow.until_type("presence.updated")
            slow.socket.stall()
            told = await ann.ask("lobby", "x", respond="never")
            slow.socket.read_on()
            await slow.until(lambda got: got.get("seq") == told["seq"])
            assert not [got for got in slow.received if got["type"] == "presence.updated" and "members" in got]

    virtual_time.run(scenario())


def test_presence_state_is_told_and_bounded() -> None:
    async def scenario() -> None:
        async with a_rig() as rig:
            ann, bob = rig.viewer("ann"), rig.viewer("bob")
            await ann.join("lobby")
            await bob.join("lobby")
            rig.tick()
            assert (await bob.command("presence.update", "lobby", state={"typing": True}))["ok"]
            rig.tick()
            told = await ann.until(lambda got: got["type"] == "presence.updated" and bool(got.get("changed")))
            assert told["changed"][0]["state"] == {"typing": True}
            big = await bob.command("presence.update", "lobby", state={"x": "y" * 2_000})
            assert (big["error"]["code"], big["error"]["param"]) == ("too_large", "state")
            stranger = await rig.viewer("eve").command("presence.update", "lobby", state={})
            assert stranger["error"]["code"] == "not_joined"

    virtual_time.run(scenario())


def test_a_silent_room_says_where_its_log_stands() -> None:
    async def scenario() -> None:
        async with a_rig(limits=Limits(head_interval_s=15)) as rig:
            ann = rig.viewer("ann")
            await ann.join("lobby")
            for _ in range(16):
                await anyio.sleep(1)
                rig.tick()
            heads = [got for got in ann.received if got["type"] == "room.head"]
            assert [(got["epoch"], got["seq"]) for got in heads] == [rig.room("lobby").position]

    virtual_time.run(scenario())


def test_rooms_that_nobody_needs_are_forgotten_and_come_back_whole() -> None:
    async def scenario() -> None:
        async with a_rig(limits=Limits(idle_room_s=60)) as rig:
            ann = rig.viewer("ann")
            await ann.join("lobby")
            await ann.ask("lobby", "remember me", respond="never")
            state = rig.room("lobby").state.dump()
            for _ in range(3):
                await anyio.sleep(61)
                rig.tick()
            assert [room.name for room in rig.hub.loaded] == ["lobby"], "somebody is there"
            ann.pump.close()
            for _ in range(3):
                await anyio.sleep(61)
                rig.tick()
            assert rig.hub.loaded == []
            bob = rig.viewer("bob")
            await bob.join("lobby")
            assert rig.room("lobby").state.dump() == state

    virtual_time.run(scenario())

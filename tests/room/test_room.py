"""Tests of roomcast/room/room.py: where a room stands, and who hears that it stands elsewhere."""

from __future__ import annotations

import anyio

from roomcast.core.events import JsonObject
from tests.support import virtual_time
from tests.support.rig import a_rig, said


def first_seq(event: JsonObject) -> int:
    seq: int = event["seq_from"] if "seq_from" in event else event["seq"]
    return seq


def test_a_log_that_was_renamed_starts_every_viewer_anew() -> None:
    async def scenario() -> None:
        async with a_rig(said("one ", 5.0, "two ", 5.0, "three")) as rig:
            ann, slow = rig.viewer("ann"), rig.viewer("slow")
            await ann.join("lobby")
            await slow.join("lobby")
            await ann.ask("lobby", "count")
            await ann.until_text("lobby", "one ")
            slow.socket.stall()
            position = rig.room("lobby").position
            rig.store.rename("lobby", "ep_other")
            reset = await ann.until_type("room.reset")
            assert (reset["reason"], reset["epoch"]) == ("epoch_changed", "ep_other")
            assert reset["seq"] == position.seq, "surviving events keep their number"
            await ann.until_type("response.completed")
            slow.socket.read_on()
            await slow.until_type("response.completed")
            for viewer in (ann, slow):
                assert [got["reason"] for got in viewer.received if got["type"] == "room.reset"] == ["epoch_changed"]
                place = next(index for index, got in enumerate(viewer.received) if got["type"] == "room.reset")
                start = viewer.received[place]["seq"]
                after = [got for got in viewer.received[place + 1 :] if "seq" in got]
                covered = [seq for got in after for seq in range(first_seq(got), got["seq"] + 1)]
                assert covered == list(range(start + 1, rig.room("lobby").state.seq + 1))

    virtual_time.run(scenario())


def test_a_renamed_log_in_which_a_response_has_ended_stops_its_generation() -> None:
    async def scenario() -> None:
        async with a_rig(said("one ", 50.0, "two")) as rig:
            ann = rig.viewer("ann")
            await ann.join("lobby")
            before = rig.room("lobby").position
            await ann.ask("lobby", "count")
            await ann.until_text("lobby", "one ")
            rig.store.rename("lobby", "ep_other", cut_behind=before.seq)
            told = await ann.ask("lobby", "and now?", respond="never")
            assert told["seq"] == before.seq + 1
            await anyio.sleep(1)
            assert rig.upstream.hung_up == 1

    virtual_time.run(scenario())

"""Cancels that meet something else: settled once, for everybody, whichever is in line first."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import pytest

from roomcast.core.events import JsonObject, decode_event
from roomcast.core.log import Events
from roomcast.core.ports import Finish
from roomcast.core.session import Role
from tests.support import virtual_time
from tests.support.reference import audit_log
from tests.support.rig import Rig, Viewer, a_rig, said


class Race:
    """Ann and bob watch an answer that has said `ab` and is about to end; a commit can be held up."""

    def __init__(self, rig: Rig, last: anyio.Event, ann: Viewer, bob: Viewer, response_id: str) -> None:
        self.rig = rig
        self.ann = ann
        self.bob = bob
        self.response_id = response_id
        self._last = last

    async def hold(self, *, same_round: bool) -> None:
        """Hold up the next commit; what comes now is decided in one round if something else is under way."""
        self.rig.store.gate = anyio.Event()
        if same_round:
            self.ann.send("message.create", "lobby", content="an aside", respond="never")
            await anyio.sleep(0.1)

    async def model_ends(self) -> None:
        self._last.set()
        await anyio.sleep(0.1)

    async def cancel(self, viewer: Viewer, **fields: str) -> str:
        command_id = viewer.send("response.cancel", "lobby", **fields)
        await anyio.sleep(0.1)
        return command_id

    def let_go(self) -> None:
        assert self.rig.store.gate is not None
        self.rig.store.gate.set()

    async def ending(self, response_id: str | None = None) -> JsonObject:
        """The terminal of a response, the same for both viewers and the log, which is in order."""
        asked = response_id or self.response_id
        for viewer in (self.ann, self.bob):
            await viewer.until(lambda got: "digest" in got and got.get("response_id") == asked)
        await anyio.sleep(1)
        read = await self.rig.store.read("lobby", 0, 1_000)
        assert isinstance(read, Events)
        log = [decode_event(record) for record in read.records]
        assert audit_log(log) == []
        [terminal] = [event for event in log if "digest" in event and event["response_id"] == asked]
        for viewer in (self.ann, self.bob):
            heard = [got for got in viewer.events("lobby") if "digest" in got and got["response_id"] == asked]
            assert heard == [terminal]
        return terminal


@asynccontextmanager
async def a_race() -> AsyncGenerator[Race]:
    last = anyio.Event()
    async with a_rig(["ab", last, Finish("completed")], said("next", 5.0)) as rig:
        ann, bob = rig.viewer("ann"), rig.viewer("bob", Role.SPEAKER)
        await ann.join("lobby")
        await bob.join("lobby")
        asked = await ann.ask("lobby", "spell")
        await bob.until_text("lobby", "ab")
        yield Race(rig, last, ann, bob, asked["response_id"])


@pytest.mark.parametrize("same_round", [True, False])
def test_l4_a_cancel_ahead_of_the_end_ends_cancelled_with_all_of_the_text(same_round: bool) -> None:
    async def scenario() -> None:
        async with a_race() as race:
            await race.hold(same_round=same_round)
            cancel = await race.cancel(race.bob)
            await race.model_ends()
            race.let_go()
            assert (await race.bob.reply_to(cancel))["result"]["status"] == "cancelling"
            terminal = await race.ending()
            assert (terminal["type"], terminal["receipt"]["by"]["id"]) == ("response.cancelled", "bob")
            assert terminal["response"]["output"][0]["content"][0]["text"] == race.ann.text("lobby") == "ab"

    virtual_time.run(scenario())


@pytest.mark.parametrize("same_round", [True, False])
def test_l4_a_cancel_behind_the_end_is_told_how_it_ended_and_changes_nothing(same_round: bool) -> None:
    async def scenario() -> None:
        async with a_race() as race:
            await race.hold(same_round=same_round)
            await race.model_ends()
            cancel = await race.cancel(race.bob, response_id=race.response_id)
            race.let_go()
            assert (await race.bob.reply_to(cancel))["result"]["status"] == "completed"
            assert (await race.ending())["type"] == "response.completed"

    virtual_time.run(scenario())


@pytest.mark.parametrize("same_round", [True, False])
def test_l5_of_two_cancels_at_once_the_first_has_the_receipt_and_both_are_told_the_same(same_round: bool) -> None:
    async def scenario() -> None:
        async with a_race() as race:
            await race.hold(same_round=same_round)
            cancels = [await race.cancel(viewer) for viewer in (race.bob, race.ann)]
            race.let_go()
            replies = [await race.bob.reply_to(cancels[0]), await race.ann.reply_to(cancels[1])]
            assert [reply["result"]["status"] for reply in replies] == ["cancelling", "cancelling"]
            assert (await race.ending())["receipt"]["by"]["id"] == "bob"
            kinds = [got["type"] for got in race.ann.events("lobby")]
            assert kinds.count("response.cancelling") == 1

    virtual_time.run(scenario())


def test_l5_a_cancel_sent_again_over_another_connection_gets_the_same_reply() -> None:
    async def scenario() -> None:
        async with a_race() as race:
            await race.hold(same_round=False)
            command_id = await race.cancel(race.bob, id="stop-1")
            race.bob.pump.close()
            again = race.rig.viewer("bob", Role.SPEAKER)
            assert again.send("response.cancel", "lobby", id="stop-1") == command_id
            race.let_go()
            first = await again.reply_to(command_id)
            await again.join("lobby")
            race.bob = again
            await race.ann.until_type("response.cancelled")
            late = race.rig.viewer("bob", Role.SPEAKER)
            assert await late.command("response.cancel", "lobby", id="stop-1") == first
            assert first["result"] == {"response_id": race.response_id, "status": "cancelling"}

    virtual_time.run(scenario())


@pytest.mark.parametrize("same_round", [True, False])
@pytest.mark.parametrize("end_first", [True, False])
def test_l4_a_cancel_of_what_waits_meets_its_turn(same_round: bool, end_first: bool) -> None:
    """Either it leaves the line, or it started and is stopped before the model says anything; never both."""

    async def scenario() -> None:
        async with a_race() as race:
            waiting = (await race.bob.ask("lobby", "and?"))["response_id"]
            await race.hold(same_round=same_round)
            if end_first:
                await race.model_ends()
            cancel = await race.cancel(race.bob, response_id=waiting)
            if not end_first:
                await race.model_ends()
            race.let_go()
            told = (await race.bob.reply_to(cancel))["result"]["status"]
            assert told == ("cancelling" if end_first else "cancelled")
            assert (await race.ending())["type"] == "response.completed"
            terminal = await race.ending(waiting)
            assert (terminal["type"], terminal["response"]["output"]) == ("response.cancelled", [])
            assert terminal["reason"] == (None if end_first else "withdrawn")

    virtual_time.run(scenario())


@pytest.mark.parametrize("same_round", [True, False])
def test_an_interrupt_that_meets_the_end_is_next_either_way(same_round: bool) -> None:
    async def scenario() -> None:
        for end_first in (True, False):
            async with a_race() as race:
                await race.hold(same_round=same_round)
                if end_first:
                    await race.model_ends()
                asked = race.bob.send("message.create", "lobby", content="now", on_busy="interrupt")
                await anyio.sleep(0.1)
                if not end_first:
                    await race.model_ends()
                race.let_go()
                result = (await race.bob.reply_to(asked))["result"]
                assert result["status"] == ("in_progress" if end_first else "queued")
                assert (await race.ending())["type"] == ("response.completed" if end_first else "response.cancelled")
                await race.ann.until_type("response.completed", result["response_id"])

    virtual_time.run(scenario())

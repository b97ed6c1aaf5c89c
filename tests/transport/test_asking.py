"""Tests of roomcast/transport/asking.py: turns in a room's line. Who may ask is in test_http.py."""

from __future__ import annotations

import anyio
import pytest

from roomcast.core.errors import Refusal
from roomcast.core.intents import Opened
from roomcast.transport.asking import Asking
from tests.support.rig import FaultyStore
from tests.transport.serving import Served, serving

pytestmark = pytest.mark.anyio


def an_asking(served: Served) -> Asking:
    return Asking(None, lambda: served.ready)  # type: ignore[arg-type]  # turns need no services


async def test_a_turn_comes_behind_what_was_in_line() -> None:
    async with serving() as served:
        room = served.hub.room("lobby")
        seqs: list[int] = []
        room.submit(Opened(), lambda outcome: None)
        await an_asking(served).turn(room, lambda: seqs.append(room.state.seq))
        assert seqs == [1]


async def test_a_turn_gives_what_its_act_gave_or_refused() -> None:
    async with serving() as served:
        await served.say("lobby", "x")
        room = served.hub.room("lobby")
        assert await an_asking(served).turn(room, lambda: room.position.seq) == 2

        def refuse() -> None:
            raise Refusal("room_busy", "not now")

        with pytest.raises(Refusal, match="not now"):
            await an_asking(served).turn(room, refuse)
        assert (await served.say("lobby", "the room goes on"))["seq"] == 3


async def test_a_turn_in_a_room_that_is_not_there_is_refused() -> None:
    async with serving() as served:
        with pytest.raises(Refusal) as caught:
            await an_asking(served).turn(served.hub.room("none"), lambda: None)
        assert caught.value.code == "room_not_found"


async def test_who_stops_waiting_leaves_the_line_unharmed() -> None:
    store = FaultyStore()
    async with serving(store=store) as served:
        room = served.hub.room("lobby")
        store.gate = anyio.Event()
        room.submit(Opened(), lambda outcome: None)
        with anyio.move_on_after(0.05):
            await an_asking(served).turn(room, lambda: None)
        store.gate.set()
        assert (await served.say("lobby", "x"))["seq"] == 2

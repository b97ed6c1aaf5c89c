"""A room whose stored rows do not decode is refused by itself; the others never notice."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from roomcast.core.limits import Limits
from roomcast.core.ports import Checkpoint
from tests.support import virtual_time
from tests.support.faulty_store import FaultyStore
from tests.support.rig import a_rig


def spoil_checkpoint(store: FaultyStore, state: bytes) -> None:
    stored = store._rooms["bad"]  # pyright: ignore[reportPrivateUsage]  # no port writes nonsense
    stored.checkpoint = Checkpoint(stored.head.epoch, 3, state)


def spoil_event(store: FaultyStore, data: bytes) -> None:
    records = store._rooms["bad"].records  # pyright: ignore[reportPrivateUsage]  # no port writes nonsense
    records[-1] = records[-1]._replace(data=data)


SPOILERS = [
    pytest.param(spoil_checkpoint, b"\xff\xfe", id="checkpoint that is no JSON"),
    pytest.param(spoil_checkpoint, b'{"seq":"x"}', id="checkpoint of another shape"),
    pytest.param(spoil_event, b"\x00garbage", id="event that is no JSON"),
    pytest.param(spoil_event, b"[1]", id="event of another shape"),
    pytest.param(spoil_event, b"{}", id="event without fields"),
]


@pytest.mark.parametrize(("spoil", "data"), SPOILERS)
def test_a_row_that_does_not_decode_costs_its_room_and_no_other(spoil: object, data: bytes) -> None:
    async def scenario() -> None:
        store = FaultyStore()
        async with a_rig(limits=Limits(checkpoint_events=10_000), store=store) as rig:
            ann = rig.viewer("ann")
            for room in ("good", "bad"):
                await ann.ask(room, "hello", respond="never")
                await ann.ask(room, "again", respond="never")
        assert callable(spoil)
        spoil(store, data)
        async with a_rig(store=store) as rig:
            bob = rig.viewer("bob")
            with capture_logs() as lines:
                for kind, fields in (("room.join", {}), ("message.create", {"content": "x"}), ("room.join", {})):
                    reply = await bob.command(kind, "bad", **fields)
                    assert (reply["ok"], reply["error"]["code"]) == (False, "unavailable")
            told = [(line["log_level"], line["room"]) for line in lines if line["event"] == "room_quarantined"]
            assert told == [("error", "bad")], "loudly, and once"
            assert (await bob.join("good"))["seq"] == 3
            assert (await bob.ask("good", "on we go"))["response_id"]
            await bob.until_type("response.completed")

    virtual_time.run(scenario())

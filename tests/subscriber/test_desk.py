"""Tests of roomcast/subscriber/desk.py: who may go on from a cursor, and coming and going."""

from __future__ import annotations

import pytest

from roomcast.core.events import Cursor
from roomcast.core.profile import Profile
from roomcast.core.rules import Rulebook
from roomcast.subscriber.desk import reset_reason
from tests.support import virtual_time
from tests.support.rig import a_rig

HERE = Cursor("e1", 10)


@pytest.mark.parametrize(
    ("after", "floor", "reason"),
    [
        (None, 0, "new"),
        (Cursor("e1", 0), 0, None),
        (Cursor("e1", 10), 0, None),
        (Cursor("e1", 11), 0, "ahead_of_head"),
        (Cursor("e0", 5), 0, "epoch_changed"),
        (Cursor("e0", 99), 0, "epoch_changed"),
        (Cursor("e1", 4), 5, "expired"),
        (Cursor("e1", 5), 5, None),
    ],
)
def test_a_viewer_goes_on_from_a_cursor_or_is_told_why_it_cannot(
    after: Cursor | None, floor: int, reason: str | None
) -> None:
    assert reset_reason(after, HERE, floor) == reason


@pytest.mark.parametrize("kinds", [None, ["reasoning", "tools", "annotations", "media"]])
def test_include_is_accepted_with_all_four_kinds_or_left_out(kinds: list[str] | None) -> None:
    async def scenario() -> None:
        async with a_rig() as rig:
            joined = await rig.viewer("ann").join("lobby", **({} if kinds is None else {"include": kinds}))
            assert sorted(joined["include"]) == ["annotations", "media", "reasoning", "tools"]
            assert joined["on_slow"] == "coalesce"
            assert joined["you"] == {"id": "ann", "name": "Ann", "role": "owner"}

    virtual_time.run(scenario())


@pytest.mark.parametrize(("fields", "param"), [({"include": []}, "include"), ({"tools": ["search"]}, "tools")])
def test_what_a_join_cannot_get_yet_is_refused_by_name(fields: dict[str, object], param: str) -> None:
    async def scenario() -> None:
        async with a_rig() as rig:
            ann = rig.viewer("ann")
            reply = await ann.command("room.join", "lobby", **fields)
            assert (reply["error"]["code"], reply["error"]["param"]) == ("not_supported", param)
            assert not await rig.hub.exists("lobby")

    virtual_time.run(scenario())


def test_a_join_again_replaces_the_first_and_presence_counts_a_member_once() -> None:
    async def scenario() -> None:
        async with a_rig() as rig:
            ann, also_ann = rig.viewer("ann"), rig.viewer("ann")
            await ann.join("lobby")
            again = await ann.join("lobby")
            other = await also_ann.join("lobby")
            assert again["member_count"] == other["member_count"] == 1
            assert len(rig.desk.fanout(rig.room("lobby")).subscribers) == 2
            ann.pump.close()
            assert rig.desk.occupied(rig.room("lobby"))
            also_ann.pump.close()
            assert not rig.desk.occupied(rig.room("lobby"))
            assert rig.desk.pumps() == set()

    virtual_time.run(scenario())


def test_a_snapshot_holds_as_many_items_as_were_asked_for() -> None:
    async def scenario() -> None:
        async with a_rig() as rig:
            ann = rig.viewer("ann")
            said = [(await ann.ask("lobby", str(index), respond="never"))["item_id"] for index in range(5)]
            for wanted, has_more in ((0, True), (2, True), (5, False), (50, False)):
                shown = (await ann.join("lobby", items=wanted))["snapshot"]
                assert [item["id"] for item in shown["items"]] == said[len(said) - min(wanted, 5) :]
                assert shown["has_more"] is has_more

    virtual_time.run(scenario())


def test_nobody_joins_a_room_that_may_not_be_made() -> None:

    async def scenario() -> None:
        rulebook = Rulebook(profiles={"default": Profile(name="default")}, create=False)
        async with a_rig(rulebook=rulebook) as rig:
            reply = await rig.viewer("ann").command("room.join", "lobby")
            assert reply["error"]["code"] == "room_not_found"

    virtual_time.run(scenario())

"""Tests of roomcast/core/rooms.py."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from roomcast.core.batch import Batch
from roomcast.core.commands import RoomDelete, RoomSettings, RoomUpdate
from roomcast.core.errors import Refusal
from roomcast.core.room_state import RoomState
from roomcast.core.rooms import delete_room
from tests.support.pure_room import ANN, BOB, RULEBOOK, PureRoom


def update(**fields: Any) -> RoomUpdate:
    return RoomUpdate(id="c", room="lobby", **fields)


def a_room() -> PureRoom:
    room = PureRoom()
    room.say("hi", respond="never")
    return room


def test_a_room_is_made_by_being_named_with_the_servers_defaults() -> None:
    room = a_room()
    created = room.log[0]
    assert (created["type"], created["title"], created["by"]) == ("room.created", "lobby", ANN.by())
    assert created["settings"] == {"on_busy": "enqueue", "respond": "always"}


def test_a_room_that_may_not_be_made_is_not() -> None:
    room = PureRoom(replace(RULEBOOK, create=False))
    with pytest.raises(Refusal) as refused:
        room.say("hi")
    assert (refused.value.code, room.log) == ("room_not_found", [])


def test_a_title_is_told_whole_and_kept() -> None:
    room = a_room()
    result = room.command(update(title="Plans for 2027"))
    assert result == {"title": "Plans for 2027", "settings": {"on_busy": "enqueue", "respond": "always"}}
    told = room.log[-1]
    assert (told["type"], told["title"], told["by"]) == ("room.updated", "Plans for 2027", ANN.by())
    assert told["settings"] == result["settings"]
    assert RoomState.load(room.state.dump()).title == "Plans for 2027"


def test_settings_change_one_by_one_and_null_takes_the_servers_default() -> None:
    room = a_room()
    assert room.command(update(settings=RoomSettings(on_busy="reject")))["settings"]["on_busy"] == "reject"
    both = room.command(update(settings=RoomSettings(respond="never")))["settings"]
    assert both == {"on_busy": "reject", "respond": "never"}
    assert room.command(update(settings=RoomSettings(on_busy=None)))["settings"]["on_busy"] == "enqueue"
    assert room.state.settings == {"on_busy": "enqueue", "respond": "never"}


def test_the_settings_of_a_room_decide_about_its_prompts() -> None:
    room = a_room()
    room.command(update(settings=RoomSettings(on_busy="reject")))
    room.say("first")
    with pytest.raises(Refusal) as refused:
        room.say("second")
    assert refused.value.code == "room_busy"
    assert room.say("third", on_busy="enqueue")["status"] == "queued", "a prompt may ask for another"
    room.command(update(settings=RoomSettings(respond="never")))
    assert "response_id" not in room.say("only said")


def test_what_changes_nothing_is_no_event() -> None:
    room = a_room()
    before = len(room.log)
    room.command(update(title="lobby", settings=RoomSettings(on_busy="enqueue")))
    assert len(room.log) == before


@pytest.mark.parametrize(
    ("fields", "code", "param"),
    [
        ({}, "missing_field", "title"),
        ({"title": " \n"}, "invalid_value", "title"),
        ({"settings": RoomSettings(on_busy="steer")}, "not_supported", "settings.on_busy"),
    ],
)
def test_what_cannot_be_is_refused_by_name(fields: dict[str, Any], code: str, param: str) -> None:
    room = a_room()
    before = len(room.log)
    with pytest.raises(Refusal) as refused:
        room.command(update(**fields))
    assert (refused.value.code, refused.value.param, len(room.log)) == (code, param, before)


def test_a_room_that_is_not_there_has_nothing_to_change() -> None:
    with pytest.raises(Refusal) as refused:
        PureRoom().command(update(title="x"))
    assert (refused.value.code, refused.value.param) == ("room_not_found", "room")


def test_deleting_ends_everything_and_then_the_room() -> None:
    room = a_room()
    running = room.say("one")["response_id"]
    room.answer(running, "Hel")
    waiting = room.say("two")["response_id"]
    before = len(room.log)
    assert room.command(RoomDelete(id="c", room="lobby"), BOB) == {}
    told = [(event["type"], event.get("response_id")) for event in room.log[before:]]
    assert told == [
        ("response.cancelled", waiting),
        ("response.cancelling", running),
        ("response.cancelled", running),
        ("room.deleted", None),
    ]
    left, _, ended, gone = room.log[before:]
    assert (left["reason"], ended["reason"], ended["receipt"]["by"]) == ("withdrawn", "deleted", BOB.by())
    assert (left["receipt"]["reason"], ended["response"]["usage"]["output_tokens"]) == ("deleted", 1)
    assert (gone["by"], room.state.unfinished) == (BOB.by(), False)


def test_there_is_nothing_to_delete_where_there_is_no_room() -> None:
    with pytest.raises(Refusal) as refused:
        PureRoom().command(RoomDelete(id="c", room="lobby"))
    assert (refused.value.code, refused.value.param) == ("room_not_found", "room")


def test_a_batch_knows_that_it_deletes() -> None:
    batch = Batch(a_room().state, RULEBOOK, 1_000)
    assert not batch.deletes
    delete_room(batch, ANN)
    assert batch.deletes

"""Tests of roomcast/core/waiting.py."""

from __future__ import annotations

from typing import Any

import pytest

from roomcast.core.commands import QueueUpdate
from roomcast.core.conversation import model_input
from roomcast.core.events import JsonObject
from roomcast.core.intents import Recovered
from roomcast.core.queueing import queue_entries
from roomcast.core.room_state import RoomState
from roomcast.core.session import Member, Role
from roomcast.core.snapshot import response_object
from tests.support.pure_room import ANN, BOB, PureRoom

MO = Member("mod", "Mo", Role.MODERATOR)


def change(response_id: str, **fields: Any) -> QueueUpdate:
    return QueueUpdate(id="c", room="lobby", response_id=response_id, **fields)


def refused(room: PureRoom, by: Member, response_id: str = "resp_2", **fields: Any) -> tuple[str, str | None]:
    refusal = room.refusal(change(response_id, **fields), by)
    return refusal.code, refusal.param


def a_line(**limits: Any) -> PureRoom:
    """Ann's `one` runs; `two` of ann, `b` of bob and `three` of ann wait, in the order in which they take turns."""
    room = PureRoom(**limits)
    for text, by in (("one", ANN), ("two", ANN), ("b", BOB), ("three", ANN)):
        room.say(text, by=by)
    assert room.state.queue == ["resp_3", "resp_2", "resp_4"]
    return room


def told(room: PureRoom, response_id: str) -> list[str]:
    """What the model is told for a response, as `u: text` and `a: text`."""
    response = room.response(response_id)
    said = model_input(room.state, response.prompt_id, response.merged)
    return [f"{item['role'][0]}: {' '.join(part['text'] for part in item['content'])}" for item in said]


# ---- taking out ------------------------------------------------------------------------------


@pytest.mark.parametrize("by", [ANN, MO])
def test_what_waits_is_taken_out_by_its_asker_or_a_moderator(by: Member) -> None:
    room = a_line()
    result = room.command(change("resp_2", remove=True), by)
    assert result == {
        "response_id": "resp_2",
        "status": "cancelled",
        "item_id": "msg_2",
        "queue": queue_entries(room.state),
    }
    [ended, queue] = room.log[-2:]
    assert (ended["type"], ended["reason"], ended["by"]) == ("response.cancelled", "withdrawn", by.by())
    assert ended["receipt"] == {"by": by.by(), "reason": "withdrawn", "output_tokens": 0, "upstream_closed_ms": 0}
    assert [entry["response_id"] for entry in queue["queue"]] == ["resp_3", "resp_4"]
    assert told(room, "resp_4") == ["u: one", "u: two", "u: three"], "the message stays"


@pytest.mark.parametrize("fields", [{"remove": True}, {"content": "x"}, {"position": 3}])
def test_what_others_wait_for_is_none_of_a_speakers_business(fields: JsonObject) -> None:
    assert refused(a_line(), BOB, **fields) == ("forbidden", None)


# ---- moving ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("position", "order"), [(1, [4, 3, 2]), (2, [3, 4, 2]), (3, [3, 2, 4]), (99, [3, 2, 4])])
def test_a_moderator_moves_what_waits_anywhere(position: int, order: list[int]) -> None:
    room = a_line()
    result = room.command(change("resp_4", position=position), MO)
    assert room.state.queue == [f"resp_{number}" for number in order]
    assert (result["position"], result["status"]) == (min(position, 3), "queued")
    assert result["queue"] == room.log[-1]["queue"] == queue_entries(room.state)
    assert room.types()[-1] == "queue.updated"
    assert RoomState.load(room.state.dump()).queue == room.refolded().queue == room.state.queue
    assert room.end("resp_1")[1]["response_id"] == f"resp_{order[0]}", "that is who is next"


def test_a_speaker_orders_its_own_prompts_and_lets_others_go_first_but_passes_nobody() -> None:
    room = a_line()
    assert refused(room, ANN, "resp_2", position=1) == ("forbidden", "position")
    room.command(change("resp_4", position=2), ANN)
    assert room.state.queue == ["resp_3", "resp_4", "resp_2"]
    room.command(change("resp_3", position=3), BOB)
    assert room.state.queue == ["resp_4", "resp_2", "resp_3"]
    assert refused(room, BOB, "resp_3", position=2) == ("forbidden", "position")


def test_what_a_moderator_moved_stays_before_those_who_come() -> None:
    room = a_line()
    room.command(change("resp_4", position=1), MO)
    room.say("new", by=MO)
    assert room.state.queue[:2] == ["resp_4", "resp_3"]


# ---- saying it differently -------------------------------------------------------------------


@pytest.mark.parametrize("by", [ANN, MO])
def test_a_prompt_that_is_said_differently_is_a_new_item_that_replaces_the_old_one(by: Member) -> None:
    room = a_line()
    result = room.command(change("resp_2", content="two, better"), by)
    [item, queue] = room.log[-2:]
    assert item["item"] == {
        "id": result["item_id"],
        "type": "message",
        "role": "user",
        "status": "completed",
        "content": [{"type": "input_text", "text": "two, better"}],
        "parent_id": "msg_4",
        "by": by.by(),
        "at": 1_000,
        "seq": item["seq"],
        "replaces": "msg_2",
    }
    assert [(entry["item_id"], entry["by"]) for entry in queue["queue"]][1] == (result["item_id"], ANN.by())
    assert response_object(room.response("resp_2"))["item_id"] == result["item_id"]
    room.end("resp_1")
    room.answer("resp_3", "B")
    [_, started, _] = room.end("resp_3")
    assert started["response"]["item_id"] == result["item_id"]
    assert told(room, "resp_2") == ["u: one", "u: b", "a: B", "u: two, better"]
    room.answer("resp_2", "zwei")
    room.end("resp_2")
    assert told(room, "resp_4") == ["u: one", "u: b", "a: B", "u: two, better", "a: zwei", "u: three"]
    assert RoomState.load(room.state.dump()).dump() == room.state.dump() == room.refolded().dump()


def test_it_may_be_said_differently_again_and_moved_at_once() -> None:
    room = a_line()
    room.command(change("resp_4", content="drei"), MO)
    result = room.command(change("resp_4", content="trois", position=1), MO)
    assert room.types()[-2:] == ["item.created", "queue.updated"]
    assert (result["position"], room.state.queue[0]) == (1, "resp_4")
    room.end("resp_1")
    assert told(room, "resp_4") == ["u: one", "u: trois"]
    assert [item.id for item in room.state.items.values()][:4] == ["msg_1", "msg_2", "msg_3", "msg_4"], "all are kept"


def test_what_was_said_by_others_or_asked_about_by_others_is_not_replaced() -> None:
    room = PureRoom()
    room.say("one")
    room.say("an aside", by=BOB, respond="never")
    about_bobs = room.ask()["response_id"]
    room.command(change(about_bobs, content="and?"))
    assert "replaces" not in room.log[-2]["item"]
    mine = room.say("two")["response_id"]
    room.ask(by=BOB, parent_id=room.response(mine).prompt_id)
    room.command(change(mine, content="zwei"))
    assert "replaces" not in room.log[-2]["item"]
    room.end("resp_1")
    assert told(room, about_bobs) == ["u: one", "u: an aside", "u: two", "u: and?"]


def test_an_answer_that_was_asked_about_is_not_replaced() -> None:
    room = PureRoom()
    room.answered("one", "eins")
    room.say("runs")
    asked = room.ask(parent_id="out_resp_1")["response_id"]
    room.command(change(asked, content="what?"))
    assert "replaces" not in room.log[-2]["item"]
    assert room.log[-2]["item"]["parent_id"] == "out_resp_1"


# ---- what is refused -------------------------------------------------------------------------


def test_it_must_ask_for_something_and_not_for_too_much() -> None:
    room = a_line()
    assert refused(room, ANN) == ("missing_field", "content")
    assert refused(room, ANN, content=" ") == ("invalid_value", "content")
    assert refused(room, ANN, remove=True, content="x") == ("invalid_value", "remove")
    assert refused(room, ANN, remove=True, position=1) == ("invalid_value", "remove")


def test_only_what_waits_can_be_changed() -> None:
    assert refused(PureRoom(), ANN, remove=True) == ("room_not_found", "room")
    room = a_line()
    assert refused(room, ANN, "resp_9", remove=True) == ("response_not_found", "response_id")
    assert refused(room, ANN, "resp_1", content="x") == ("already_decided", "response_id")
    room.command(change("resp_2", remove=True))
    assert refused(room, ANN, "resp_2", remove=True) == ("already_decided", "response_id")


def test_a_change_starts_what_may_start() -> None:
    room = a_line()
    room.decide(Recovered("owner_lost", start_next=False))
    result = room.command(change("resp_3", content="now"), BOB)
    assert (result["status"], "position" in result, room.state.running) == ("in_progress", False, ["resp_3"])

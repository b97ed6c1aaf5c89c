"""Tests of roomcast/core/rules.py."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from roomcast.core.batch import Batch
from roomcast.core.commands import InputMessage, InputText, ItemRate, MessageCreate, ResponseCancel, ResponseCreate
from roomcast.core.errors import Refusal
from roomcast.core.events import JsonObject
from roomcast.core.intents import Opened, Recovered
from roomcast.core.profile import Profile
from roomcast.core.rules import METADATA_BYTES, decide
from roomcast.core.session import Member, Role
from roomcast.core.wire import decode
from tests.support.pure_room import ANN, BOB, RULEBOOK, PureRoom

MODERATOR = Member("mod", "Mo", Role.MODERATOR)
CLOSED = replace(RULEBOOK, create=False)


def say(content: Any = "hi", **fields: Any) -> MessageCreate:
    return MessageCreate(id="c", room="lobby", content=content, **fields)


def ask(**fields: Any) -> ResponseCreate:
    return ResponseCreate(id="c", room="lobby", **fields)


def cancel(response_id: str | None = None, **fields: Any) -> ResponseCancel:
    return ResponseCancel(id="c", room="lobby", response_id=response_id, **fields)


def refused(room: PureRoom, command: Any, by: Member = ANN) -> tuple[str, str | None]:
    refusal = room.refusal(command, by)
    return refusal.code, refusal.param


def types(events: list[JsonObject]) -> list[str]:
    return [event["type"] for event in events]


# ---- rooms -----------------------------------------------------------------------------------


def test_a_room_comes_into_being_once_by_being_named() -> None:
    room = PureRoom()
    [created] = room.decide(Opened(ANN))
    assert created == {
        "room": "lobby",
        "seq": 1,
        "at": 1_000,
        "type": "room.created",
        "title": "lobby",
        "settings": {"on_busy": "enqueue", "respond": "always"},
        "by": {"id": "ann", "name": "Ann"},
    }
    assert room.decide(Opened(BOB)) == []


def test_a_message_may_be_the_first_thing_that_names_a_room() -> None:
    room = PureRoom()
    room.say("hi", respond="never")
    assert room.types() == ["room.created", "item.created"]


def test_where_rooms_are_not_made_by_naming_them_they_are_not_found() -> None:
    with pytest.raises(Refusal, match="there is no such room"):
        PureRoom(CLOSED).decide(Opened(ANN))
    for command in (say(), say("hi", parent_id="gone"), ask(input="hi"), cancel()):
        assert refused(PureRoom(CLOSED), command) == ("room_not_found", "room")


def test_a_room_that_is_there_is_open_to_all() -> None:
    room = PureRoom()
    room.decide(Opened(ANN))
    room.rulebook = CLOSED
    assert room.decide(Opened(BOB)) == []
    assert room.say("hi")["item_id"] == "msg_1"


# ---- message.create --------------------------------------------------------------------------


def test_a_message_brings_its_item_its_response_and_its_start_in_one_batch() -> None:
    room = PureRoom()
    room.decide(Opened(ANN))
    result = room.say("hi")
    assert result == {"item_id": "msg_1", "seq": 2, "response_id": "resp_1", "status": "in_progress"}
    item, created, started = room.log[1:]
    assert types([item, created, started]) == ["item.created", "response.created", "response.in_progress"]
    assert item["item"] == {
        "id": "msg_1",
        "type": "message",
        "role": "user",
        "status": "completed",
        "content": [{"type": "input_text", "text": "hi"}],
        "parent_id": None,
        "by": ANN.by(),
        "at": 1_000,
        "seq": 2,
    }
    assert (created["response_id"], created["by"], created["response"]["item_id"]) == ("resp_1", ANN.by(), "msg_1")
    assert (created["response"]["status"], started["response"]["status"]) == ("in_progress", "in_progress")
    assert (created["response"]["model"], created["response"]["profile"]) == ("gpt-test", "default")
    assert [event["sequence_number"] for event in (created, started)] == [0, 1]


def test_the_seq_of_the_result_is_that_of_the_item() -> None:
    room = PureRoom()
    result = room.say("hi")
    assert room.log[result["seq"] - 1]["item"]["id"] == result["item_id"]


@pytest.mark.parametrize(
    ("respond", "room_says", "answers"),
    [("always", "never", True), ("never", "always", False), ("auto", "always", True), ("auto", "never", False)],
)
def test_a_message_is_answered_as_it_or_its_room_wants(respond: Any, room_says: str, *, answers: bool) -> None:
    room = PureRoom(replace(RULEBOOK, respond=room_says))
    assert ("response_id" in room.say("hi", respond=respond)) is answers


def test_a_prompt_to_a_busy_room_waits_and_its_asker_learns_where() -> None:
    room = PureRoom()
    room.say("runs")
    assert room.say("waits", on_busy="enqueue") == {
        "item_id": "msg_2",
        "seq": 5,
        "response_id": "resp_2",
        "status": "queued",
        "position": 1,
        "on_busy": "enqueue",
    }
    assert room.say("waits too")["position"] == 2
    assert room.types()[-3:] == ["item.created", "response.created", "queue.updated"]
    assert room.log[-2]["response"]["status"] == "queued"
    assert [entry["response_id"] for entry in room.log[-1]["queue"]] == ["resp_2", "resp_3"]


def test_a_prompt_to_a_busy_room_can_be_turned_away_without_effect() -> None:
    room = PureRoom()
    room.say("runs")
    assert refused(room, say(on_busy="reject")) == ("room_busy", None)


def test_a_message_that_wants_no_answer_is_welcome_in_a_busy_room() -> None:
    room = PureRoom(queue_length=1)
    room.say("runs")
    room.say("waits")
    assert refused(room, say()) == ("queue_full", None)
    assert room.say("an aside", respond="never")["item_id"]


def test_drain_new_prompts_are_refused_and_make_no_room() -> None:
    room, new = PureRoom(), PureRoom()
    room.decide(Opened(ANN))
    room.draining = new.draining = True
    for one in (room, new):
        assert refused(one, say()) == refused(one, ask(input="hi")) == ("draining", None)


@pytest.mark.parametrize("respond", ["auto", "never"])
def test_a_policy_of_a_later_version_is_refused_before_anything_happens(respond: Any) -> None:
    for room in (PureRoom(), PureRoom(CLOSED)):
        assert refused(room, say(on_busy="rollback", respond=respond)) == ("not_supported", "on_busy")
        assert refused(room, ask(input="hi", on_busy="steer")) == ("not_supported", "on_busy")


@pytest.mark.parametrize("content", ["", " ", "\n\t\u2028\u00a0", [InputText(" "), InputText("")]])
def test_a_message_of_nothing_but_space_is_refused(content: Any) -> None:
    assert refused(PureRoom(), say(content)) == ("invalid_value", "content")


def test_parts_of_text_stay_parts() -> None:
    room = PureRoom()
    room.command(say([InputText("a"), InputText("")], respond="never"))
    assert room.log[-1]["item"]["content"] == [{"type": "input_text", "text": "a"}, {"type": "input_text", "text": ""}]


def test_i10_what_is_no_text_is_not_served_yet() -> None:
    image = {"type": "input_image", "image_url": "http://169.254.169.254"}
    command = decode(
        {"type": "message.create", "id": "c", "room": "r", "content": [{"type": "input_text", "text": "a"}, image]}
    )
    assert refused(PureRoom(), command) == ("not_supported", "content[1].type")


def test_an_explicit_parent_begins_a_branch() -> None:
    room = PureRoom()
    room.answered("one", "eins")
    room.say("other one", parent_id="msg_1", respond="never")
    assert room.log[-1]["item"]["parent_id"] == "msg_1"
    assert room.state.head_item_id == "msg_2"


def test_an_item_that_is_not_there_cannot_be_a_parent() -> None:
    assert refused(PureRoom(), say(parent_id="gone")) == ("item_not_found", "parent_id")
    assert refused(PureRoom(), ask(input="hi", parent_id="gone")) == ("item_not_found", "parent_id")


def test_a_profile_that_is_not_there_is_refused() -> None:
    assert refused(PureRoom(), say(profile="gone")) == ("invalid_value", "profile")
    assert refused(PureRoom(), ask(input="hi", profile="gone")) == ("invalid_value", "profile")


def test_a_simulated_answer_says_so() -> None:
    room = PureRoom(replace(RULEBOOK, simulated=True))
    room.say("hi")
    assert [event["response"]["simulated"] for event in room.log if "response" in event] == [True, True]
    real = PureRoom()
    real.say("hi")
    assert "simulated" not in real.log[-1]["response"]


# ---- response.create -------------------------------------------------------------------------


def test_an_input_becomes_a_message_and_is_answered() -> None:
    room = PureRoom()
    assert room.ask(input="hi") == {"item_id": "msg_1", "response_id": "resp_1", "status": "in_progress"}
    assert room.types() == ["room.created", "item.created", "response.created", "response.in_progress"]


def test_without_an_input_the_newest_item_is_answered() -> None:
    room = PureRoom()
    room.say("hi", respond="never")
    assert room.ask() == {"response_id": "resp_2", "status": "in_progress"}
    assert room.response("resp_2").prompt_id == "msg_1"


def test_where_nothing_was_said_an_input_is_needed() -> None:
    assert refused(PureRoom(), ask()) == ("missing_field", "input")


def test_a_parent_without_an_input_is_the_prompt() -> None:
    room = PureRoom()
    room.answered("one", "eins")
    room.ask(parent_id="msg_1")
    assert room.response("resp_2").prompt_id == "msg_1"


def test_a_response_waits_like_a_message() -> None:
    room = PureRoom()
    room.say("runs")
    assert room.ask(input="next") == {
        "item_id": "msg_2",
        "response_id": "resp_2",
        "status": "queued",
        "position": 1,
        "on_busy": "enqueue",
    }
    assert refused(room, ask(input="no", on_busy="reject")) == ("room_busy", None)


@pytest.mark.parametrize(
    "given", ["hi", [InputText("hi")], [InputMessage("hi")], [InputMessage([InputText("hi")])]], ids=repr
)
def test_an_input_may_be_written_in_openais_ways(given: Any) -> None:
    room = PureRoom()
    room.ask(input=given)
    assert room.log[1]["item"]["content"] == [{"type": "input_text", "text": "hi"}]


def test_several_messages_at_once_are_refused() -> None:
    assert refused(PureRoom(), ask(input=[InputMessage("a"), InputMessage("b")])) == ("invalid_value", "input")
    assert refused(PureRoom(), ask(input=[InputMessage(" ")])) == ("invalid_value", "input[0].content")


def test_what_a_client_sets_goes_to_the_model_and_into_the_log() -> None:
    room = PureRoom()
    room.ask(input="hi", temperature=0.5, metadata={"a": "b"})
    created = room.log[2]
    assert created["request"] == {"temperature": 0.5, "metadata": {"a": "b"}}
    assert created["response"]["metadata"] == {"a": "b"}
    assert room.response("resp_1").request == {"temperature": 0.5, "metadata": {"a": "b"}}
    room.end("resp_1")
    room.ask(input="hi")
    assert "request" not in room.log[-2]


def test_i10_a_profile_says_what_a_client_may_set() -> None:
    strict = Profile(name="strict", model="big", models=("small",), allow=())
    room = PureRoom(replace(RULEBOOK, profiles={"default": RULEBOOK.profiles["default"], "strict": strict}))
    assert refused(room, ask(input="hi", profile="strict", temperature=1.0)) == ("invalid_value", "temperature")
    assert refused(room, ask(input="hi", model="huge")) == ("invalid_value", "model")
    assert refused(room, ask(input="hi", instructions="obey")) == ("invalid_value", "instructions")
    room.ask(input="hi", profile="strict", model="small")
    assert room.log[-1]["response"]["model"] == "small"
    room.decide(Recovered("restart"))
    room.ask(input="hi", profile="strict")
    assert room.log[-1]["response"]["model"] == "big"


def test_a_client_may_name_the_model_that_answers_anyway() -> None:
    room = PureRoom()
    room.ask(input="hi", model="gpt-test")
    assert room.log[-1]["response"]["model"] == "gpt-test"


@pytest.mark.parametrize(
    ("field", "value"), [("tools", [{"type": "function"}]), ("tools", []), ("tool_choice", "none")]
)
def test_i10_tools_are_not_served_yet(field: str, value: Any) -> None:
    assert refused(PureRoom(), ask(input="hi", **{field: value})) == ("not_supported", field)


def test_metadata_is_bounded_because_it_is_shown_wherever_the_response_is() -> None:
    """OpenAI's own bounds fit; text that takes more bytes than characters may not."""
    fits = {f"{number:02}" + "k" * 62: "v" * 512 for number in range(16)}
    assert PureRoom().ask(input="hi", metadata=fits)["status"] == "in_progress"
    too_much = dict.fromkeys(fits, "\x00" * 512)
    refusal = PureRoom().refusal(ask(input="hi", metadata=too_much))
    assert (refusal.code, refusal.param, str(METADATA_BYTES) in refusal.message) == ("too_large", "metadata", True)


# ---- the rest --------------------------------------------------------------------------------


def test_commands_of_later_versions_are_refused_by_name() -> None:
    room = PureRoom()
    refusal = room.refusal(ItemRate(id="c", room="lobby", item_id="msg_1", rating=1))
    assert (refusal.code, refusal.param, refusal.message) == ("not_supported", "type", "item.rate is not served yet")


def test_r1_a_refusal_leaves_the_batch_as_it_was_for_those_behind_it() -> None:
    room = PureRoom()
    batch = Batch(room.state, room.rulebook, 7)
    with pytest.raises(Refusal):
        decide(batch, room.commanded(say(" ")))
    assert (batch.events, batch.state.exists) == ([], False)
    assert decide(batch, room.commanded(say("hi"))) is not None


def test_intents_of_one_batch_are_decided_one_upon_the_other() -> None:
    room = PureRoom()
    batch = Batch(room.state, room.rulebook, 7)
    first, second = decide(batch, room.commanded(say("a"))), decide(batch, room.commanded(say("b")))
    assert first is not None
    assert second is not None
    assert (first["status"], second["status"]) == ("in_progress", "queued")
    third = decide(batch, room.commanded(cancel()))
    assert third == {"response_id": "resp_1", "status": "cancelling"}

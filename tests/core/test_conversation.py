"""Tests of roomcast/core/conversation.py."""

from __future__ import annotations

from dataclasses import replace

from roomcast.core.commands import ResponseCreate
from roomcast.core.conversation import model_input, request_for
from roomcast.core.errors import UpstreamError
from roomcast.core.events import JsonObject
from roomcast.core.profile import Profile
from tests.support.pure_room import ANN, BOB, RULEBOOK, PureRoom, delta, item_added


def told(room: PureRoom, response_id: str) -> list[str]:
    """What the model is told for a response, as `u: text` and `a: text`."""
    response = room.response(response_id)
    said = model_input(room.state, response.prompt_id, response.merged)
    return [f"{item['role'][0]}: {' '.join(part['text'] for part in item['content'])}" for item in said]


def test_a_linear_chat_is_told_in_order_with_the_prompt_last() -> None:
    room = PureRoom()
    room.answered("one", "eins")
    room.answered("two", "zwei")
    assert told(room, room.say("three")["response_id"]) == ["u: one", "a: eins", "u: two", "a: zwei", "u: three"]


def test_the_model_learns_what_was_said_and_not_by_whom_or_when() -> None:
    room = PureRoom()
    room.answered("one", "eins")
    response_id = room.say("two")["response_id"]
    assert model_input(room.state, room.response(response_id).prompt_id) == [
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "one"}]},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "eins"}]},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "two"}]},
    ]


def test_messages_that_asked_for_no_answer_are_told_too() -> None:
    room = PureRoom()
    room.say("by the way", respond="never")
    assert told(room, room.say("so?")["response_id"]) == ["u: by the way", "u: so?"]


def test_messages_said_while_an_answer_streams_come_behind_it() -> None:
    room = PureRoom()
    first = room.say("one")["response_id"]
    room.answer(first, "ei")
    room.say("an aside", by=BOB, respond="never")
    room.produce(first, delta("ns", f"out_{first}"))
    room.end(first)
    assert told(room, room.say("two")["response_id"]) == ["u: one", "a: eins", "u: an aside", "u: two"]


def test_a_queued_prompt_is_told_the_answers_before_it_and_not_the_questions_behind() -> None:
    room = PureRoom()
    first = room.say("one")["response_id"]
    room.answer(first, "eins")
    second = room.say("two", by=BOB)["response_id"]
    third = room.say("three")["response_id"]
    room.end(first)
    assert told(room, second) == ["u: one", "a: eins", "u: two"]
    room.answer(second, "zwei")
    room.end(second)
    assert told(room, third) == ["u: one", "a: eins", "u: two", "a: zwei", "u: three"]


def test_questions_that_were_queued_before_any_answer_began_are_told_with_their_answers() -> None:
    """They hang below one another, and both answers below all of them."""
    room = PureRoom()
    first, second, third = (room.say(text)["response_id"] for text in ("one", "two", "three"))
    room.answer(first, "eins")
    room.end(first)
    assert told(room, second) == ["u: one", "a: eins", "u: two"]
    room.answer(second, "zwei")
    room.end(second)
    assert told(room, third) == ["u: one", "a: eins", "u: two", "a: zwei", "u: three"]


def test_messages_said_before_an_answer_begins_come_behind_it_too() -> None:
    room = PureRoom()
    first = room.say("one")["response_id"]
    room.say("an aside", by=BOB, respond="never")
    room.answer(first, "ei")
    room.produce(first, item_added("more", 1), delta("ns", "more", index=1))
    room.end(first)
    assert told(room, room.say("two")["response_id"]) == ["u: one", "a: ei", "a: ns", "u: an aside", "u: two"]


def test_an_aside_waits_for_the_answers_to_the_questions_before_it_and_for_no_others() -> None:
    room = PureRoom()
    first = room.say("one")["response_id"]
    room.say("an aside", respond="never")
    second = room.say("two")["response_id"]
    room.answer(first, "eins")
    room.end(first)
    room.say("another", respond="never")
    room.answer(second, "zwei")
    room.end(second)
    assert told(room, room.say("three")["response_id"]) == [
        "u: one",
        "a: eins",
        "u: an aside",
        "u: two",
        "a: zwei",
        "u: another",
        "u: three",
    ]


def test_prompts_that_were_superseded_stay_in_the_conversation_behind_the_answer_they_waited_for() -> None:
    room = PureRoom()
    first = room.say("one")["response_id"]
    room.say("two", on_busy="latest")
    newest = room.say("three", on_busy="latest")["response_id"]
    room.answer(first, "eins")
    room.end(first)
    assert told(room, newest) == ["u: one", "a: eins", "u: two", "u: three"]


def test_merged_prompts_are_told_once_in_order_with_the_newest_last_and_stand_before_their_answer() -> None:
    room = PureRoom()
    first = room.say("one")["response_id"]
    room.say("two", on_busy="merge")
    room.say("aside", respond="never")
    room.say("three", on_busy="merge")
    newest = room.say("four", on_busy="merge")["response_id"]
    room.answer(first, "eins")
    room.end(first)
    assert told(room, newest) == ["u: one", "a: eins", "u: aside", "u: two", "u: three", "u: four"]
    room.answer(newest, "alles")
    room.end(newest)
    last = room.say("five")["response_id"]
    assert told(room, last) == [
        "u: one",
        "a: eins",
        "u: two",
        "u: three",
        "u: four",
        "a: alles",
        "u: aside",
        "u: five",
    ]


def test_merged_prompts_of_other_branches_are_told_too_and_answers_are_not_moved() -> None:
    room = PureRoom()
    room.answered("one", "eins")
    first = room.say("two")["response_id"]
    room.say("elsewhere", parent_id="msg_1")
    room.ask(parent_id="out_resp_1")
    newest = room.say("three", parent_id="msg_2", on_busy="merge")["response_id"]
    assert room.response(newest).merged == ("msg_3", "out_resp_1")
    assert told(room, first) == ["u: one", "a: eins", "u: two"]
    room.end(first)
    assert told(room, newest) == ["u: one", "a: eins", "u: two", "u: elsewhere", "u: three"]


def test_whoever_goes_first_is_told_nothing_of_prompts_that_are_merged_and_wait() -> None:
    room = PureRoom()
    room.say("one")
    room.say("two")
    room.say("three", on_busy="merge")
    assert told(room, room.say("four", on_busy="interrupt")["response_id"]) == ["u: one", "u: four"]


def test_a_question_stays_where_it_was_when_nothing_came_of_it() -> None:
    room = PureRoom()
    first = room.say("one")["response_id"]
    room.end(first, UpstreamError("upstream_unavailable", "no"))
    assert told(room, room.say("two")["response_id"]) == ["u: one", "u: two"]


def test_an_answer_that_broke_off_is_told_as_far_as_it_got() -> None:
    room = PureRoom()
    first = room.say("one")["response_id"]
    room.answer(first, "ei")
    room.end(first, UpstreamError("upstream_disconnected", "cut"))
    assert told(room, room.say("two")["response_id"]) == ["u: one", "a: ei", "u: two"]


def test_a_parent_begins_a_branch_that_knows_nothing_of_what_came_after_it() -> None:
    room = PureRoom()
    room.answered("one", "eins")
    room.answered("two", "zwei")
    response_id = room.say("two, differently", parent_id="out_resp_1")["response_id"]
    assert told(room, response_id) == ["u: one", "a: eins", "u: two, differently"]
    room.answer(response_id, "zwo")
    room.end(response_id)
    assert told(room, room.say("three")["response_id"])[-3:] == ["u: two, differently", "a: zwo", "u: three"]


def test_a_prompt_that_is_asked_again_is_told_without_its_first_answer() -> None:
    room = PureRoom()
    room.answered("one", "eins")
    room.answered("two", "zwei")
    response_id = room.ask(parent_id="msg_2")["response_id"]
    assert told(room, response_id) == ["u: one", "a: eins", "u: two"]
    [added] = room.produce(response_id, item_added("again"))
    assert added["item"]["parent_id"] == "msg_2"
    assert room.state.head_item_id == "again"


def test_a_prompt_that_failed_is_asked_again_with_all_that_was_said_since() -> None:
    room = PureRoom()
    room.end(room.say("one")["response_id"], UpstreamError("upstream_unavailable", "no"))
    room.say("please", respond="never")
    assert told(room, room.ask()["response_id"]) == ["u: one", "u: please"]


def test_a_response_to_an_answer_goes_on_behind_it() -> None:
    room = PureRoom()
    room.answered("one", "ei")
    response_id = room.ask()["response_id"]
    assert told(room, response_id) == ["u: one", "a: ei"]
    room.answer(response_id, "ns")
    room.end(response_id)
    assert told(room, room.say("two")["response_id"]) == ["u: one", "a: ei", "a: ns", "u: two"]


def test_an_answer_in_several_items_is_told_whole_behind_its_question() -> None:
    room = PureRoom()
    first = room.say("one")["response_id"]
    second = room.say("two")["response_id"]
    room.answer(first, "ei")
    room.produce(first, item_added("more", 1), delta("ns", "more", index=1))
    room.end(first)
    assert told(room, second) == ["u: one", "a: ei", "a: ns", "u: two"]


def test_only_messages_with_something_in_them_are_told() -> None:
    room = PureRoom()
    first = room.say("one")["response_id"]
    refusal: JsonObject = {"type": "response.refusal.delta", "output_index": 3, "content_index": 0, "delta": "no"}
    room.produce(
        first,
        item_added("think", type="reasoning", summary=[{"type": "summary_text", "text": "hm"}]),
        item_added("empty", 1),
        item_added("odd", 2, content=[5, {"type": "output_text"}, {"type": "hologram"}, {"type": "refusal"}]),
        item_added("refused", 3),
        refusal,
        item_added("text", 4, content="not a list"),
        item_added("odder", 5, content=[{"type": ["text"], "text": "x"}, {"type": "text", "text": {"x": 1}}]),
        item_added("oddest", 6, role=["assistant"], content=[{"type": "output_text", "text": "x"}]),
    )
    room.end(first)
    prompt_id = room.say("two")["item_id"]
    said = model_input(room.state, prompt_id)
    assert [item["content"][0] for item in said] == [
        {"type": "input_text", "text": "one"},
        {"type": "refusal", "refusal": "no"},
        {"type": "input_text", "text": "two"},
    ]


def test_without_a_prompt_there_is_nothing_to_tell() -> None:
    room = PureRoom()
    room.say("one", respond="never")
    assert model_input(room.state, None) == []
    assert model_input(room.state, "msg_gone") == []


def test_what_the_state_has_forgotten_is_not_told() -> None:
    room = PureRoom(state_items=3)
    for number in range(4):
        room.say(f"message {number}", by=ANN, respond="never")
    assert told(room, room.say("so?")["response_id"]) == ["u: message 2", "u: message 3", "u: so?"]


def test_a_request_is_the_profiles_with_what_the_asker_set_on_top() -> None:
    profile = Profile(name="poet", instructions="Rhyme.", parameters={"temperature": 0.9, "top_p": 0.5})
    room = PureRoom(replace(RULEBOOK, profiles={"poet": profile}))
    asked = room.command(ResponseCreate(id="c", room="lobby", input="hi", profile="poet", temperature=0.1))
    request = request_for(room.state, room.response(asked["response_id"]), {"poet": profile})
    assert (request.response_id, request.model, request.instructions) == (asked["response_id"], "gpt-test", "Rhyme.")
    assert request.parameters == {"temperature": 0.1, "top_p": 0.5}
    assert [item["content"][0]["text"] for item in request.input] == ["hi"]


def test_a_request_of_a_profile_that_is_gone_is_the_defaults() -> None:
    room = PureRoom()
    response = room.response(room.say("hi")["response_id"])
    default = Profile(name="default", instructions="Be kind.")
    assert request_for(room.state, replace(response, profile="gone"), {"default": default}).instructions == "Be kind."
    assert request_for(room.state, response, {}).instructions == ""

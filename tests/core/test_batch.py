"""Tests of roomcast/core/batch.py."""

from __future__ import annotations

from roomcast.core.batch import Batch, Rulebook
from roomcast.core.commands import MessageCreate
from roomcast.core.events import JsonObject
from roomcast.core.intents import Ended
from roomcast.core.rules import decide
from tests.support.pure_room import ANN, COMPLETED, PureRoom, delta, item_added

CREATED: JsonObject = {"type": "room.created", "title": "lobby", "settings": {}, "by": ANN.by()}


def test_an_event_is_numbered_folded_and_kept() -> None:
    room = PureRoom()
    batch = Batch(room.state, room.rulebook, 7)
    event = batch.emit(CREATED)
    assert event == {"room": "lobby", "seq": 1, "at": 7, **CREATED}
    assert (batch.base_seq, batch.state.seq, batch.state.title, batch.events) == (0, 1, "lobby", [event])


def test_a_batch_that_is_thrown_away_never_was() -> None:
    room = PureRoom()
    room.answer(room.say("hi")["response_id"], "Hel")
    before = room.state.dump()
    batch = Batch(room.state, room.rulebook, 7)
    batch.emit({**delta("lo", "out"), "response_id": "resp_1"})
    batch.emit({"type": "response.cancelling", "response_id": "resp_1", "by": ANN.by(), "reason": None})
    assert room.state.dump() == before


def test_a_response_numbers_its_own_events_from_zero() -> None:
    room = PureRoom()
    response_id = room.say("hi")["response_id"]
    room.answer(response_id, "Hel")
    room.answer(response_id, "lo", item="second")
    room.end(response_id)
    own = [event["sequence_number"] for event in room.log if event["type"].startswith("response.")]
    assert own == list(range(len(own)))


def test_what_belongs_to_no_response_has_no_number_of_its_own() -> None:
    room = PureRoom()
    room.say("hi")
    assert [event["type"] for event in room.log if "sequence_number" not in event] == ["room.created", "item.created"]


def test_two_responses_do_not_share_their_numbers() -> None:
    room = PureRoom()
    first, second = room.say("one")["response_id"], room.say("two")["response_id"]
    room.produce(first, item_added("a"))
    created = [event for event in room.log if event["type"] == "response.created"]
    assert [event["sequence_number"] for event in created] == [0, 0]
    assert room.response(first).sequence == 3
    assert room.response(second).sequence == 1


def test_an_event_of_a_response_that_is_not_known_begins_at_zero() -> None:
    room = PureRoom()
    batch = Batch(room.state, room.rulebook, 7)
    assert batch.emit({"type": "response.noted", "response_id": "gone"})["sequence_number"] == 0


def test_a_batch_gathers_the_items_that_it_completes_also_those_there_is_no_space_for() -> None:
    room = PureRoom(state_items=2)
    room.say("hi")
    room.produce("resp_1", *(item_added(f"out_{index}", index) for index in range(4)))
    batch = Batch(room.state, room.rulebook, room.now_ms)
    decide(batch, Ended("resp_1", COMPLETED))
    decide(batch, room.commanded(MessageCreate(id="c", room="lobby", content="and", respond="never")))
    assert [item.id for item in batch.items] == ["out_0", "out_1", "out_2", "out_3", "msg_2"]
    assert list(batch.state.items) == ["out_3", "msg_2"]


def test_the_rulebook_of_a_server_that_was_not_configured() -> None:
    rulebook = Rulebook()
    assert (rulebook.on_busy, rulebook.respond, rulebook.create, rulebook.simulated) == (
        "enqueue",
        "always",
        True,
        False,
    )

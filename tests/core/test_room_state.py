"""Tests of roomcast/core/room_state.py."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from roomcast.core.errors import UpstreamError
from roomcast.core.events import JsonObject
from roomcast.core.intents import CutShort, Ending, HungUp, Recovered
from roomcast.core.response_state import Status
from roomcast.core.room_state import RoomState
from tests.support.pure_room import ANN, BOB, COMPLETED, PureRoom, delta, item_added, item_done


def test_a_room_exists_from_its_first_event() -> None:
    room = PureRoom()
    assert (room.state.exists, room.state.seq) == (False, 0)
    room.say("hi", respond="never")
    state = room.state
    assert (state.exists, state.title, state.created_at) == (True, "lobby", 1_000)
    assert state.settings == {"on_busy": "enqueue", "respond": "always"}


def test_events_come_in_order_or_it_is_a_bug() -> None:
    with pytest.raises(AssertionError, match="event 2 cannot follow 0 in lobby"):
        RoomState("lobby").fold({"seq": 2, "type": "room.created"})


@pytest.mark.parametrize(
    "event_type", ["room.updated", "item.rated", "queue.updated", "response.odd", "tool.assigned", "anything"]
)
def test_s4_what_it_does_not_know_it_counts_and_passes_over(event_type: str) -> None:
    room = PureRoom()
    room.say("hi", respond="never")
    state = room.state.fork()
    state.fold({"room": "lobby", "seq": state.seq + 1, "at": 1, "type": event_type, "response_id": "gone"})
    assert state.seq == room.state.seq + 1
    state.seq = room.state.seq
    assert state.dump() == room.state.dump()


# ---- items and their tree --------------------------------------------------------------------


def test_a_message_hangs_below_the_newest_and_becomes_it() -> None:
    room = PureRoom()
    first, second = room.say("one", respond="never"), room.say("two", respond="never")
    assert room.state.head_item_id == second["item_id"]
    assert list(room.state.chain(second["item_id"])) == [second["item_id"], first["item_id"]]
    assert room.state.parent_of(first["item_id"]) is None
    assert room.state.items[first["item_id"]].body() == room.log[1]["item"]


def test_an_item_that_is_being_produced_is_known_and_can_be_spoken_to() -> None:
    room = PureRoom()
    room.say("hi")
    room.answer("resp_1", "Hel")
    assert room.state.knows("out_resp_1")
    assert room.state.parent_of("out_resp_1") == "msg_1"
    assert room.state.head_item_id == "out_resp_1"
    room.say("what?", parent_id="out_resp_1", respond="never")
    assert list(room.state.chain("msg_2")) == ["msg_2", "out_resp_1", "msg_1"]


def test_an_item_that_nobody_knows_has_no_parent() -> None:
    room = PureRoom()
    room.say("hi")
    assert (room.state.knows("gone"), room.state.parent_of("gone")) == (False, None)


def test_the_tip_of_a_branch_is_the_head_only_if_that_is_on_it() -> None:
    room = PureRoom()
    room.say("one", respond="never")
    room.say("two", respond="never")
    assert room.state.tip_below("msg_1") == "msg_2"
    room.say("other two", parent_id="msg_1", respond="never")
    assert room.state.tip_below("msg_1") == "msg_3"
    assert room.state.tip_below("msg_2") == "msg_2"
    assert RoomState("lobby").tip_below("any") == "any"


def test_a_circle_of_items_does_not_hold_up_anybody() -> None:
    state = RoomState("lobby", keep_items=3)
    for seq, (item_id, parent_id) in enumerate([("a", "b"), ("b", "a")], 1):
        item: JsonObject = {"id": item_id, "parent_id": parent_id}
        state.fold({"seq": seq, "at": 1, "type": "item.created", "item": item})
    assert len(list(state.chain("a"))) < 10


# ---- responses -------------------------------------------------------------------------------


def test_a_response_goes_through_its_life() -> None:
    room = PureRoom()
    room.say("runs")
    room.now_ms = 2_000
    waiting = room.say("waits", by=BOB)["response_id"]
    response = room.response(waiting)
    assert (response.status, response.by, response.created_at, response.started_at) == ("queued", BOB.by(), 2_000, None)
    assert (room.state.queue, room.state.running, room.state.unfinished) == ([waiting], ["resp_1"], True)
    room.now_ms = 3_000
    room.end("resp_1")
    response = room.response(waiting)
    assert (response.status, response.started_at, response.ended) == ("in_progress", 3_000, False)
    assert (room.state.queue, room.state.running) == ([], [waiting])
    room.cancel(reason="enough")
    response = room.response(waiting)
    assert (response.status, response.cancel) == (
        "cancelling",
        {"by": ANN.by(), "reason": "enough", "at": 3_000},
    )
    room.end(waiting, HungUp(5))
    response = room.response(waiting)
    assert (response.status, response.ended, response.ended_seq) == ("cancelled", True, room.state.seq)
    assert (room.state.running, room.state.unfinished) == ([], False)
    assert response.ending["receipt"]["upstream_closed_ms"] == 5


def test_output_becomes_items_when_the_response_ends() -> None:
    room = PureRoom()
    room.say("hi")
    added, *_ = room.answer("resp_1", "Hello")
    assert (list(room.state.items), room.response("resp_1").newest_item_id) == (["msg_1"], "out_resp_1")
    room.now_ms = 5_000
    room.end("resp_1")
    item = room.state.items["out_resp_1"]
    assert (item.seq, item.parent_id, item.response_id) == (added["seq"], "msg_1", "resp_1")
    assert item.body() == {
        **added["item"],
        "status": "completed",
        "content": [{"type": "output_text", "text": "Hello"}],
        "by": {"id": "system", "name": "system"},
        "at": 5_000,
        "seq": added["seq"],
        "response_id": "resp_1",
    }
    assert room.state.running_bytes == 0


def test_an_upstream_cannot_say_who_wrote_its_items() -> None:
    room = PureRoom()
    room.say("hi")
    room.produce("resp_1", item_added("m", by={"id": "bob"}, seq=1, at=1, response_id="x"))
    room.end("resp_1")
    body = room.state.items["m"].body()
    assert (body["by"]["id"], body["seq"], body["at"], body["response_id"]) == ("system", 5, 1_000, "resp_1")


def test_s4_an_item_that_only_the_terminal_has_is_taken_and_what_is_no_item_is_not() -> None:
    room = PureRoom()
    room.say("hi")
    state = room.state.fork()
    output = [{"id": "late", "type": "message", "parent_id": "msg_1"}, {"type": "message"}, {"id": 5}, "text"]
    ending: JsonObject = {"type": "response.completed", "response_id": "resp_1", "response": {"output": output}}
    state.fold({"room": "lobby", "seq": state.seq + 1, "at": 1, **ending})
    assert list(state.items) == ["msg_1", "late"]
    assert (state.items["late"].seq, state.items["late"].parent_id) == (state.seq, "msg_1")


def test_output_of_a_response_nobody_knows_changes_nothing() -> None:
    state = RoomState("lobby")
    state.fold({"seq": 1, "at": 1, **delta("x", "m"), "response_id": "gone"})
    state.fold({"seq": 2, "at": 1, **item_added("m")})
    assert (state.seq, state.responses) == (2, {})


@pytest.mark.parametrize(
    "added",
    [item_added("m"), item_done("m", "x"), {**item_added("m"), "output_index": 5_000}],
    ids=lambda e: str(e)[:60],
)
def test_the_head_is_always_an_item_that_will_be_there(added: JsonObject) -> None:
    room = PureRoom()
    room.say("hi")
    state = room.state.fork()
    state.fold({"room": "lobby", "seq": state.seq + 1, "at": 1, "response_id": "resp_1", **added})
    room.state = state
    room.end("resp_1")
    assert room.state.head_item_id in room.state.items


def test_asking_for_an_answer_to_an_older_item_goes_back_there() -> None:
    room = PureRoom()
    room.answered("one", "eins")
    room.answered("two", "zwei")
    room.ask(parent_id="msg_1")
    assert room.state.head_item_id == "msg_1"


def test_the_line_is_as_it_was_told_and_so_is_what_each_answers() -> None:
    room = PureRoom()
    for text in ("runs", "second", "third"):
        room.say(text)
    state, entries = room.state.fork(), room.log[-1]["queue"]
    told = [{**entries[1], "item_id": "msg_2"}, {**entries[0], "response_id": "gone"}]
    state.fold({"room": "lobby", "seq": state.seq + 1, "at": 1, "type": "queue.updated", "queue": told})
    assert state.queue == ["resp_3", "resp_2"]
    assert (state.responses["resp_3"].prompt_id, state.responses["resp_2"].prompt_id) == ("msg_2", "msg_2")


def test_what_is_merged_is_answered_by_what_it_was_merged_into() -> None:
    room = PureRoom()
    for text in ("runs", "second", "third"):
        room.say(text)
    state = room.state.fork()
    merged: JsonObject = {"type": "response.cancelled", "response_id": "resp_2", "reason": "merged", "response": {}}
    state.fold({"room": "lobby", "seq": state.seq + 1, "at": 1, **merged, "into": "resp_3"})
    assert state.responses["resp_3"].questions == ("msg_2", "msg_3")
    state.fold({"room": "lobby", "seq": state.seq + 1, "at": 1, **merged, "response_id": "resp_3", "into": "gone"})
    assert state.queue == []


# ---- bounds ----------------------------------------------------------------------------------


def test_s3_the_newest_items_are_kept_and_the_rest_is_said_to_be_older() -> None:
    room = PureRoom(state_items=3)
    for number in range(3):
        room.say(str(number), respond="never")
    assert (list(room.state.items), room.state.has_older) == (["msg_1", "msg_2", "msg_3"], False)
    room.say("4", respond="never")
    assert (list(room.state.items), room.state.has_older) == (["msg_2", "msg_3", "msg_4"], True)


def test_s3_the_prompt_of_an_open_response_is_kept_however_old() -> None:
    room = PureRoom(state_items=3)
    room.say("runs")
    room.say("waits")
    for number in range(5):
        room.say(str(number), respond="never")
    assert list(room.state.items) == ["msg_1", "msg_2", "msg_7"]
    room.say("waits too")
    room.say("waits too")
    assert list(room.state.items) == ["msg_1", "msg_2", "msg_8", "msg_9"]


def test_s3_responses_go_with_what_showed_them() -> None:
    room = PureRoom(state_items=4)
    for number in range(10):
        room.answered(f"question {number}", "answer")
        assert len(room.state.responses) <= 4
    assert list(room.state.responses) == ["resp_9", "resp_10"]


def test_s3_one_prompt_that_is_asked_for_ever_does_not_fill_the_room() -> None:
    room = PureRoom(state_items=4)
    room.say("why", respond="never")
    for _ in range(20):
        room.end(room.ask()["response_id"], UpstreamError("upstream_unavailable", "no"))
    assert list(room.state.responses) == [f"resp_{number}" for number in range(18, 22)]


# ---- any life of a room ----------------------------------------------------------------------

Act = tuple[str, int]
ACTS = st.lists(
    st.tuples(
        st.sampled_from(["say", "aside", "ask", "again", "cancel", "withdraw", "text", "item", "end", "fail", "crash"]),
        st.integers(0, 5),
    ),
    max_size=40,
)
ENDINGS: list[Ending] = [COMPLETED, CutShort("upstream_eof"), UpstreamError("upstream_timeout", "silent"), HungUp(3)]


def act(room: PureRoom, what: str, number: int) -> None:
    """One thing happens, if it can."""
    running, known = room.state.running[:1], list(room.state.items)
    room.now_ms += number
    match what:
        case "say" if len(room.state.queue) < 3:
            room.say("x" * number + "?")
        case "aside":
            room.say("y", respond="never", by=BOB)
        case "ask" if len(room.state.queue) < 3:
            room.ask(input="z", temperature=1.0)
        case "again" if known and len(room.state.queue) < 3:
            room.ask(parent_id=known[number % len(known)])
        case "cancel" if running:
            room.cancel(by=BOB)
        case "withdraw" if room.state.queue:
            room.cancel(room.state.queue[-1])
        case "text" if running:
            room.produce(running[0], delta("ü" * number, "any", index=number % 3, content_index=number % 2))
        case "item" if running:
            room.produce(running[0], item_added(f"out_{len(room.log)}", number % 3))
        case "end" | "fail" if running:
            room.end(running[0], ENDINGS[number % 4] if what == "fail" else COMPLETED, usage={"output_tokens": number})
        case "crash":
            room.decide(Recovered("restart"))
        case _:
            pass


@given(acts=ACTS)
def test_s1_the_state_is_a_function_of_the_log(acts: list[Act]) -> None:
    room = PureRoom(state_items=6)
    for what, number in acts:
        act(room, what, number)
    assert room.refolded().dump() == room.state.dump()


@given(acts=ACTS)
def test_s2_a_fork_that_goes_on_leaves_its_origin_alone(acts: list[Act]) -> None:
    room = PureRoom(state_items=6)
    for what, number in acts:
        before = room.state
        dumped = before.dump()
        act(room, what, number)
        assert before.dump() == dumped


def test_what_waits_comes_back_in_the_order_it_waited_in() -> None:
    room = PureRoom()
    waiting = [room.say(text)["response_id"] for text in ("runs", "first", "second", "third")][1:]
    assert RoomState.load(room.state.dump()).queue == room.state.queue == waiting


@given(acts=ACTS)
@settings(max_examples=30)
def test_a_state_that_was_saved_and_loaded_goes_on_as_if_it_had_not_been(acts: list[Act]) -> None:
    room, reloaded = PureRoom(state_items=6), PureRoom(state_items=6)
    for what, number in acts:
        act(room, what, number)
        act(reloaded, what, number)
        reloaded.state = RoomState.load(reloaded.state.dump(), keep_items=6)
    assert reloaded.log == room.log
    assert reloaded.state.dump() == room.state.dump()


@given(acts=ACTS)
def test_s3_s4_no_life_of_a_room_outgrows_its_bounds(acts: list[Act]) -> None:
    room = PureRoom(state_items=6)
    for what, number in acts:
        act(room, what, number)
        state = room.state
        is_open = {response.id for response in state.responses.values() if not response.ended}
        needed = {state.responses[open_id].prompt_id for open_id in is_open}
        assert is_open == {*state.queue, *state.running}
        assert len(state.items) <= 6 + len(needed)
        assert len(state.responses) - len(is_open) <= 6
        assert needed <= set(state.items)
        assert state.head_item_id is None or state.knows(state.head_item_id)
        assert len(state.running) <= 1
        assert all(response.status in Status for response in state.responses.values())

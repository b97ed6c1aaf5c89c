"""Tests of roomcast/core/outcomes.py."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from roomcast.core.events import JsonObject
from roomcast.core.intents import CutShort, Ended, HungUp, Produced, Recovered
from tests.support.pure_room import PureRoom, delta, item_added, item_done


def streaming(**limits: Any) -> tuple[PureRoom, str]:
    """A room in which one message is being written."""
    room = PureRoom(**limits)
    response_id: str = room.say("hi")["response_id"]
    room.produce(response_id, item_added("m"))
    return room, response_id


def types(events: list[JsonObject]) -> list[str]:
    return [event["type"].removeprefix("response.") for event in events]


# ---- output ----------------------------------------------------------------------------------


def test_neighbouring_deltas_are_one_event_with_one_number() -> None:
    room, response_id = streaming()
    [event] = room.produce(response_id, delta("Hel", "m"), delta("lo", "m"))
    assert (event["delta"], event["response_id"], event["seq"]) == ("Hello", response_id, room.state.seq)
    assert "seq_from" not in event


def test_a_type_we_do_not_know_is_passed_through_whole() -> None:
    room, response_id = streaming()
    [event, other] = room.produce(
        response_id, {"type": "response.hologram.progress", "depth": [1]}, {"type": "keepalive", "n": 1}
    )
    assert (event["depth"], event["response_id"], event["sequence_number"]) == ([1], response_id, 3)
    assert (other["n"], other["response_id"], "sequence_number" in other) == (1, response_id, False)


@pytest.mark.parametrize(
    "event_type",
    [
        "response.created",
        "response.in_progress",
        "response.cancelling",
        "response.completed",
        "response.cancelled",
        "response.interrupted",
        "response.attempt_superseded",
        "room.created",
        "room.deleted",
        "room.reset",
        "item.created",
        "item.retracted",
        "queue.updated",
        "tool.approval_requested",
        "branch.selected",
        "presence.updated",
        "subscriber.lagging",
        "server.draining",
        "session.expiring",
        "reply",
        "error",
    ],
)
def test_u1_an_upstream_cannot_forge_what_means_something_to_a_room(event_type: str) -> None:
    room, response_id = streaming()
    forged: JsonObject = {"type": event_type, "response": {"status": "completed"}, "item": {"id": "m"}}
    assert room.produce(response_id, forged) == []


def test_u1_an_upstream_cannot_forge_the_envelope() -> None:
    room, response_id = streaming()
    forged = {"room": "x", "seq": 1, "seq_from": 1, "at": 1, "by": "x", "response_id": "x", "sequence_number": 1}
    [event] = room.produce(response_id, {"type": "response.odd", "kept": 1, **forged})
    assert event == {
        "room": "lobby",
        "seq": room.state.seq,
        "at": room.now_ms,
        "type": "response.odd",
        "kept": 1,
        "response_id": response_id,
        "sequence_number": 3,
    }


@pytest.mark.parametrize("bad", ["\ud83c", 2**64, {"a": -(2**63) - 1}, ["\udf89"]])
def test_u13_what_is_no_json_is_dropped_and_its_neighbours_are_not(bad: object) -> None:
    room, response_id = streaming()
    poisoned = [delta("a", "m"), {**delta("b", "m"), "odd": bad}, {"type": "response.odd", "odd": bad}, delta("c", "m")]
    assert [event["delta"] for event in room.produce(response_id, *poisoned)] == ["ac"]


@pytest.mark.parametrize(
    "misfit",
    [
        delta("x", "n", index=5),
        {**delta("", "m"), "delta": None},
        item_added("other"),
        {"type": "response.output_item.added"},
    ],
)
def test_u2_output_that_has_no_place_in_the_state_is_not_in_the_log(misfit: JsonObject) -> None:
    room, response_id = streaming()
    assert room.produce(response_id, misfit) == []


def test_output_for_a_response_that_nobody_knows_is_dropped() -> None:
    room, _ = streaming()
    assert room.produce("resp_gone", delta("x", "m")) == []


def test_r2_no_output_follows_a_cancel() -> None:
    room, response_id = streaming()
    room.cancel()
    assert room.produce(response_id, delta("x", "m"), {"type": "response.odd"}) == []


def test_r2_no_output_follows_an_end() -> None:
    room, response_id = streaming()
    room.end(response_id)
    assert room.produce(response_id, delta("x", "m")) == []


def test_r2_no_output_precedes_a_start() -> None:
    room, _ = streaming()
    waiting = room.say("later")["response_id"]
    assert room.produce(waiting, item_added("n")) == []


# ---- places in the tree ----------------------------------------------------------------------


def parents(events: list[JsonObject]) -> list[str | None]:
    return [event["item"]["parent_id"] for event in events if "item" in event]


def test_output_hangs_below_the_prompt_and_item_below_item() -> None:
    room = PureRoom()
    response_id = room.say("hi")["response_id"]
    events = room.produce(response_id, item_added("a"), item_done("a", "x"), item_added("b", 1), item_done("b", "y", 1))
    assert parents(events) == ["msg_1", "msg_1", "a", "a"]
    assert room.state.head_item_id == "b"


def test_what_people_say_meanwhile_comes_before_what_the_model_says_next() -> None:
    room, response_id = streaming()
    aside = room.say("an aside", respond="never")["item_id"]
    assert parents(room.produce(response_id, item_added("b", 1))) == [aside]
    assert room.state.head_item_id == "b"


def test_an_item_that_comes_whole_has_a_place_too() -> None:
    room = PureRoom()
    response_id = room.say("hi")["response_id"]
    assert parents(room.produce(response_id, item_done("a", "x"))) == ["msg_1"]
    assert room.state.head_item_id == "a"
    assert parents(room.produce(response_id, item_added("b", 1))) == ["a"]


def test_an_answer_on_another_branch_stays_there() -> None:
    room, response_id = streaming()
    room.say("elsewhere", parent_id="msg_1", respond="never")
    assert parents(room.produce(response_id, item_added("b", 1))) == ["m"]
    assert room.state.head_item_id == "msg_2"


# ---- bounds ----------------------------------------------------------------------------------


def test_u14_a_delta_that_would_pass_the_bound_is_cut_and_the_response_ends_there() -> None:
    room, response_id = streaming(running_bytes=1_000)
    waiting = room.say("next")["response_id"]
    too_much = delta("é" * 900, "m", logprobs=[0])
    events = room.produce(response_id, delta("a" * 400, "m"), item_added("n", 1), too_much, delta("c", "m"))
    assert types(events) == [
        "output_text.delta",
        "output_item.added",
        "output_text.delta",
        "incomplete",
        "in_progress",
        "queue.updated",
    ]
    kept = events[2]["delta"]
    assert set(kept) == {"é"}
    assert "logprobs" not in events[2]
    assert events[3]["response"]["incomplete_details"] == {"reason": "output_limit"}
    assert events[3]["response"]["output"][0]["content"][0]["text"] == "a" * 400 + kept
    assert room.state.running == [waiting]
    assert room.state.running_bytes == 0


def test_u14_a_piece_that_cannot_be_cut_is_dropped_and_the_response_ends_there() -> None:
    room, response_id = streaming(running_bytes=1_000)
    events = room.produce(response_id, delta("a", "m"), item_added("n", 1, extra="x" * 1_000), delta("c", "m"))
    assert types(events) == ["output_text.delta", "incomplete"]


def test_u14_a_bound_that_is_reached_exactly_leaves_no_text_to_keep() -> None:
    room, response_id = streaming(running_bytes=1_000)
    room.produce(response_id, delta("a" * (1_000 - room.state.running_bytes - 66), "m"))
    assert room.state.running_bytes == 1_000
    assert types(room.produce(response_id, delta("b", "m"))) == ["incomplete"]


@given(sizes=st.lists(st.integers(0, 300), max_size=20))
def test_u15_a_room_never_holds_more_than_its_bound(sizes: list[int]) -> None:
    room, response_id = streaming(running_bytes=1_000)
    for number, size in enumerate(sizes):
        room.produce(response_id, delta("é" * size, "m", content_index=number % 3))
        assert room.state.running_bytes <= 1_000


@pytest.mark.parametrize("running_bytes", range(300, 400, 5))
def test_the_place_of_an_item_counts_towards_the_bound(running_bytes: int) -> None:
    room, response_id = streaming(running_bytes=running_bytes)
    for number in range(1, 5):
        room.produce(response_id, item_added(f"item_{number}", number))
        assert room.state.running_bytes <= running_bytes
    assert room.types()[-1] == "response.incomplete"


def test_one_event_that_fits_no_frame_ends_the_response_too() -> None:
    room, response_id = streaming(running_bytes=1_000)
    events = room.produce(response_id, {"type": "response.hologram", "data": "x" * 1_000})
    assert types(events) == ["incomplete"]


def test_merging_stops_at_the_size_of_one_event() -> None:
    room, response_id = streaming(upstream_event_bytes=10)
    events = room.produce(response_id, *(delta("abcd", "m") for _ in range(5)))
    assert [event["delta"] for event in events] == ["abcdabcd", "abcdabcd", "abcd"]


# ---- ends and recoveries ---------------------------------------------------------------------


def test_r3_what_ends_a_response_starts_the_next_in_the_same_batch() -> None:
    room, response_id = streaming()
    waiting = room.say("next")["response_id"]
    assert types(room.end(response_id)) == ["completed", "in_progress", "queue.updated"]
    assert room.state.running == [waiting]


def test_r2_a_second_end_changes_nothing() -> None:
    room, response_id = streaming()
    room.end(response_id)
    assert room.end(response_id, CutShort("time_limit")) == []
    assert room.decide(Ended("resp_gone", CutShort("time_limit"))) == []
    assert room.decide(Recovered("restart")) == []


def test_hanging_up_on_what_was_not_cancelled_ends_nothing() -> None:
    room, response_id = streaming()
    assert room.end(response_id, HungUp(1)) == []
    assert room.state.running == [response_id]


def test_an_end_and_a_cancel_in_one_batch_are_decided_in_order() -> None:
    room, response_id = streaming()
    room.cancel()
    events = room.decide(Produced(response_id, [delta("late", "m")], 0), Ended(response_id, HungUp(1)))
    assert types(events) == ["cancelled"]


def test_c1_after_a_crash_what_ran_is_interrupted_and_what_waited_starts() -> None:
    room, _ = streaming()
    waiting = room.say("next")["response_id"]
    assert types(room.decide(Recovered("restart"))) == ["interrupted", "in_progress", "queue.updated"]
    assert room.state.running == [waiting]


def test_c2_recovering_twice_is_recovering_once() -> None:
    room, _ = streaming()
    room.decide(Recovered("restart"))
    assert room.decide(Recovered("restart")) == []


def test_only_the_responses_that_are_named_are_given_up() -> None:
    room, response_id = streaming()
    assert room.decide(Recovered("owner_lost", ("resp_other",))) == []
    [event] = room.decide(Recovered("owner_lost", (response_id,)))
    assert (event["type"], event["cause"]) == ("response.interrupted", "owner_lost")


def test_a_drain_leaves_the_queue_alone() -> None:
    room, _ = streaming()
    room.say("next")
    assert types(room.decide(Recovered("drain", start_next=False))) == ["interrupted"]
    assert len(room.state.queue) == 1


def test_what_is_given_up_says_what_it_used_and_how_long_it_took() -> None:
    room, response_id = streaming()
    room.now_ms = 3_000
    room.produce(response_id, delta("Hello there, all of you.", "m"))
    [event] = room.decide(Recovered("restart"))
    usage = event["response"]["usage"]
    assert (usage["source"], usage["input_tokens"], usage["output_tokens"]) == ("estimated", 7, 6)
    assert event["timings"] == {"queued_ms": 0, "first_output_ms": 0, "total_ms": 2_000}


def test_u14_what_is_cut_at_the_bound_says_what_it_used() -> None:
    room, response_id = streaming(running_bytes=600)
    events = room.produce(response_id, delta("x" * 1_000, "m"))
    assert types(events)[-1] == "incomplete"
    said = len(events[-2]["delta"])
    assert events[-1]["response"]["usage"]["output_tokens"] == -(-said // 4) > 0

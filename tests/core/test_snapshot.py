"""Tests of roomcast/core/snapshot.py."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import orjson
import pytest
from hypothesis import given

from roomcast.core.errors import UpstreamError
from roomcast.core.events import JsonObject, encode
from roomcast.core.intents import Recovered
from roomcast.core.limits import Limits
from roomcast.core.room_state import Item
from roomcast.core.snapshot import ENDED_BYTES, TOTAL_BYTES, newest_items, response_object, room_card, snapshot
from tests.support.pure_room import ANN, BOB, PureRoom, delta

FAR = 10**9


def shown(room: PureRoom, *, items: int = 50, items_bytes: int = FAR, ended_after: int | None = None) -> JsonObject:
    """The snapshot as a viewer decodes it."""
    found: JsonObject = orjson.loads(
        encode(snapshot(room.state, items=items, items_bytes=items_bytes, ended_after=ended_after))
    )
    return found


def texts(snapshot_: JsonObject) -> list[str]:
    return [item["content"][0]["text"] for item in snapshot_["items"]]


def test_a_room_without_events_is_empty() -> None:
    assert shown(PureRoom()) == {
        "room": {"name": "lobby", "title": "", "settings": {}, "created_at": 0},
        "items": [],
        "has_more": False,
        "responses": [],
        "queue": [],
        "approvals": [],
        "head_item_id": None,
    }


def test_items_are_as_they_were_said_oldest_first() -> None:
    room = PureRoom()
    room.answered("hi", "Hello")
    room.say("well?", respond="never", by=BOB)
    found = shown(room)
    assert texts(found) == ["hi", "Hello", "well?"]
    assert found["items"][0] == room.log[1]["item"]
    answer = found["items"][1]
    assert {name: answer[name] for name in ("id", "parent_id", "response_id", "seq", "by", "role", "status")} == {
        "id": "out_resp_1",
        "parent_id": "msg_1",
        "response_id": "resp_1",
        "seq": 5,
        "by": {"id": "system", "name": "system"},
        "role": "assistant",
        "status": "completed",
    }
    assert found["head_item_id"] == found["items"][2]["id"]
    assert (found["room"], found["has_more"]) == (room_card(room.state), False)
    assert found["room"]["settings"] == {"on_busy": "enqueue", "respond": "always"}


def test_only_the_newest_items_are_listed_and_it_says_so() -> None:
    room = PureRoom()
    for number in range(5):
        room.say(str(number), respond="never")
    assert (texts(shown(room, items=2)), shown(room, items=2)["has_more"]) == (["3", "4"], True)
    assert (texts(shown(room, items=5)), shown(room, items=5)["has_more"]) == (["0", "1", "2", "3", "4"], False)
    assert (shown(room, items=0)["items"], shown(room, items=0)["has_more"]) == ([], True)


def test_items_that_only_the_archive_has_are_more_too() -> None:
    room = PureRoom(state_items=2)
    for number in range(3):
        room.say(str(number), respond="never")
    found = shown(room)
    assert (texts(found), found["has_more"]) == (["1", "2"], True)


def test_a_running_response_has_its_output_so_far() -> None:
    room = PureRoom()
    response_id = room.say("hi")["response_id"]
    room.answer(response_id, "Hel", "lo")
    [response] = shown(room)["responses"]
    assert (response["id"], response["status"], response["object"]) == (response_id, "in_progress", "response")
    assert response["output"][0]["content"][0]["text"] == "Hello"
    assert response["output"][0]["parent_id"] == "msg_1"
    assert (response["by"], response["item_id"], "cancelling" in response) == (ANN.by(), "msg_1", False)


def test_a_response_that_is_being_cancelled_says_by_whom() -> None:
    room = PureRoom()
    room.say("hi")
    room.cancel(by=BOB, reason="enough")
    [response] = shown(room)["responses"]
    assert (response["status"], response["cancelling"]) == ("cancelling", {"by": BOB.by(), "reason": "enough"})


def test_what_waits_is_in_the_queue_and_among_the_responses() -> None:
    room = PureRoom()
    room.say("hi")
    waiting = room.say("next")["response_id"]
    found = shown(room)
    assert [(response["id"], response["status"]) for response in found["responses"]] == [
        ("resp_1", "in_progress"),
        (waiting, "queued"),
    ]
    assert [entry["response_id"] for entry in found["queue"]] == [waiting]


def ended(room: PureRoom, **options: Any) -> dict[str, JsonObject]:
    return {response["id"]: response for response in shown(room, **options)["responses"]}


def test_a_response_that_ended_says_how_and_leaves_its_output_to_the_items() -> None:
    room = PureRoom()
    room.answered("hi", "Hello")
    room.end(room.say("and?")["response_id"], UpstreamError("upstream_timeout", "silent"), usage={"total_tokens": 5})
    room.say("hm")
    room.cancel(by=BOB)
    room.decide(Recovered("restart"))
    room.say("again")
    room.decide(Recovered("restart"))
    found = ended(room)
    assert [(one["status"], "output" in one) for one in found.values()] == [
        ("completed", False),
        ("failed", False),
        ("cancelled", False),
        ("incomplete", False),
    ]
    assert found["resp_1"]["digest"].startswith("sha256:")
    assert found["resp_1"]["timings"]["queued_ms"] == 0
    assert found["resp_2"]["error"] == {"code": "upstream_timeout", "message": "silent"}
    assert found["resp_2"]["usage"] == {"total_tokens": 5}
    assert found["resp_3"]["receipt"]["by"] == BOB.by()
    assert found["resp_5"]["cause"] == "restart"
    assert found["resp_5"]["incomplete_details"] == {"reason": "interrupted"}


def test_a_response_that_ended_is_listed_with_its_prompt_or_its_items() -> None:
    room = PureRoom()
    room.answered("one", "eins")
    room.answered("two", "zwei")
    assert list(ended(room, items=4)) == ["resp_1", "resp_2"]
    assert list(ended(room, items=3)) == ["resp_1", "resp_2"]
    assert list(ended(room, items=2)) == ["resp_2"]
    assert list(ended(room, items=1)) == ["resp_2"]
    assert list(ended(room, items=0)) == []


def test_no_ending_is_lost_with_the_events_that_a_snapshot_replaces() -> None:
    room = PureRoom()
    room.answered("one", "eins")
    cursor = room.state.seq
    room.answered("two", "zwei")
    room.say("three", respond="never")
    assert list(ended(room, items=1, ended_after=cursor)) == ["resp_2"]
    assert list(ended(room, items=0, ended_after=0)) == ["resp_1", "resp_2"]
    assert list(ended(room, items=0, ended_after=room.state.seq)) == []


# ---- bounds ----------------------------------------------------------------------------------


def item(seq: int, size_bytes: int) -> Item:
    return Item(f"msg_{seq}", seq, None, None, b"x" * size_bytes)


def test_the_newest_items_fit_the_bytes_they_are_given() -> None:
    items = [item(2, 10), item(1, 10), item(3, 10)]
    assert [one.seq for one in newest_items(items, 3, 29)] == [2, 3]
    assert [one.seq for one in newest_items(items, 3, 30)] == [1, 2, 3]


def test_the_newest_item_is_listed_even_if_it_alone_is_too_much() -> None:
    assert [one.seq for one in newest_items([item(1, 1), item(2, 100)], 5, 50)] == [2]
    assert newest_items([item(1, 1), item(2, 100)], 0, 50) == []


def test_but_not_if_no_frame_has_space_for_it() -> None:
    items = [item(1, 1), item(2, 100)]
    assert [one.seq for one in newest_items(items, 5, 50, largest_bytes=100)] == [2]
    assert newest_items(items, 5, 50, largest_bytes=99) == []


@given(sizes=st.lists(st.integers(1, 40), max_size=20), count=st.integers(0, 20), size_bytes=st.integers(0, 200))
def test_what_is_listed_is_a_run_of_the_newest(sizes: list[int], count: int, size_bytes: int) -> None:
    items = [item(seq, size) for seq, size in enumerate(sizes, 1)]
    listed = newest_items(items, count, size_bytes)
    assert listed == items[len(items) - len(listed) :]
    assert len(listed) <= count
    assert len(listed) <= 1 or sum(len(one.data) for one in listed) <= size_bytes


def crowded_room() -> PureRoom:
    """As much as one room can hold: long items, a long answer, a full queue with metadata, many endings."""
    room = PureRoom()
    for number in range(120):
        room.answered(f"question {number} " + "?" * 3_000, "!" * 3_000)
    metadata = {f"{number:02}" + "k" * 62: "v" * 512 for number in range(16)}
    room.ask(input="now", metadata=metadata)
    room.answer("resp_121", *["x" * 4_000] * 120)
    for _ in range(room.rulebook.limits.queue_length):
        room.ask(input="later", metadata=metadata)
    return room


def test_the_snapshot_of_the_fullest_room_fits_a_frame_with_its_members() -> None:
    room, limits = crowded_room(), Limits()
    assert room.state.running_bytes > 450 * 1024
    found = snapshot(room.state, items=10_000, items_bytes=limits.snapshot_items_bytes, ended_after=0)
    size = len(encode(found))
    assert size < limits.frame_bytes - 100 * 1024
    items = [len(encode(one)) for one in found["items"]]
    assert 0 < sum(items) <= min(limits.snapshot_items_bytes, TOTAL_BYTES - room.state.running_bytes)


def test_endings_do_not_crowd_out_the_rest() -> None:
    room = PureRoom()
    for number in range(200):
        room.answered(f"{number}", "x")
    responses = shown(room, items=400)["responses"]
    assert sum(len(encode(one)) for one in responses) <= ENDED_BYTES
    assert [one["id"] for one in responses] == [f"resp_{number}" for number in range(201 - len(responses), 201)]


def test_endings_that_a_viewer_missed_may_take_all_the_space_there_is() -> None:
    room = PureRoom()
    for number in range(200):
        room.answered(f"{number}", "x")
    assert len(ended(room, items=0, ended_after=0)) == 200


def test_where_open_responses_take_everything_nothing_else_is_listed() -> None:
    room = PureRoom(running_bytes=2 * TOTAL_BYTES, upstream_event_bytes=2 * TOTAL_BYTES)
    room.say("hi")
    room.answer("resp_1", "x" * TOTAL_BYTES)
    found = shown(room)
    assert (found["items"], found["has_more"], len(found["responses"])) == ([], True, 1)


@pytest.mark.parametrize("text", ["é", "\x00", "\u2028", "🎉", '"'])
def test_a_running_response_renders_as_the_state_has_it(text: str) -> None:
    room = PureRoom()
    room.say("hi")
    room.answer("resp_1", "<")
    room.produce("resp_1", delta(text, "out_resp_1"))
    rendered = orjson.loads(encode(response_object(room.response("resp_1"))))
    assert rendered["output"][0]["content"][0]["text"] == f"<{text}"

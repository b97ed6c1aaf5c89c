"""Tests of roomcast/core/response.py."""

from __future__ import annotations

from dataclasses import replace

import orjson

from roomcast.core.events import JsonObject
from roomcast.core.response import Response
from tests.support.pure_room import ANN, PureRoom, delta, item_added

CREATED: JsonObject = {
    "seq": 3,
    "at": 1_000,
    "type": "response.created",
    "response_id": "resp_1",
    "by": ANN.by(),
    "request": {"temperature": 1},
    "response": {"id": "resp_1", "status": "queued", "output": [], "usage": None, "item_id": "msg_1", "profile": "p"},
    "sequence_number": 0,
}
ENDED: JsonObject = {
    "seq": 9,
    "at": 5_000,
    "type": "response.completed",
    "response_id": "resp_1",
    "digest": "sha256:0",
    "timings": {},
    "response": {"status": "completed", "model": "m", "error": None, "usage": {"total_tokens": 1}, "output": []},
}


def test_it_is_what_its_created_event_says_less_what_changes() -> None:
    response = Response.created(CREATED)
    assert (response.id, response.status, response.prompt_id, response.profile) == ("resp_1", "queued", "msg_1", "p")
    assert (response.by, response.request, response.created_at) == (ANN.by(), {"temperature": 1}, 1_000)
    assert (response.sequence, response.started_at, response.ended, response.ended_seq) == (1, None, False, 0)
    assert response.base == {"id": "resp_1", "item_id": "msg_1", "profile": "p"}


def test_an_event_that_says_little_is_enough() -> None:
    little: JsonObject = {"at": 1, "response_id": "resp_1", "response": {"status": "in_progress"}}
    response = Response.created(little)
    assert (response.by, response.request, response.profile, response.prompt_id) == ({}, {}, "default", None)


def test_its_next_item_hangs_below_its_newest() -> None:
    response = Response.created(CREATED)
    assert response.newest_item_id == "msg_1"
    response.placed.update({"a": ("msg_1", 4), "b": ("a", 5)})
    assert response.newest_item_id == "b"


def test_it_answers_its_prompt_and_those_that_were_merged_into_it() -> None:
    response = replace(Response.created(CREATED), merged=("msg_0",))
    assert response.questions == ("msg_0", "msg_1")
    assert replace(response, prompt_id=None).questions == ("msg_0",)


def test_a_fork_goes_on_without_being_seen() -> None:
    response = Response.created(CREATED)
    fork = response.fork()
    fork.output.fold(item_added("a"))
    fork.placed["a"] = ("msg_1", 4)
    assert ("a" in response.output, response.placed) == (False, {})


def test_behind_its_terminal_only_the_ending_is_kept() -> None:
    response = Response.created(CREATED)
    response.output.fold(item_added("a"))
    response.placed["a"] = ("msg_1", 4)
    ended = response.ended_with(ENDED)
    assert (ended.status, ended.ended, ended.ended_seq) == ("completed", True, 9)
    assert ended.ending == {"model": "m", "usage": {"total_tokens": 1}, "digest": "sha256:0", "timings": {}}
    assert (ended.placed, ended.request, ended.output.size_bytes) == ({}, {}, 0)


def test_its_items_have_the_place_they_were_announced_in() -> None:
    response = Response.created(CREATED)
    response.placed["a"] = ("msg_1", 4)
    output: list[object] = [{"id": "a", "parent_id": "x"}, {"id": "late", "parent_id": "a"}, {"id": 5}, None]
    terminal: JsonObject = {**ENDED, "response": {"output": output}}
    items = response.items(terminal)
    assert [(item.id, item.parent_id, item.seq, item.response_id) for item in items] == [
        ("a", "msg_1", 4, "resp_1"),
        ("late", "a", 9, "resp_1"),
    ]
    assert response.items({**ENDED, "response": {}}) == []


def test_a_dump_gives_the_same_response() -> None:
    room = PureRoom()
    room.say("hi")
    room.answer("resp_1", "Hel")
    room.cancel(reason="enough")
    response = room.response("resp_1")
    loaded = Response.load(orjson.loads(orjson.dumps(response.dump())))
    assert loaded.dump() == response.dump()
    assert loaded.placed == response.placed
    loaded.output.fold(delta("lo", "out_resp_1"))
    assert loaded.output.render()[0]["content"][0]["text"] == "Hello"

"""Tests of roomcast/upstream/demo/responses_wire.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from roomcast.upstream.demo.wire import Finish
from tests.upstream.demo.clients import text_of, types_of
from tests.upstream.demo.scenes import NONE, PIECES, parse, scene, sent

ANY_EVENT: TypeAdapter[ResponseStreamEvent] = TypeAdapter(ResponseStreamEvent)
COUNTED = {"input_tokens": 5, "output_tokens": len(PIECES), "total_tokens": 5 + len(PIECES)}


def played(finish: Finish = Finish.STOP, options: Mapping[str, object] = NONE) -> list[dict[str, Any]]:
    return parse(sent(scene("responses", finish, options).play()))


def test_the_events_are_those_of_openai_in_its_order() -> None:
    assert types_of(played()) == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]


def test_sequence_numbers_are_dense_and_start_at_zero() -> None:
    assert [event["sequence_number"] for event in played()] == list(range(8 + len(PIECES)))


@pytest.mark.parametrize("finish", [Finish.STOP, Finish.LENGTH, Finish.CONTENT_FILTER])
def test_each_event_is_what_the_types_of_the_sdk_say(finish: Finish) -> None:
    for event in played(finish):
        assert ANY_EVENT.validate_python(event, strict=True).type == event["type"]


def test_the_text_is_the_same_in_deltas_and_in_all_that_sums_them_up() -> None:
    events = played()
    text = text_of(events)
    assert text == "".join(PIECES)
    by_type = {event["type"]: event for event in events}
    assert by_type["response.output_text.done"]["text"] == text
    assert by_type["response.content_part.done"]["part"]["text"] == text
    assert by_type["response.output_item.done"]["item"]["content"][0]["text"] == text
    assert by_type["response.completed"]["response"]["output"] == [by_type["response.output_item.done"]["item"]]


def test_all_events_of_the_message_name_it() -> None:
    events = played()
    named = {event["item_id"] for event in events if "item_id" in event}
    assert named == {event["item"]["id"] for event in events if "item" in event}
    assert len(named) == 1


def test_no_two_responses_have_the_same_ids() -> None:
    ids = [(event["response"]["id"]) for _ in range(2) for event in played() if event["type"] == "response.created"]
    assert len(set(ids)) == 2


def test_the_usage_is_in_the_terminal_event_alone() -> None:
    events = [event["response"]["usage"] for event in played() if "response" in event]
    assert events[:-1] == [None, None]
    assert events[-1] == COUNTED | {
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens_details": {"reasoning_tokens": 0},
    }


@pytest.mark.parametrize(
    ("finish", "reason"), [(Finish.LENGTH, "max_output_tokens"), (Finish.CONTENT_FILTER, "content_filter")]
)
def test_an_answer_that_was_cut_off_is_incomplete_with_its_reason(finish: Finish, reason: str) -> None:
    last = played(finish)[-1]
    assert last["type"] == "response.incomplete"
    assert last["response"]["status"] == "incomplete"
    assert last["response"]["incomplete_details"] == {"reason": reason}
    assert last["response"]["output"][0]["status"] == "incomplete"
    assert last["response"]["usage"]["output_tokens"] == len(PIECES)


def test_padding_is_there_unless_it_was_refused() -> None:
    def deltas(options: Mapping[str, object] = NONE) -> list[dict[str, Any]]:
        return [event for event in played(options=options) if event["type"].endswith(".delta")]

    assert all((len(event["delta"]) + len(event["obfuscation"])) % 16 == 0 for event in deltas())
    assert not any("obfuscation" in event for event in deltas({"stream_options": {"include_obfuscation": False}}))


def test_what_the_request_set_is_repeated() -> None:
    asked: dict[str, object] = {
        "instructions": "be kind",
        "metadata": {"room": "lobby"},
        "temperature": 0.5,
        "max_output_tokens": 99,
    }
    created = played(options=asked)[0]["response"]
    assert {name: created[name] for name in asked} == asked


def test_the_result_is_the_response_of_the_terminal_event() -> None:
    stage = scene("responses")
    events = parse(sent(stage.play()))
    assert stage.answer.result() == events[-1]["response"]
    response = Response.model_validate(stage.answer.result(), strict=True)
    assert response.output_text == "".join(PIECES)


def test_a_failure_ends_the_answer_with_its_code() -> None:
    stage = scene("responses")
    list(stage.opening())
    (last,) = parse(b"".join(stage.answer.failing("server_error", "sorry")))  # type: ignore[union-attr]  # responses
    assert last["type"] == "response.failed"
    assert last["response"]["status"] == "failed"
    assert last["response"]["error"] == {"code": "server_error", "message": "sorry"}

"""Tests of roomcast/upstream/responses_api.py, through the real client and real sockets.

What both APIs share is in test_pieces.py. Letters are the ids of the fault catalogue.
"""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from roomcast.core.events import JsonObject
from roomcast.core.ports import Finish, UpstreamRequest
from tests.support.hostile_upstream import HostileUpstream, Step, respond, stream
from tests.support.model_streams import responses_stream, sse
from tests.support.upstream_calls import A_PROMPT, Call, adapter_for, ask

pytestmark = pytest.mark.anyio

MESSAGE: JsonObject = {
    "id": "msg_theirs",
    "type": "message",
    "role": "assistant",
    "status": "in_progress",
    "content": [],
}
ADDED: JsonObject = {"type": "response.output_item.added", "output_index": 0, "item": MESSAGE}
COMPLETED: JsonObject = {"type": "response.completed", "response": {"status": "completed"}}


def delta(text: Any = "Hi", **fields: Any) -> JsonObject:
    """One delta of the message's text."""
    place = {"item_id": "msg_theirs", "output_index": 0, "content_index": 0}
    return {"type": "response.output_text.delta", **place, "delta": text, **fields}


async def call_for(*events: JsonObject | bytes | Step) -> Call:
    """What comes of a generation when the model service streams this."""
    async with HostileUpstream() as upstream, adapter_for(upstream.base_url) as adapter:
        upstream.script(stream(*(sse(event) if isinstance(event, dict) else event for event in events)))
        return await ask(adapter)


async def test_the_request_is_sent_as_it_is_to_be_streamed_and_not_stored() -> None:
    async with HostileUpstream() as upstream, adapter_for(upstream.base_url) as adapter:
        upstream.script(stream(*responses_stream("Hi")))
        item = {"id": "msg_ours", **A_PROMPT}
        parameters = {"temperature": 0.5, "store": True, "stream": False, "text": {"format": {"type": "text"}}}
        await ask(adapter, UpstreamRequest("resp_1", "a-model", [item], "Be brief.", parameters))
        await ask(adapter, UpstreamRequest("resp_2", "a-model", [item]))
        assert (upstream.requests[0].method, upstream.requests[0].path) == ("POST", "/v1/responses")
        assert upstream.requests[0].json == {
            "model": "a-model",
            "input": [A_PROMPT],
            "instructions": "Be brief.",
            "temperature": 0.5,
            "text": {"format": {"type": "text"}},
            "store": False,
            "stream": True,
            "stream_options": {"include_obfuscation": False},
        }
        assert "instructions" not in upstream.requests[1].json


async def test_events_pass_as_they_are_but_for_what_is_ours() -> None:
    annotation = {"type": "url_citation", "url": "https://example.org", "title": "t", "start_index": 0, "end_index": 1}
    place = {"item_id": "msg_theirs", "output_index": 0, "content_index": 0}
    call = await call_for(
        ADDED,
        delta("Hi", obfuscation="xyz", sequence_number=4, response_id="resp_theirs", logprobs=[], extra={"a": 1}),
        delta("Ho", logprobs=[{"token": "Ho", "logprob": -0.1}]),
        {"type": "response.output_text.annotation.added", **place, "annotation_index": 0, "annotation": annotation},
        {
            "type": "response.invented.next_year",
            "output_index": 0,
            "item_id": "msg_theirs",
            "news": [1, {"b": None}],
        },
        {"type": "response.invented.delta", "delta": {"not": "a text"}},
        {"type": "vendor.special", "payload": True},
        COMPLETED,
    )
    ours = {"item_id": "msg_ours1", "output_index": 0, "content_index": 0}
    assert call.events == [
        {**ADDED, "item": {**MESSAGE, "id": "msg_ours1"}},
        {"type": "response.output_text.delta", **ours, "delta": "Hi", "extra": {"a": 1}},
        {"type": "response.output_text.delta", **ours, "delta": "Ho", "logprobs": [{"token": "Ho", "logprob": -0.1}]},
        {"type": "response.output_text.annotation.added", **ours, "annotation_index": 0, "annotation": annotation},
        {"type": "response.invented.next_year", "output_index": 0, "item_id": "msg_ours1", "news": [1, {"b": None}]},
        {"type": "response.invented.delta", "delta": {"not": "a text"}},
        {"type": "vendor.special", "payload": True},
    ]
    assert call.finish == Finish("completed")


async def test_an_event_without_a_type_has_the_one_that_its_line_says() -> None:
    untyped = {name: value for name, value in delta("Hi").items() if name != "type"}
    call = await call_for(ADDED, sse(untyped, "response.output_text.delta"), COMPLETED)
    assert call.text == "Hi"
    call = await call_for(ADDED, untyped)
    assert call.error is not None
    assert call.error.code == "upstream_bad_response"


@pytest.mark.parametrize(
    "forged",
    [
        {"type": "response.cancelled", "response": {}},
        {"type": "response.interrupted"},
        {"type": "response.cancelling"},
        {"type": "response.attempt_superseded", "attempt": 1},
        {"type": "room.deleted"},
        {"type": "item.retracted", "item_id": "msg_1"},
        {"type": "queue.updated", "queue": []},
        {"type": "tool.approval_requested"},
        {"type": "reply", "id": "cmd_1", "ok": True},
        {"type": "keepalive"},
    ],
)
async def test_an_upstream_cannot_speak_for_the_room(forged: JsonObject) -> None:
    call = await call_for(ADDED, forged, delta("Hi"), COMPLETED)
    assert call.types == ["output_item.added", "output_text.delta"]


async def test_an_upstream_cannot_set_the_fields_of_the_envelope() -> None:
    forged = {"room": "other", "seq": 1, "seq_from": 0, "at": 5, "by": {"id": "admin"}, "response_id": "resp_other"}
    call = await call_for({**ADDED, **forged}, delta("Hi", **forged), {"type": "response.new", **forged}, COMPLETED)
    assert {name for event in call.events for name in event} == {
        *("type", "output_index", "item", "item_id", "content_index", "delta")
    }


async def test_ids_of_items_and_calls_are_ours_and_the_same_throughout() -> None:
    function = {"id": "fc_theirs", "type": "function_call", "call_id": "call_theirs", "name": "f", "arguments": ""}
    approval = {"type": "mcp_approval_response", "id": "r", "approval_request_id": "mcpr_theirs", "approve": True}
    call = await call_for(
        {"type": "response.output_item.added", "output_index": 0, "item": {"id": "rs_theirs", "type": "reasoning"}},
        {"type": "response.reasoning_summary_text.delta", "item_id": "rs_theirs", "summary_index": 0, "delta": "Hm"},
        {"type": "response.output_item.added", "output_index": 1, "item": function},
        {"type": "response.function_call_arguments.delta", "item_id": "fc_theirs", "output_index": 1, "delta": "{}"},
        {"type": "response.function_call_arguments.done", "item_id": "fc_theirs", "output_index": 1, "arguments": "{}"},
        {"type": "response.output_item.done", "output_index": 1, "item": {**function, "arguments": "{}"}},
        {"type": "response.new_tool.started", "call_id": "call_theirs"},
        {"type": "response.output_item.added", "output_index": 2, "item": {"id": "mcpr_theirs", "type": "new_kind"}},
        {"type": "response.output_item.added", "output_index": 3, "item": approval},
        {"type": "response.web_search_call.searching", "item_id": "ws_theirs", "output_index": 4},
        {"type": "response.new_tool.delta", "item_id": "nt_theirs", "call_id": "call_theirs", "delta": "x"},
        COMPLETED,
    )
    assert "theirs" not in str(call.events)
    assert [event.get("item_id") or event.get("call_id") or event["item"]["id"] for event in call.events] == [
        *("rs_ours1", "rs_ours1", "fc_ours2", "fc_ours2", "fc_ours2", "fc_ours2", "call_ours3"),
        *("item_ours4", "item_ours5", "item_ours6", "item_ours7"),
    ]
    assert call.events[-1]["call_id"] == "call_ours3"
    assert {event["item"]["call_id"] for event in call.events if "call_id" in event.get("item", {})} == {"call_ours3"}
    assert call.of_type("output_item.added")[-1]["item"]["approval_request_id"] == "item_ours4"


async def test_an_item_named_anew_in_each_event_is_known_by_its_index() -> None:
    call = await call_for(
        ADDED,
        delta("Hel", item_id="msg_another"),
        delta("lo", item_id=None),
        {"type": "response.output_item.done", "output_index": 0, "item": {**MESSAGE, "id": "msg_third"}},
        COMPLETED,
    )
    assert {event.get("item_id") or event["item"]["id"] for event in call.events} == {"msg_ours1"}


@pytest.mark.parametrize(
    ("kind", "item_type"), [("output_text", "message"), ("refusal", "message"), ("reasoning_text", "reasoning")]
)
async def test_text_for_an_item_that_was_not_announced_announces_it(kind: str, item_type: str) -> None:
    call = await call_for(*[{**delta("a"), "type": f"response.{kind}.delta"}] * 2, COMPLETED)
    assert call.types == ["output_item.added", f"{kind}.delta", f"{kind}.delta"]
    item = call.events[0]["item"]
    assert (item["type"], item["status"], item["id"]) == (item_type, "in_progress", call.events[1]["item_id"])


async def test_u12_odd_events_change_nothing() -> None:
    call = await call_for(
        ADDED,
        delta(None),
        delta(""),
        delta(7),
        delta(["Hi"]),
        delta("", logprobs=[{"token": "x"}]),
        delta("a", item_id=["x"], output_index=0, logprobs={"not": "a list"}),
        delta("b", item_id={"x": 1}, output_index=[0]),
        {"type": "response.output_item.added", "output_index": "x", "item": {"id": 5, "type": ["x"], "call_id": 7}},
        {"type": "response.output_item.done", "item": None},
        {"type": "response.content_part.done", "part": "x", "item_id": 7},
        COMPLETED,
        delta("after the end"),
    )
    assert call.text == "ab"
    assert call.finish == Finish("completed")
    assert not any("logprobs" in event for event in call.events), "merging deltas joins them as lists"


async def test_u12_a_repeated_event_counts_once_if_its_number_says_so() -> None:
    numbered = delta("ha", sequence_number=4)
    call = await call_for(ADDED, numbered, numbered, delta("ha", sequence_number=5), COMPLETED)
    assert call.text == "haha"
    assert (await call_for(ADDED, delta("ha"), delta("ha"), COMPLETED)).text == "haha"
    assert (await call_for(ADDED, *[delta("ha", sequence_number=0)] * 2, COMPLETED)).text == "haha"


@pytest.mark.parametrize(
    ("kind", "details", "finish"),
    [
        ("completed", None, Finish("completed")),
        ("incomplete", {"reason": "max_output_tokens"}, Finish("incomplete", "max_output_tokens")),
        ("incomplete", {"reason": "content_filter"}, Finish("incomplete", "content_filter")),
        ("incomplete", {"reason": "max_messages"}, Finish("incomplete", "output_limit")),
        ("incomplete", {"reason": ["x"]}, Finish("incomplete", "output_limit")),
        ("incomplete", None, Finish("incomplete", "output_limit")),
    ],
)
async def test_the_terminal_says_how_it_ended(kind: str, details: Any, finish: Finish) -> None:
    terminal = {"type": f"response.{kind}", "response": {"incomplete_details": details}}
    assert (await call_for(terminal)).finish == finish


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ({"code": "server_error", "message": "sk-secret"}, "upstream_unavailable"),
        ({"code": "rate_limit_exceeded", "message": "sk-secret"}, "upstream_rate_limited"),
        ({"code": "invalid_prompt", "message": "sk-secret"}, "upstream_rejected"),
        (None, "upstream_unavailable"),
    ],
)
async def test_a_failed_response_has_our_code_and_our_words(error: Any, code: str) -> None:
    usage = {"input_tokens": 3, "output_tokens": 0, "total_tokens": 3}
    call = await call_for(ADDED, {"type": "response.failed", "response": {"error": error, "usage": usage}})
    assert call.finish is not None
    assert (call.finish.status, call.finish.error_code, call.finish.usage) == ("failed", code, usage)
    assert call.finish.error_message
    assert "secret" not in str(call.finish)


async def test_the_finish_tells_of_the_response_what_the_room_may_know() -> None:
    response: JsonObject = {
        "id": "resp_theirs",
        "model": "gpt-theirs",
        "service_tier": "default",
        "temperature": 1.0,
        "instructions": "a secret",
        "previous_response_id": "resp_theirs",
        "conversation": {"id": "conv_theirs"},
        "safety_identifier": "secret",
        "user": "secret",
        "output": [],
        "usage": {
            "input_tokens": 1,
            "output_tokens": 2,
            "total_tokens": 3,
            "input_tokens_details": {"cached_tokens": 1},
        },
        "title": "half a pair \ud83c",
    }
    call = await call_for(ADDED, {"type": "response.completed", "response": response})
    assert call.finish == Finish(
        "completed",
        usage=response["usage"],
        response={
            "model": "gpt-theirs",
            "service_tier": "default",
            "temperature": 1.0,
            "title": "half a pair \ufffd",
        },
    )


@pytest.mark.parametrize("usage", [None, [], {}, {"input_tokens": "5", "output_tokens": 7}, {"input_tokens": -1}])
async def test_a_usage_that_is_none_is_none(usage: Any) -> None:
    call = await call_for(ADDED, {"type": "response.completed", "response": {"usage": usage}})
    assert call.finish == Finish("completed")


async def test_halves_of_an_emoji_are_mended_wherever_they_stand() -> None:
    call = await call_for(
        ADDED,
        delta("a\ud83c", item_id="half\ud83c", logprobs=[{"token": "\ud83c"}], note="\udf89"),
        {"type": "response.new\ud83c", "x\ud83c": ["\udf89"]},
        {"type": "response.output_item.done", "output_index": 0, "item": {**MESSAGE, "name": "\ud83c"}},
    )
    for event in call.events:
        orjson.dumps(event)
    assert call.events[1]["logprobs"] == [{"token": "\ufffd"}]
    assert call.events[-1]["delta"] == "\ufffd", "what was held comes at the end"


async def test_a_server_that_streams_only_its_last_event_is_shown_all_the_same() -> None:
    part: JsonObject = {"type": "output_text", "text": "Hello", "annotations": []}
    response: JsonObject = {"status": "completed", "output": [{**MESSAGE, "content": [part]}]}
    call = await call_for(
        {"type": "response.created", "response": {}}, {"type": "response.completed", "response": response}
    )
    assert call.text == "Hello"
    assert call.types[-1] == "output_item.done"
    assert call.finish == Finish("completed")
    call = await call_for(ADDED, delta("Hi"), {"type": "response.completed", "response": response})
    assert call.text == "Hi", "but not twice"


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ({"status": "completed"}, None),
        ({"status": "failed", "error": {"code": "server_error"}}, None),
        ({"status": "queued"}, "upstream_bad_response"),
        ({"hello": "world"}, "upstream_bad_response"),
        ({"error": {"code": "rate_limit_exceeded"}}, "upstream_rate_limited"),
    ],
)
async def test_a_json_answer_must_be_a_response(answer: JsonObject, code: str | None) -> None:
    async with HostileUpstream() as upstream, adapter_for(upstream.base_url) as adapter:
        upstream.script(respond(200, answer))
        call = await ask(adapter)
    assert (call.error.code if call.error else None) == code
    assert (call.finish is None) == (code is not None)


async def test_a_json_answer_without_a_status_did_not_say_that_it_was_complete() -> None:
    part: JsonObject = {"type": "output_text", "text": "Hello", "annotations": []}
    async with HostileUpstream() as upstream, adapter_for(upstream.base_url) as adapter:
        upstream.script(respond(200, {"output": [{**MESSAGE, "content": [part]}]}))
        call = await ask(adapter)
    assert (call.text, call.finish, call.error) == ("Hello", None, None)


async def test_more_items_than_are_taken_are_a_bad_response() -> None:
    items = [{"type": "response.web_search_call.searching", "item_id": f"ws_{number}"} for number in range(1_100)]
    call = await call_for(b"".join(sse(item) for item in items))
    assert call.error is not None
    assert call.error.code == "upstream_bad_response"

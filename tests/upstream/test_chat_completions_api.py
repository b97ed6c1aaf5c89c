"""Tests of roomcast/upstream/chat_completions_api.py, through the real client and real sockets.

What both APIs share is in test_pieces.py. Letters are the ids of the fault catalogue.
"""

from __future__ import annotations

import time
from typing import Any

import orjson
import pytest

from roomcast.core.ports import Finish, UpstreamRequest
from tests.support.hostile_upstream import HostileUpstream, Pause, Step, respond, stream
from tests.support.model_streams import chat_chunk, chat_stream, sse
from tests.support.upstream_calls import Call, adapter_for, ask

pytestmark = pytest.mark.anyio

STOP = chat_chunk({}, "stop")
USAGE = chat_stream(finish=None)[-2]
DONE = sse("[DONE]")


async def call_for(*parts: bytes | Step) -> Call:
    """What comes of a generation when the model service streams this."""
    async with HostileUpstream() as upstream, adapter_for(upstream.base_url, "chat_completions") as adapter:
        upstream.script(stream(*parts))
        return await ask(adapter)


def tool(
    index: int | None = None, id: str | None = None, name: str | None = None, arguments: Any = ""
) -> dict[str, Any]:
    """One entry of `tool_calls`."""
    given = {"index": index, "id": id, "function": {"name": name, "arguments": arguments}}
    return {key: value for key, value in given.items() if value is not None}


def calls_of(call: Call) -> list[tuple[str, str]]:
    """The function calls that were made: names and arguments."""
    items = [event["item"] for event in call.of_type("output_item.done")]
    return [(item["name"], item["arguments"]) for item in items if item["type"] == "function_call"]


async def test_the_request_is_sent_in_the_words_of_chat_completions() -> None:
    async with HostileUpstream() as upstream, adapter_for(upstream.base_url, "chat_completions") as adapter:
        upstream.script(stream(*chat_stream("Hi")))
        prompt = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello"}]}
        request = UpstreamRequest("resp_1", "a-model", [prompt], "Be brief.", {"max_output_tokens": 10, "top_k": 5})
        await ask(adapter, request)
        assert (upstream.requests[0].method, upstream.requests[0].path) == ("POST", "/v1/chat/completions")
        assert upstream.requests[0].json == {
            "model": "a-model",
            "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}],
            "max_completion_tokens": 10,
            "top_k": 5,
            "stream": True,
            "stream_options": {"include_usage": True, "include_obfuscation": False},
        }


async def test_a_request_that_cannot_be_put_is_rejected_before_anything_is_sent() -> None:
    async with HostileUpstream() as upstream, adapter_for(upstream.base_url, "chat_completions") as adapter:
        call = await ask(adapter, UpstreamRequest("resp_1", "a-model", [], parameters={"conversation": "conv_1"}))
        assert call.error is not None
        assert (call.error.code, call.error.retryable) == ("upstream_rejected", False)
        assert "conversation" in call.error.message
        assert upstream.connections == 0


async def test_reasoning_text_and_refusal_are_items_and_parts_of_their_own() -> None:
    call = await call_for(
        chat_chunk({"role": "assistant", "content": None, "reasoning_content": "Let me"}),
        chat_chunk({"reasoning_content": " think"}),
        chat_chunk({"content": "Well"}),
        chat_chunk({"refusal": "No"}),
        STOP,
        USAGE,
        DONE,
    )
    assert call.types == [
        "output_item.added",
        "content_part.added",
        "reasoning_text.delta",
        "reasoning_text.delta",
        "reasoning_text.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "content_part.added",
        "refusal.delta",
        "refusal.done",
        "content_part.done",
        "output_item.done",
    ]
    reasoning, message = (event["item"] for event in call.of_type("output_item.done"))
    assert (reasoning["type"], reasoning["content"]) == (
        "reasoning",
        [{"type": "reasoning_text", "text": "Let me think"}],
    )
    assert [part["type"] for part in message["content"]] == ["output_text", "refusal"]
    assert [event.get("output_index") for event in call.events] == [0] * 7 + [1] * 10
    assert [event["content_index"] for event in call.of_type("content_part.added")] == [0, 0, 1]
    assert {reasoning["id"].split("_")[0], message["id"].split("_")[0]} == {"rs", "msg"}


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
async def test_reasoning_of_compatible_servers_has_two_names(field: str) -> None:
    call = await call_for(chat_chunk({field: "Hmm"}), chat_chunk({"content": "Hi"}), STOP, USAGE)
    assert [event["delta"] for event in call.of_type("reasoning_text.delta")] == ["Hmm"]
    assert call.text == "Hi"


async def test_u12_tool_calls_become_function_calls_with_our_ids() -> None:
    call = await call_for(
        chat_chunk({"content": "Let me look."}),
        chat_chunk({"tool_calls": [tool(0, "call_theirs_a", "weather")]}),
        chat_chunk({"tool_calls": [tool(0, arguments='{"city":')]}),
        chat_chunk({"tool_calls": [tool(1, "call_theirs_b", "time", "{}")]}),
        chat_chunk({"tool_calls": [tool(0, arguments='"Oslo"}')]}),
        chat_chunk({}, "tool_calls"),
        USAGE,
        DONE,
    )
    assert calls_of(call) == [("weather", '{"city":"Oslo"}'), ("time", "{}")]
    assert call.finish is not None
    assert call.finish.status == "completed"
    added = [event["item"] for event in call.of_type("output_item.added")]
    done = [event["item"] for event in call.of_type("output_item.done")]
    assert [item["id"].split("_")[0] for item in added] == ["msg", "fc", "fc"]
    assert [item["id"] for item in added] == [item["id"] for item in done]
    assert [item["call_id"] for item in added[1:]] == [item["call_id"] for item in done[1:]]
    assert all(item["call_id"].startswith("call_ours") for item in added[1:])
    assert [item["arguments"] for item in added[1:]] == ["", ""]
    assert "theirs" not in str(call.events)
    deltas = call.of_type("function_call_arguments.delta")
    assert [(event["output_index"], event["delta"]) for event in deltas] == [(1, '{"city":'), (2, "{}"), (1, '"Oslo"}')]
    assert call.types.index("output_text.done") < call.types.index("function_call_arguments.delta")


@pytest.mark.parametrize(
    ("entries", "calls"),
    [
        pytest.param([[tool(0, "a", "f", "1")], [tool(0, "b", "g", "2")]], [("f", "1"), ("g", "2")], id="one index"),
        pytest.param([[tool(None, "a", "f", "1"), tool(None, "b", "g", "2")]], [("f", "1"), ("g", "2")], id="ids only"),
        pytest.param(
            [[tool(None, None, "f", "1"), tool(None, None, "g", "2")]], [("f", "1"), ("g", "2")], id="neither"
        ),
        pytest.param(
            [[tool(None, None, "f", "1")], [tool(arguments="2")]], [("f", "12")], id="going on without a name"
        ),
        pytest.param([[tool(0, "a", "f", "1")], [tool(0, "a", "f", "2")]], [("f", "12")], id="name and id each time"),
        pytest.param([[tool(0, "a", "f")], [tool(0, "", "", "1")]], [("f", "1")], id="empty name and id"),
        pytest.param([[tool(0, "a", None, "1")], [tool(0, None, "f", "2")]], [("f", "12")], id="the name comes late"),
        pytest.param([[tool(0, "a", "f", {"x": [1]})]], [("f", '{"x":[1]}')], id="arguments as an object"),
        pytest.param([[tool(0, "a", "f\ud83c", "\ud83c")]], [("f\ufffd", "\ufffd")], id="halves of an emoji"),
        pytest.param([[tool(0, "a", "f", "\ud83c")], [tool(0, arguments="\udf89")]], [("f", "🎉")], id="a split emoji"),
        pytest.param([[{}, {"function": None}]], [("", "")], id="nothing at all"),
        pytest.param([[tool(0, "a", None, {"\ud83c": 1})]], [("", '{"\ufffd":1}')], id="half an emoji in an object"),
    ],
)
async def test_u12_tool_calls_are_told_apart_as_servers_send_them(entries: Any, calls: list[tuple[str, str]]) -> None:
    chunks = [chat_chunk({"tool_calls": entry}) for entry in entries]
    call = await call_for(*chunks, chat_chunk({}, "tool_calls"), USAGE, DONE)
    assert calls_of(call) == calls
    for event in call.events:
        orjson.dumps(event)
    assert "".join(event["delta"] for event in call.of_type("function_call_arguments.delta")) == "".join(
        arguments for _, arguments in calls
    )


async def test_the_function_call_of_old_servers_is_a_function_call() -> None:
    begin, rest = {"name": "f", "arguments": "{"}, {"arguments": "}"}
    call = await call_for(
        chat_chunk({"function_call": begin}), chat_chunk({"function_call": rest}, "function_call"), USAGE
    )
    assert calls_of(call) == [("f", "{}")]


async def test_u12_odd_chunks_change_nothing() -> None:
    call = await call_for(
        sse({"choices": []}),
        sse({"choices": None, "x_groq": {"id": "req"}}),
        sse({"choices": [{"index": 0, "delta": None, "finish_reason": None}]}),
        sse({"choices": [{"index": 0, "delta": {"content": None}}]}),
        sse({"choices": [{"delta": {"content": "Hel"}, "logprobs": None, "extra": [1]}]}),
        sse({"choices": [{"index": 1, "delta": {"content": "another choice"}, "finish_reason": "stop"}]}),
        sse({"choices": [{"index": None, "delta": {"content": [{"type": "text", "text": "lo"}, {"type": "image"}]}}]}),
        sse({"choices": [None, 7, {"index": 0, "delta": {"content": 7, "tool_calls": "x", "role": "assistant"}}]}),
        chat_chunk({}, ""),
        chat_chunk({"content": "!"}, "stop"),
        chat_chunk({"content": "after the end"}, "length"),
        USAGE,
        chat_chunk({"content": "after the usage"}),
        DONE,
        chat_chunk({"content": "after done"}),
    )
    assert (call.text, call.error) == ("Hello!", None)
    assert call.finish is not None
    assert call.finish.status == "completed"


async def test_u12_a_repeated_chunk_is_text_twice() -> None:
    """Nothing tells a repetition by the wire from one by the model."""
    call = await call_for(*[chat_chunk({"content": "ha"})] * 3, STOP, USAGE)
    assert call.text == "hahaha"


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("stop", ("completed", None, None)),
        ("tool_calls", ("completed", None, None)),
        ("eos", ("completed", None, None)),
        ("length", ("incomplete", "max_output_tokens", None)),
        ("MAX_TOKENS", ("incomplete", "max_output_tokens", None)),
        ("content_filter", ("incomplete", "content_filter", None)),
        ("SAFETY", ("incomplete", "content_filter", None)),
        ("error", ("failed", None, "upstream_unavailable")),
    ],
)
async def test_the_finish_reason_says_how_it_ended(reason: str, finish: tuple[str, str | None, str | None]) -> None:
    call = await call_for(chat_chunk({"content": "Hi"}), chat_chunk({}, reason), USAGE, DONE)
    assert call.finish is not None
    assert (call.finish.status, call.finish.reason, call.finish.error_code) == finish
    status = "incomplete" if finish[0] == "incomplete" else "completed"
    assert call.of_type("output_item.done")[0]["item"]["status"] == status


async def test_the_usage_is_put_into_the_shape_of_responses() -> None:
    usage = {
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "total_tokens": 15,
        "prompt_tokens_details": {"cached_tokens": 4},
        "completion_tokens_details": {"reasoning_tokens": 3},
    }
    call = await call_for(chat_chunk({"content": "Hi"}), STOP, sse({"choices": [], "usage": usage}), DONE)
    assert call.finish == Finish(
        "completed",
        usage={
            "input_tokens": 10,
            "output_tokens": 5,
            "total_tokens": 15,
            "input_tokens_details": {"cached_tokens": 4},
            "output_tokens_details": {"reasoning_tokens": 3},
        },
        response={"model": "gpt-theirs"},
    )


async def test_the_finish_waits_for_the_usage_but_not_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("roomcast.upstream.pieces.AFTERWORD_S", 0.2)
    without = chat_stream("Hello", usage=None, done=False)
    started = time.monotonic()
    drip: list[bytes | Step] = [b": nothing\n\n", Pause(0.1)]
    call = await call_for(*without, *drip * 1_000)
    assert call.finish == Finish("completed", response={"model": "gpt-theirs"})
    assert time.monotonic() - started < 50
    monkeypatch.setattr("roomcast.upstream.pieces.AFTERWORD_S", 60)
    call = await call_for(*without, b": wait for it\n\n", USAGE)
    assert call.finish is not None
    assert call.finish.usage is not None


async def test_a_whole_completion_is_streamed_for_the_room() -> None:
    message = {
        "role": "assistant",
        "content": "Hi",
        "reasoning": "Hmm",
        "tool_calls": [
            {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}},
            {"id": "b", "type": "function", "function": {"name": "g", "arguments": "[]"}},
        ],
    }
    answer = {"choices": [{"message": message, "finish_reason": "tool_calls"}, {"message": {"content": "other"}}]}
    async with HostileUpstream() as upstream, adapter_for(upstream.base_url, "chat_completions") as adapter:
        upstream.script(respond(200, answer))
        call = await ask(adapter)
    assert (call.text, calls_of(call)) == ("Hi", [("f", "{}"), ("g", "[]")])
    assert call.finish is not None
    assert (call.finish.status, call.finish.usage) == ("completed", None)


async def test_more_items_than_are_taken_are_a_bad_response() -> None:
    calls = [chat_chunk({"tool_calls": [tool(0, f"id{number}", "f") for number in range(600)]})]
    calls += [chat_chunk({"tool_calls": [tool(0, f"id{number}", "f") for number in range(600, 1200)]})]
    call = await call_for(*calls, STOP)
    assert call.error is not None
    assert call.error.code == "upstream_bad_response"
    assert len(call.of_type("output_item.added")) == 1_000

"""Tests of roomcast/upstream/pieces.py, through the real client and real sockets, for both APIs.

Letters are the ids of the fault catalogue.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import anyio
import orjson
import pytest

from roomcast.core.limits import Limits
from roomcast.core.ports import Finish, UpstreamRequest
from tests.support.hostile_upstream import (
    CLOSE,
    HANG,
    RESET,
    Bytes,
    Chunk,
    Flood,
    HostileUpstream,
    Script,
    Until,
    respond,
    stream,
)
from tests.support.model_streams import chat_stream, responses_stream, sse, text_stream
from tests.support.upstream_calls import A_PROMPT, APIS, Call, adapter_for, ask

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("api", APIS)]

SMALL = replace(Limits(), upstream_line_bytes=20_000, upstream_event_bytes=5_000)


async def call_for(api: str, script: Script, limits: Limits | None = None) -> Call:
    """What comes of a generation when the model service does this."""
    async with HostileUpstream() as upstream, adapter_for(upstream.base_url, api, limits=limits) as adapter:
        upstream.script(script)
        return await ask(adapter)


def code_of(call: Call) -> str | None:
    return call.error.code if call.error else None


def text_event(api: str, text: str) -> dict[str, Any]:
    """One delta, as the upstream's object."""
    if api == "responses":
        place = {"item_id": "msg_theirs", "output_index": 0, "content_index": 0}
        return {"type": "response.output_text.delta", **place, "delta": text}
    return {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]}


async def test_a_text_is_streamed_as_the_responses_api_streams_it(api: str) -> None:
    call = await call_for(api, stream(*text_stream(api, "Hel", "lo 🎉")))
    assert call.types == [
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
    ]
    assert call.text == "Hello 🎉"
    assert call.of_type("output_text.done")[0]["text"] == "Hello 🎉"
    item = call.of_type("output_item.done")[0]["item"]
    assert (item["type"], item["role"], item["status"]) == ("message", "assistant", "completed")
    assert (item["content"][0]["type"], item["content"][0]["text"]) == ("output_text", "Hello 🎉")
    assert call.finish is not None
    assert (call.finish.status, call.finish.response["model"]) == ("completed", "gpt-theirs")
    assert call.finish.usage is not None
    assert (call.finish.usage["input_tokens"], call.finish.usage["output_tokens"]) == (5, 7)


async def test_every_id_is_ours_and_the_same_throughout(api: str) -> None:
    call = await call_for(api, stream(*text_stream(api, "Hel", "lo")))
    named = [event.get("item_id") or event["item"]["id"] for event in call.events]
    assert set(named) == {"msg_ours1"}
    assert "theirs" not in json.dumps([*call.events, call.finish.response if call.finish else 0]).replace(
        "gpt-theirs", ""
    )
    assert not {"response_id", "sequence_number", "obfuscation"} & {name for event in call.events for name in event}


async def test_u6_silence_ends_when_the_caller_has_waited_enough_and_text_is_kept(api: str) -> None:
    seen: list[str] = []
    async with HostileUpstream() as upstream, adapter_for(upstream.base_url, api) as adapter:
        upstream.script(stream(*text_stream(api, "Hel", "lo", finished=False), b": still here\n\n", HANG))
        with pytest.raises(TimeoutError):  # noqa: PT012  # the text before the silence is what is looked at
            async with adapter.open(UpstreamRequest("resp_1", "a-model", [A_PROMPT])) as pieces:
                while True:
                    with anyio.fail_after(0.1 if "".join(seen) == "Hello" else 60):
                        piece = await anext(pieces)
                    assert not isinstance(piece, Finish)
                    seen.append(piece.get("delta", ""))
        assert "".join(seen) == "Hello"
        await asyncio.wait_for(upstream.requests[0].hung_up.wait(), 30)


@pytest.mark.parametrize(
    "cut",
    [
        pytest.param([RESET], id="reset"),
        pytest.param([CLOSE], id="end between chunks"),
        pytest.param([Bytes(b"ff\r\ndata: {"), CLOSE], id="end in a chunk"),
        pytest.param([Bytes(b"ff\r\ndata: {"), RESET], id="reset in a chunk"),
    ],
)
async def test_u7_a_cut_stream_is_disconnected_and_its_text_is_kept(api: str, cut: Any) -> None:
    said = asyncio.Event()
    async with HostileUpstream() as upstream, adapter_for(upstream.base_url, api) as adapter:
        upstream.script(stream(*text_stream(api, "Hel", "lo", finished=False), Until(said), *cut, end=False))
        call = await ask(adapter, seen=lambda call: said.set() if call.text == "Hello" else None)
    assert (call.text, call.finish, code_of(call)) == ("Hello", None, "upstream_disconnected")
    assert call.error is not None
    assert not call.error.retryable, "the room has seen output"
    assert not [event for event in call.types if event.endswith(".done")], "no closing event is invented"


async def test_u7_a_stream_cut_before_output_may_be_tried_again(api: str) -> None:
    call = await call_for(api, stream(b": hello\n\n", RESET, end=False))
    assert (call.events, code_of(call)) == ([], "upstream_disconnected")
    assert call.error is not None
    assert call.error.retryable


async def test_u8_a_clean_end_without_a_finish_just_ends(api: str) -> None:
    call = await call_for(api, stream(*text_stream(api, "Hel", "lo", finished=False)))
    assert (call.text, call.finish, call.error) == ("Hello", None, None)


async def test_u9_done_is_no_finish(api: str) -> None:
    call = await call_for(api, stream(*text_stream(api, "Hel", "lo", finished=False), sse("[DONE]"), HANG))
    assert (call.text, call.finish, call.error) == ("Hello", None, None)


@pytest.mark.parametrize(
    "ending", [[], [CLOSE], [RESET], [HANG], [sse("{broken"), HANG], [sse('{"error":{"code":500}}')]]
)
async def test_u9_what_comes_after_a_finish_changes_nothing(
    api: str, ending: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("roomcast.upstream.pieces.AFTERWORD_S", 0.1)
    finished = responses_stream("Hello") if api == "responses" else chat_stream("Hello", usage=None, done=False)
    call = await call_for(api, stream(*finished, *ending, end=not ending))
    assert (call.text, call.error) == ("Hello", None)
    assert call.finish is not None
    assert call.finish.status == "completed"


@pytest.mark.parametrize("broken", ["{", "hello", "[1]", "null", '"text"', '{"choices":NaN}', "{" * 5_000])
async def test_u10_a_malformed_line_is_a_bad_response_after_what_came_before(api: str, broken: str) -> None:
    call = await call_for(api, stream(*text_stream(api, "Hel", "lo", finished=False), sse(broken), HANG))
    assert (call.text, code_of(call)) == ("Hello", "upstream_bad_response")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ({"error": {"message": "boom", "type": "server_error"}}, "upstream_unavailable"),
        ({"error": {"message": "slow down", "code": "rate_limit_exceeded"}}, "upstream_rate_limited"),
        ({"error": {"message": "no", "code": "content_policy"}}, "upstream_rejected"),
        ({"error": "anything"}, "upstream_rejected"),
        ({"error": {"message": "maximum context length is 8"}}, "context_too_large"),
    ],
)
@pytest.mark.parametrize("output", [True, False])
async def test_u10_an_error_in_the_stream_has_its_code(api: str, error: Any, code: str, output: bool) -> None:
    said = text_stream(api, "Hel", "lo", finished=False) if output else []
    call = await call_for(api, stream(*said, sse(error), HANG))
    assert (call.text, code_of(call)) == ("Hello" if output else "", code)
    assert call.error is not None
    assert call.error.retryable is (not output and code in ("upstream_unavailable", "upstream_rate_limited"))


async def test_u10_an_event_named_error_is_an_error_whatever_its_data(api: str) -> None:
    call = await call_for(api, stream(sse({"type": "server_error", "message": "boom"}, "error"), HANG))
    assert code_of(call) == "upstream_unavailable"


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(respond(200, b"<html>Please log in</html>", content_type="text/html"), id="HTML"),
        pytest.param(respond(200, b" \n\n<!doctype html>", content_type="text/event-stream"), id="HTML as a stream"),
        pytest.param(respond(200, b"Please log in", content_type="text/html; charset=utf-8"), id="HTML in name only"),
        pytest.param(respond(200), id="empty"),
        pytest.param(respond(204), id="no content"),
        pytest.param(respond(200, b"upstream overloaded", content_type="text/plain"), id="text"),
        pytest.param(stream(b"\n\n  \n"), id="white space"),
        pytest.param(stream(b": keep-alive\n\n", b": keep-alive\n\n"), id="comments only"),
        pytest.param(respond(200, b'{"choices":'), id="half a JSON answer"),
        pytest.param(respond(200, b"[1,2]"), id="another JSON answer"),
    ],
)
async def test_u11_a_good_status_without_an_answer_is_a_bad_response(api: str, script: Script) -> None:
    call = await call_for(api, script)
    assert (call.events, call.finish, code_of(call)) == ([], None, "upstream_bad_response")
    assert call.error is not None
    assert not call.error.retryable


async def test_u13_utf8_split_at_every_byte_comes_out_whole(api: str) -> None:
    text = "naïve 漢字 🎉 עברית"
    said = b"".join(text_stream(api, text)).decode("unicode_escape").encode("utf-16", "surrogatepass").decode("utf-16")
    assert "🎉" in said, "not escaped"
    call = await call_for(api, stream(*(bytes([byte]) for byte in said.encode())))
    assert (call.text, call.error) == (text, None)
    assert call.of_type("output_text.done")[0]["text"] == text


@pytest.mark.parametrize(
    ("deltas", "text"),
    [
        (["a\ud83c", "\udf89b"], "a🎉b"),
        (["\ud83c", "", "\udf89"], "🎉"),
        (["\ud83c", "\udf89\ud83c", "\udf89"], "🎉🎉"),
        (["a\ud83c", "b"], "a\ufffdb"),
        (["\udf89a"], "\ufffda"),
        (["a\ud83c"], "a\ufffd"),
        (["a\0b"], "a\0b"),
    ],
)
async def test_u13_halves_of_an_emoji_are_joined_or_replaced(api: str, deltas: list[str], text: str) -> None:
    for finished in (True, False):
        call = await call_for(api, stream(*text_stream(api, *deltas, finished=finished)))
        assert (call.text, call.error) == (text, None)
        for event in call.events:
            orjson.dumps(event)
        if finished:
            assert call.of_type("output_text.done")[0]["text"] == text
            assert call.types[-4] == "output_text.delta", "the last delta comes before the closing events"


async def test_u13_broken_utf8_is_replaced(api: str) -> None:
    said = [chunk.replace(b"Hello", b"Hel\xff\xc3lo") for chunk in text_stream(api, "Hello")]
    call = await call_for(api, stream(*said))
    assert (call.text, call.error) == ("Hel\ufffd\ufffdlo", None)


@pytest.mark.parametrize("flood", [b"x" * 65_536, b"data: " + b"x" * 65_530, b"[" * 65_536])
@pytest.mark.parametrize("output", [True, False])
async def test_u14_an_endless_line_is_cut_at_the_bound(api: str, flood: bytes, output: bool) -> None:
    said = text_stream(api, "Hel", "lo", finished=False) if output else []
    async with HostileUpstream() as upstream, adapter_for(upstream.base_url, api) as adapter:
        upstream.script(stream(*said, Flood(flood, most_bytes=200_000_000)))
        call = await ask(adapter)
        assert (call.text, code_of(call)) == ("Hello" if output else "", "upstream_bad_response")
        await asyncio.wait_for(upstream.requests[0].hung_up.wait(), 30)
        # What was sent beyond the bound is in the sockets' buffers, not in ours.
        assert upstream.requests[0].sent_bytes < 20_000_000


async def test_u14_a_delta_longer_than_an_event_is_handed_on_in_parts(api: str) -> None:
    text = "0123456789" * 1_500
    call = await call_for(api, stream(sse(text_event(api, text))), SMALL)
    assert (call.text, call.error) == (text, None)
    assert len(call.of_type("output_text.delta")) > 10
    assert max(len(orjson.dumps(event)) for event in call.events) <= SMALL.upstream_event_bytes


async def test_u14_a_message_longer_than_the_bound_is_a_bad_response(api: str) -> None:
    call = await call_for(api, stream(sse(text_event(api, "x" * 20_000)), HANG), SMALL)
    assert (call.text, code_of(call)) == ("", "upstream_bad_response")


@pytest.mark.parametrize(("size", "accepted"), [(14_000, True), (16_500, False)])
async def test_u14_closing_events_may_be_as_long_as_the_whole_text(api: str, size: int, accepted: bool) -> None:
    if api == "responses":
        text = "x" * size
        said = responses_stream(*[text[start : start + 1_000] for start in range(0, size, 1_000)])
        said = [chunk for chunk in said if b"response.completed" not in chunk]
        call = await call_for(api, stream(*said), SMALL)
        assert (call.text, code_of(call)) == (text, None if accepted else "upstream_bad_response")
    else:
        large = json.dumps({"choices": [{"delta": {"tool_calls": [{"function": {"name": "x" * size}}]}}]})
        assert code_of(await call_for(api, stream(sse(large)), SMALL)) == "upstream_bad_response"


async def test_u20_streams_are_read_however_they_are_written(api: str) -> None:
    said = b"".join([b"\xef\xbb\xbf: hello\n\n", *text_stream(api, "Hel", "lo")])
    loose = said.replace(b"data: ", b"id: 1\nretry: 5\nunknown\ndata:").replace(
        b"\n\n", b"\n\n: keep-alive\n\ndata:\n\n"
    )
    parted = said.replace(b', "', b',\ndata: "')
    for variant in (loose, loose.replace(b"\n", b"\r\n"), loose.replace(b"\n", b"\r"), parted, said.rstrip()):
        call = await call_for(api, stream(variant))
        assert (call.text, call.error) == ("Hello", None)
        assert call.finish is not None
        by_byte = await call_for(api, [stream()[0], *(Chunk(bytes([byte])) for byte in variant), Bytes(b"0\r\n\r\n")])
        assert by_byte == call


async def test_a_last_line_that_was_cut_in_a_clean_end_is_no_broken_line(api: str) -> None:
    call = await call_for(api, stream(*text_stream(api, "Hel", "lo", finished=False), b'data: {"type":"resp'))
    assert (call.text, call.finish, call.error) == ("Hello", None, None)


@pytest.mark.parametrize("content_type", ["application/json", "text/event-stream", "text/plain", ""])
async def test_a_json_answer_is_taken_as_the_whole_answer(api: str, content_type: str) -> None:
    part: dict[str, Any] = {"type": "output_text", "annotations": [], "text": "Hello 🎉"}
    usage = {"input_tokens": 5, "output_tokens": 7, "prompt_tokens": 5, "completion_tokens": 7}
    answer: dict[str, Any] = {
        "id": "theirs",
        "model": "gpt-theirs",
        "usage": usage,
        "status": "completed",
        "output": [{"id": "msg_theirs", "type": "message", "role": "assistant", "content": [part]}],
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello 🎉"}, "finish_reason": "stop"}],
    }
    del answer["choices" if api == "responses" else "output"]
    whole = await call_for(api, respond(200, answer, content_type=content_type))
    streamed = await call_for(api, stream(*text_stream(api, "Hello 🎉")))
    assert (whole.types, whole.text, whole.error) == (streamed.types, "Hello 🎉", None)
    assert whole.finish is not None
    assert whole.finish.status == "completed"
    assert whole.finish.usage is not None
    assert whole.finish.usage["output_tokens"] == 7


async def test_a_json_error_with_a_good_status_is_an_error(api: str) -> None:
    call = await call_for(api, respond(200, {"error": {"code": "server_error", "message": "boom"}}))
    assert (call.events, code_of(call)) == ([], "upstream_unavailable")


async def test_a_json_answer_that_is_cut_is_disconnected(api: str) -> None:
    call = await call_for(api, stream(b'{"model":', Bytes(b"ff\r\n{"), CLOSE, end=False))
    assert code_of(call) == "upstream_disconnected"

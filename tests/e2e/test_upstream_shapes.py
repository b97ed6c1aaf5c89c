"""Answers in odd shapes (U12, U13, U20), seen from the room: the documented text and ending, whatever the wire."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import pytest

from tests.e2e.conftest import Bench
from tests.e2e.outcomes import outcome, said, verdict
from tests.support.hostile_upstream import Pause, Script, stream
from tests.support.model_streams import chat_chunk, sse, text_stream
from tests.support.wire_client import Heard

pytestmark = pytest.mark.anyio

PLACE = {"item_id": "msg_theirs", "output_index": 0, "content_index": 0}
CALL: Heard = {"id": "fc_theirs", "type": "function_call", "call_id": "call_theirs", "name": "look", "arguments": ""}
CALLED: Heard = {**CALL, "arguments": '{"at":1}', "status": "completed"}
REFUSAL: Heard = {"id": "msg_theirs", "type": "message", "role": "assistant", "content": []}
REFUSED: Heard = {**REFUSAL, "status": "completed", "content": [{"type": "refusal", "refusal": "no"}]}

Shape: TypeAlias = Callable[[], list[bytes]]


def ended(*output: Heard) -> bytes:
    """The last event of the Responses API."""
    response = {"id": "resp_theirs", "object": "response", "status": "completed", "output": list(output)}
    return sse({"type": "response.completed", "response": response})


def around(*odd: bytes) -> dict[str, Shape]:
    """`one two` with something between the words, for either API."""
    return {
        "responses": lambda: [*said("responses", "one "), *odd, *text_stream("responses", "one ", "two")[5:]],
        "chat_completions": lambda: [*said("chat_completions", "one "), *odd, *text_stream("chat_completions", "two")],
    }


def between(responses: Heard, chat: Heard) -> dict[str, Shape]:
    """The same with what is odd in its own API."""
    return {
        "responses": around(sse(responses))["responses"],
        "chat_completions": around(sse(chat))["chat_completions"],
    }


def twice(chunks: list[bytes], place: int) -> list[bytes]:
    """The chunk at `place` two times."""
    return [*chunks[: place + 1], *chunks[place:]]


SHAPES: dict[str, tuple[dict[str, Shape], dict[str, str]]] = {
    # the model may well say the same twice; only a number tells a repetition by the wire
    "U12 a chunk that comes twice": (
        {
            "responses": lambda: twice(text_stream("responses", "ha"), 4),
            "chat_completions": lambda: twice(text_stream("chat_completions", "ha"), 1),
        },
        {"responses": "ha", "chat_completions": "haha"},
    ),
    "U12 no choices, no delta": (
        between({"type": "response.output_text.delta", **PLACE}, {"choices": []}),
        {},
    ),
    "U12 a delta that is null": (
        between(
            {"type": "response.output_text.delta", **PLACE, "delta": None},
            {"choices": [{"index": 0, "delta": None, "finish_reason": None}]},
        ),
        {},
    ),
    "U12 usage and nothing else": (
        between(
            {"type": "response.in_progress", "response": {"usage": {"input_tokens": 1, "output_tokens": 1}}},
            {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 1}},
        ),
        {},
    ),
    "U12 fields of another type": (
        between(
            {"type": "response.output_text.delta", **PLACE, "delta": {"text": 1}, "logprobs": "x"},
            {"choices": {"delta": 7}, "usage": [1], "model": 3},
        ),
        {},
    ),
    "U12 fields that nobody knows": (
        between(
            {"type": "response.output_text.delta", **PLACE, "delta": "", "mood": {"of": ["x", None, 1e9]}},
            {"choices": [{"index": 0, "delta": {"content": "", "mood": {"of": [1]}}, "mood": 1}], "mood": None},
        ),
        {},
    ),
    "U12 a call of a tool": (
        {
            "responses": lambda: [
                sse({"type": "response.output_item.added", "output_index": 0, "item": CALL}),
                sse(
                    {
                        "type": "response.function_call_arguments.delta",
                        "item_id": "fc_theirs",
                        "output_index": 0,
                        "delta": '{"at":1}',
                    }
                ),
                sse({"type": "response.output_item.done", "output_index": 0, "item": CALLED}),
                ended(CALLED),
            ],
            "chat_completions": lambda: [
                chat_chunk({"tool_calls": [{"index": 0, "id": "call_theirs", "function": {"name": "look"}}]}),
                chat_chunk({"tool_calls": [{"index": 0, "function": {"arguments": '{"at":1}'}}]}),
                chat_chunk({}, "tool_calls"),
                sse("[DONE]"),
            ],
        },
        {"responses": "", "chat_completions": ""},
    ),
    "U12 a refusal": (
        {
            "responses": lambda: [
                sse({"type": "response.output_item.added", "output_index": 0, "item": REFUSAL}),
                sse({"type": "response.refusal.delta", **PLACE, "delta": "no"}),
                sse({"type": "response.output_item.done", "output_index": 0, "item": REFUSED}),
                ended(REFUSED),
            ],
            "chat_completions": lambda: [
                chat_chunk({"refusal": "no"}),
                chat_chunk({}, "stop"),
                sse("[DONE]"),
            ],
        },
        {"responses": "", "chat_completions": ""},
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
async def test_U12_an_odd_answer_has_the_documented_text_and_is_complete(bench: Bench, shape: str) -> None:
    shapes, texts = SHAPES[shape]
    async with bench.room() as (ann, bob):
        done, text = await outcome(bench, ann, bob, stream(*shapes[bench.api]()))
        assert (verdict(done), text) == ("completed", texts.get(bench.api, "one two"))


async def test_U12_calls_and_refusals_stand_in_the_response_and_in_no_text(bench: Bench) -> None:
    async with bench.room() as (ann, bob):
        done, _ = await outcome(bench, ann, bob, stream(*SHAPES["U12 a call of a tool"][0][bench.api]()))
        [call] = done["response"]["output"]
        assert (call["type"], call["name"], call["arguments"]) == ("function_call", "look", '{"at":1}')
        done, _ = await outcome(bench, ann, bob, stream(*SHAPES["U12 a refusal"][0][bench.api]()))
        [message] = done["response"]["output"]
        assert [(part["type"], part["refusal"]) for part in message["content"]] == [("refusal", "no")]


TEXT = "naïve 漢字 🎉 עברית"


def spelled_out(api: str, text: str) -> bytes:
    """An answer in UTF-8 instead of JSON's escapes."""
    escaped = b"".join(text_stream(api, text))
    return escaped.decode("unicode_escape").encode("utf-16", "surrogatepass").decode("utf-16").encode()


async def test_U13_utf8_that_is_split_at_every_byte_comes_out_whole(bench: Bench) -> None:
    data = spelled_out(bench.api, TEXT)
    assert "🎉".encode() in data
    async with bench.room() as (ann, bob):
        done, text = await outcome(bench, ann, bob, stream(*(bytes([byte]) for byte in data)))
        assert (verdict(done), text) == ("completed", TEXT)


async def test_U13_bytes_that_are_no_utf8_are_replaced(bench: Bench) -> None:
    broken = b"".join(text_stream(bench.api, "Hello")).replace(b"Hello", b"Hel\xff\xc3lo")
    async with bench.room() as (ann, bob):
        done, text = await outcome(bench, ann, bob, stream(broken))
        assert (verdict(done), text) == ("completed", "Hel\ufffd\ufffdlo")


WRITINGS: dict[str, Callable[[bytes], bytes]] = {
    "comments, and fields that mean nothing here": lambda data: data.replace(
        b"data: ", b": keep-alive\nid: 1\nretry: 5\nunknown\ndata:"
    ),
    "lines that end with CR": lambda data: data.replace(b"\n", b"\r"),
    "lines that end with CR and LF": lambda data: data.replace(b"\n", b"\r\n"),
    "data over several lines": lambda data: data.replace(b', "', b',\ndata: "'),
    "a byte order mark": lambda data: b"\xef\xbb\xbf" + data,
    "empty events between": lambda data: data.replace(b"\n\n", b"\n\ndata:\n\n: hello\n\n"),
    "no blank line at the end": lambda data: data.rstrip(),
}


@pytest.mark.parametrize("writing", WRITINGS)
async def test_U20_an_answer_is_read_however_it_is_written(bench: Bench, writing: str) -> None:
    script: Script = stream(WRITINGS[writing](b"".join(text_stream(bench.api, "Hel", "lo"))))
    async with bench.room() as (ann, bob):
        done, text = await outcome(bench, ann, bob, script)
        assert (verdict(done), text) == ("completed", "Hello")


async def test_U20_comments_are_signs_of_life_and_no_output(hasty: Bench) -> None:
    """The service says every half second that it is there, and nothing else, until there has to be output."""
    async with hasty.room() as (ann, bob):
        waits = [step for _ in range(20) for step in (b": keep-alive\n\n", Pause(0.5))]
        done, text = await outcome(hasty, ann, bob, stream(*waits))
        assert (verdict(done), text) == ("failed upstream_timeout", "")

"""Tests of roomcast/upstream/chat_request.py."""

from __future__ import annotations

from typing import Any

import pytest

from roomcast.core.errors import UpstreamError
from roomcast.core.events import JsonObject
from roomcast.core.ports import UpstreamRequest
from roomcast.upstream.chat_request import chat_body, chat_messages


def message(role: str, *parts: JsonObject | str) -> JsonObject:
    """A message item with these parts; a string is a text part."""
    kind = "output_text" if role == "assistant" else "input_text"
    content = [{"type": kind, "text": part} if isinstance(part, str) else part for part in parts]
    return {"type": "message", "role": role, "content": content}


def parameters(**given: Any) -> JsonObject:
    """What these parameters become, without what every request has."""
    body = chat_body(UpstreamRequest("resp_1", "a-model", [], parameters=given))
    assert body.pop("model") == "a-model"
    assert body.pop("stream") is True
    assert body.pop("stream_options") == {"include_usage": True, "include_obfuscation": False}
    assert body.pop("messages") == []
    return body


@pytest.mark.parametrize(
    ("items", "messages"),
    [
        pytest.param([message("user", "Hi")], [{"role": "user", "content": "Hi"}], id="one text"),
        pytest.param(
            [{"role": "user", "content": "Hi"}], [{"role": "user", "content": "Hi"}], id="a string, and no type"
        ),
        pytest.param([message("user")], [{"role": "user", "content": ""}], id="nothing"),
        pytest.param(
            [message("developer", "Be ", "brief.")], [{"role": "system", "content": "Be brief."}], id="a developer"
        ),
        pytest.param(
            [message("assistant", "Hel", "lo", {"type": "refusal", "refusal": " No."})],
            [{"role": "assistant", "content": "Hello No."}],
            id="an assistant is one string",
        ),
        pytest.param(
            [message("user", "Look:", {"type": "input_image", "image_url": "data:,x", "detail": "low"})],
            [
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "Look:"},
                        {"type": "image_url", "image_url": {"url": "data:,x", "detail": "low"}},
                    ],
                }
            ],
            id="an image",
        ),
        pytest.param(
            [
                message(
                    "user",
                    {"type": "input_file", "file_data": "data:,x", "filename": "a.txt", "file_id": None},
                    {"type": "input_audio", "input_audio": {"data": "x", "format": "wav"}},
                )
            ],
            [
                {
                    "role": "user",
                    "content": [
                        {"type": "file", "file": {"file_data": "data:,x", "filename": "a.txt"}},
                        {"type": "input_audio", "input_audio": {"data": "x", "format": "wav"}},
                    ],
                }
            ],
            id="a file and a sound",
        ),
        pytest.param([{"type": "reasoning"}, {"type": "web_search_call"}], [], id="without counterpart"),
    ],
)
def test_items_become_messages(items: list[JsonObject], messages: list[JsonObject]) -> None:
    assert chat_messages("", items) == messages


def test_instructions_come_first() -> None:
    assert chat_messages("Be brief.", [message("user", "Hi")])[0] == {"role": "system", "content": "Be brief."}


def test_calls_belong_to_the_assistants_message_and_outputs_follow() -> None:
    def call(name: str) -> JsonObject:
        return {"type": "function_call", "call_id": f"call_{name}", "name": name, "arguments": "{}"}

    def called(name: str) -> JsonObject:
        return {"id": f"call_{name}", "type": "function", "function": {"name": name, "arguments": "{}"}}

    items = [
        message("user", "Hi"),
        message("assistant", "Let me look."),
        call("f"),
        call("g"),
        {"type": "function_call_output", "call_id": "call_f", "output": "12"},
        {"type": "function_call_output", "call_id": "call_g", "output": [{"type": "input_text", "text": "13"}]},
        call("h"),
        {"type": "function_call_output", "call_id": "call_h", "output": {"a": 1}},
    ]
    assert chat_messages("", items) == [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Let me look.", "tool_calls": [called("f"), called("g")]},
        {"role": "tool", "tool_call_id": "call_f", "content": "12"},
        {"role": "tool", "tool_call_id": "call_g", "content": "13"},
        {"role": "assistant", "content": None, "tool_calls": [called("h")]},
        {"role": "tool", "tool_call_id": "call_h", "content": '{"a":1}'},
    ]


def test_the_items_given_are_not_changed() -> None:
    items = [message("assistant", "a"), {"type": "function_call", "call_id": "c", "name": "f", "arguments": ""}]
    before = repr(items)
    chat_messages("", items)
    assert repr(items) == before


SCHEMA = {"name": "s", "schema": {"type": "object"}, "strict": True}
FUNCTION = {"name": "f", "parameters": {"type": "object"}, "strict": True}


@pytest.mark.parametrize(
    ("given", "translated"),
    [
        ({"temperature": 0.5, "top_p": None, "seed": 7}, {"temperature": 0.5, "seed": 7}),
        ({"max_output_tokens": 10}, {"max_completion_tokens": 10}),
        ({"reasoning": {"effort": "low", "summary": "auto", "mode": None}}, {"reasoning_effort": "low"}),
        ({"reasoning": None}, {}),
        ({"text": {"format": {"type": "text"}, "verbosity": "low"}}, {"verbosity": "low"}),
        ({"text": {"format": {"type": "json_object"}}}, {"response_format": {"type": "json_object"}}),
        (
            {"text": {"format": {"type": "json_schema", **SCHEMA}}},
            {"response_format": {"type": "json_schema", "json_schema": SCHEMA}},
        ),
        ({"tools": [{"type": "function", **FUNCTION}]}, {"tools": [{"type": "function", "function": FUNCTION}]}),
        ({"tools": []}, {}),
        ({"tool_choice": "required"}, {"tool_choice": "required"}),
        (
            {"tool_choice": {"type": "function", "name": "f"}},
            {"tool_choice": {"type": "function", "function": {"name": "f"}}},
        ),
        ({"top_logprobs": 3}, {"logprobs": True, "top_logprobs": 3}),
        ({"metadata": {"a": "b"}, "truncation": "auto", "store": True, "stream": False}, {}),
    ],
)
def test_parameters_are_put_into_the_other_apis_words(given: JsonObject, translated: JsonObject) -> None:
    assert parameters(**given) == translated


@pytest.mark.parametrize(
    "given",
    [
        {"background": True},
        {"previous_response_id": "resp_1"},
        {"include": ["reasoning.encrypted_content"]},
        {"reasoning": {"mode": "deep"}},
        {"tools": [{"type": "web_search"}]},
        {"tool_choice": {"type": "mcp"}},
    ],
)
def test_what_only_responses_can_do_is_refused_in_plain_words(given: JsonObject) -> None:
    with pytest.raises(UpstreamError, match=r"with upstream\.api = chat_completions") as caught:
        parameters(**given)
    assert (caught.value.code, caught.value.retryable) == ("upstream_rejected", False)


@pytest.mark.parametrize("part", [{"type": "input_image", "file_id": "file_1"}, {"type": "input_video"}, {}])
def test_a_part_that_cannot_be_sent_is_refused(part: JsonObject) -> None:
    with pytest.raises(UpstreamError, match="cannot be sent"):
        chat_messages("", [message("user", "a", part)])

"""Tests of roomcast/upstream/demo/asking.py."""

from __future__ import annotations

import json

import pytest

from roomcast.upstream.demo.asking import Rejection, ask_chat, ask_responses, count_input

USER = {"role": "user", "content": "hi"}


def error_of(rejection: Rejection) -> dict[str, object]:
    error = json.loads(rejection.body)["error"]
    assert error["type"] == "invalid_request_error"
    assert error["message"]
    return {"status": rejection.status, "param": error["param"], "code": error["code"]}


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"null", b'"text"', b'{"a":"\\ud83c"}', b"\xff"])
@pytest.mark.parametrize("ask", [ask_responses, ask_chat, count_input])
def test_what_is_no_json_object_is_refused(ask: type, raw: bytes) -> None:
    with pytest.raises(Rejection) as caught:
        ask(raw)
    assert error_of(caught.value) == {"status": 400, "param": None, "code": None}


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({"input": "hi"}, "model", "missing_required_parameter"),
        ({"model": "", "input": "hi"}, "model", "missing_required_parameter"),
        ({"model": 7, "input": "hi"}, "model", "invalid_type"),
        ({"model": "m"}, "input", "missing_required_parameter"),
        ({"model": "m", "input": 7}, "input", "invalid_type"),
        ({"model": "m", "input": ["hi"]}, "input[0]", "invalid_type"),
        ({"model": "m", "input": "hi", "stream": "yes"}, "stream", "invalid_type"),
        ({"model": "m", "input": "hi", "max_output_tokens": True}, "max_output_tokens", "invalid_type"),
        ({"model": "m", "input": "hi", "max_output_tokens": 0}, "max_output_tokens", "integer_below_min_value"),
        ({"model": "m", "input": "hi", "stream_options": []}, "stream_options", "invalid_type"),
        ({"model": "m", "input": "hi", "background": True}, "background", "unsupported_value"),
        (
            {"model": "m", "input": "hi", "previous_response_id": "resp_1"},
            "previous_response_id",
            "previous_response_id_not_found",
        ),
        (
            {"model": "m", "input": "hi", "text": {"format": {"type": "json_schema"}}},
            "text.format.type",
            "unsupported_value",
        ),
    ],
)
def test_a_bad_request_for_a_response_names_the_field(body: dict[str, object], param: str, code: str) -> None:
    with pytest.raises(Rejection) as caught:
        ask_responses(json.dumps(body).encode())
    assert error_of(caught.value) == {"status": 400, "param": param, "code": code}


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({"messages": [USER]}, "model", "missing_required_parameter"),
        ({"model": "m"}, "messages", "missing_required_parameter"),
        ({"model": "m", "messages": "hi"}, "messages", "invalid_type"),
        ({"model": "m", "messages": []}, "messages", "empty_array"),
        ({"model": "m", "messages": [USER, 1.5]}, "messages[1]", "invalid_type"),
        ({"model": "m", "messages": [{"content": "hi"}]}, "messages[0].role", "missing_required_parameter"),
        ({"model": "m", "messages": [USER], "n": 2}, "n", "unsupported_value"),
        ({"model": "m", "messages": [USER], "max_completion_tokens": "9"}, "max_completion_tokens", "invalid_type"),
        (
            {"model": "m", "messages": [USER], "response_format": {"type": "json_object"}},
            "response_format.type",
            "unsupported_value",
        ),
    ],
)
def test_a_bad_request_for_a_completion_names_the_field(body: dict[str, object], param: str, code: str) -> None:
    with pytest.raises(Rejection) as caught:
        ask_chat(json.dumps(body).encode())
    assert error_of(caught.value) == {"status": 400, "param": param, "code": code}


CONVERSATION: list[dict[str, object]] = [
    {"role": "system", "content": "be kind"},
    {"role": "user", "content": "first"},
    {"role": "assistant", "content": "answer"},
    {"role": "user", "content": [{"type": "text", "text": "second"}, {"type": "image_url"}, {"text": "third"}]},
    {"role": "tool", "content": "42"},
]


def test_the_prompt_is_all_text_of_the_newest_message_of_a_user() -> None:
    chat = ask_chat(json.dumps({"model": "m", "messages": CONVERSATION}).encode())
    assert chat.prompt == "second\nthird"
    response = ask_responses(json.dumps({"model": "m", "input": CONVERSATION}).encode())
    assert response.prompt == "second\nthird"


def test_a_conversation_without_a_user_has_an_empty_prompt() -> None:
    items = [{"type": "function_call_output", "call_id": "c", "output": "42"}]
    assert ask_responses(json.dumps({"model": "m", "input": items}).encode()).prompt == ""


def test_instructions_and_outputs_of_tools_count_as_input() -> None:
    def size(**body: object) -> int:
        return count_input(json.dumps(body).encode())

    plain = size(input="x" * 400)
    assert plain >= 100
    assert size(input="x" * 400, instructions="x" * 400) > plain + 100
    items = [{"role": "user", "content": "x" * 400}, {"type": "function_call_output", "output": "x" * 400}]
    assert size(input=items) > plain + 100


def test_options_are_as_openai_has_them_by_default() -> None:
    response = ask_responses(b'{"model":"m","input":"hi"}')
    chat = ask_chat(b'{"model":"m","messages":[{"role":"user","content":"hi"}]}')
    assert not response.stream
    assert not chat.stream
    assert response.obfuscate
    assert chat.obfuscate
    assert not chat.include_usage
    assert response.max_tokens is None
    assert chat.max_tokens is None


def test_both_names_of_the_limit_of_a_completion_are_understood() -> None:
    for name in ("max_tokens", "max_completion_tokens"):
        assert ask_chat(json.dumps({"model": "m", "messages": [USER], name: 9}).encode()).max_tokens == 9

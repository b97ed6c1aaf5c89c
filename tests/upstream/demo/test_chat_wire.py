"""Tests of roomcast/upstream/demo/chat_wire.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from roomcast.upstream.demo.wire import Finish
from tests.upstream.demo.clients import text_of
from tests.upstream.demo.scenes import NONE, PIECES, parse, scene, sent

USAGE = {"stream_options": {"include_usage": True}}


def played(finish: Finish = Finish.STOP, options: Mapping[str, object] = NONE) -> list[dict[str, Any]]:
    return parse(sent(scene("chat", finish, options).play()))


def test_a_stream_is_role_text_reason_and_done() -> None:
    body = sent(scene("chat").play())
    assert body.endswith(b"data: [DONE]\n\n")
    first, *deltas, last = [event["choices"][0] for event in parse(body)]
    assert first["delta"] == {"role": "assistant", "content": "", "refusal": None}
    assert [choice["delta"] for choice in deltas] == [{"content": piece} for piece in PIECES]
    assert {choice["finish_reason"] for choice in (first, *deltas)} == {None}
    assert (last["delta"], last["finish_reason"]) == ({}, "stop")


def test_each_chunk_is_what_the_types_of_the_sdk_say() -> None:
    for event in played(options=USAGE):
        ChatCompletionChunk.model_validate(event, strict=True)


def test_chunks_share_their_id_and_no_two_answers_do() -> None:
    ids = [{event["id"] for event in played()} for _ in range(2)]
    assert len(ids[0]) == len(ids[1]) == 1
    assert ids[0] != ids[1]


def test_usage_comes_last_without_choices_and_only_if_asked_for() -> None:
    assert not any("usage" in event for event in played())
    *others, last = played(options=USAGE)
    assert {event["usage"] for event in others} == {None}
    assert last["choices"] == []
    assert last["usage"]["prompt_tokens"] == 5
    assert last["usage"]["completion_tokens"] == len(PIECES)
    assert last["usage"]["total_tokens"] == 5 + len(PIECES)
    assert last["usage"]["completion_tokens_details"]["reasoning_tokens"] == 0


@pytest.mark.parametrize("finish", [Finish.LENGTH, Finish.CONTENT_FILTER])
def test_an_answer_that_was_cut_off_says_so(finish: Finish) -> None:
    assert played(finish)[-1]["choices"][0]["finish_reason"] == finish


def test_padding_is_there_unless_it_was_refused() -> None:
    for event in played():
        content = event["choices"][0]["delta"].get("content", "")
        assert (len(content) + len(event["obfuscation"])) % 16 == 0
    assert not any(
        "obfuscation" in event for event in played(options={"stream_options": {"include_obfuscation": False}})
    )


def test_the_result_is_a_completion_with_the_same_text() -> None:
    stage = scene("chat")
    text = text_of(parse(sent(stage.play())))
    completion = ChatCompletion.model_validate(stage.answer.result(), strict=True)
    assert completion.choices[0].message.content == text
    assert completion.choices[0].finish_reason == "stop"
    assert completion.usage is not None
    assert completion.usage.completion_tokens == len(PIECES)

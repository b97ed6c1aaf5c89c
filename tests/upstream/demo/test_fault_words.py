"""Tests of roomcast/upstream/demo/fault_words.py, as the real client meets them."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from roomcast.upstream.demo.fault_words import WORDS
from roomcast.upstream.demo.faults import Fault, FaultKind
from tests.upstream.demo.clients import APIS, Demo, text_of, types_of
from tests.upstream.demo.scenes import parse, scene, sent

pytestmark = pytest.mark.anyio

ANY_EVENT: TypeAdapter[ResponseStreamEvent] = TypeAdapter(ResponseStreamEvent)
LEGAL = (FaultKind.REFUSAL, FaultKind.REASONING, FaultKind.TOOL_CALL)


@pytest.mark.parametrize("kind", [*LEGAL, FaultKind.FAILED, FaultKind.ERROR])
def test_what_a_model_may_do_is_what_the_types_of_the_sdk_say_responses(kind: FaultKind) -> None:
    events = parse(sent(WORDS[kind](Fault(kind), scene("responses"))))
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    for event in events:
        assert ANY_EVENT.validate_python(event, strict=True).type == event["type"]


@pytest.mark.parametrize("kind", LEGAL)
def test_what_a_model_may_do_is_what_the_types_of_the_sdk_say_chat(kind: FaultKind) -> None:
    for event in parse(sent(WORDS[kind](Fault(kind), scene("chat")))):
        ChatCompletionChunk.model_validate(event, strict=True)


async def test_an_error_in_mid_stream_is_an_event_of_responses(demo: Demo) -> None:
    events = await demo.stream("responses", "!fault error after_tokens=3 code=rate_limit_exceeded")
    assert text_of(events) == "*Simulated"
    assert (events[-1]["type"], events[-1]["code"]) == ("error", "rate_limit_exceeded")


async def test_an_error_in_mid_stream_is_raised_for_a_completion(demo: Demo) -> None:
    with pytest.raises(openai.APIError) as caught:
        await demo.stream("chat", "!fault error after_tokens=3 code=rate_limit_exceeded")
    assert caught.value.code == "rate_limit_exceeded"


async def test_a_response_may_fail_as_a_whole(demo: Demo) -> None:
    events = await demo.stream("responses", "!fault failed after_tokens=3")
    assert events[-1]["type"] == "response.failed"
    assert events[-1]["response"]["error"]["code"] == "server_error"
    assert (await demo.ask("responses", "!fault failed"))["status"] == "failed"


async def test_a_refusal_is_no_text(demo: Demo) -> None:
    events = await demo.stream("responses", "!fault refusal")
    assert text_of(events) == ""
    assert types_of(events)[2:-2] == [
        "response.output_item.added",
        "response.content_part.added",
        "response.refusal.delta",
        "response.refusal.done",
        "response.content_part.done",
    ]
    refusal = events[-1]["response"]["output"][0]["content"][0]
    assert refusal == {"type": "refusal", "refusal": "I am sorry, but I cannot help with that."}
    assert events[-1]["response"]["usage"]["output_tokens"] == 8

    chunks = await demo.stream("chat", "!fault refusal")
    assert text_of(chunks) == ""
    assert "".join(c["choices"][0]["delta"].get("refusal") or "" for c in chunks) == refusal["refusal"]
    assert (await demo.ask("chat", "!fault refusal"))["choices"][0]["message"]["refusal"] == refusal["refusal"]


async def test_reasoning_comes_first_as_an_item_of_its_own_and_counts(demo: Demo) -> None:
    events = await demo.stream("responses", "!fault reasoning\nshort")
    assert text_of(events) == text_of(await demo.stream("responses", "short"))
    response: dict[str, Any] = events[-1]["response"]
    assert [item["type"] for item in response["output"]] == ["reasoning", "message"]
    assert {event["output_index"] for event in events if event["type"] == "response.output_text.delta"} == {1}
    assert len({item["id"] for item in response["output"]}) == 2
    assert response["usage"]["output_tokens_details"]["reasoning_tokens"] > 0
    Response.model_validate(response, strict=True)


async def test_reasoning_of_other_servers_is_no_text_of_a_completion(demo: Demo) -> None:
    chunks = await demo.stream("chat", "!fault reasoning\nshort")
    assert text_of(chunks) == text_of(await demo.stream("chat", "short"))
    assert any("reasoning_content" in chunk["choices"][0]["delta"] for chunk in chunks if chunk["choices"])


async def test_a_call_of_a_function_comes_in_parts_that_add_up_to_json(demo: Demo) -> None:
    wanted = {"city": "Paris", "unit": "celsius"}
    events = await demo.stream("responses", "!fault tool_call")
    deltas = [event["delta"] for event in events if event["type"] == "response.function_call_arguments.delta"]
    assert len(deltas) > 1
    (item,) = events[-1]["response"]["output"]
    assert json.loads("".join(deltas)) == json.loads(item["arguments"]) == wanted
    assert events[-1]["type"] == "response.completed"

    chunks = await demo.stream("chat", "!fault tool_call")
    calls = [call for c in chunks for call in c["choices"][0]["delta"].get("tool_calls", [])]
    assert json.loads("".join(call["function"]["arguments"] for call in calls)) == wanted
    assert calls[0]["function"]["name"] == item["name"]
    assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"
    whole = ChatCompletion.model_validate(await demo.ask("chat", "!fault tool_call"))
    assert whole.choices[0].message.tool_calls


@pytest.mark.parametrize("api", APIS)
async def test_events_of_the_future_are_put_among_the_others(demo: Demo, api: str) -> None:
    events = await demo.stream(api, "!fault unknown_event after_tokens=3\nshort")
    assert any("mood" in event for event in events)
    assert text_of(events) == text_of(await demo.stream(api, "short"))


async def test_text_may_follow_the_end(demo: Demo) -> None:
    *_, terminal, late = await demo.stream("responses", "!fault after_finish after_tokens=3")
    assert terminal["type"] == "response.completed"
    assert (late["delta"], late["item_id"]) == (" too late", terminal["response"]["output"][0]["id"])
    *_, terminal, late = await demo.stream("chat", "!fault after_finish after_tokens=3")
    assert terminal["choices"][0]["finish_reason"] == "stop"
    assert late["choices"][0]["delta"] == {"content": " too late"}


def test_a_finish_reason_may_come_without_done() -> None:
    body = sent(WORDS[FaultKind.NO_DONE](Fault(FaultKind.NO_DONE), scene("chat")))
    assert b"[DONE]" not in body
    assert parse(body)[-1]["choices"][0]["finish_reason"] == "stop"


async def test_usage_may_come_in_mid_stream_without_choices(demo: Demo) -> None:
    chunks = await demo.stream("chat", "!fault usage_only after_tokens=3\nshort")
    (odd,) = [at for at, chunk in enumerate(chunks) if not chunk["choices"]]
    assert chunks[odd]["usage"]["total_tokens"] == 2
    assert odd < len(chunks) - 1


async def test_a_delta_may_be_null_and_so_may_its_content(demo: Demo) -> None:
    chunks = await demo.stream("chat", "!fault null_delta after_tokens=3\nshort")
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert None in deltas
    assert {"content": None} in deltas
    assert text_of(chunks) == text_of(await demo.stream("chat", "short"))


async def test_a_second_choice_may_run_beside_the_first(demo: Demo) -> None:
    chunks = await demo.stream("chat", "!fault two_choices\nshort")
    second = "".join(c["choices"][1]["delta"]["content"] for c in chunks if len(c["choices"]) == 2)
    assert second == text_of(chunks).upper()

"""Tests of roomcast/upstream/demo/server.py: the whole of it, through the real client in both its ways."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import anyio
import httpx2
import openai
import pytest
from openai import AsyncOpenAI

from roomcast.upstream.demo import DemoSettings, Fault, FaultKind, serve_demo
from roomcast.upstream.demo.script import reply
from tests.upstream.demo.clients import APIS, FAST, Demo, running, text_of

pytestmark = pytest.mark.anyio

QUESTION = "How does resume work?"
SLOW = replace(FAST, first_token_ms=10, tokens_per_second=5)


# --- the typed client -------------------------------------------------------------------------------------------------


async def test_the_typed_client_reads_a_stream_of_responses(demo: Demo) -> None:
    async with await demo.client.responses.create(model="any", input=QUESTION, stream=True) as stream:
        events = [event async for event in stream]
    assert "".join(e.delta for e in events if e.type == "response.output_text.delta") == reply(QUESTION, seed=0)
    last = events[-1]
    assert last.type == "response.completed"
    assert last.response.output_text == reply(QUESTION, seed=0)


async def test_the_helper_of_the_typed_client_reads_a_stream_of_responses(demo: Demo) -> None:
    async with demo.client.responses.stream(model="any", input=QUESTION) as stream:
        assert (await stream.get_final_response()).output_text == reply(QUESTION, seed=0)


async def test_the_typed_client_reads_a_whole_response(demo: Demo) -> None:
    response = await demo.client.responses.create(model="any", input=QUESTION)
    assert response.output_text == reply(QUESTION, seed=0)
    assert response.status == "completed"
    assert response.model == "roomcast-demo"


async def test_the_typed_client_reads_a_stream_of_completions(demo: Demo) -> None:
    async with await demo.client.chat.completions.create(
        model="any",
        messages=[{"role": "user", "content": QUESTION}],
        stream=True,
        stream_options={"include_usage": True},
    ) as stream:
        chunks = [chunk async for chunk in stream]
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == reply(QUESTION, seed=0)
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].usage is not None


async def test_the_typed_client_reads_a_whole_completion(demo: Demo) -> None:
    completion = await demo.client.chat.completions.create(
        model="any", messages=[{"role": "user", "content": QUESTION}]
    )
    assert completion.choices[0].message.content == reply(QUESTION, seed=0)
    assert completion.choices[0].finish_reason == "stop"


async def test_the_one_model_is_listed_and_can_be_looked_up(demo: Demo) -> None:
    assert [model.id async for model in demo.client.models.list()] == ["roomcast-demo"]
    assert (await demo.client.models.retrieve("roomcast-demo")).owned_by == "roomcast"
    with pytest.raises(openai.NotFoundError) as caught:
        await demo.client.models.retrieve("gpt")
    assert caught.value.code == "model_not_found"


async def test_counting_the_input_gives_what_the_usage_will_say(demo: Demo) -> None:
    counted = await demo.client.responses.input_tokens.count(model="any", input=QUESTION, instructions="be kind")
    response = await demo.client.responses.create(model="any", input=QUESTION, instructions="be kind")
    assert response.usage is not None
    assert counted.input_tokens == response.usage.input_tokens > 0


# --- what is said -----------------------------------------------------------------------------------------------------


def pieces(events: list[dict[str, object]]) -> list[str]:
    return [piece for event in events if (piece := text_of([event]))]


@pytest.mark.parametrize("api", APIS)
async def test_the_seed_and_the_prompt_decide_the_text_and_its_pieces(api: str) -> None:
    async with running() as one, running() as same, running(replace(FAST, seed=1)) as other:
        first = pieces(await one.stream(api, QUESTION))
        assert pieces(await one.stream(api, QUESTION)) == first
        assert pieces(await same.stream(api, QUESTION)) == first
        differing = pieces(await other.stream(api, QUESTION))
    assert differing != first
    assert "".join(differing) == "".join(first)


async def test_both_apis_and_both_forms_say_the_same(demo: Demo) -> None:
    response, completion = await demo.ask("responses", QUESTION), await demo.ask("chat", QUESTION)
    texts = {
        text_of(await demo.stream("responses", QUESTION)),
        text_of(await demo.stream("chat", QUESTION)),
        response["output"][0]["content"][0]["text"],
        completion["choices"][0]["message"]["content"],
    }
    assert texts == {reply(QUESTION, seed=0)}


@pytest.mark.parametrize("prompt", ["emoji", "right to left", "table", "python", "tell me a long story"])
async def test_each_kind_of_text_survives_the_wire(demo: Demo, prompt: str) -> None:
    assert text_of(await demo.stream("responses", prompt)) == reply(prompt, seed=0)


async def test_the_usage_counts_the_pieces_that_were_sent(demo: Demo) -> None:
    events = await demo.stream("responses", QUESTION)
    assert events[-1]["response"]["usage"]["output_tokens"] == len(pieces(events))
    chunks = await demo.stream("chat", QUESTION, stream_options={"include_usage": True})
    assert chunks[-1]["usage"]["completion_tokens"] == len(pieces(chunks))


async def test_a_limit_of_tokens_is_kept_and_named(demo: Demo) -> None:
    events = await demo.stream("responses", QUESTION, max_output_tokens=7)
    assert len(pieces(events)) == 7
    assert events[-1]["response"]["incomplete_details"] == {"reason": "max_output_tokens"}
    for name in ("max_completion_tokens", "max_tokens"):
        chunks = await demo.stream("chat", QUESTION, **{name: 7})
        assert len(pieces(chunks)) == 7
        assert chunks[-1]["choices"][0]["finish_reason"] == "length"


async def test_a_limit_that_is_not_reached_changes_nothing(demo: Demo) -> None:
    whole = pieces(await demo.stream("responses", QUESTION))
    events = await demo.stream("responses", QUESTION, max_output_tokens=len(whole))
    assert pieces(events) == whole
    assert events[-1]["type"] == "response.completed"


async def test_a_directive_is_an_ordinary_prompt_unless_faults_are_on() -> None:
    async with running(replace(FAST, faults=False)) as demo:
        assert "!fault 500" in text_of(await demo.stream("responses", "!fault 500"))


async def test_an_injected_fault_strikes_without_a_directive(demo: Demo) -> None:
    demo.server.inject(Fault(FaultKind.STATUS, status=503))
    with pytest.raises(openai.InternalServerError):
        await demo.ask("chat", QUESTION)
    assert await demo.ask("chat", QUESTION)


# --- HTTP -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("POST", "/v1/nothing", 404, None),
        ("POST", "/responses", 404, None),
        ("GET", "/v1/responses", 405, "method_not_supported"),
        ("DELETE", "/v1/models/roomcast-demo", 405, "method_not_supported"),
        ("POST", "/v1/responses", 400, None),
        ("POST", "/v1/chat/completions", 400, None),
    ],
)
async def test_a_request_that_cannot_be_served_gets_the_envelope(
    demo: Demo, method: str, path: str, status: int, code: str | None
) -> None:
    url = httpx2.URL(demo.server.base_url).copy_with(path=path)
    async with httpx2.AsyncClient(verify=False, headers={"authorization": "Bearer any"}) as http:
        response = await http.request(method, url, content=b"no json")
    assert response.status_code == status
    error = response.json()["error"]
    assert (error["type"], error["code"]) == ("invalid_request_error", code)
    assert set(error) == {"message", "type", "param", "code"}


@pytest.mark.parametrize(("key", "passes"), [("right", True), ("wrong", False)])
async def test_a_key_that_was_set_must_be_given(key: str, passes: bool) -> None:
    async with running(replace(FAST, api_key="right")) as demo:
        client = demo.client.with_options(api_key=key)
        if passes:
            assert (await client.models.retrieve("roomcast-demo")).id == "roomcast-demo"
        else:
            with pytest.raises(openai.AuthenticationError) as caught:
                await client.models.retrieve("roomcast-demo")
            assert caught.value.code == "invalid_api_key"


async def test_without_any_key_nothing_is_said(demo: Demo) -> None:
    async with httpx2.AsyncClient(verify=False) as http:
        assert (await http.get(f"{demo.server.base_url}/models")).status_code == 401


async def test_every_reply_has_its_own_id_and_the_label_simulated(demo: Demo) -> None:
    headers = [
        (await demo.client.models.with_raw_response.list()).headers,
        (await demo.client.responses.with_raw_response.create(model="any", input="short")).headers,
        (await demo.client.responses.with_raw_response.create(model="any", input="short", stream=True)).headers,
    ]
    assert len({header["x-request-id"] for header in headers}) == 3
    assert {header["x-roomcast-simulated"] for header in headers} == {"true"}
    assert headers[2]["content-type"] == "text/event-stream; charset=utf-8"


async def test_requests_are_kept_for_tests_that_ask_for_it(demo: Demo) -> None:
    await demo.ask("responses", QUESTION, metadata={"a": "b"})
    (request,) = demo.server.seen
    assert (request.method, request.path) == ("POST", "/v1/responses")
    assert request.headers["authorization"] == f"Bearer {demo.server.api_key}"
    assert json.loads(request.body)["metadata"] == {"a": "b"}
    assert demo.server.requests == 1


async def test_nothing_is_kept_by_default() -> None:
    async with running(DemoSettings(first_token_ms=0, tokens_per_second=math.inf)) as demo:
        await demo.ask("responses", QUESTION)
        assert demo.server.requests == 1
        assert demo.server.seen == ()


# --- time -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("api", APIS)
async def test_closing_a_stream_is_noticed_long_before_it_would_have_ended(api: str) -> None:
    async with running(SLOW) as demo:
        stream = await demo.open(api, "tell me a long story")
        await anext(aiter(stream))
        assert demo.server.open_streams == 1
        with anyio.fail_after(30):  # the answer goes on for longer
            await stream.close()
            await demo.server.until(lambda: demo.server.aborted == 1)
        assert (demo.server.open_streams, demo.server.finished) == (0, 0)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("api", APIS)
async def test_cancelling_the_reader_is_noticed_long_before_it_would_have_ended(api: str, stream: bool) -> None:
    async with running(SLOW) as demo:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(demo.stream if stream else demo.ask, api, "tell me a long story")
            await demo.server.until(lambda: demo.server.open_streams == 1)
            tasks.cancel_scope.cancel()
        with anyio.fail_after(30):  # the answer goes on for longer
            await demo.server.until(lambda: demo.server.aborted == 1)


async def test_a_stream_that_was_read_to_its_end_is_finished_and_not_aborted(demo: Demo) -> None:
    for api in APIS:
        await demo.stream(api, QUESTION)
    await demo.server.until(lambda: demo.server.open_streams == 0)
    assert (demo.server.finished, demo.server.aborted) == (2, 0)


async def test_text_comes_at_the_pace_that_was_set() -> None:
    settings = replace(FAST, first_token_ms=100, tokens_per_second=200, jitter=0)
    async with running(settings) as demo:
        started = anyio.current_time()
        arrivals = [
            anyio.current_time() - started
            async for event in demo.events("responses", QUESTION, max_output_tokens=40)
            if text_of([event])
        ]
    assert arrivals[0] >= 0.09
    assert arrivals[-1] >= 0.09 + 39 / 200
    assert arrivals[-1] < 30, "seconds, and not as many as there are pieces"


async def test_an_answer_in_one_piece_takes_as_long_as_a_stream() -> None:
    async with running(replace(FAST, first_token_ms=100, tokens_per_second=1_000, jitter=0)) as demo:
        started = anyio.current_time()
        await demo.ask("chat", QUESTION, max_tokens=50)
        assert anyio.current_time() - started >= 0.14


async def test_many_answers_run_side_by_side(demo: Demo) -> None:
    async with anyio.create_task_group() as tasks:
        for at in range(20):
            tasks.start_soon(demo.stream, APIS[at % 2], "short")
    await demo.server.until(lambda: demo.server.finished == 20)


async def test_leaving_the_block_ends_answers_at_once_and_frees_the_port() -> None:
    async with (
        serve_demo(SLOW) as server,
        AsyncOpenAI(base_url=server.base_url, api_key="any", max_retries=0) as client,
    ):
        port = int(server.base_url.split(":")[2].removesuffix("/v1"))
        stream = await client.responses.create(model="any", input="tell me a long story", stream=True)
        left = anyio.current_time()
    assert anyio.current_time() - left < 30, "the answer goes on for longer"
    await stream.close()
    async with serve_demo(replace(SLOW, port=port)) as again:
        assert again.base_url == f"http://127.0.0.1:{port}/v1"


async def test_what_is_raised_in_the_block_comes_out_as_it_is() -> None:
    with pytest.raises(LookupError):
        async with serve_demo(FAST):
            raise LookupError

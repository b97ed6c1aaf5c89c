"""Tests of roomcast/upstream/demo/fault_streams.py, as the real client meets them."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise

import anyio
import httpx2
import openai
import pytest

from roomcast.upstream.demo.fault_replies import reply
from roomcast.upstream.demo.fault_streams import disturbed
from roomcast.upstream.demo.faults import CHAT_ONLY, RESPONSES_ONLY, Fault, FaultKind
from roomcast.upstream.demo.steps import Send
from tests.upstream.demo.clients import APIS, Demo, Event, running, text_of
from tests.upstream.demo.scenes import PIECES, scene, sent

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("api", APIS)]


async def until_it_breaks(demo: Demo, api: str, prompt: str) -> tuple[str, type[Exception] | None]:
    """Return the text that came, and what ended it, if not the end of the stream."""
    events: list[Event] = []
    try:
        async for event in demo.events(api, prompt):
            events.append(event)  # noqa: PERF401 - what came before the exception counts
    except (openai.APIError, ValueError) as error:
        return text_of(events), type(error)
    return text_of(events), None


def ended(events: list[Event]) -> bool:
    """Whether the model itself said that it was done."""
    return any(
        event.get("type") == "response.completed" or any(choice["finish_reason"] for choice in event.get("choices", []))
        for event in events
    )


async def test_a_cut_is_an_error_of_the_connection_after_the_text(demo: Demo, api: str) -> None:
    text, error = await until_it_breaks(demo, api, "!fault cut after_tokens=3")
    assert (text, error) == ("*Simulated", openai.APIConnectionError)


async def test_a_truncation_is_an_error_of_the_connection_in_mid_event(demo: Demo, api: str) -> None:
    text, error = await until_it_breaks(demo, api, "!fault truncate after_tokens=3")
    assert (text, error) == ("*Simulated", openai.APIConnectionError)


@pytest.mark.parametrize("fault", ["cut", "truncate", "eof"])
async def test_breaking_before_the_first_token_leaves_no_text(demo: Demo, api: str, fault: str) -> None:
    text, _ = await until_it_breaks(demo, api, f"!fault {fault} after_tokens=0")
    assert text == ""


async def test_an_eof_looks_like_a_normal_end_but_for_the_missing_reason(demo: Demo, api: str) -> None:
    """Finding 4: the client reports this as a normal end."""
    events = await demo.stream(api, "!fault eof after_tokens=3")
    assert text_of(events) == "*Simulated"
    assert not ended(events)


async def test_done_alone_is_no_reason_either(demo: Demo, api: str) -> None:
    events = await demo.stream(api, "!fault done_only after_tokens=3")
    assert text_of(events) == "*Simulated"
    assert not ended(events)


@pytest.mark.parametrize(("fault", "text"), [("silence after_tokens=3", "*Simulated"), ("silence after_tokens=0", "")])
async def test_silence_keeps_the_connection_open_until_the_client_leaves(
    demo: Demo, api: str, fault: str, text: str
) -> None:
    events: list[Event] = []
    with anyio.CancelScope() as patience:
        async for event in demo.events(api, f"!fault {fault}"):
            events.append(event)
            if text_of(events) == text:
                patience.deadline = anyio.current_time() + 0.1
    assert patience.cancelled_caught
    assert events
    assert text_of(events) == text
    await demo.server.until(lambda: demo.server.aborted == 1)


async def test_a_mute_upstream_sends_not_even_a_head(demo: Demo, api: str) -> None:
    with anyio.CancelScope() as patience:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(demo.open, api, "!fault mute")
            await demo.server.until(lambda: demo.server.open_streams == 1)
            patience.deadline = anyio.current_time() + 0.1
    assert patience.cancelled_caught
    await demo.server.until(lambda: demo.server.aborted == 1)


async def test_a_heartbeat_is_on_the_wire_and_not_among_the_events(demo: Demo, api: str) -> None:
    text, error = await until_it_breaks(demo, api, "!fault heartbeat after_tokens=3 every_ms=1 count=5")
    assert (text, error) == ("*Simulated", None)
    assert sent(disturbed(Fault(FaultKind.HEARTBEAT, count=5), scene(api))).count(b": keep-alive\n\n") == 5


async def test_a_stall_is_a_pause_in_the_middle_and_nothing_is_missing(demo: Demo, api: str) -> None:
    started = anyio.current_time()
    events = await demo.stream(api, "!fault stall after_tokens=3 for_ms=100\nshort")
    assert anyio.current_time() - started >= 0.09
    assert text_of(events) == text_of(await demo.stream(api, "short"))


async def test_a_drip_goes_on_for_ever(demo: Demo, api: str) -> None:
    seen = 0
    async for event in demo.events(api, "!fault drip every_ms=0\nshort"):
        seen += bool(text_of([event]))
        if seen == 1_000:
            break
    assert seen == 1_000


async def test_a_drip_of_so_many_tokens_ends_well(demo: Demo, api: str) -> None:
    events = await demo.stream(api, "!fault drip every_ms=1 count=5")
    assert text_of(events) == "*Simulated answer of"
    assert ended(events)


async def test_one_event_of_many_may_be_no_json(demo: Demo, api: str) -> None:
    """Finding 5: the client raises `json.JSONDecodeError`, which is no error of its own."""
    text, error = await until_it_breaks(demo, api, "!fault malformed after_tokens=3")
    assert (text, error) == ("*Simulated", json.JSONDecodeError)


async def test_half_an_emoji_arrives_and_then_the_other_half(demo: Demo, api: str) -> None:
    deltas = [text_of([event]) for event in await demo.stream(api, "!fault split_emoji after_tokens=3")]
    at = deltas.index("\ud83c")
    assert deltas[at + 1] == "\udf89"
    assert "".join(deltas[:at]) == "*Simulated"


async def test_half_an_emoji_arrives_alone(demo: Demo, api: str) -> None:
    text = text_of(await demo.stream(api, "!fault lone_surrogate after_tokens=3"))
    assert text.startswith("*Simulated\ud83c answer")


@pytest.mark.parametrize(("fault", "raw"), [("split_emoji", r"\ud83c\udf89"), ("lone_surrogate", r"\ud83c")])
async def test_an_answer_in_one_piece_can_have_half_an_emoji_too(demo: Demo, api: str, fault: str, raw: str) -> None:
    answer = await demo.ask(api, f"!fault {fault} after_tokens=3")
    assert f"*Simulated{raw} answer" in json.dumps(answer)


async def test_a_delta_may_come_twice_with_the_same_number(demo: Demo, api: str) -> None:
    events = await demo.stream(api, "!fault duplicate after_tokens=3\nshort")
    twins = [first for first, second in pairwise(events) if first == second]
    assert [text_of([twin]) for twin in twins] == ["again "]
    assert ended(events)


async def test_a_delta_may_be_huge(demo: Demo, api: str) -> None:
    events = await demo.stream(api, "!fault huge_delta size_bytes=1000000\nshort")
    assert max(len(text_of([event])) for event in events) == 1_000_000
    assert ended(events)


async def test_a_line_may_be_endless(demo: Demo, api: str) -> None:
    body = sent(disturbed(Fault(FaultKind.ENDLESS_LINE, size_bytes=1_000_000), scene(api)))
    assert body.rpartition(b"\n")[2] == b"data: " + b"x" * 1_000_000
    text, error = await until_it_breaks(demo, api, "!fault endless_line size_bytes=1000000")
    assert (text, error) == ("*Simulated", None)


async def test_a_small_body_may_unpack_to_a_large_one(demo: Demo, api: str) -> None:
    packed = sent(disturbed(Fault(FaultKind.GZIP_BOMB, size_bytes=1_000_000), scene(api)))
    assert len(packed) < 10_000
    stream = await demo.open(api, "!fault gzip_bomb size_bytes=1000000")
    assert len(await stream.response.aread()) == len(b"data: ") + 1_000_000
    await stream.close()


@pytest.mark.parametrize("fault", ["bytewise", "odd_sse"])
async def test_other_legal_forms_of_the_same_stream_have_the_same_text(demo: Demo, api: str, fault: str) -> None:
    events = await demo.stream(api, f"!fault {fault}\nemoji")
    assert text_of(events) == text_of(await demo.stream(api, "emoji"))
    assert ended(events)


async def test_bytewise_cuts_inside_of_characters(api: str) -> None:
    stage = replace(scene(api), pieces=("é", "🎉"))
    chunks = [step.payload for step in disturbed(Fault(FaultKind.BYTEWISE), stage) if isinstance(step, Send)]
    assert {bytes([byte]) for byte in "🎉".encode()} <= set(chunks)
    assert not any(b"\n" in chunk and len(chunk) > 1 for chunk in chunks)


async def test_odd_sse_has_a_byte_order_mark_and_all_three_line_ends(api: str) -> None:
    body = sent(disturbed(Fault(FaultKind.ODD_SSE), scene(api)))
    assert body.startswith(b"\xef\xbb\xbf:")
    assert body.count(b"\r\n") > 3
    assert body.replace(b"\r\n", b"").count(b"\r") > 3
    assert body.replace(b"\r\n", b"").count(b"\n") > 3


async def test_one_json_object_may_come_where_a_stream_was_asked_for(demo: Demo, api: str) -> None:
    stream = await demo.open(api, "!fault json\nshort")
    assert stream.response.headers["content-type"] == "application/json"
    answer = json.loads(await stream.response.aread())
    await stream.close()
    assert answer["object"] == ("response" if api == "responses" else "chat.completion")


async def test_a_filter_ends_the_answer_with_its_reason(demo: Demo, api: str) -> None:
    events = await demo.stream(api, "!fault content_filter after_tokens=3")
    assert text_of(events) == "*Simulated"
    if api == "responses":
        assert events[-1]["type"] == "response.incomplete"
        assert events[-1]["response"]["incomplete_details"] == {"reason": "content_filter"}
    else:
        assert events[-1]["choices"][0]["finish_reason"] == "content_filter"


@pytest.mark.parametrize("kind", [kind for kind in FaultKind if reply(Fault(kind)) is None])
async def test_every_kind_of_fault_is_played_somehow(api: str, kind: FaultKind) -> None:
    if kind in (RESPONSES_ONLY if api == "chat" else CHAT_ONLY):
        return
    fault = Fault(kind, after_tokens=1, count=2, size_bytes=10)
    undisturbed = [type(step) for step in scene(api).play()]
    steps = list(disturbed(fault, scene(api)))
    assert [type(step) for step in steps] != undisturbed or sent(steps) != sent(scene(api).play())


async def test_after_any_fault_the_next_prompt_is_answered(api: str) -> None:
    async with running() as demo:
        for kind in (FaultKind.CUT, FaultKind.TRUNCATE, FaultKind.EOF, FaultKind.MALFORMED, FaultKind.ERROR):
            await until_it_breaks(demo, api, f"!fault {kind} after_tokens={len(PIECES)}")
            assert ended(await demo.stream(api, "short"))
        await demo.server.until(lambda: demo.server.open_streams == 0)
        assert demo.server.ledger.broken == 0


async def test_the_client_meets_a_reset_and_not_a_close(demo: Demo, api: str) -> None:
    with pytest.raises(openai.APIConnectionError) as caught:
        await demo.stream(api, "!fault cut after_tokens=3")
    assert isinstance(caught.value.__cause__, httpx2.ReadError)
    with pytest.raises(openai.APIConnectionError) as caught:
        await demo.stream(api, "!fault truncate after_tokens=3")
    assert isinstance(caught.value.__cause__, httpx2.RemoteProtocolError)

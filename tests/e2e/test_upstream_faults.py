"""A model service that misbehaves (U1 to U20), seen from the room: the documented ending, its text, and no more."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import KEY, WORDS, Bench
from tests.e2e.outcomes import Make, deltas, opening, outcome, said, verdict
from tests.support.hostile_upstream import (
    CLOSE,
    END,
    HANG,
    RESET,
    Bytes,
    Flood,
    Pause,
    Script,
    Step,
    respond,
    stream,
)
from tests.support.model_streams import chat_chunk, chat_stream, responses_stream, sse, text_stream
from tests.support.wire_client import Heard

pytestmark = pytest.mark.anyio


# ---- the table -------------------------------------------------------------------------------


def error_event(api: str, code: str) -> bytes:
    if api == "responses":
        return sse({"type": "error", "code": code, "message": WORDS, "param": None, "sequence_number": 9})
    return sse({"error": {"code": code, "type": code, "message": WORDS}})


def unknown_events(api: str) -> list[bytes]:
    whole = text_stream(api, "before ", "after")
    unknown = {"type": "response.mood.updated", "mood": "curious"} if api == "responses" else {"object": "mood"}
    return [*whole[:-6], sse(unknown), *whole[-6:]]


def two_choices(api: str) -> list[bytes]:
    """A second choice beside the first, where there can be one."""
    if api == "responses":
        return text_stream(api, "first")
    second = {"index": 1, "delta": {"content": "never"}, "finish_reason": None}
    return [chat_chunk({"content": "first"}), chat_chunk(choices=[second]), chat_chunk({}, "stop"), sse("[DONE]")]


def whole_answer(api: str) -> dict[str, object]:
    """An answer in one piece, though a stream was asked for."""
    if api == "chat_completions":
        message = {"role": "assistant", "content": "in one piece"}
        return {
            "id": "chatcmpl-theirs",
            "model": "gpt-theirs",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        }
    part: Heard = {"type": "output_text", "text": "in one piece", "annotations": []}
    item: Heard = {"id": "msg_theirs", "type": "message", "role": "assistant", "status": "completed", "content": [part]}
    return {"id": "resp_theirs", "object": "response", "status": "completed", "model": "gpt-theirs", "output": [item]}


def finished_then(api: str, *steps: Step) -> Script:
    """A whole answer whose connection then goes on."""
    return stream(*text_stream(api, "one ", "two"), *steps, end=False)


FAULTS: dict[str, tuple[Make, str, str]] = {
    # instead of an answer
    "U1 429, come back in an hour": (
        lambda _: respond(429, {"error": {"message": WORDS}}, headers={"retry-after": "3600"}),
        "failed upstream_rate_limited",
        "",
    ),
    "U2 500": (lambda _: respond(500, {"error": {"message": WORDS}}), "failed upstream_unavailable", ""),
    "U2 502 with a page": (
        lambda _: respond(502, WORDS.encode(), content_type="text/html"),
        "failed upstream_unavailable",
        "",
    ),
    "U3 401": (lambda _: respond(401, {"error": {"message": f"{WORDS} {KEY}"}}), "failed upstream_rejected", ""),
    "U3 404": (lambda _: respond(404, {"error": {"message": WORDS}}), "failed upstream_rejected", ""),
    "context too large": (
        lambda _: respond(400, {"error": {"code": "context_length_exceeded", "message": WORDS}}),
        "failed context_too_large",
        "",
    ),
    "U11 a page with status 200": (
        lambda _: respond(200, f"<html>{WORDS}</html>".encode(), content_type="text/html"),
        "failed upstream_bad_response",
        "",
    ),
    "U11 an empty body": (
        lambda _: respond(200, content_type="text/event-stream"),
        "failed upstream_bad_response",
        "",
    ),
    "U11 an empty stream": (lambda _: stream(), "failed upstream_bad_response", ""),
    "U17 a redirect": (lambda _: respond(307, headers={"location": "/v1/elsewhere"}), "failed upstream_rejected", ""),
    "no HTTP": (lambda _: [Bytes(b"SSH-2.0-theirs\r\n\r\n"), CLOSE], "failed upstream_bad_response", ""),
    # the connection
    "U7 reset": (
        lambda api: stream(*said(api, "one ", "two "), Pause(0.1), RESET),
        "failed upstream_disconnected",
        "one two ",
    ),
    "U7 closed": (
        lambda api: stream(*said(api, "one ", "two "), CLOSE),
        "failed upstream_disconnected",
        "one two ",
    ),
    "U7 closed in the middle of a chunk": (
        lambda api: stream(*said(api, "one "), Bytes(b"400\r\ndata: {"), CLOSE),
        "failed upstream_disconnected",
        "one ",
    ),
    "U8 an end without a finish": (
        lambda api: stream(*said(api, "one ", "two ")),
        "incomplete upstream_eof",
        "one two ",
    ),
    "U9 nothing but the mark of the end": (
        lambda api: stream(*said(api, "one "), sse("[DONE]")),
        "incomplete upstream_eof",
        "one ",
    ),
    "U9 a finish, and silence": (lambda api: finished_then(api, HANG), "completed", "one two"),
    "U9 a finish, and a reset": (lambda api: finished_then(api, Pause(0.1), RESET), "completed", "one two"),
    # the events
    "U10 no JSON": (
        lambda api: stream(*said(api, "one "), b"data: {no json\n\n"),
        "failed upstream_bad_response",
        "one ",
    ),
    "U10 an error of the server": (
        lambda api: stream(*said(api, "one "), error_event(api, "server_error")),
        "failed upstream_unavailable",
        "one ",
    ),
    "U10 an error of the request": (
        lambda api: stream(*said(api, "one "), error_event(api, "invalid_prompt")),
        "failed upstream_rejected",
        "one ",
    ),
    "U12 unknown events": (lambda api: stream(*unknown_events(api)), "completed", "before after"),
    "U12 two choices": (lambda api: stream(*two_choices(api)), "completed", "first"),
    "U12 text behind the finish": (
        lambda api: finished_then(api, *deltas(api, "late", 3), END),
        "completed",
        "one two",
    ),
    "U13 a split emoji": (lambda api: stream(*text_stream(api, "A\ud83d", "\ude00B")), "completed", "A😀B"),
    "U13 half an emoji": (lambda api: stream(*text_stream(api, "A\ud83d", "B")), "completed", "A\ufffdB"),
    "U14 a line without end": (
        lambda api: stream(*said(api, "one "), Flood(b"x" * 65_536, most_bytes=200_000_000)),
        "failed upstream_bad_response",
        "one ",
    ),
    "U20 comments, and other line ends": (
        lambda api: stream(b": hello\r\n\r\n", *[it.replace(b"\n", b"\r\n") for it in text_stream(api, "one")]),
        "completed",
        "one",
    ),
    "an answer in one piece": (lambda api: respond(200, whole_answer(api)), "completed", "in one piece"),
    # what the model does
    "no more tokens": (
        lambda api: stream(
            *(
                chat_stream("one", finish="length")
                if api == "chat_completions"
                else responses_stream("one", finish="incomplete", incomplete_details={"reason": "max_output_tokens"})
            )
        ),
        "incomplete max_output_tokens",
        "one",
    ),
    "a filter": (
        lambda api: stream(
            *(
                chat_stream("one", finish="content_filter")
                if api == "chat_completions"
                else responses_stream("one", finish="incomplete", incomplete_details={"reason": "content_filter"})
            )
        ),
        "incomplete content_filter",
        "one",
    ),
}


SILENCES: dict[str, tuple[Make, str]] = {
    "U5 silence from the start": (lambda _: [HANG], ""),
    "U5 silence behind the head": (lambda _: stream(HANG), ""),
    "U6 silence after some text": (lambda api: stream(*said(api, "one ", "two "), HANG), "one two "),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_each_fault_ends_as_documented_keeps_its_text_and_harms_nothing_else(bench: Bench, fault: str) -> None:
    make, expected, expected_text = FAULTS[fault]
    async with bench.room() as (ann, bob):
        done, text = await outcome(bench, ann, bob, make(bench.api))
        assert (verdict(done), text) == (expected, expected_text)


@pytest.mark.parametrize("silence", SILENCES)
async def test_silence_ends_at_its_limit_and_keeps_the_text(hasty: Bench, silence: str) -> None:
    make, expected_text = SILENCES[silence]
    async with hasty.room() as (ann, bob):
        done, text = await outcome(hasty, ann, bob, make(hasty.api))
        assert (verdict(done), text) == ("failed upstream_timeout", expected_text)


async def test_U15_a_drip_ends_when_its_time_is_over(hasty: Bench) -> None:
    drip = [step for delta in deltas(hasty.api, "drip ", 40) for step in (delta, Pause(0.4))]
    async with hasty.room() as (ann, bob):
        done, text = await outcome(hasty, ann, bob, stream(*opening(hasty.api), *drip))
        assert verdict(done) == "incomplete time_limit"
        assert text == "drip " * (len(text) // 5) != ""


async def test_U14_text_beyond_what_a_room_may_hold_is_cut_there(bench: Bench) -> None:
    async with bench.room() as (ann, bob):
        huge = "x" * 200_000
        done, text = await outcome(bench, ann, bob, stream(*text_stream(bench.api, huge, huge, huge, huge)))
        assert verdict(done) == "incomplete output_limit"
        assert 400_000 < len(text) <= 512 * 1024
        assert set(text) == {"x"}

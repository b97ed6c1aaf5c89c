"""What the model service is asked, how often, and how soon it is left alone (U1, U2, U4, U18, U19, I10, X3)."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.e2e.conftest import Bench
from tests.e2e.outcomes import HUNG_UP_MS
from tests.support.hostile_upstream import HANG, RESET, Flood, Pause, Request, Script, respond, stream
from tests.support.model_streams import sse, text_stream
from tests.support.raw_peer import RawPeer
from tests.support.server import roomcast_server
from tests.support.unharmed import assert_unharmed

pytestmark = pytest.mark.anyio


def asked_for(bench: Bench, request: Request) -> list[tuple[str, str]]:
    """Role and text of everything in a request, instructions left out."""
    body = request.json
    items: list[dict[str, Any]] = body["input"] if bench.api == "responses" else body["messages"]
    said: list[tuple[str, str]] = []
    for item in items:
        if item["role"] not in {"system", "developer"}:
            content = item["content"]
            said.append(
                (item["role"], content if isinstance(content, str) else "".join(part["text"] for part in content))
            )
    return said


async def test_I10_the_model_service_sees_the_configured_key_and_model_and_this_rooms_talk(bench: Bench) -> None:
    bench.upstream.script(stream(*text_stream(bench.api, "Yes.")))
    first = len(bench.upstream.requests)
    async with bench.room("secrets") as (ann, _):
        await ann.ask("secrets", "the password is swordfish", respond="never")
    async with bench.room("talk") as (ann, bob):
        await ann.ending((await ann.ask("talk", "one?"))["response_id"])
        await bob.ending((await bob.ask("talk", "two?"))["response_id"])
    requests = bench.upstream.requests[first:]
    assert [asked_for(bench, request) for request in requests] == [
        [("user", "one?")],
        [("user", "one?"), ("assistant", "Yes."), ("user", "two?")],
    ]
    for request in requests:
        assert request.headers["authorization"] == f"Bearer {bench.key}"
        assert request.json["model"] == "gpt-6-luna"
        assert request.json["stream"] is True
        assert request.path == ("/v1/responses" if bench.api == "responses" else "/v1/chat/completions")


FOREIGN: dict[str, Any] = {
    "model": "gpt-expensive",
    "base_url": "http://127.0.0.1:9/v1",
    "api_key": "sk-theirs",
    "extra_headers": {"x": "y"},
    "tools": [{"type": "web_search"}],
    "stream": False,
    "store": True,
    "input": [{"role": "user", "content": [{"type": "input_image", "image_url": "http://169.254.169.254/"}]}],
    "previous_response_id": "resp_somebody",
}


@pytest.mark.parametrize("field", FOREIGN)
async def test_I10_what_a_client_may_not_choose_is_refused_and_never_asked(bench: Bench, field: str) -> None:
    first = len(bench.upstream.requests)
    async with bench.room("choosy") as (ann, _):
        chosen = {"input": "hello", field: FOREIGN[field]}
        refused = await ann.command("response.create", room="choosy", **chosen)
        assert refused["error"]["code"] in {"unknown_field", "invalid_value", "not_supported"}, refused
        assert refused["error"]["param"].partition("[")[0] == field
    assert bench.upstream.requests[first:] == []


# ---- again -----------------------------------------------------------------------------------


async def test_U1_a_short_wait_is_waited_out_and_the_answer_comes(bench: Bench) -> None:
    first = len(bench.upstream.requests)
    bench.upstream.script(
        respond(429, {"error": {"message": bench.words}}, headers={"retry-after-ms": "100"}),
        stream(*text_stream(bench.api, "At last.")),
    )
    async with bench.room() as (ann, bob):
        asked = await ann.ask("lobby", "please")
        done = await bob.ending(asked["response_id"])
        assert (done["type"], bob.text(asked["response_id"])) == ("response.completed", "At last.")
    one, two = bench.upstream.requests[first:]
    assert two.at - one.at >= 0.1


async def test_U2_a_service_that_fails_is_asked_three_times_at_most(bench: Bench) -> None:
    first = len(bench.upstream.requests)
    bench.upstream.script(respond(500, headers={"retry-after-ms": "10"}))
    async with bench.room() as (ann, _):
        asked = await ann.ask("lobby", "please")
        assert (await ann.ending(asked["response_id"]))["type"] == "response.failed"
    assert 1 <= len(bench.upstream.requests[first:]) <= 3


@pytest.mark.parametrize("end", ["without a finish", "reset", "server_error"])
async def test_after_output_nothing_is_asked_again(bench: Bench, end: str) -> None:
    first = len(bench.upstream.requests)
    begun = text_stream(bench.api, "one ", finished=False)
    error = sse({"type": "error", "code": end} if bench.api == "responses" else {"error": {"code": end}})
    endings: dict[str, Script] = {
        "without a finish": stream(*begun),
        "reset": stream(*begun, Pause(0.1), RESET),
        "server_error": stream(*begun, error),
    }
    bench.upstream.script(endings[end])
    async with bench.room() as (ann, bob):
        asked = await ann.ask("lobby", "please")
        done = await bob.ending(asked["response_id"])
        assert done["type"] in {"response.incomplete", "response.failed"}
        assert bob.text(asked["response_id"]) == "one "
    assert len(bench.upstream.requests[first:]) == 1


async def test_U4_a_service_that_is_not_there_is_unavailable_and_the_room_goes_on(tmp_path: Path) -> None:
    nobody = {"OPENAI_BASE_URL": "http://127.0.0.1:1/v1", "OPENAI_API_KEY": "sk-canary-key-0123456789"}
    with roomcast_server(tmp_path, environ=nobody) as server:
        with RawPeer.upgraded(server.port, member="ann") as ann:
            ann.reply("room.join", room="lobby")
            for _ in range(2):
                asked = ann.reply("message.create", room="lobby", content="please")["result"]
                failed = ann.until_type("response.failed", response_id=asked["response_id"])
                assert failed["response"]["error"]["code"] == "upstream_unavailable"
        assert_unharmed(server)


# ---- leaving ---------------------------------------------------------------------------------


def endless(api: str) -> dict[str, Script]:
    """Answers that do not end by themselves."""
    begun = text_stream(api, "one ", "two ", finished=False)
    [more] = text_stream(api, "more", finished=False)[-1:]
    return {
        "before the head": [HANG],
        "before any output": stream(HANG),
        "after some output": stream(*begun, HANG),
        "in a flood": stream(*begun, Flood(more, most_bytes=200_000_000)),
    }


@pytest.mark.parametrize("moment", ["before the head", "before any output", "after some output", "in a flood"])
async def test_U18_a_cancel_ends_the_upstream_connection_within_a_second(bench: Bench, moment: str) -> None:
    bench.upstream.script(endless(bench.api)[moment])
    first = len(bench.upstream.requests)
    async with bench.room() as (ann, bob):
        asked = await ann.ask("lobby", "please")
        request = await bench.upstream.asked(first + 1)
        if not moment.startswith("before"):
            await bob.until(lambda _: bool(bob.text(asked["response_id"])))
        cancelled = await bob.command("response.cancel", room="lobby")
        told_at = time.monotonic()
        assert cancelled["result"] == {"response_id": asked["response_id"], "status": "cancelling"}
        with anyio.fail_after(60):
            await request.hung_up.wait()
        assert request.hung_up_at is not None
        assert request.hung_up_at - told_at <= HUNG_UP_MS / 1_000
        done = await ann.ending(asked["response_id"])
        assert done == await bob.ending(asked["response_id"])
        assert (done["type"], done["receipt"]["by"]["id"]) == ("response.cancelled", "bob")
        assert done["receipt"]["upstream_closed_ms"] <= HUNG_UP_MS
        assert done["response"]["usage"]["source"] == "estimated"
        kinds = [got["type"] for got in ann.events("lobby") if got.get("response_id") == asked["response_id"]]
        assert kinds[kinds.index("response.cancelling") :] == ["response.cancelling", "response.cancelled"]


async def test_U18_a_cancel_while_it_waits_to_ask_again_asks_no_more(bench: Bench) -> None:
    first = len(bench.upstream.requests)
    bench.upstream.script(
        respond(429, headers={"retry-after-ms": "20000"}), stream(*text_stream(bench.api, "too late"))
    )
    async with bench.room() as (ann, _):
        asked = await ann.ask("lobby", "please")
        await bench.upstream.asked(first + 1)
        stopped = await ann.command("response.cancel", room="lobby")
        assert stopped["result"]["status"] == "cancelling"
        done = await ann.ending(asked["response_id"], timeout_s=15)
        assert (done["type"], ann.text(asked["response_id"])) == ("response.cancelled", "")
        again = await ann.ask("lobby", "and now?")  # the second script is still to come
        await ann.ending(again["response_id"])
        assert ann.text(again["response_id"]) == "too late"
    assert len(bench.upstream.requests[first:]) == 2


async def test_U19_an_answer_goes_on_when_everybody_has_left(bench: Bench) -> None:
    begun = text_stream(bench.api, "All ", "alone.")
    bench.upstream.script(stream(*begun[:-4], Pause(0.3), *begun[-4:]))
    async with bench.room("empty") as (ann, _):
        response_id = (await ann.ask("empty", "please"))["response_id"]
    async with bench.room("empty") as (ann, _):
        joined = await ann.join("empty")
        shown = {response["id"]: response for response in joined["snapshot"]["responses"]}
        if shown[response_id]["status"] != "completed":
            assert (await ann.ending(response_id))["type"] == "response.completed"
        listed = await ann.command("history.list", room="empty", limit=1)
        assert listed["result"]["items"][0]["content"][0]["text"] == "All alone."

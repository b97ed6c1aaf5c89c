"""Tests of roomcast/upstream/connection.py, through the real client and real sockets.

Letters are the ids of the fault catalogue.
"""

from __future__ import annotations

import asyncio
import gzip
import socket
import time
import traceback
from dataclasses import replace

import anyio
import pytest

from roomcast.core.errors import UpstreamError
from roomcast.core.ports import UpstreamRequest
from roomcast.core.settings import Secret, UpstreamSettings
from roomcast.upstream.connection import ERROR_BODY_BYTES, ModelService
from tests.support.hostile_upstream import (
    CLOSE,
    HANG,
    RESET,
    Bytes,
    Chunk,
    Flood,
    HostileUpstream,
    Script,
    head,
    respond,
    stream,
)
from tests.support.model_streams import chat_stream, responses_stream, text_stream
from tests.support.upstream_calls import A_PROMPT, APIS, adapter_for, ask

pytestmark = pytest.mark.anyio

CANARY = "sk-canary-key-and-prompt"
SOON_S = 15
"""Upper bound of what happens at once, on a machine that is busy or stalls; what does not would take for ever."""


async def error_of(script: Script) -> UpstreamError:
    """The error that a room would hear of, when the model service does this."""
    async with HostileUpstream() as upstream, adapter_for(upstream.base_url) as adapter:
        upstream.script(script)
        call = await ask(adapter)
        assert len(upstream.requests) == 1, "one request, no retry"
    assert call.events == []
    assert call.error is not None
    return call.error


@pytest.mark.parametrize(
    ("wait", "retry_after_ms"),
    [("1", 1_000), ("3600", 3_600_000), ("0.5", 500), ("soon", None), ("", None), ("-1", None), ("nan", None)],
)
async def test_u1_a_429_says_how_long_to_wait(wait: str, retry_after_ms: int | None) -> None:
    error = await error_of(respond(429, headers={"retry-after": wait}))
    assert (error.code, error.retryable, error.status) == ("upstream_rate_limited", True, 429)
    assert error.retry_after_ms == retry_after_ms


async def test_u1_a_429_for_want_of_credit_is_not_worth_a_retry() -> None:
    error = await error_of(respond(429, {"error": {"code": "insufficient_quota", "message": "billing"}}))
    assert (error.code, error.retryable) == ("upstream_rate_limited", False)


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(respond(500), id="empty"),
        pytest.param(respond(502, b"<html>Bad Gateway</html>", content_type="text/html"), id="HTML"),
        pytest.param(respond(503, headers={"retry-after": "2"}), id="with Retry-After"),
        pytest.param(respond(500, {"error": {"code": "context_length_exceeded"}}), id="another reason in the body"),
        pytest.param(respond(529, {"error": {"type": "rate_limit"}}), id="an unusual status"),
    ],
)
async def test_u2_a_5xx_is_unavailable_whatever_its_body_says(script: Script) -> None:
    error = await error_of(script)
    assert (error.code, error.retryable) == ("upstream_unavailable", True)


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 405, 406, 408, 409, 413, 422, 451])
async def test_u3_other_4xx_are_rejected_and_only_408_and_409_may_be_tried_again(status: int) -> None:
    error = await error_of(respond(status, {"error": {"message": CANARY, "code": "invalid_api_key"}}))
    assert (error.code, error.retryable, error.status) == ("upstream_rejected", status in (408, 409), status)


async def test_the_upstreams_own_advice_on_retries_counts() -> None:
    assert not (await error_of(respond(503, headers={"x-should-retry": "false"}))).retryable
    assert (await error_of(respond(400, headers={"x-should-retry": "true"}))).retryable


@pytest.mark.parametrize(
    "error",
    [
        {"code": "context_length_exceeded", "message": "too long"},
        {"message": "This model's maximum context length is 8192 tokens", "type": "BadRequestError", "code": 400},
        {"code": 400, "type": "exceed_context_size_error", "message": "request exceeds the available context size"},
        {"type": "invalid_request_error", "message": "prompt is too long: 210000 tokens > 200000 maximum"},
    ],
)
async def test_too_long_a_conversation_has_a_code_of_its_own(error: dict[str, object]) -> None:
    assert (await error_of(respond(400, {"error": error}))).code == "context_too_large"


@pytest.mark.parametrize("status", [400, 429, 500])
@pytest.mark.parametrize("script", [HANG, RESET, CLOSE, Flood(b"x" * 65_536, most_bytes=100_000_000)])
async def test_an_errors_body_is_neither_waited_for_nor_held(
    status: int, script: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("roomcast.upstream.connection.ERROR_BODY_S", 0.05)
    async with HostileUpstream() as upstream, adapter_for(upstream.base_url) as adapter:
        upstream.script([head(status, {"transfer-encoding": "chunked", "retry-after": "1"}), script])  # type: ignore[list-item]  # parametrised
        call = await ask(adapter)
        assert call.error is not None
        assert (call.error.status, call.error.retry_after_ms) == (status, 1_000)
        await asyncio.wait_for(upstream.requests[0].hung_up.wait(), 30)
        assert upstream.requests[0].sent_bytes < 50 * ERROR_BODY_BYTES


async def test_u4_a_refused_connection_is_unavailable() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        async with adapter_for(f"http://127.0.0.1:{unused.getsockname()[1]}/v1") as adapter:
            call = await ask(adapter)
    assert call.error is not None
    assert (call.error.code, call.error.retryable) == ("upstream_unavailable", True)


async def test_u4_a_name_without_an_address_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, f"no such name, said with {CANARY}")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    async with adapter_for("http://model.invalid/v1") as adapter:
        call = await ask(adapter)
    assert call.error is not None
    assert (call.error.code, call.error.retryable) == ("upstream_unavailable", True)


async def test_u4_a_peer_without_tls_is_unavailable() -> None:
    def plain(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 This is plain HTTP\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(plain, "127.0.0.1", 0)
    async with server, adapter_for(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1") as adapter:
        call = await ask(adapter)
    assert call.error is not None
    assert (call.error.code, call.error.retryable) == ("upstream_unavailable", True)


async def test_u4_a_peer_that_does_not_accept_is_unavailable_after_the_connect_timeout() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        blocked = [socket.socket() for _ in range(4)]
        try:
            for it in blocked:  # fill the queue of connections that nobody accepts
                it.setblocking(False)
                it.connect_ex(full.getsockname())
            service = ModelService(
                replace(UpstreamSettings(), connect_timeout_s=0.1),
                base_url=f"http://127.0.0.1:{full.getsockname()[1]}/v1",
                api_key=None,
                direct=True,
                max_connections=1,
            )
            with pytest.raises(UpstreamError) as caught:
                async with service.ask("responses", {}):
                    pass
            await service.close()
        finally:
            for it in blocked:
                it.close()
    assert (caught.value.code, caught.value.retryable) == ("upstream_unavailable", True)


@pytest.mark.parametrize("ending", [CLOSE, RESET])
async def test_a_connection_lost_before_the_answer_may_be_tried_again(ending: object) -> None:
    error = await error_of([ending])  # type: ignore[list-item]  # parametrised
    assert (error.code, error.retryable) == ("upstream_disconnected", True)


async def test_what_is_not_http_is_a_bad_response() -> None:
    error = await error_of([Bytes(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), CLOSE])
    assert (error.code, error.retryable) == ("upstream_bad_response", False)


async def test_an_address_or_a_key_that_cannot_be_used_is_rejected() -> None:
    async with HostileUpstream() as upstream:
        for base_url, key in [("ftp://127.0.0.1/v1", CANARY), (upstream.base_url, "ключ"), (upstream.base_url, "a\nb")]:
            async with adapter_for(base_url, key=key) as adapter:
                call = await ask(adapter)
            assert call.error is not None
            assert (call.error.code, call.error.retryable) == ("upstream_rejected", False)
        assert upstream.requests == []


async def test_u16_a_packed_answer_is_refused_and_never_unpacked() -> None:
    bomb = gzip.compress(b"data: " + b" " * 50_000_000)
    async with HostileUpstream() as upstream, adapter_for(upstream.base_url) as adapter:
        for status, code in ((200, "upstream_bad_response"), (400, "upstream_rejected"), (503, "upstream_unavailable")):
            upstream.script(respond(status, bomb, headers={"content-encoding": "gzip"}))
            call = await ask(adapter)
            assert call.error is not None
            assert call.error.code == code
            assert ("packed" in call.error.message) == (status == 200)
        assert upstream.requests[0].headers["accept-encoding"] == "identity"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_u17_a_redirect_is_not_followed(status: int) -> None:
    async with HostileUpstream() as other, HostileUpstream() as upstream, adapter_for(upstream.base_url) as adapter:
        upstream.script(respond(status, headers={"location": f"{other.base_url}/responses"}))
        call = await ask(adapter)
        assert call.error is not None
        assert (call.error.code, call.error.retryable) == ("upstream_rejected", False)
        assert (other.connections, len(upstream.requests)) == (0, 1)


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("said", [0, 2])
async def test_u18_leaving_hangs_up_at_once_although_the_peer_hangs(api: str, said: int) -> None:
    async with HostileUpstream() as upstream, adapter_for(upstream.base_url, api) as adapter:
        upstream.script(stream(*text_stream(api, *["Hel", "lo"][:said], finished=False), HANG))
        async with adapter.open(UpstreamRequest("resp_1", "a-model", [A_PROMPT])) as pieces:
            if said:
                while (await anext(pieces))["type"] != "response.output_text.delta":  # type: ignore[index]  # no Finish here
                    pass
            left_at = time.monotonic()
        request = upstream.requests[0]
        await asyncio.wait_for(request.hung_up.wait(), 30)
        assert request.hung_up_at is not None
        assert request.hung_up_at - left_at < SOON_S


@pytest.mark.parametrize("waits", ["for the head", "for the first piece", "for the next piece", "for an error's body"])
async def test_u18_cancelling_hangs_up_wherever_it_waits(waits: str) -> None:
    async with HostileUpstream() as upstream, adapter_for(upstream.base_url) as adapter:
        scripts: dict[str, Script] = {
            "for the head": [HANG],
            "for the first piece": stream(HANG),
            "for the next piece": stream(*responses_stream("Hel", finish=None), HANG),
            "for an error's body": [head(500, {"content-length": "10"}), HANG],
        }
        upstream.script(scripts[waits])
        scope = anyio.CancelScope()

        async def ask_in_scope() -> None:
            with scope:
                await ask(adapter)

        asking = asyncio.create_task(ask_in_scope())
        request = await upstream.asked()
        await anyio.wait_all_tasks_blocked()
        cancelled_at = time.monotonic()
        scope.cancel()
        await asking
        await asyncio.wait_for(request.hung_up.wait(), 30)
        assert request.hung_up_at is not None
        assert request.hung_up_at - cancelled_at < SOON_S
        # The place in the pool is free again.
        upstream.script(stream(*responses_stream("Hi")))
        assert (await ask(adapter)).text == "Hi"


async def test_u18_hanging_up_while_the_peer_floods_or_does_not_read_is_at_once() -> None:
    async with HostileUpstream() as upstream, adapter_for(upstream.base_url) as adapter:
        upstream.script(stream(*responses_stream("a", finish=None), Flood(b": x\n" * 1_000, most_bytes=1 << 40)))
        async with adapter.open(UpstreamRequest("resp_1", "a-model", [A_PROMPT])) as pieces:
            await anext(pieces)
        await asyncio.wait_for(upstream.requests[0].hung_up.wait(), 30)


@pytest.mark.parametrize("api", APIS)
async def test_a_complete_answer_leaves_its_connection_to_the_next(api: str) -> None:
    async with HostileUpstream() as upstream, adapter_for(upstream.base_url, api) as adapter:
        upstream.script(stream(*text_stream(api, "Hi")))
        for _ in range(3):
            call = await ask(adapter)
            assert (call.text, call.error) == ("Hi", None)
        assert (upstream.connections, len(upstream.requests)) == (1, 3)


async def test_a_complete_answer_that_does_not_end_holds_nobody_up() -> None:
    async with HostileUpstream() as upstream, adapter_for(upstream.base_url) as adapter:
        upstream.script(stream(*responses_stream("Hi"), HANG))
        started = time.monotonic()
        assert (await ask(adapter)).finish is not None
        assert time.monotonic() - started < SOON_S
        await asyncio.wait_for(upstream.requests[0].hung_up.wait(), 30)


async def test_closing_ends_a_generation_that_still_runs() -> None:
    async with HostileUpstream() as upstream, adapter_for(upstream.base_url) as adapter:
        upstream.script(stream(*responses_stream("a", finish=None), HANG))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask, adapter)
            request = await upstream.asked()
            await adapter.close()
            await asyncio.wait_for(request.hung_up.wait(), 30)
            tasks.cancel_scope.cancel()


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(respond(401, {"error": {"message": f"Incorrect API key provided: {CANARY}"}}), id="401"),
        pytest.param(respond(500, {"error": CANARY}), id="500"),
        pytest.param(respond(200, {"error": {"message": CANARY}}), id="an error with status 200"),
        pytest.param(stream(b'data: {"type":"error","message":"' + CANARY.encode() + b'"}\n\n'), id="in the stream"),
        pytest.param(stream(b'data: {"broken": ' + CANARY.encode() + b"\n\n"), id="broken JSON"),
        pytest.param([Bytes(CANARY.encode() + b"\r\n\r\n"), CLOSE], id="no HTTP"),
        pytest.param(stream(Chunk(b": hello\n\n"), RESET), id="reset"),
    ],
)
async def test_no_text_address_or_key_of_the_upstream_is_in_an_error(script: Script) -> None:
    async with HostileUpstream() as upstream, adapter_for(upstream.base_url, key=CANARY) as adapter:
        upstream.script(script)
        call = await ask(adapter)
        assert call.error is not None
        printed = "".join(traceback.format_exception(call.error)) + str(vars(call.error))
        assert CANARY not in printed
        assert str(upstream.port) not in printed
        assert f"Bearer {CANARY}" == upstream.requests[0].headers["authorization"], "the canary was sent"


async def test_a_service_without_a_key_is_asked_all_the_same() -> None:
    async with HostileUpstream() as upstream:
        upstream.script(stream(*chat_stream("Hi")))
        service = ModelService(
            UpstreamSettings(organization="org_1", project="proj_1"),
            base_url=upstream.base_url,
            api_key=None,
            direct=True,
            max_connections=1,
        )
        async with service.ask("chat/completions", {"model": "half a pair \ud83c"}) as reply:
            assert b"Hi" in b"".join([chunk async for chunk in reply.chunks])
        await service.close()
        request = upstream.requests[0]
        assert (request.method, request.path) == ("POST", "/v1/chat/completions")
        assert request.headers["openai-organization"] == "org_1"
        assert request.headers["openai-project"] == "proj_1"
        assert request.headers["content-type"] == "application/json"
        assert request.json == {"model": "half a pair \ufffd"}
        assert service.host == "127.0.0.1"


async def test_a_key_may_come_from_a_file_that_ends_in_a_newline() -> None:
    async with HostileUpstream() as upstream, adapter_for(upstream.base_url, key=f"{CANARY}\n") as adapter:
        upstream.script(stream(*responses_stream("Hi")))
        assert (await ask(adapter)).text == "Hi"
        assert upstream.requests[0].headers["authorization"] == f"Bearer {CANARY}"


async def test_a_proxy_of_the_environment_is_used_unless_the_service_is_direct(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with HostileUpstream() as proxy:
        proxy.script(respond(407))
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
        for direct, asked in ((True, 0), (False, 1)):
            service = ModelService(
                UpstreamSettings(),
                base_url="http://127.0.0.1:9/v1",
                api_key=Secret("sk-1"),
                direct=direct,
                max_connections=1,
            )
            with pytest.raises(UpstreamError):
                async with service.ask("responses", {}):
                    pass
            await service.close()
            assert proxy.connections == asked

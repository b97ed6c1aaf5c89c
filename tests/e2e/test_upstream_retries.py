"""A model service that does not answer at first, or not at all (U1 to U5, U17): how often it is asked, and when."""

from __future__ import annotations

import asyncio
from pathlib import Path

import anyio
import pytest

from tests.e2e.conftest import KEY, Bench
from tests.e2e.outcomes import outcome, verdict
from tests.support.hostile_upstream import CLOSE, HANG, RESET, Bytes, HostileUpstream, Script, respond, stream
from tests.support.model_streams import text_stream
from tests.support.server import roomcast_server
from tests.support.unharmed import assert_unharmed, log_lines, metric
from tests.support.wire_client import wire_client

pytestmark = pytest.mark.anyio


async def tries(bench: Bench, *scripts: Script) -> tuple[str, list[float]]:
    """How one prompt ended, and how many seconds after the first each try came; what follows the scripts is fine."""
    first = len(bench.upstream.requests)
    bench.upstream.script(*scripts, stream(*text_stream(bench.api, "At last.")))
    async with bench.room() as (ann, bob):
        asked = await ann.ask("lobby", "please")
        done = await bob.ending(asked["response_id"])
        assert await ann.ending(asked["response_id"]) == done
        assert ann.text(asked["response_id"]) == ("At last." if verdict(done) == "completed" else "")
    requests = bench.upstream.requests[first:]
    assert len({request.body for request in requests}) == 1, "each try asks the same"
    return verdict(done), [request.at - requests[0].at for request in requests]


# ---- again -----------------------------------------------------------------------------------


async def test_U1_what_the_service_asks_us_to_wait_is_waited_out(bench: Bench) -> None:
    second, milliseconds = {"retry-after": "1"}, {"retry-after-ms": "1100", "retry-after": "60"}
    ended, at = await tries(bench, respond(429, headers=second), respond(503, headers=milliseconds))
    assert (ended, len(at)) == ("completed", 3)
    assert at[1] >= 1
    assert at[2] - at[1] >= 1.1


@pytest.mark.parametrize("wait", ["soon", "", "-1", "nan", "Thu, 01 Jan 1970 00:00:00 GMT"])
async def test_U1_a_wait_that_is_none_is_ours_to_choose(bench: Bench, wait: str) -> None:
    ended, at = await tries(bench, respond(429, headers={"retry-after": wait}))
    assert (ended, len(at)) == ("completed", 2)


@pytest.mark.parametrize(
    "headers",
    [{"retry-after": "3600"}, {"retry-after-ms": "3600000"}, {"retry-after": "Sun, 01 Jan 2090 00:00:00 GMT"}],
)
async def test_U1_a_wait_beyond_the_deadline_is_not_begun(bench: Bench, headers: dict[str, str]) -> None:
    ended, at = await tries(bench, respond(429, headers=headers))
    assert (ended, len(at)) == ("failed upstream_rate_limited", 1)


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504, 529])
async def test_U2_what_may_pass_is_asked_again_until_it_has_passed(bench: Bench, status: int) -> None:
    ended, at = await tries(bench, respond(status, b"<html>busy</html>", content_type="text/html"))
    assert (ended, len(at)) == ("completed", 2)


@pytest.mark.parametrize("end", [CLOSE, RESET], ids=["closed", "reset"])
async def test_U4_a_connection_that_is_lost_before_the_answer_is_made_again(bench: Bench, end: Bytes) -> None:
    ended, at = await tries(bench, [end])
    assert (ended, len(at)) == ("completed", 2)


@pytest.mark.parametrize(
    ("status", "code"), [(408, "rejected"), (409, "rejected"), (429, "rate_limited"), (503, "unavailable")]
)
async def test_U2_three_tries_are_all_and_each_is_counted(bench: Bench, status: int, code: str) -> None:
    name = f'roomcast_upstream_errors_total{{code="upstream_{code}"}}'
    before = await anyio.to_thread.run_sync(metric, bench.server, name)
    ended, at = await tries(bench, *[respond(status)] * 3)
    assert (ended, len(at)) == (f"failed upstream_{code}", 3)
    assert await anyio.to_thread.run_sync(metric, bench.server, name) - before == 3
    failed = [line for line in log_lines(bench.server) if line["event"] == "generation_failed"][-1]
    assert (failed["status"], failed["tries"]) == (status, 3)


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 405, 413, 422, 451])
async def test_U3_what_will_not_pass_is_asked_once(bench: Bench, status: int) -> None:
    ended, at = await tries(bench, respond(status, {"error": {"message": f"{bench.words} {bench.key}"}}))
    assert (ended, len(at)) == ("failed upstream_rejected", 1)


# ---- not there -------------------------------------------------------------------------------


async def test_U4_a_service_that_speaks_no_tls_is_unavailable_and_the_room_goes_on(tmp_path: Path) -> None:
    def plain(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 This is plain HTTP\r\n\r\n")
        writer.close()

    service = await asyncio.start_server(plain, "127.0.0.1", 0)
    port = service.sockets[0].getsockname()[1]
    environ = {"OPENAI_BASE_URL": f"https://127.0.0.1:{port}/v1", "OPENAI_API_KEY": KEY}
    async with service:
        with roomcast_server(tmp_path, environ=environ) as server:
            async with anyio.create_task_group() as tasks, wire_client(server.ws_url, tasks, member="ann") as ann:
                await ann.join("lobby")
                done = await ann.ending((await ann.ask("lobby", "please"))["response_id"])
                assert verdict(done) == "failed upstream_unavailable"
                assert (await ann.command("history.list", room="lobby"))["ok"]
                tasks.cancel_scope.cancel()
            await anyio.to_thread.run_sync(assert_unharmed, server)


async def test_U17_a_redirect_to_another_host_is_not_followed(bench: Bench) -> None:
    async with HostileUpstream() as other, bench.room() as (ann, bob):
        elsewhere = respond(307, headers={"location": f"{other.base_url}/responses"})
        done, text = await outcome(bench, ann, bob, elsewhere)
        assert (verdict(done), text) == ("failed upstream_rejected", "")
        assert other.connections == 0


# ---- slow ------------------------------------------------------------------------------------


async def test_U5_while_nothing_comes_viewers_are_told_that_the_room_is_there(tmp_path: Path) -> None:
    environ = {
        "OPENAI_API_KEY": KEY,
        "ROOMCAST_UPSTREAM__FIRST_OUTPUT_TIMEOUT_S": "10",
        "ROOMCAST_LIMITS__HEAD_INTERVAL_S": "1.5",
    }
    async with HostileUpstream() as upstream:
        upstream.script([HANG])
        with roomcast_server(tmp_path, environ={**environ, "OPENAI_BASE_URL": upstream.base_url}) as server:
            async with anyio.create_task_group() as tasks, wire_client(server.ws_url, tasks, member="ann") as ann:
                await ann.join("lobby")
                asked = await ann.ask("lobby", "please")
                done = await ann.ending(asked["response_id"])
                assert verdict(done) == "failed upstream_timeout"
                kinds = [got["type"] for got in ann.heard]
                begun, ended = kinds.index("response.in_progress"), kinds.index("response.failed")
                beacons = [got for got in ann.heard[begun:ended] if got["type"] == "room.head"]
                assert beacons
                assert {got["seq"] for got in beacons} == {ann.heard[begun]["seq"]}
                tasks.cancel_scope.cancel()

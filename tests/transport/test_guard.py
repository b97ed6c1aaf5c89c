"""Tests of roomcast/transport/guard.py. The letters are those of the fault catalogue."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

import pytest
import structlog

from roomcast.core.limits import Limits
from tests.transport.serving import Served, serving

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
async def served(anyio_backend: str) -> AsyncIterator[Served]:
    async with serving() as running:
        yield running


async def answer_to(served: Served, *lines: str, host: bool = True) -> tuple[int, str]:
    """Send a request as it stands; returns the status, and everything until the server closes."""
    sock = await served.raw(lines[0], *([f"Host: {served.host}"] if host else []), "Connection: close", *lines[1:], "")
    with sock:
        text = await sock.read_all()
    return int(text.split(" ", 2)[1]), text


@pytest.mark.parametrize("path", ["/livez", "/v1/rooms", "/nope", "/", "/assets/app.js", "/v1/rooms/lobby/events?x=1"])
async def test_every_answer_keeps_to_itself(served: Served, path: str) -> None:
    got = await served.http.get(path)
    assert got.headers["x-content-type-options"] == "nosniff"
    assert got.headers["referrer-policy"] == "no-referrer"
    assert "server" not in got.headers


@pytest.mark.parametrize("path", ["/livez", "/v1/rooms", "/v1/rooms/none"])
async def test_answers_of_the_interface_are_not_stored(served: Served, path: str) -> None:
    assert (await served.http.get(path)).headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", ["/v1/rooms", "/v1/rooms/lobby/events", "/", "/metrics"])
async def test_a_foreign_host_gets_nothing(served: Served, path: str) -> None:
    status, text = await answer_to(served, f"GET {path} HTTP/1.1", "Host: evil.example", host=False)
    assert (status, '"code":"forbidden"' in text) == (403, True)


@pytest.mark.parametrize(
    "origin", ["null", "http://evil.example", "http://127.0.0.1", "https://127.0.0.1.evil.example"]
)
async def test_a1_a_foreign_page_cannot_change_anything(served: Served, origin: str) -> None:
    body = {"type": "message.create", "id": "c1", "content": "x"}
    got = await served.http.post("/v1/rooms/attacked/commands", json=body, headers={"origin": origin})
    assert (got.status_code, got.json()["error"]["code"]) == (403, "forbidden")
    assert (await served.http.get("/v1/rooms/attacked")).status_code == 404


async def test_a1_our_own_page_may(served: Served) -> None:
    body = {"type": "message.create", "id": "c1", "content": "x", "respond": "never"}
    got = await served.http.post("/v1/rooms/own/commands", json=body, headers={"origin": f"http://{served.host}"})
    assert got.status_code == 200


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (["GET /livez HTTP/1.1", *(f"x-{n}: 1" for n in range(200))], 431),
        (["GET /livez HTTP/1.1", "x: " + "y" * 9_000], 431),
        (["GET /" + "p" * 9_000 + " HTTP/1.1"], 414),
        (["GET /livez?q=" + "p" * 9_000 + " HTTP/1.1"], 414),
    ],
)
async def test_w8_a_head_out_of_bounds_is_refused(served: Served, lines: list[str], status: int) -> None:
    assert (await answer_to(served, *lines))[0] == status


@pytest.mark.parametrize(
    "sent", [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(40), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"]
)
async def test_w9_what_is_not_http_is_closed_with_a_line_and_no_traceback(
    served: Served, sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    sock = await served.raw()
    with sock, caplog.at_level(logging.WARNING):
        await sock.send(sent)
        assert "Traceback" not in await sock.read_all()
    assert len(caplog.records) <= 1
    assert all(record.exc_info is None for record in caplog.records)


async def test_w9_http_1_0_is_answered(served: Served) -> None:
    assert (await answer_to(served, "GET /livez HTTP/1.0"))[0] == 200


async def test_a_body_that_nobody_reads_does_not_hold_its_connection(served: Served) -> None:
    """A foreign page announces a large body, and sends none of it: it is answered, and the socket is freed."""
    lines = ["POST /v1/rooms/x/commands HTTP/1.1", "Origin: http://evil.example", "Content-Length: 9000000"]
    sock = await served.raw(lines[0], f"Host: {served.host}", *lines[1:], "")
    with sock:
        text = await sock.read_all()
    assert text.startswith("HTTP/1.1 403")
    assert "connection: close" in text.lower()


async def test_an_answer_arrives_though_its_body_is_still_coming(served: Served) -> None:
    """Closing a socket with unread bytes resets it, and the answer is lost with it."""
    size = 900_000
    lines = ["POST /v1/rooms/x/commands HTTP/1.1", "Content-Type: application/json", f"Content-Length: {size}"]
    sock = await served.raw(lines[0], f"Host: {served.host}", *lines[1:], "")
    with sock:
        await sock.send(b"x" * size)
        assert (await sock.read_all()).startswith("HTTP/1.1 413")


async def test_a_fault_of_ours_is_told_as_internal_and_logged_without_its_words() -> None:
    async with serving() as served:

        async def broken(*_: object) -> object:
            raise RuntimeError("quotes what somebody sent: canary")

        served.hub.cards = broken  # type: ignore[method-assign,assignment]  # a bug, planted
        with structlog.testing.capture_logs() as logs:
            got = await served.http.get("/v1/rooms?after=canary")
        assert (got.status_code, got.json()["error"]["code"]) == (500, "internal")
        (line,) = logs
        assert (line["event"], line["error"]) == ("request_crashed", "RuntimeError")
        assert "canary" not in str(line)
        assert (await served.http.get("/livez")).status_code == 200


async def test_w11_slow_bodies_are_cut() -> None:
    async with serving(limits=Limits(handshake_timeout_s=0.2)) as served:
        body = ["POST /v1/rooms/x/commands HTTP/1.1", f"Host: {served.host}", "Content-Type: application/json"]
        sock = await served.raw(*body, "Content-Length: 10", "")
        with sock:
            text = await sock.read_all()
        assert text.startswith("HTTP/1.1 400")
        assert '"code":"invalid_json"' in text

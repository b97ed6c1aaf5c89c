"""Tests of roomcast/upstream/demo/http.py, with bytes on a real socket, on both event loops."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager, suppress

import anyio
import pytest
import structlog.testing
from anyio.abc import SocketAttribute, SocketStream

from roomcast.upstream.demo.http import Connection
from roomcast.upstream.demo.ledger import Ledger
from roomcast.upstream.demo.steps import HOLD, Cut, Pause, Performance, Reply, Request, Send, Step

pytestmark = pytest.mark.anyio

Respond = Callable[[Request], Reply | Performance]


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": request.param}


def echo(request: Request) -> Reply:
    return Reply(200, f"{request.method} {request.path} {request.body.decode()}".encode())


def playing(*steps: Step) -> Respond:
    return lambda _: Performance(iter(steps), (("content-type", "text/plain"),))


class Peer:
    """A server with one way to respond, and a bare socket to it."""

    def __init__(self, respond: Respond = echo) -> None:
        self.respond = respond
        self.ledger = Ledger(keep=0)
        self.stream: SocketStream

    @asynccontextmanager
    async def connected(self) -> AsyncGenerator[Peer]:
        async def serve(stream: SocketStream) -> None:
            await Connection(stream, respond=self.respond, ledger=self.ledger).serve()

        with anyio.fail_after(120):
            async with (
                await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
                anyio.create_task_group() as tasks,
            ):
                tasks.start_soon(listener.serve, serve, tasks)
                port = listener.extra(SocketAttribute.local_port)
                async with await anyio.connect_tcp("127.0.0.1", port) as self.stream:
                    yield self
                tasks.cancel_scope.cancel()

    async def send(self, text: str) -> None:
        await self.stream.send(text.replace("\n", "\r\n").encode())

    async def read_until(self, end: bytes) -> bytes:
        data = b""
        while end not in data:
            data += await self.stream.receive()
        return data

    async def read_all(self) -> bytes:
        data = b""
        while True:
            try:
                data += await self.stream.receive()
            except anyio.EndOfStream:
                return data


async def test_requests_on_one_connection_are_answered_in_order() -> None:
    async with Peer().connected() as peer:
        await peer.send("GET /a HTTP/1.1\n\n")
        assert await peer.read_until(b"GET /a ")
        await peer.send("POST /b?query HTTP/1.1\ncontent-length: 2\n\nhi")
        assert await peer.read_until(b"POST /b hi")


async def test_pipelined_requests_are_answered_one_after_the_other() -> None:
    async with Peer().connected() as peer:
        await peer.send("GET /a HTTP/1.1\n\nGET /b HTTP/1.1\n\nGET /c HTTP/1.1\nconnection: close\n\n")
        data = await peer.read_all()
    assert [data.index(path) for path in (b"/a", b"/b", b"/c")] == sorted(data.index(p) for p in (b"/a", b"/b", b"/c"))
    assert data.count(b"HTTP/1.1 200 OK") == 3


async def test_a_request_may_come_byte_by_byte() -> None:
    async with Peer().connected() as peer:
        for char in "POST /a HTTP/1.1\ncontent-length: 2\n\nhi":
            await peer.send(char)
        assert await peer.read_until(b"POST /a hi")


async def test_a_client_that_asks_whether_to_go_on_is_told_to() -> None:
    async with Peer().connected() as peer:
        await peer.send("POST /a HTTP/1.1\ncontent-length: 2\nexpect: 100-continue\n\n")
        assert await peer.read_until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        await peer.send("hi")
        assert await peer.read_until(b"POST /a hi")


@pytest.mark.parametrize(
    ("request_text", "status"),
    [
        ("nonsense\n\n", b"400 Bad Request"),
        ("GET /a HTTP/1.1\nconnection: upgrade\nupgrade: websocket\n\n", b"400 Bad Request"),
        ("GET /a HTTP/1.0\n\n", b"505 HTTP Version Not Supported"),
    ],
)
async def test_what_is_not_http_1_1_is_refused_and_the_connection_closed(request_text: str, status: bytes) -> None:
    async with Peer().connected() as peer:
        await peer.send(request_text)
        data = await peer.read_all()
    head, _, body = data.rpartition(b"\r\n\r\n")
    assert b"HTTP/1.1 " + status in head
    assert b"connection: close" in head
    assert json.loads(body)["error"]["type"] == "invalid_request_error"


async def test_a_request_without_end_is_refused_before_it_fills_the_memory() -> None:
    async with Peer().connected() as peer:
        await peer.send("POST /a HTTP/1.1\ncontent-length: 100000000\n\n")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_pour, peer.stream)
            with suppress(anyio.BrokenResourceError):  # the reset that unread data causes may overtake the reply
                assert b"413" in await peer.read_until(b"too large")
            tasks.cancel_scope.cancel()


async def _pour(stream: SocketStream) -> None:
    sent = 0
    try:
        while True:
            await stream.send(b"x" * 65_536)
            sent += 65_536
            assert sent < 50_000_000
    except anyio.BrokenResourceError:
        return


async def test_a_bug_in_deciding_is_a_500_that_tells_nothing() -> None:
    def respond(request: Request) -> Reply:
        raise RuntimeError(f"secret {request.path}")

    async with Peer(respond).connected() as peer:
        with structlog.testing.capture_logs() as logs:
            await peer.send("GET /a HTTP/1.1\n\n")
            data = await peer.read_until(b"bug")
            await peer.send("GET /a HTTP/1.1\n\n")
            assert b"HTTP/1.1 500" in await peer.read_until(b"bug")
    assert b"HTTP/1.1 500 Internal Server Error" in data
    assert "secret" not in f"{data!r} {logs}"
    assert [line["event"] for line in logs] == ["demo_request_failed"] * 2


async def test_a_bug_in_an_answer_ends_its_connection_alone() -> None:
    def steps() -> Iterator[Step]:
        yield Send(b"text")
        yield Pause(0.001)
        raise RuntimeError("secret")

    def misbehaving(_: Request) -> Performance:
        return Performance(steps(), ())

    async with Peer(misbehaving).connected() as peer:
        with structlog.testing.capture_logs() as logs:
            await peer.send("GET /a HTTP/1.1\n\n")
            data = await peer.read_all()
    assert data.endswith(b"4\r\ntext\r\n")  # and no last chunk
    assert peer.ledger.broken == 1
    assert "secret" not in f"{logs}"


async def test_a_performance_is_a_chunk_for_each_send() -> None:
    async with Peer(playing(Send(b"one"), Pause(0), Send(b"two"))).connected() as peer:
        await peer.send("GET /a HTTP/1.1\n\n")
        head, _, body = (await peer.read_until(b"0\r\n\r\n")).partition(b"\r\n\r\n")
        assert body == b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"
        assert head.startswith(b"HTTP/1.1 200 OK\r\ndate: ")
        await peer.ledger.until(lambda: peer.ledger.finished == 1)


async def test_what_was_sent_before_a_pause_arrives_before_its_end() -> None:
    async with Peer(playing(Send(b"one"), Pause(60), Send(b"two"))).connected() as peer:
        await peer.send("GET /a HTTP/1.1\n\n")
        assert b"two" not in await peer.read_until(b"one")


async def test_pauses_are_counted_from_when_they_were_due() -> None:
    """A loop that was busy for a while must not make the whole answer late."""

    def steps() -> Iterator[Step]:
        for at in range(30):
            if at == 5:
                time.sleep(0.25)
            yield Send(b"x")
            yield Pause(0.01)

    took_s = list[float]()
    while not took_s or (
        took_s[-1] >= 0.5 and len(took_s) < 20
    ):  # the machine may be busy just then, but not each time
        async with Peer(lambda _: Performance(steps(), ())).connected() as peer:
            started = anyio.current_time()
            await peer.send("GET /a HTTP/1.1\n\n")
            await peer.read_until(b"0\r\n\r\n")
            took_s.append(anyio.current_time() - started)
    assert 0.29 <= took_s[-1] < 0.5, took_s


async def test_holding_before_the_first_send_holds_back_the_head_too() -> None:
    async with Peer(playing(HOLD)).connected() as peer:
        await peer.send("GET /a HTTP/1.1\n\n")
        with anyio.move_on_after(0.05) as patience:
            await peer.stream.receive()
        assert patience.cancelled_caught


async def test_a_cut_is_a_reset_or_a_close_after_all_that_was_sent() -> None:
    async with Peer(playing(Send(b"one"), Cut(reset=False))).connected() as peer:
        await peer.send("GET /a HTTP/1.1\n\n")
        assert (await peer.read_all()).endswith(b"3\r\none\r\n")
    async with Peer(playing(Send(b"one"), Pause(0.02), Cut(reset=True))).connected() as peer:
        await peer.send("GET /a HTTP/1.1\n\n")
        await peer.read_until(b"one")
        with pytest.raises(anyio.BrokenResourceError):
            await peer.read_all()


@pytest.mark.parametrize("before", [(Send(b"one"),), ()], ids=["in mid-stream", "before the first byte"])
async def test_a_client_that_leaves_ends_its_answer_at_once(before: tuple[Step, ...]) -> None:
    async with Peer(playing(*before, Pause(3_600))).connected() as peer:
        await peer.send("GET /a HTTP/1.1\n\n")
        await peer.ledger.until(lambda: peer.ledger.open_streams == 1)
        left = anyio.current_time()
        await peer.stream.aclose()
        await peer.ledger.until(lambda: peer.ledger.aborted == 1)
        assert anyio.current_time() - left < 60, "and not when the answer is over"
        assert peer.ledger.open_streams == 0


async def test_a_client_that_does_not_read_stops_its_answer_and_may_leave() -> None:
    flood: list[Step] = [Send(b"x" * 65_536)] * 1_000
    async with Peer(playing(*flood)).connected() as peer:
        await peer.send("GET /flood HTTP/1.1\n\n")
        await peer.ledger.until(lambda: peer.ledger.open_streams == 1)
        await anyio.sleep(0.05)
        assert peer.ledger.open_streams == 1
        await peer.stream.aclose()
        await peer.ledger.until(lambda: peer.ledger.aborted == 1)

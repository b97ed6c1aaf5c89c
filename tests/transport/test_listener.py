"""Tests of roomcast/transport/listener.py: upgrades, whatever their segments, and heads that do not end."""

from __future__ import annotations

import asyncio
import json
import socket
from contextlib import closing
from typing import Any

import anyio
import pytest
from starlette.types import Receive, Scope, Send

from roomcast.core.limits import Limits
from roomcast.transport.listener import bind, build_server
from tests.support import virtual_time
from tests.support.raw_peer import TEXT, encode_frame, upgrade_head
from tests.support.rig import a_rig
from tests.transport.connected import Line, MemoryTransport, frames_of

PING_FRAME = encode_frame(TEXT, b'{"type":"session.ping","id":"p1"}')
REQUEST = b"GET /slow HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n"


class Port:
    """The port without its socket: connections arrive when the test says so.

    Attributes:
        go_on: Requests are answered when it is set.
    """

    def __init__(self, line: Line) -> None:
        self.go_on = anyio.Event()
        self._server = build_server(self, line.services)
        self._server.config.load()

    def connect(self) -> tuple[asyncio.Protocol, MemoryTransport]:
        """A connection; its first bytes are handed to the transport's protocol of the moment."""
        config = self._server.config
        made: Any = config.http_protocol_class
        protocol: asyncio.Protocol = made(config=config, server_state=self._server.server_state, app_state={})
        transport = MemoryTransport(protocol, "127.0.0.1")
        protocol.connection_made(transport)
        return protocol, transport

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.go_on.wait()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})


def receive(transport: MemoryTransport, *segments: bytes) -> None:
    """Segments arrive, one read each."""
    for segment in segments:
        protocol = transport.get_protocol()
        assert isinstance(protocol, asyncio.Protocol)
        if segment and not transport.is_closing():
            protocol.data_received(segment)


def test_frames_behind_an_upgrade_are_read_wherever_its_head_is_torn() -> None:
    async def scenario() -> None:
        async with a_rig() as rig:
            line = Line(rig)
            port, head = Port(line), upgrade_head(8080)
            for cut in range(len(head) + len(PING_FRAME)):
                _, transport = port.connect()
                whole = head + PING_FRAME
                receive(transport, whole[:cut], whole[cut:])
                answer, _, frames = bytes(transport.taken).partition(b"\r\n\r\n")
                assert answer.startswith(b"HTTP/1.1 101 "), cut
                [(_, payload)] = frames_of(frames)
                assert json.loads(payload)["ok"], cut
                transport.abort()

    virtual_time.run(scenario())


def test_an_upgrade_may_follow_an_answered_request() -> None:
    async def scenario() -> None:
        async with a_rig() as rig:
            port = Port(Line(rig))
            port.go_on.set()
            _, transport = port.connect()
            receive(transport, REQUEST)
            await anyio.sleep(0.01)
            assert transport.taken.endswith(b"ok")
            receive(transport, upgrade_head(8080) + PING_FRAME)
            assert b"HTTP/1.1 101 " in transport.taken
            assert b'"p1","ok":true' in transport.taken

    virtual_time.run(scenario())


@pytest.mark.parametrize("segments", [[REQUEST + upgrade_head(8080)], [REQUEST, upgrade_head(8080)]])
def test_an_upgrade_in_the_middle_of_an_answer_ends_the_connection(segments: list[bytes]) -> None:
    async def scenario() -> None:
        async with a_rig() as rig:
            line = Line(rig)
            port = Port(line)
            _, transport = port.connect()
            receive(transport, *segments)
            assert transport.is_closing()
            port.go_on.set()
            await anyio.sleep(0.01)
            assert b" 101 " not in transport.taken
            assert line.wheel.connections == []

    virtual_time.run(scenario())


def test_http_1_0_cannot_be_upgraded() -> None:
    async def scenario() -> None:
        async with a_rig() as rig:
            _, transport = Port(Line(rig)).connect()
            receive(transport, upgrade_head(8080).replace(b"HTTP/1.1", b"HTTP/1.0"))
            assert transport.taken.startswith(b"HTTP/1.1 400 ")

    virtual_time.run(scenario())


@pytest.mark.parametrize("begun", [b"", b"G", upgrade_head(8080)[:-1]], ids=["nothing", "a byte", "all but a byte"])
def test_W11_a_head_that_does_not_end_is_cut_in_time_however_it_trickles(begun: bytes) -> None:
    async def scenario() -> None:
        async with a_rig() as rig:
            line = Line(rig)
            _, transport = Port(line).connect()
            async with line.turning():
                for position in range(9):
                    receive(transport, begun[position : position + 1] if position < 8 else begun[8:])
                    await anyio.sleep(1)
                assert not transport.is_closing()
                await anyio.sleep(1.5)
                assert transport.is_closing()

    virtual_time.run(scenario())


def test_W11_a_request_that_is_being_answered_has_time() -> None:
    async def scenario() -> None:
        async with a_rig() as rig:
            line = Line(rig)
            port = Port(line)
            _, transport = port.connect()
            async with line.turning():
                receive(transport, REQUEST)
                await anyio.sleep(60)
                assert not transport.is_closing()
                port.go_on.set()
                await anyio.sleep(0.01)
                assert transport.taken.endswith(b"ok")
                receive(transport, b"GET /second HTTP/1.1\r\n")
                await anyio.sleep(10.5)
                assert transport.is_closing(), "each further head has its deadline too"

    virtual_time.run(scenario())


def test_one_read_brings_a_bounded_amount_however_much_is_sent() -> None:
    limits = Limits()
    with closing(bind("127.0.0.1", 0, limits)) as listening:
        listening.listen()
        with closing(socket.create_connection(listening.getsockname())) as client:
            accepted, _ = listening.accept()
            with closing(accepted):
                client.setblocking(False)
                sent = 0
                while sent < 4 * 2**20:
                    try:
                        sent += client.send(b"x" * 65_536)
                    except BlockingIOError:
                        break
                assert len(accepted.recv(2**20)) <= 2 * limits.receive_buffer_bytes


def test_a_port_that_is_taken_is_an_error_that_says_so() -> None:
    with closing(bind("127.0.0.1", 0, Limits())) as listening:
        listening.listen()
        with pytest.raises(OSError, match="in use"):
            bind("127.0.0.1", listening.getsockname()[1], Limits())

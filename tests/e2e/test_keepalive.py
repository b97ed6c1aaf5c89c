"""Whether somebody is still there: asked when it is silent, and let go when it does not answer."""

from __future__ import annotations

import time
from pathlib import Path

import anyio
import pytest
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.uri import parse_uri

from tests.support.server import roomcast_server
from tests.support.wire_client import wire_client

pytestmark = pytest.mark.anyio

QUICK = {"ROOMCAST_LIMITS__PING_INTERVAL_S": "1", "ROOMCAST_LIMITS__PING_TIMEOUT_S": "6"}


async def test_a_peer_that_never_answers_is_dropped_and_one_that_does_is_kept(tmp_path: Path) -> None:
    with roomcast_server(tmp_path, environ=QUICK) as server:
        async with anyio.create_task_group() as tasks, wire_client(server.ws_url, tasks, member="ann") as ann:
            await ann.join("lobby")  # the library answers pings by itself
            mute = ClientProtocol(parse_uri(server.ws_url))
            async with await anyio.connect_tcp("127.0.0.1", server.port) as stream:
                mute.send_request(mute.connect())
                await stream.send(b"".join(mute.data_to_send()))
                asked = await _listen_until_dropped(stream, mute)
            assert asked >= 1
            assert ann.closed is None
            assert (await ann.command("session.ping"))["ok"]


async def _listen_until_dropped(stream: anyio.abc.ByteStream, mute: ClientProtocol) -> int:
    """Read on without ever answering; returns how many pings came before the end."""
    pings, greeted, deadline = 0, False, time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            with anyio.fail_after(60):
                data = await stream.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            return pings
        mute.receive_data(data)
        mute.data_to_send()  # the pongs that it would like to send
        pings += sum(1 for event in mute.events_received() if isinstance(event, Frame) and event.opcode is Opcode.PING)
        if not greeted:
            greeted = True
            mute.send_text(b'{"type":"session.ping","id":"p1"}')
            await stream.send(b"".join(mute.data_to_send()))
    raise AssertionError("a peer that never answers was kept")

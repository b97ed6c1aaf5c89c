"""A request whose head never ends: bounded in bytes, not only in time."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from roomcast.config import load
from roomcast.wiring import house

pytestmark = pytest.mark.anyio


async def test_a_head_that_does_not_end_is_cut_at_its_bound(tmp_path: Path) -> None:
    settings = load(flags={"server.port": 0, "storage.data": str(tmp_path)}, environ={}, file=None)
    async with house(settings) as running:
        port = int(running.url.rpartition(":")[2])
        async with await anyio.connect_tcp("127.0.0.1", port) as stream:
            await stream.send(b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\nx-endless: ")
            assert await _feed(stream) < 8 * 2**20, "what the sockets buffer, and not much more"
        async with await anyio.connect_tcp("127.0.0.1", port) as stream:
            await stream.send(b"GET /livez HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")
            assert (await stream.receive()).startswith(b"HTTP/1.1 200")


async def _feed(stream: anyio.abc.ByteSendStream) -> int:
    """Send without end; returns how many bytes went out before the server cut it."""
    for sent in range(0, 64 * 2**20, 1024):
        try:
            await stream.send(b"x" * 1024)
        except anyio.BrokenResourceError:
            return sent
    raise AssertionError("64 MiB of head were taken")


async def test_heads_of_one_connection_do_not_add_up(tmp_path: Path) -> None:
    settings = load(flags={"server.port": 0, "storage.data": str(tmp_path)}, environ={}, file=None)
    async with house(settings) as running:
        port = int(running.url.rpartition(":")[2])
        async with await anyio.connect_tcp("127.0.0.1", port) as stream:
            head = b"GET /livez HTTP/1.1\r\nhost: 127.0.0.1\r\nx-pad: " + b"x" * 4_000 + b"\r\n\r\n"
            for _ in range(40):
                await stream.send(head)
                answer = b""
                while b'"ok"' not in answer:
                    answer += await stream.receive()
                assert answer.startswith(b"HTTP/1.1 200")

"""Tests of roomcast/cli/watch.py, as its own process over a real socket; the views have their own tests."""

from __future__ import annotations

import os
import signal
import sys

import anyio
import pytest

from tests.cli.program import environment, in_terminal, roomcast, running
from tests.client.scripted import Peer, created, delta, said, scripted, snapshot, terminal

pytestmark = pytest.mark.anyio


async def test_a_pipe_gets_the_conversation_and_the_end_when_it_is_idle() -> None:
    async def script(peer: Peer) -> None:
        join = await peer.joined(snapshot=snapshot(responses=[{"id": "resp_1", "status": "in_progress", "output": []}]))
        assert join["items"] == 3
        await peer.say(delta(1, "Hello"), terminal(2))
        await peer.gone()

    async with scripted(script) as server:
        done = await roomcast("watch", "lobby", "--until-idle", "--items", "3", "--url", server.url)
    assert (done.stdout, done.stderr, done.returncode) == ("assistant: Hello\n", "", 0)


async def test_pieces_appear_at_once_a_lost_connection_is_told_and_the_keyboard_ends_it_with_130() -> None:
    async def breaks(peer: Peer) -> None:
        await peer.joined()
        await peer.say(said(1, "hi"), created(2), delta(3, "Hel"))
        await peer.close(1011)

    async def goes_on(peer: Peer) -> None:
        await peer.joined(3)
        await peer.say(delta(4, "lo"))
        await peer.gone()

    async with scripted(breaks, goes_on) as server, running("watch", "lobby", "--url", server.url) as program:
        assert await program.until("Hello") == "Ada: hi\nassistant: Hello"
        assert await program.stop(signal.SIGINT) == 130


async def test_a_terminal_gets_a_view_that_grows_in_place() -> None:
    async def script(peer: Peer) -> None:
        await peer.joined()
        await peer.say(created(1), delta(2, "Hello"))
        await peer.gone()

    async with scripted(script) as server, in_terminal("watch", "lobby", "--url", server.url) as terminal:
        await terminal.until("lobby · live")
        await terminal.until("Hello")
        assert await terminal.stop(signal.SIGINT) == 130


async def test_a_reader_that_goes_away_ends_it_without_a_word() -> None:
    """`roomcast watch lobby --json | head -1`"""

    async def script(peer: Peer) -> None:
        await peer.joined()
        await peer.say(*(delta(seq, "x" * 1_000) for seq in range(1, 500)))
        await peer.gone()

    reading, writing = os.pipe()
    command = [sys.executable, "-m", "roomcast", "watch", "lobby", "--json", "--url"]
    async with scripted(script) as server:
        process = await anyio.open_process([*command, server.url], stdout=writing, env=environment())
        os.close(writing)
        async with process:
            await anyio.wait_readable(reading)
            os.close(reading)
            with anyio.fail_after(90):
                assert await process.wait() == 141
            assert process.stderr is not None
            assert b"".join([data async for data in process.stderr]) == b""

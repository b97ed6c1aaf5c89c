"""Tests of roomcast/cli/following.py, over real sockets."""

from __future__ import annotations

import io
import json

import anyio
import pytest

from roomcast.cli.following import as_json_lines, as_lines
from roomcast.client import connect
from tests.client.scripted import QUICK, Peer, delta, said, scripted, snapshot, terminal

pytestmark = pytest.mark.anyio


async def answering(peer: Peer) -> None:
    """A room in the middle of an answer, whose connection breaks once."""
    shot = snapshot(
        items=[said(1, "hello")["item"]], responses=[{"id": "resp_1", "status": "in_progress", "output": []}]
    )
    await peer.joined(2, snapshot=shot)
    await peer.say(delta(3, "Hel"))
    await peer.close(1011)


async def ending(peer: Peer) -> None:
    await peer.joined(3)
    await peer.say(delta(4, "lo \x1b[31m\u2028"), terminal(5), said(6, "late"))
    await peer.gone()


async def test_lines_are_written_until_nothing_is_under_way_over_a_lost_connection() -> None:
    stream = io.StringIO()
    async with scripted(answering, ending) as server, connect(server.url, backoff=QUICK) as room:
        await as_lines(room, stream, until_idle=True)
    assert stream.getvalue() == "Ada: hello\nassistant: Hello \n"


async def test_an_idle_room_ends_at_once_after_what_there_is() -> None:
    async def idle(peer: Peer) -> None:
        await peer.joined(1, snapshot=snapshot(items=[said(1, "hello")["item"]]))
        await peer.gone()

    stream = io.StringIO()
    async with scripted(idle, idle) as server:
        async with connect(server.url) as room:
            await as_lines(room, stream, until_idle=True)
        async with connect(server.url) as room:
            with anyio.move_on_after(0.05) as scope:
                await as_lines(room, io.StringIO(), until_idle=False)
    assert stream.getvalue() == "Ada: hello\n"
    assert scope.cancelled_caught


async def test_programs_get_a_reset_and_then_every_event_one_a_line() -> None:
    stream = io.StringIO()
    async with scripted(answering, ending) as server, connect(server.url, backoff=QUICK) as room:
        await as_json_lines(room, stream, until_idle=True)
    lines = stream.getvalue().splitlines()
    first, *events = map(json.loads, lines)
    assert (first["type"], first["epoch"], first["seq"], len(first["snapshot"]["items"])) == ("room.reset", "e1", 2, 1)
    assert [event["seq"] for event in events] == [3, 4, 5]
    assert events[1]["delta"] == "lo \x1b[31m\u2028"


async def test_x6_json_is_escaped_so_that_a_terminal_obeys_nothing_in_it() -> None:
    stream = io.StringIO()
    async with scripted(answering, ending) as server, connect(server.url, backoff=QUICK) as room:
        await as_json_lines(room, stream, until_idle=True)
    assert stream.getvalue().isascii()
    assert "\x1b" not in stream.getvalue()

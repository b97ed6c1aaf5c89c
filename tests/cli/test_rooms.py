"""Tests of roomcast/cli/rooms.py, as its own process over a real socket."""

from __future__ import annotations

import json

import pytest

from tests.cli.program import in_terminal, roomcast
from tests.client.scripted import scripted

pytestmark = pytest.mark.anyio

ROOMS = [
    {"name": "kitchen", "title": "Tea\x1b[2J\n& talk", "epoch": "e1", "seq": 12, "running": True, "member_count": 3},
    {"name": "lobby", "title": "", "epoch": "e2", "seq": 4, "running": False, "member_count": 0},
]


async def test_a_pipe_gets_tab_separated_lines_without_anything_that_a_terminal_obeys() -> None:
    async with scripted((200, {"rooms": ROOMS, "has_more": False})) as server:
        done = await roomcast("rooms", "--url", server.url)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "kitchen\tTea & talk\t3\tyes\t12\nlobby\t\t0\tno\t4\n"


async def test_a_terminal_gets_a_table_or_a_hint() -> None:
    async with scripted((200, {"rooms": ROOMS, "has_more": False}), (200, {"rooms": [], "has_more": False})) as server:
        async with in_terminal("rooms", "--url", server.url) as terminal:
            shown = await terminal.until("lobby")
            assert await terminal.status() == 0
        async with in_terminal("rooms", "--url", server.url) as terminal:
            await terminal.until("No rooms yet")
    assert [word for word in ("room", "here", "kitchen", "Tea & talk", "yes") if word not in shown] == []
    assert "\x1b[2J" not in shown


async def test_programs_get_json_and_the_address_may_come_from_the_environment() -> None:
    async with scripted((200, {"rooms": ROOMS, "has_more": False})) as server:
        done = await roomcast("rooms", "--json", ROOMCAST_URL=server.url)
    assert [json.loads(line) for line in done.stdout.splitlines()] == ROOMS


async def test_a_server_that_is_not_there_is_one_line_and_a_hint() -> None:
    done = await roomcast("rooms", "--url", "http://127.0.0.1:1")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("roomcast: cannot reach http://127.0.0.1:1: connection refused\n")

"""Viewers that stop reading (N1, N2, L1): ended in time, however little waits for them, and alone."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from tests.support.raw_peer import RawPeer
from tests.support.server import Server, roomcast_server
from tests.support.unharmed import assert_unharmed

PROMPT = {"ROOMCAST_LIMITS__WRITE_DEADLINE_S": "2"}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Generator[Server]:
    with roomcast_server(tmp_path_factory.mktemp("stalled"), environ=PROMPT) as server:
        yield server


@pytest.fixture
def server(running: Server) -> Generator[Server]:
    """The server, which must be unharmed after each test."""
    yield running
    assert_unharmed(running)


@pytest.mark.parametrize("messages", [2, 3, 4, 40], ids=lambda number: f"{number * 20} kB")
def test_N2_a_viewer_that_reads_nothing_of_a_burst_is_ended_and_resumes(server: Server, messages: int) -> None:
    """With 40 kB and a little more, the kernel is full but the buffer above it is not."""
    room = f"burst-{messages}"
    with (
        RawPeer.upgraded(server.port, member="reader") as reader,
        RawPeer.upgraded(server.port, member="stalled", receive_buffer_bytes=4_096) as stalled,
    ):
        reader.reply("room.join", room=room)
        joined = stalled.reply("room.join", room=room)["result"]
        said = [
            reader.reply("message.create", room=room, content=f"{number}" + "x" * 20_000, respond="never")["result"]
            for number in range(messages)
        ]
        gone = reader.until_type("presence.updated", count=1)
        assert gone["left"] == ["stalled"]
        with RawPeer.upgraded(server.port, member="stalled") as back:
            after = {"epoch": joined["epoch"], "seq": joined["seq"]}
            assert back.reply("room.join", room=room, after=after)["result"]["resumed"]
            assert [back.until_type("item.created")["seq"] for _ in said] == [each["seq"] for each in said]

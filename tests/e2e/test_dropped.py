"""What a viewer that was dropped for not reading has of it, and what the machine keeps of it."""

from __future__ import annotations

import select
from pathlib import Path

from tests.support.raw_peer import PATIENCE_S, RawPeer
from tests.support.server import roomcast_server


def test_a_viewer_that_never_reads_is_told_by_a_reset_and_leaves_nothing_in_the_kernel(tmp_path: Path) -> None:
    with (
        roomcast_server(tmp_path, environ={"ROOMCAST_LIMITS__WRITE_DEADLINE_S": "1"}) as server,
        RawPeer.upgraded(server.port, member="reader") as reader,
        RawPeer.upgraded(server.port, member="stalled", receive_buffer_bytes=4_096) as stalled,
    ):
        reader.reply("room.join", room="lobby")
        stalled.reply("room.join", room="lobby")
        for _ in range(20):
            reader.reply("message.create", room="lobby", content="x" * 20_000, respond="never")
        waiting = select.poll()
        waiting.register(stalled.socket, 0)  # errors only: whoever does not read does not see an end either
        [(_, events)] = waiting.poll(PATIENCE_S * 1000)
        assert events & select.POLLERR

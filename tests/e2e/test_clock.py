"""The wall clock jumps under a running server (C9): timestamps move, and nothing else does."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from tests.support.auditor import audit_viewer
from tests.support.disk.faulty_disk import FaultyDisk
from tests.support.reference import audit_log
from tests.support.returning_viewer import ReturningViewer
from tests.support.server import ENDLESS, roomcast_server
from tests.support.unharmed import log_lines
from tests.support.visitor import stored

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(600)]

SETTINGS = {
    "ROOMCAST_DEMO__TOKENS_PER_SECOND": "60",
    "ROOMCAST_DEMO__FIRST_TOKEN_MS": "5",
    "ROOMCAST_LIMITS__PING_INTERVAL_S": "1",
    "ROOMCAST_LIMITS__PING_TIMEOUT_S": "60",
    "ROOMCAST_LIMITS__HEAD_INTERVAL_S": "2",
}
JUMPS_HOURS = (1, -1, -24, 25)
HOUR_MS = 3_600_000


async def test_c9_jumps_of_the_wall_clock_move_timestamps_and_nothing_else(
    tmp_path: Path, faulty_disk: FaultyDisk
) -> None:
    ann, bob = ReturningViewer("ann", "lobby"), ReturningViewer("bob", "lobby")
    with roomcast_server(tmp_path, environ={**SETTINGS, **faulty_disk.environ}) as server:
        async with anyio.create_task_group() as tasks:
            for viewer in (ann, bob):
                viewer.address = server.ws_url
                tasks.start_soon(viewer.stay)
            said = await ann.command("message.create", id="once", content="remember this", respond="never")
            first, second = await ann.ask(ENDLESS), await ann.ask("short one please")
            true_at = (await bob.until_heard("response.output_text.delta"))["at"]
            for hours in JUMPS_HOURS:
                faulty_disk.jump(hours=hours)
                moved = await bob.until_heard("response.output_text.delta")
                while abs(moved["at"] - true_at - hours * HOUR_MS) > HOUR_MS // 2:
                    moved = await bob.until_heard("response.output_text.delta")
                again = await ann.command("message.create", id="once", content="remember this", respond="never")
                assert again["result"] == said["result"], f"the same command, {hours} hours off"
                bob.drop()  # it comes back with its cursor
                await bob.until_heard("reply")
            assert not {first, second} & bob.ended.keys(), "all of that while it streamed and another waited"
            await ann.command("response.cancel", response_id=first)
            for viewer in (ann, bob):
                await viewer.until_ended(first, second)
            await bob.until_heard("room.head")
            faulty_disk.jump(hours=0)
            await bob.until_heard("room.head")
            assert ann.ended == bob.ended == {first: "response.cancelled", second: "response.completed"}
            tasks.cancel_scope.cancel()
        assert [line for line in log_lines(server) if line["level"] in {"error", "critical"}] == []
        assert server.stop() == 0
    log = await stored(tmp_path, "lobby")
    assert audit_log(log, at_rest=True) == []
    assert sum(event["type"] == "item.created" for event in log) == 3, "one a message, however often it was sent"
    for viewer in (ann, bob):
        assert audit_viewer(viewer.transcript, log, room="lobby", complete=True) == [], viewer.name
        assert viewer.resets == ["new"]
    assert (ann.connections, bob.connections) == (1, 1 + len(JUMPS_HOURS))

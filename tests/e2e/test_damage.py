"""A database that is damaged under a running server (C6): it fails closed, and says what to do."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from tests.support.auditor import audit_viewer
from tests.support.reference import audit_log
from tests.support.returning_viewer import ReturningViewer
from tests.support.server import ENDLESS, Server, roomcast_server
from tests.support.unharmed import log_lines
from tests.support.visitor import stored

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(600)]

PACE = {
    "ROOMCAST_DEMO__TOKENS_PER_SECOND": "50",
    "ROOMCAST_DEMO__FIRST_TOKEN_MS": "5",
    "ROOMCAST_LIMITS__UNCOMMITTED_TIMEOUT_S": "1",
}
PAGE_BYTES = 4_096


def told(server: Server) -> list[dict[str, str]]:
    """What the server says of damage."""
    return [line for line in log_lines(server) if line["event"] == "store_damaged"]


async def fill(folder: Path) -> None:
    """Rooms of some size, in the database itself: a server that stops empties its log into it."""
    with roomcast_server(folder) as server:
        async with anyio.create_task_group() as tasks:
            for name in ("attic", "cellar", "lobby"):
                viewer = ReturningViewer("ann", name)
                viewer.address = server.ws_url
                tasks.start_soon(viewer.stay)
                for _ in range(20):
                    assert (await viewer.command("message.create", content="x" * 5_000, respond="never"))["ok"]
            tasks.cancel_scope.cancel()
        assert server.stop() == 0


async def test_c6_a_database_that_is_damaged_while_it_runs_is_written_no_more_and_the_log_says_what_to_do(
    tmp_path: Path,
) -> None:
    await fill(tmp_path)
    database = tmp_path / "roomcast.db"
    sound = database.read_bytes()
    ann, bob, cleo = ReturningViewer("ann", "lobby"), ReturningViewer("bob", "lobby"), ReturningViewer("cleo", "attic")
    with roomcast_server(tmp_path, environ=PACE) as server:
        async with anyio.create_task_group() as tasks:
            for viewer in (ann, bob):
                viewer.address = server.ws_url
                tasks.start_soon(viewer.stay)
            await ann.ask(ENDLESS)
            await bob.until_heard("response.output_text.delta")

            with database.open("r+b") as file:  # but for the first page: what a reader of its header sees is sound
                file.seek(PAGE_BYTES)
                file.write(b"\xa5" * (len(sound) - PAGE_BYTES))
            cleo.address = server.ws_url
            tasks.start_soon(cleo.stay)
            await bob.until_heard("room.degraded", since=0)

            for viewer in (ann, bob):
                refused = await viewer.command("message.create", content="not now", respond="never")
                assert refused["error"]["code"] == "unavailable"
                assert refused["error"]["retry_after_ms"] > 0
                assert (await viewer.command("session.ping"))["ok"]
                assert viewer.connections == 1, "what they have stays, and so do they"
            tasks.cancel_scope.cancel()
        [line] = told(server)
        assert line["path"] == str(database)
        assert "roomcast restore" in line["advice"]
        assert server.process.poll() is None, "no crash loop"
        assert server.stop() == 0

    with roomcast_server(tmp_path) as server:  # nobody listened; what the log beside it still has can be read
        assert server.process.poll() is None, "no crash loop"

    database.write_bytes(sound)  # the log beside it was left alone: nothing that was seen is lost
    with roomcast_server(tmp_path):
        pass
    log = await stored(tmp_path, "lobby")
    assert audit_log(log, at_rest=True) == []
    for viewer in (ann, bob):
        assert audit_viewer(viewer.transcript, log, room="lobby") == []

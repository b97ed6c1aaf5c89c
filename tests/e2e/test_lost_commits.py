"""Commits that the host lost: a write-ahead log cut short, an older file put back (C5).

SQLite opens both without a word. Whoever saw what is no longer there is told to begin anew.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
from pathlib import Path

import anyio
import pytest

from tests.support.auditor import DISCONNECTED, audit_viewer
from tests.support.reference import Json, audit_log
from tests.support.returning_viewer import ReturningViewer
from tests.support.server import ENDLESS, Server, roomcast_server
from tests.support.unharmed import log_lines
from tests.support.visitor import stored

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(600)]

PACE = {"ROOMCAST_DEMO__TOKENS_PER_SECOND": "100", "ROOMCAST_DEMO__FIRST_TOKEN_MS": "5"}
DATABASE, WAL, SHM = "roomcast.db", "roomcast.db-wal", "roomcast.db-shm"


class Pair:
    """Two viewers of one room, the first of which asks, through several lives of a store that forgets."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.viewers = [ReturningViewer(name, "lobby") for name in ("ann", "bob")]
        self.logs: dict[str, list[Json]] = {}

    def send_to(self, server: Server | None) -> None:
        for viewer in self.viewers:
            viewer.address = None if server is None else server.ws_url

    async def hear_some(self, server: Server) -> str:
        """Ask, and wait until everybody has heard some of the answer; returns the response's id."""
        self.send_to(server)
        response_id = await self.viewers[0].ask(ENDLESS)
        for viewer in self.viewers:
            for _ in range(5):
                await viewer.until_heard("response.output_text.delta")
        return response_id

    async def kill(self, server: Server) -> None:
        """Kill the server, and keep what its log was then."""
        self.send_to(None)
        await anyio.to_thread.run_sync(server.kill)
        epoch = self.epoch()
        self.logs[epoch] = await stored(copy(self.folder, f"life {len(self.logs)}"), "lobby")

    def epoch(self) -> str:
        """The name of the log, as everybody heard it last."""
        [epoch] = {viewer.cursor["epoch"] for viewer in self.viewers if viewer.cursor}
        return str(epoch)

    def audit(self) -> None:
        """Hold what was heard under each name of the log against the log of that name."""
        for viewer in self.viewers:
            heard = by_epoch(viewer.transcript)
            assert list(heard) == list(self.logs)
            for epoch, transcript in heard.items():
                last = epoch == list(self.logs)[-1]
                assert audit_log(self.logs[epoch], at_rest=last) == [], epoch
                assert audit_viewer(transcript, self.logs[epoch], room="lobby", complete=last) == [], viewer.name


def copy(folder: Path, name: str) -> Path:
    """The store's files as they are, beside its folder."""
    aside = folder.parent / name
    aside.mkdir()
    for file in (DATABASE, WAL, "roomcast.mark"):
        shutil.copyfile(folder / file, aside / file)
    return aside


def by_epoch(transcript: list[Json]) -> dict[str, list[Json]]:
    """The frames of each connection, under the name that the log had then."""
    heard: dict[str, list[Json]] = {}
    connection: list[Json] = []
    for frame in [*transcript, DISCONNECTED]:
        connection.append(frame)
        if frame is DISCONNECTED:
            names = {got["result"]["epoch"] for got in connection if "epoch" in got.get("result", {})}
            assert len(names) <= 1, "one name a connection"
            for name in names:
                heard.setdefault(name, []).extend(connection)
            connection = []
    return heard


def renewals(server: Server) -> int:
    """How often all logs got new names, as the server says."""
    return sum(line["event"] == "epochs_renewed" for line in log_lines(server))


async def test_c5_viewers_of_commits_that_the_host_lost_are_told_to_begin_anew(tmp_path: Path) -> None:
    dice = random.Random(20_261_122)
    folder = tmp_path / "data"
    pair = Pair(folder)
    async with anyio.create_task_group() as tasks:
        for viewer in pair.viewers:
            tasks.start_soon(viewer.stay)

        with roomcast_server(folder, environ=PACE) as server:
            await pair.hear_some(server)
            await pair.kill(server)
        wal = folder / WAL
        os.truncate(wal, dice.randrange(wal.stat().st_size // 2, wal.stat().st_size * 9 // 10))

        with roomcast_server(folder, environ=PACE) as server:
            assert renewals(server) == 1
            await pair.hear_some(server)
            server.process.send_signal(signal.SIGSTOP)
            await anyio.to_thread.run_sync(os.waitpid, server.pid, os.WUNTRACED)  # stopped in mid-step
            older = copy(folder, "older")
            server.process.send_signal(signal.SIGCONT)
            await pair.viewers[1].until_heard("response.output_text.delta")
            await pair.kill(server)
        for file in (DATABASE, WAL):
            shutil.copyfile(older / file, folder / file)
        (folder / SHM).unlink()

        with roomcast_server(folder, environ=PACE) as server:
            assert renewals(server) == 2
            response_id = await pair.hear_some(server)
            await pair.viewers[1].command("response.cancel", response_id=response_id)
            for viewer in pair.viewers:
                await viewer.until_ended(response_id)
            tasks.cancel_scope.cancel()
    pair.logs[pair.epoch()] = await stored(folder, "lobby")
    assert [viewer.resets for viewer in pair.viewers] == [["new", "epoch_changed", "epoch_changed"]] * 2
    pair.audit()

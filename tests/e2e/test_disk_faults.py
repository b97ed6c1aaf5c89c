"""A disk that fails or waits under a running server (C4, C10), and what is synced when (durability)."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import anyio
import pytest

from tests.support.auditor import DISCONNECTED, audit_viewer
from tests.support.disk.faulty_disk import FaultyDisk
from tests.support.reference import Json, audit_log
from tests.support.returning_viewer import ReturningViewer
from tests.support.server import ENDLESS, Server, roomcast_server
from tests.support.unharmed import log_lines, metric
from tests.support.visitor import stored

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(600)]

PACE = {"ROOMCAST_DEMO__TOKENS_PER_SECOND": "150", "ROOMCAST_DEMO__FIRST_TOKEN_MS": "5"}

ONE_BY_ONE = {"ROOMCAST_DEMO__TOKENS_PER_SECOND": "10"}
"""Slow enough that pieces are committed one by one, also by a machine that is busy."""
NOTED = ("sync_failed", "wal_checkpoint_failed", "store_renewed")


@dataclass
class Stage:
    """A server on a disk that obeys, and two viewers of one room, one of which asks."""

    server: Server
    disk: FaultyDisk
    ann: ReturningViewer
    bob: ReturningViewer

    def events(self) -> list[str]:
        """What the server logged."""
        return [line["event"] for line in log_lines(self.server)]

    async def streaming(self, text: str = ENDLESS) -> str:
        """Ask for a long answer and wait until it runs; returns the response's id."""
        response_id = await self.ann.ask(text)
        await self.ann.until_heard("response.output_text.delta")
        return response_id

    async def stop(self, response_id: str) -> None:
        """Cancel it, and wait until everybody knows."""
        assert (await self.bob.command("response.cancel", response_id=response_id))["ok"]
        for viewer in (self.ann, self.bob):
            await viewer.until_ended(response_id)
            assert viewer.ended[response_id] == "response.cancelled"

    async def until_it_works(self) -> None:
        """Say something until it is stored; every refusal says when to try again."""
        with anyio.fail_after(60):
            while True:
                reply = await self.ann.command("message.create", content="again", respond="never")
                if reply["ok"]:
                    return
                assert_unavailable(reply)
                await anyio.sleep(0.1)


@asynccontextmanager
async def stage(folder: Path, disk: FaultyDisk, settings: Mapping[str, str] = PACE) -> AsyncGenerator[Stage]:
    """Everything a viewer got by the end is what the log says, and it was one process and one connection."""
    ann, bob = ReturningViewer("ann", "lobby"), ReturningViewer("bob", "lobby")
    with roomcast_server(folder, environ={**settings, **disk.environ}) as server:
        async with anyio.create_task_group() as tasks:
            for viewer in (ann, bob):
                viewer.address = server.ws_url
                tasks.start_soon(viewer.stay)
                await viewer.until_joined()
            yield Stage(server, disk, ann, bob)
            newest = await ann.command("message.create", content="the end", respond="never")
            await bob.until(lambda: bob.cursor and bob.cursor["seq"] >= newest["result"]["seq"])
            tasks.cancel_scope.cancel()
        assert server.process.poll() is None
    log = await stored(folder, "lobby")
    assert audit_log(log, at_rest=True) == []
    for viewer in (ann, bob):
        assert audit_viewer(viewer.transcript, log, room="lobby", complete=True) == [], viewer.name
        assert (viewer.connections, viewer.resets) == (1, ["new"]), "nobody was sent away, or back to the start"


def assert_unavailable(reply: Json) -> None:
    error = reply["error"]
    assert (error["code"], error["retryable"]) == ("unavailable", True)
    assert error["retry_after_ms"] > 0


@pytest.mark.parametrize("site", ["writes", "syncs"])
async def test_c4_one_error_in_mid_stream_costs_nobody_a_character(
    tmp_path: Path, faulty_disk: FaultyDisk, site: str
) -> None:
    async with stage(tmp_path, faulty_disk) as on:
        response_id = await on.streaming("!fault drip every_ms=20 count=400\nlong enough that it runs meanwhile")
        fault = getattr(faulty_disk, site)
        fault.fail(times=1)
        if site == "syncs":  # the next thing that is synced
            assert_unavailable(await on.ann.command("message.create", content="not now", respond="never"))
            await on.until_it_works()
        else:
            await on.bob.until_heard("room.restored", since=0)
        assert fault.failed == 1
        for viewer in (on.ann, on.bob):
            await viewer.until_ended(response_id)
            assert viewer.ended[response_id] == "response.completed"
        assert on.events().count("store_renewed") == (site == "syncs")
    assert_unheard(on, "not now")


async def test_c4_a_checkpoint_whose_sync_fails_is_noticed_before_the_next_commit(
    tmp_path: Path, faulty_disk: FaultyDisk
) -> None:
    """SQLite keeps it to itself; what was not synced then is not to be built on."""
    async with stage(tmp_path, faulty_disk) as on:
        response_id = await on.streaming("!fault drip every_ms=6\nuntil there has been a checkpoint, and on")
        faulty_disk.syncs.fail(times=1)  # text is not synced, so it is a checkpoint that meets it
        while faulty_disk.syncs.failed == 0:
            await on.bob.until_heard("response.output_text.delta")
        await on.bob.until_heard("response.output_text.delta")
        assert response_id not in on.bob.ended
        assert [event for event in on.events() if event in NOTED] == list(NOTED)
        assert not any(got["type"] == "room.degraded" for got in on.bob.transcript), "nobody had to wait"
        await on.stop(response_id)


@pytest.mark.parametrize("site", ["writes", "syncs"])
async def test_c4_a_disk_that_goes_on_failing_refuses_what_is_new_and_works_again_by_itself(
    tmp_path: Path, faulty_disk: FaultyDisk, site: str
) -> None:
    async with stage(tmp_path, faulty_disk) as on:
        response_id = await on.streaming()
        fault = getattr(faulty_disk, site)
        fault.fail()
        refused = await on.ann.command("message.create", content="not now", respond="never")
        assert_unavailable(refused)
        degraded = await on.bob.until_heard("room.degraded", since=0)
        assert degraded["reason"] == "unavailable"
        history = await on.bob.command("history.list")
        assert history["ok"], "reads go on"
        fault.heal()
        await on.bob.until_heard("room.restored", since=0)
        await on.until_it_works()
        await on.bob.until_heard("response.output_text.delta")
        await on.stop(response_id)
    assert_unheard(on, "not now")


async def test_c4_an_outage_that_lasts_ends_the_answer_and_its_terminal_is_the_first_commit_on_return(
    tmp_path: Path, faulty_disk: FaultyDisk
) -> None:
    settings = {**PACE, "ROOMCAST_LIMITS__UNCOMMITTED_TIMEOUT_S": "1"}
    async with stage(tmp_path, faulty_disk, settings) as on:
        response_id = await on.streaming()
        faulty_disk.writes.fail()
        await on.bob.until_heard("room.degraded", since=0)
        await until_none_runs(on.server)
        faulty_disk.writes.heal()
        await on.bob.until_heard("room.restored", since=0)
        await on.bob.until_ended(response_id)
        assert on.bob.ended[response_id] == "response.failed"
        [terminal] = [got for got in on.bob.transcript if got["type"] == "response.failed"]
        assert terminal["response"]["error"]["code"] == "storage_unavailable"


async def test_c4_reads_that_fail_are_refused_and_nobody_is_sent_away(tmp_path: Path, faulty_disk: FaultyDisk) -> None:
    with roomcast_server(tmp_path, environ=PACE) as server:
        async with anyio.create_task_group() as tasks:
            writer = ReturningViewer("writer", "lobby")
            writer.address = server.ws_url
            tasks.start_soon(writer.stay)
            for _ in range(40):
                await writer.command("message.create", content="x" * 10_000, respond="never")
            tasks.cancel_scope.cancel()
    async with stage(tmp_path, faulty_disk) as on:
        response_id = await on.streaming()
        faulty_disk.reads.fail()
        items = on.ann.transcript[1]["result"]["snapshot"]["items"]
        refused = await on.bob.command("history.list", before=items[0]["id"], limit=50)
        assert_unavailable(refused)
        assert faulty_disk.reads.failed
        faulty_disk.reads.heal()
        read = await on.bob.command("history.list", before=items[0]["id"], limit=50)
        assert read["ok"]
        await on.bob.until_heard("response.output_text.delta")
        await on.stop(response_id)


@pytest.mark.parametrize("site", ["writes", "syncs"])
async def test_c4_a_server_that_is_killed_while_its_disk_fails_has_shown_nothing_that_is_not_there(
    tmp_path: Path, faulty_disk: FaultyDisk, site: str
) -> None:
    bob = ReturningViewer("bob", "lobby")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(bob.stay)
        with roomcast_server(tmp_path, environ={**PACE, **faulty_disk.environ}) as server:
            bob.address = server.ws_url
            response_id = await bob.ask(ENDLESS)
            await bob.until_heard("response.output_text.delta")
            getattr(faulty_disk, site).fail()
            assert_unavailable(await bob.command("message.create", content="not now", respond="never"))
            await bob.until_heard("room.degraded", since=0)
            bob.address = None
            await anyio.to_thread.run_sync(server.kill)
        with roomcast_server(tmp_path, environ=PACE) as server:
            bob.address = server.ws_url
            await bob.until_ended(response_id)
            assert bob.ended[response_id] == "response.interrupted"
            tasks.cancel_scope.cancel()
    log = await stored(tmp_path, "lobby")
    assert audit_log(log, at_rest=True) == []
    assert audit_viewer(bob.transcript, log, room="lobby", complete=True) == []
    assert bob.resets == ["new"]


async def test_c4_what_a_failed_sync_lost_stops_all_writing_and_viewers_begin_anew_after_a_restart(
    tmp_path: Path, faulty_disk: FaultyDisk
) -> None:
    """As where the kernel drops what it could not write: answered commits are no longer in the log's file."""
    bob = ReturningViewer("bob", "lobby")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(bob.stay)
        with roomcast_server(tmp_path, environ={**PACE, **faulty_disk.environ}) as server:
            bob.address = server.ws_url
            await bob.ask(ENDLESS)
            for _ in range(10):
                await bob.until_heard("response.output_text.delta")
            faulty_disk.syncs.fail()
            assert_unavailable(await bob.command("message.create", content="not now", respond="never"))
            wal = tmp_path / "roomcast.db-wal"
            os.truncate(wal, wal.stat().st_size // 2)
            faulty_disk.syncs.heal()
            await until_logged(server, "store_damaged")
            assert_unavailable(await bob.command("message.create", content="nor now", respond="never"))
            assert (bob.connections, server.process.poll()) == (1, None)
            bob.address = None
            assert await anyio.to_thread.run_sync(server.stop) == 0
        with roomcast_server(tmp_path, environ=PACE) as server:
            bob.address = server.ws_url
            assert (await bob.command("message.create", content="here again", respond="never"))["ok"]
            assert bob.resets == ["new", "epoch_changed"]
            tasks.cancel_scope.cancel()
    log = await stored(tmp_path, "lobby")
    assert audit_log(log, at_rest=True) == []
    assert audit_viewer(bob.transcript[bob.transcript.index(DISCONNECTED) :], log, room="lobby", complete=True) == []


async def test_c10_a_slow_disk_holds_up_commits_and_nothing_else(tmp_path: Path, faulty_disk: FaultyDisk) -> None:
    settings = {**PACE, "ROOMCAST_STORAGE__DURABILITY": "host"}
    async with stage(tmp_path, faulty_disk, settings) as on:
        response_id = await on.streaming()
        for delay_ms in (50, 500):
            faulty_disk.syncs.delay(delay_ms)
            assert (await on.ann.command("message.create", content="slowly", respond="never"))["ok"]
        faulty_disk.syncs.delay(60_000)
        async with anyio.create_task_group() as waiting:
            syncs, sent_at = faulty_disk.syncs.begun, len(on.ann.transcript)
            waiting.start_soon(partial(on.ann.command, "message.create", content="more slowly", respond="never"))
            await anyio.to_thread.run_sync(faulty_disk.syncs.until_begun, syncs + 1)
            assert (await on.bob.command("session.ping"))["ok"]
            assert not any(got["type"] == "reply" for got in on.ann.transcript[sent_at:]), "only that waits"
            faulty_disk.syncs.delay(0)
        await on.stop(response_id)
        assert not any(got["type"] == "room.degraded" for got in on.bob.transcript), "slow is not broken"


async def test_durability_host_has_the_disk_confirm_every_commit(tmp_path: Path, faulty_disk: FaultyDisk) -> None:
    settings = {**PACE, **ONE_BY_ONE, "ROOMCAST_STORAGE__DURABILITY": "host"}
    async with stage(tmp_path, faulty_disk, settings) as on:
        syncs, commits = await counts(on)
        await on.ann.until_ended(await on.ann.ask("short one please"))
        more_syncs, more_commits = await counts(on)
        assert more_commits - commits > 3
        assert more_syncs - syncs >= more_commits - commits


async def test_durability_process_has_the_disk_confirm_prompts_and_terminals_and_no_more(
    tmp_path: Path, faulty_disk: FaultyDisk
) -> None:
    async with stage(tmp_path, faulty_disk, {**PACE, **ONE_BY_ONE}) as on:
        syncs, _ = await counts(on)
        await on.ann.command("message.create", content="remember this", respond="never")
        prompted, commits = await counts(on)
        assert prompted == syncs + 1, "an accepted prompt is on the disk before its answer"
        await on.ann.until_ended(await on.ann.ask("short one please"))
        ended, more_commits = await counts(on)
        assert more_commits - commits > 3
        assert ended == prompted + 2, "so is a terminal; text on its way is not"


async def counts(on: Stage) -> tuple[int, int]:
    """How many syncs and how many commits there were."""
    commits = await anyio.to_thread.run_sync(metric, on.server, "roomcast_commit_seconds_count")
    return on.disk.syncs.begun, int(commits)


async def until_none_runs(server: Server) -> None:
    """Wait until no answer is being generated."""
    with anyio.fail_after(60):
        while True:
            running = await anyio.to_thread.run_sync(metric, server, "roomcast_generations_running")
            if not running:
                return
            await anyio.sleep(0.05)


async def until_logged(server: Server, event: str) -> None:
    """Wait until the server has logged this."""
    with anyio.fail_after(60):
        while True:
            if any(line["event"] == event for line in log_lines(server)):
                return
            await anyio.sleep(0.05)


def assert_unheard(on: Stage, text: str) -> None:
    """What was refused stays refused."""
    assert not any(text in str(got) for viewer in (on.ann, on.bob) for got in viewer.transcript)

"""A disk of six megabytes fills while an answer runs: who is told what, and how it goes on (C3).

Ballast and watermark are scaled down by configuration; the server is one process throughout.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import anyio
import pytest

from roomcast.config import load
from roomcast.core.settings import Settings
from roomcast.wiring import house
from tests.storage.sqlite.disks import MountedDisk, small_disk
from tests.support.server import ENDLESS
from tests.support.wire_client import WireClient, wire_client

pytestmark = pytest.mark.anyio


@pytest.fixture
def disk(tmp_path: Path) -> Generator[MountedDisk]:
    with small_disk(tmp_path, "6m") as disk:
        if not isinstance(disk, MountedDisk):
            pytest.skip("only root can mount a disk")
        yield disk


def settings(data: Path) -> Settings:
    flags = {
        "server.port": 0,
        "storage.data": str(data),
        "demo.first_token_ms": 1.0,
        "demo.faults": True,
        "limits.disk_watermark_bytes": 500_000,
        "limits.disk_ballast_bytes": 300_000,
        "limits.uncommitted_timeout_s": 5.0,
    }
    return load(flags=flags, environ={}, file=None)


async def until_stored(ann: WireClient) -> None:
    while True:
        reply = await ann.command("message.create", room="lobby", content="again", respond="never")
        if reply["ok"]:
            return
        assert reply["error"]["code"] == "storage_full"
        await anyio.sleep(0.2)


def get(url: str) -> int:
    try:
        with urlopen(url, timeout=60) as answer:
            return int(answer.status)
    except HTTPError as refused:
        return refused.code


async def test_a_full_disk_refuses_what_is_new_ends_what_runs_serves_what_is_old_and_then_works_again(
    disk: MountedDisk,
) -> None:
    async with house(settings(disk.folder)) as running:
        ws_url = running.url.replace("http", "ws", 1) + "/v1/ws"
        async with (
            anyio.create_task_group() as tasks,
            wire_client(ws_url, tasks, member="ann") as ann,
            wire_client(ws_url, tasks, member="bob") as bob,
        ):
            joined = await ann.join("lobby")
            said = await ann.ask("lobby", "remember this", respond="never")
            for number in range(40):  # half a megabyte, on a disk of six
                await ann.ask("attic", str(number).ljust(12_000, "."), respond="never")
            asked = await ann.ask("lobby", ENDLESS)
            await ann.until_type("response.output_text.delta")

            disk.fill()
            assert (await ann.until_type("room.degraded"))["reason"] == "storage_full"
            refused = await ann.command("message.create", room="lobby", content="more", respond="never")
            assert refused["error"]["code"] == "storage_full"
            assert refused["error"]["retryable"]

            resumed = await bob.join("lobby", after={"epoch": joined["epoch"], "seq": said["seq"] - 1})
            assert resumed["resumed"], "what is old is served"
            assert (await bob.until_type("item.created"))["item"]["id"] == said["item_id"]
            history = await bob.command("history.list", room="lobby")
            assert history["result"]["items"]
            assert await anyio.to_thread.run_sync(get, f"{running.url}/v1/rooms/lobby") == 200

            for viewer in (ann, bob):
                ended = await viewer.ending(asked["response_id"])
                assert ended["type"] == "response.failed", "its terminal is stored on the full disk"
                assert ended["response"]["error"]["code"] == "storage_unavailable"

            gone = await ann.command("room.delete", room="attic")
            assert gone["result"] == {}, "deletions go on"
            assert await anyio.to_thread.run_sync(get, f"{running.url}/v1/rooms/attic") == 404

            disk.empty()
            with anyio.fail_after(60):
                await until_stored(ann)
            again = await ann.ask("lobby", "short one please")
            assert (await bob.ending(again["response_id"]))["type"] == "response.completed"

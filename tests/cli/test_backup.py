"""Tests of roomcast/cli/backup.py and restore.py: from a running server to another life of its store."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.program import roomcast
from tests.support.server import roomcast_server

pytestmark = pytest.mark.anyio


async def rooms(url: str) -> list[str]:
    listed = await roomcast("rooms", "--json", "--url", url)
    return [json.loads(line)["name"] for line in listed.stdout.splitlines()]


async def test_a_backup_of_a_running_server_can_be_restored_when_it_has_stopped(tmp_path: Path) -> None:
    data, copy = tmp_path / "data", tmp_path / "copy.db"
    with roomcast_server(data=data) as server:
        await roomcast("send", "early", "hello", "--url", server.url)
        done = await roomcast("backup", str(copy), "--data", str(data))
        assert (done.returncode, done.stdout) == (0, f"backed up to {copy}\n")
        await roomcast("send", "late", "hello", "--url", server.url)
        refused = await roomcast("restore", str(copy), "--data", str(data))
        assert refused.returncode == 1
        assert "is using it" in refused.stderr
        assert await rooms(server.url) == ["early", "late"]
        server.terminate()
        server.process.wait(60)
    done = await roomcast("restore", str(copy), "--data", str(data))
    assert done.returncode == 0, done.stderr
    assert "what was there is in" in done.stdout
    with roomcast_server(data=data) as server:
        assert await rooms(server.url) == ["early"]
        assert "epochs_renewed" in server.log.read_text()


async def test_a_backup_overwrites_nothing(tmp_path: Path) -> None:
    (tmp_path / "copy.db").write_text("precious")
    done = await roomcast("backup", str(tmp_path / "copy.db"), "--data", str(tmp_path / "data"))
    assert done.returncode == 1
    assert "there is no such file" in done.stderr
    assert (tmp_path / "copy.db").read_text() == "precious"

"""Tests of roomcast/cli/serve.py: the server as it is started and stopped."""

from __future__ import annotations

import signal
import socket
from pathlib import Path

import pytest

from roomcast.client import connect, list_rooms
from tests.cli.program import roomcast, running

pytestmark = pytest.mark.anyio

READY = " is ready on "


def address(printed: str) -> str:
    return printed.partition(READY)[2].split()[0]


async def test_one_line_tells_that_it_is_ready_and_a_signal_ends_it_with_0(tmp_path: Path) -> None:
    async with running("serve", "--port", "0", "--data", str(tmp_path)) as server:
        line = await server.until("\n")
        assert line.count("\n") == 1
        assert "simulated" in line
        assert str(tmp_path) in line
        async with connect(address(line), "lobby"):
            assert [room["name"] for room in await list_rooms(address(line))] == ["lobby"]
        assert await server.stop(signal.SIGTERM) == 0


async def test_flags_without_a_verb_serve_as_well_and_the_default_folder_is_here(tmp_path: Path) -> None:
    async with running("--port", "0", folder=tmp_path) as server:
        await server.until("\n")
        assert (tmp_path / "roomcast-data").is_dir()
        assert await server.stop(signal.SIGINT) == 0


async def test_a_port_that_is_taken_is_one_clear_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = await roomcast("serve", "--port", str(port), "--data", str(tmp_path))
    assert (done.returncode, done.stdout) == (1, "")
    assert f"roomcast: cannot listen on 127.0.0.1:{port}" in done.stderr
    assert "Traceback" not in done.stderr


async def test_a_store_that_is_in_use_is_one_clear_line(tmp_path: Path) -> None:
    async with running("serve", "--port", "0", "--data", str(tmp_path)) as server:
        await server.until("\n")
        done = await roomcast("serve", "--port", "0", "--data", str(tmp_path))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1].startswith("roomcast: ")
    assert "one process" in done.stderr
    assert "Traceback" not in done.stderr


async def test_a_store_that_is_damaged_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "roomcast.db").write_bytes(b"this was a database once " * 1_000)
    done = await roomcast("serve", "--port", "0", "--data", str(tmp_path))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1].startswith("roomcast: ")
    assert "Traceback" not in done.stderr


async def test_settings_that_are_wrong_are_a_line_each_and_the_status_is_2(tmp_path: Path) -> None:
    done = await roomcast("serve", "--port", "70000", "--data", str(tmp_path), ROOMCAST_SERVER__HOSST="x")
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 2)
    assert "server.port" in done.stderr
    assert "server.hosst" in done.stderr

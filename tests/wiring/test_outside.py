"""Tests of roomcast/wiring/outside.py: what is opened, and what is said when it cannot be."""

from __future__ import annotations

import socket
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from roomcast.config import load
from roomcast.core.settings import Settings
from roomcast.wiring.outside import StartError, SystemClock, listen, open_store, open_upstream

pytestmark = pytest.mark.anyio


def settings(data: Path, **flags: object) -> Settings:
    return load(flags={"server.port": 0, "storage.data": str(data), **flags}, environ={}, file=None)


async def test_a_folder_that_cannot_be_one_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    async with AsyncExitStack() as stack:
        with pytest.raises(StartError, match="file"):
            await open_store(settings(tmp_path / "file" / "data"), stack, SystemClock())


async def test_without_a_key_the_demo_answers_under_its_own_name(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        told, upstream = await open_upstream(settings(tmp_path), stack)
        assert upstream.simulated
        assert {profile.model for profile in told.profiles.values()} == {"roomcast-demo"}


async def test_with_an_address_that_service_answers_and_no_demo_is_started(tmp_path: Path) -> None:
    given = settings(tmp_path, **{"upstream.base_url": "http://127.0.0.1:9/v1"})
    async with AsyncExitStack() as stack:
        told, upstream = await open_upstream(given, stack)
        assert not upstream.simulated
        assert told == given


def test_the_port_is_bound_with_a_small_receive_buffer(tmp_path: Path) -> None:
    given = settings(tmp_path)
    with listen(given) as listening:
        # Linux doubles what is asked for, to have room for its own books.
        assert listening.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) <= 2 * given.limits.receive_buffer_bytes

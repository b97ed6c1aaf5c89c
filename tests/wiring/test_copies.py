"""Tests of roomcast/wiring/copies.py; storage/sqlite/test_copies.py has what a copy is."""

from __future__ import annotations

from pathlib import Path

import pytest

from roomcast.config import load
from roomcast.wiring import StartError, back_up_store, house, restore_store

pytestmark = pytest.mark.anyio


async def test_a_store_in_memory_has_no_file_to_copy(tmp_path: Path) -> None:
    settings = load(flags={"storage.url": "memory://"}, environ={}, file=None)
    for act in (back_up_store, restore_store):
        with pytest.raises(StartError, match="only a store in a file can be copied"):
            act(settings, tmp_path / "copy.db")


async def test_a_damaged_store_refuses_to_start_naming_the_file_and_the_way_back(tmp_path: Path) -> None:
    settings = load(flags={"storage.data": str(tmp_path), "server.port": 0}, environ={}, file=None)
    (tmp_path / "roomcast.db").write_bytes(b"this is no database" * 1_000)
    with pytest.raises(StartError, match=rf"{tmp_path}/roomcast\.db: .*roomcast restore FILE"):
        async with house(settings):
            pytest.fail("started on what is no database")

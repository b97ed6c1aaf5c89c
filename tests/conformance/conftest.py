"""The adapters that must pass this suite. A new one is a line in `ADAPTERS`."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from roomcast.core.ports import Clock, Head
from roomcast.storage import Store, open_memory, open_sqlite
from tests.conformance.examples import ManualClock


@dataclass(frozen=True, slots=True)
class Opened:
    """A store, and the one thing that a test needs and no port offers.

    Attributes:
        lift_floor: Forget a room's oldest events, as trimming will.
    """

    store: Store
    lift_floor: Callable[[str, int], None]


@asynccontextmanager
async def _memory(folder: Path, clock: Clock) -> AsyncGenerator[Opened]:
    async with open_memory(clock=clock) as store:

        def lift_floor(room: str, floor: int) -> None:
            log = store._rooms[room]  # pyright: ignore[reportPrivateUsage]  # trimming comes later
            del log.records[: floor - log.head.floor]
            log.head = Head(room, log.head.epoch, log.head.seq, floor)

        yield Opened(store, lift_floor)


@asynccontextmanager
async def _sqlite(folder: Path, clock: Clock) -> AsyncGenerator[Opened]:
    path = folder / "roomcast.db"
    async with open_sqlite(path, clock=clock) as store:

        def lift_floor(room: str, floor: int) -> None:
            with closing(sqlite3.connect(path)) as connection, connection:
                connection.execute("DELETE FROM events WHERE room = ? AND seq <= ?", (room, floor))
                connection.execute("UPDATE rooms SET floor = ? WHERE name = ?", (floor, room))

        yield Opened(store, lift_floor)


ADAPTERS: Mapping[str, Callable[[Path, Clock], AbstractAsyncContextManager[Opened]]] = {
    "memory": _memory,
    "sqlite": _sqlite,
}


@pytest.fixture(params=[*ADAPTERS, "sqlite on uvloop"])
def setting(request: pytest.FixtureRequest) -> str:
    """The adapter, and the loop where it makes a difference: an adapter with threads speaks to both."""
    return str(request.param)


@pytest.fixture
def anyio_backend(setting: str) -> tuple[str, dict[str, Any]]:
    return "asyncio", {"use_uvloop": setting.endswith("on uvloop")}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def opened(setting: str, tmp_path: Path, clock: ManualClock) -> AsyncGenerator[Opened]:
    async with ADAPTERS[setting.split()[0]](tmp_path, clock) as opened:
        yield opened


@pytest.fixture
def store(opened: Opened) -> Store:
    return opened.store

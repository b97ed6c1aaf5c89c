"""The adapters that must pass this suite. A new one is a line in `ADAPTERS`."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from roomcast.core.ports import Clock, Retention
from roomcast.storage import Store, open_memory, open_sqlite
from tests.conformance.examples import ManualClock

ADAPTERS: Mapping[str, Callable[[Path, Clock, Retention], AbstractAsyncContextManager[Store]]] = {
    "memory": lambda folder, clock, retention: open_memory(clock=clock, retention=retention),
    "sqlite": lambda folder, clock, retention: open_sqlite(folder / "roomcast.db", clock=clock, retention=retention),
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
def retention() -> Retention:
    return Retention(age_s=100, size_bytes=1_000_000, events=1_000)


@pytest.fixture
async def store(setting: str, tmp_path: Path, clock: ManualClock, retention: Retention) -> AsyncGenerator[Store]:
    async with ADAPTERS[setting.split()[0]](tmp_path, clock, retention) as store:
        yield store

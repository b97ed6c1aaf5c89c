"""Servers whose model service, or whose disk, is in the hands of the test."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
import orjson
import pytest

from tests.support.disk.faulty_disk import FaultyDisk, compiled, faulty_disk_at
from tests.support.hostile_upstream import HostileUpstream
from tests.support.server import Server, roomcast_server
from tests.support.unharmed import assert_unharmed
from tests.support.wire_client import WireClient, wire_client

KEY = "sk-canary-key-0123456789abcdef"
WORDS = "canary words of the vendor"
HASTY = {
    "ROOMCAST_UPSTREAM__FIRST_OUTPUT_TIMEOUT_S": "4",
    "ROOMCAST_UPSTREAM__IDLE_TIMEOUT_S": "4",
    "ROOMCAST_UPSTREAM__TOTAL_TIMEOUT_S": "8",
}
"""For what is about time. All else keeps the defaults: a busy machine must not turn its faults into silence."""


@dataclass(frozen=True)
class Bench:
    """A server, and the model service it speaks to.

    Attributes:
        key: Its key; neither this nor `words`, which it says in its errors, may ever be seen outside.
    """

    api: str
    server: Server
    upstream: HostileUpstream
    key: str = KEY
    words: str = WORDS

    @asynccontextmanager
    async def room(self, name: str = "lobby") -> AsyncGenerator[tuple[WireClient, WireClient]]:
        """Two members of a room; what they heard has nothing of the vendor's in it."""
        async with anyio.create_task_group() as tasks:
            async with (
                wire_client(self.server.ws_url, tasks, member="ann") as ann,
                wire_client(self.server.ws_url, tasks, member="bob") as bob,
            ):
                await ann.join(name, items=0)
                await bob.join(name, items=0)
                yield ann, bob
                self.assert_silent_about_the_vendor(orjson.dumps([ann.heard, bob.heard]).decode())
            tasks.cancel_scope.cancel()

    def assert_silent_about_the_vendor(self, text: str) -> None:
        """No key, no words, no address, and of the names only that of the model."""
        for canary in (self.key, self.words, f":{self.upstream.port}", "theirs"):
            assert canary not in text.replace("gpt-theirs", ""), canary


@asynccontextmanager
async def _serving(api: str, data: Path, settings: Mapping[str, str]) -> AsyncGenerator[Bench]:
    """A server in front of a model service; unharmed at the end."""
    async with HostileUpstream() as upstream:
        environ = {
            **settings,
            "OPENAI_API_KEY": KEY,
            "OPENAI_BASE_URL": upstream.base_url,
            "ROOMCAST_UPSTREAM__API": api,
        }
        with roomcast_server(data, environ=environ) as server:
            found = Bench(api, server, upstream)
            yield found
            await anyio.to_thread.run_sync(assert_unharmed, server)
            found.assert_silent_about_the_vendor(server.log.read_text())


@pytest.fixture(scope="module", params=["responses", "chat_completions"])
async def bench(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Bench]:
    """One for each of the two APIs."""
    async with _serving(str(request.param), tmp_path_factory.mktemp("bench"), {}) as found:
        yield found


@pytest.fixture(scope="module", params=["responses", "chat_completions"])
async def hasty(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Bench]:
    """One for each of the two APIs, that does not wait for long."""
    async with _serving(str(request.param), tmp_path_factory.mktemp("hasty"), HASTY) as found:
        yield found


@pytest.fixture(scope="session")
def faulty_disk_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What stands between a server and its disk, compiled once."""
    return compiled(tmp_path_factory.mktemp("faulty_disk"))


@pytest.fixture
def faulty_disk(faulty_disk_library: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[FaultyDisk]:
    """A disk and a wall clock that do as they are told, for servers with its `environ`."""
    with faulty_disk_at(tmp_path_factory.mktemp("faults"), faulty_disk_library) as disk:
        yield disk

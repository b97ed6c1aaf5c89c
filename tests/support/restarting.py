"""A server that is stopped, or killed, and started again on its port and its folder.

with ExitStack() as stack:
    serving = Serving(stack, tmp_path, ROOMCAST_DEMO__TOKENS_PER_SECOND="40")
    await serving.restart()        # SIGTERM, and the next one
    await serving.crash()          # SIGKILL, and the next one
    assert serving.stop() == 0
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import anyio

from tests.support.server import Server, roomcast_server

__all__ = ["Serving"]

DRAIN_PATIENCE_S = 60


class Serving:
    """One server after the other.

    Attributes:
        server: The one that runs now.
        port: Of all of them.
        restarts: How many were asked to stop.
        crashes: How many were killed.
    """

    def __init__(self, stack: ExitStack, data: Path, **settings: str) -> None:
        self._stack, self._data, self._settings = stack, data, settings
        self.server = self._start(0)
        self.port = self.server.port
        self.restarts = 0
        self.crashes = 0

    async def restart(self) -> int:
        """Ask it to drain, wait for its end, and start the next; returns the exit status."""
        self.server.terminate()
        status = await anyio.to_thread.run_sync(self.server.wait, DRAIN_PATIENCE_S)
        await self._next()
        self.restarts += 1
        return status

    async def crash(self) -> None:
        """End it with SIGKILL, and start the next."""
        self.server.kill()
        await self._next()
        self.crashes += 1

    def stop(self) -> int:
        """Stop it for good; returns the exit status."""
        return self.server.stop()

    async def _next(self) -> None:
        self.server = await anyio.to_thread.run_sync(self._start, self.port)

    def _start(self, port: int) -> Server:
        return self._stack.enter_context(roomcast_server(self._data, environ=self._settings, port=port))

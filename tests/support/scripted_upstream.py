"""A model that follows a script, for pipelines in memory."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypeAlias

import anyio

from roomcast.core.ports import Finish, Piece, UpstreamRequest

__all__ = ["ScriptedUpstream", "Step", "said"]

Step: TypeAlias = str | float | Finish | Exception | anyio.Event


def said(*pieces: str | float) -> list[Step]:
    """A script that says `pieces` and completes."""
    return [*pieces, Finish("completed")]


class ScriptedUpstream:
    """A model that says strings, waits for floats (seconds) and events, raises errors, and finishes.

    Attributes:
        requests: What it was asked.
        hung_up: How many of its streams were left.
        before_open: Waited for before a stream opens, if set.
    """

    name = "scripted"
    simulated = True

    def __init__(self, *scripts: Sequence[Step]) -> None:
        self.scripts: list[Sequence[Step]] = list(scripts) or [said("Hel", "lo")]
        self.requests: list[UpstreamRequest] = []
        self.hung_up = 0
        self.before_open: anyio.Event | None = None

    async def warm(self) -> None:
        pass

    async def close(self) -> None:
        pass

    def open(self, request: UpstreamRequest) -> AbstractAsyncContextManager[AsyncIterator[Piece]]:
        return self._open(request)

    @asynccontextmanager
    async def _open(self, request: UpstreamRequest) -> AsyncGenerator[AsyncIterator[Piece]]:
        script = self.scripts[min(len(self.requests), len(self.scripts) - 1)]
        self.requests.append(request)
        try:
            if self.before_open is not None:
                await self.before_open.wait()
            yield self._play(script, f"msg_of_{request.response_id}")
        finally:
            self.hung_up += 1

    async def _play(self, script: Sequence[Step], item_id: str) -> AsyncIterator[Piece]:
        opened = False
        place = {"item_id": item_id, "output_index": 0}
        for step in script:
            if isinstance(step, str):
                if not opened:
                    opened = True
                    item = {"id": item_id, "type": "message", "role": "assistant", "status": "in_progress"}
                    yield {"type": "response.output_item.added", "output_index": 0, "item": {**item, "content": []}}
                yield {"type": "response.output_text.delta", **place, "content_index": 0, "delta": step}
            elif isinstance(step, int | float):
                await anyio.sleep(step)
            elif isinstance(step, anyio.Event):
                await step.wait()
            elif isinstance(step, Finish):
                yield step
            else:
                raise step

"""One node's way to a log that it shares with others."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager

import anyio

from roomcast.core.ports import Append, Committed, Conflict, Head
from tests.support.faulty_store import FaultyStore

__all__ = ["Pausable"]


class Pausable(FaultyStore):
    """One node's way to a log that it shares; the node can be paused, as by a signal.

    While it is, it neither appends nor beats nor hears of the others; what it had under way goes on
    where it stopped.
    """

    def __init__(self, shared: FaultyStore) -> None:
        super().__init__()
        self.__dict__.update({name: value for name, value in shared.__dict__.items() if name.startswith("_")})
        self.awake = anyio.Event()
        self.awake.set()

    def pause(self) -> None:
        """Stand still until `awake` is set."""
        if self.awake.is_set():
            self.awake = anyio.Event()

    async def append(self, batches: Sequence[Append]) -> Sequence[Committed | Conflict]:
        await self.awake.wait()
        return await super().append(batches)

    async def beat(self, node: str) -> None:
        await self.awake.wait()
        await super().beat(node)

    @asynccontextmanager
    async def follow(self) -> AsyncGenerator[AsyncIterator[Head]]:
        async with super().follow() as heads:
            yield self._while_awake(heads)

    async def _while_awake(self, heads: AsyncIterator[Head]) -> AsyncIterator[Head]:
        async for head in heads:
            await self.awake.wait()
            yield head

"""What both APIs share: one generation is one request, translated as it comes in.

open(request) -> ModelService.ask(path, body) -> Pieces(reply, translator)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import ClassVar

from roomcast.core.events import JsonObject
from roomcast.core.limits import Limits
from roomcast.core.ports import IdSource, Piece, UpstreamRequest
from roomcast.upstream.connection import ModelService
from roomcast.upstream.pieces import Pieces, Translator

__all__ = ["OpenAIUpstream"]


class OpenAIUpstream(ABC):
    """The port `Upstream` over one of the APIs that the `openai` client speaks.

    Args:
        service: Where it is.
        name: For the start-up line, logs and metrics.
        simulated: Whether the demo model answers.
        new_id: Source of ids.
        limits: Bounds on lines and events.
    """

    path: ClassVar[str]
    """Of the API, below the base address."""

    rehearsal: ClassVar[bytes]
    """A shortest answer, for `warm`."""

    def __init__(self, service: ModelService, *, name: str, simulated: bool, new_id: IdSource, limits: Limits) -> None:
        self.new_id = new_id
        self._service = service
        self._name = name
        self._simulated = simulated
        self._limits = limits

    @abstractmethod
    def body(self, request: UpstreamRequest) -> JsonObject:
        """The request in the words of this API; raises `UpstreamError` for what it cannot be asked."""

    @abstractmethod
    def translator(self) -> Translator:
        """A translator for one answer."""

    @property
    def name(self) -> str:
        """For example `openai (responses)`."""
        return self._name

    @property
    def simulated(self) -> bool:
        """Whether the demo model answers."""
        return self._simulated

    @asynccontextmanager
    async def open(self, request: UpstreamRequest) -> AsyncGenerator[AsyncIterator[Piece]]:
        """Start a generation; leaving the context hangs up at once. See `ports.Upstream`."""
        async with self._service.ask(self.path, self.body(request)) as reply:
            yield Pieces(
                reply,
                self.translator(),
                max_line_bytes=self._limits.upstream_line_bytes,
                max_event_bytes=self._limits.upstream_event_bytes,
            )

    async def warm(self) -> None:
        """Go through a generation without a network, so that the first real one is not slow."""
        await self._service.rehearse(self.rehearsal)

    async def close(self) -> None:
        """Release the connections."""
        await self._service.close()

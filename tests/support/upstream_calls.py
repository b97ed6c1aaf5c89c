"""Calls to an upstream adapter, for tests: build it, ask it, see everything that came out."""

from __future__ import annotations

import itertools
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from roomcast.core.errors import UpstreamError
from roomcast.core.events import JsonObject
from roomcast.core.limits import Limits
from roomcast.core.ports import Finish, IdSource, Upstream, UpstreamRequest
from roomcast.core.settings import Secret, UpstreamSettings
from roomcast.upstream import build_upstream

__all__ = ["APIS", "Call", "adapter_for", "ask", "counted_ids"]

APIS = ("responses", "chat_completions")

A_PROMPT: JsonObject = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]}


@dataclass(slots=True)
class Call:
    """What came of one generation."""

    events: list[JsonObject] = field(default_factory=list[JsonObject])
    finish: Finish | None = None
    error: UpstreamError | None = None

    @property
    def text(self) -> str:
        """The text that viewers would see."""
        return "".join(it["delta"] for it in self.events if it["type"] == "response.output_text.delta")

    @property
    def types(self) -> list[str]:
        """The event types, without their common prefix."""
        return [it["type"].removeprefix("response.") for it in self.events]

    def of_type(self, name: str) -> list[JsonObject]:
        """The events of one type."""
        return [it for it in self.events if it["type"] == f"response.{name}"]


def counted_ids() -> IdSource:
    """An id source that counts: msg_ours1, fc_ours2, …"""
    numbers = itertools.count(1)

    def new_id(prefix: str) -> str:
        return f"{prefix}_ours{next(numbers)}"

    return new_id


@asynccontextmanager
async def adapter_for(
    base_url: str, api: str = "responses", *, limits: Limits | None = None, key: str = "sk-canary"
) -> AsyncGenerator[Upstream]:
    """A real adapter with the real client, closed at the end."""
    settings = replace(UpstreamSettings(), api=api, connect_timeout_s=60.0)  # type: ignore[arg-type]  # parametrised
    upstream = build_upstream(
        settings,
        base_url=base_url,
        api_key=Secret(key),
        simulated=False,
        new_id=counted_ids(),
        limits=limits or Limits(),
    )
    try:
        yield upstream
    finally:
        await upstream.close()


async def ask(
    upstream: Upstream, request: UpstreamRequest | None = None, *, seen: Callable[[Call], None] = lambda _: None
) -> Call:
    """Run one generation to its end.

    Args:
        upstream: Whom to ask.
        request: What; a short prompt if not given.
        seen: Called with what came so far, after each event.
    """
    call = Call()
    try:
        async with upstream.open(request or UpstreamRequest("resp_ours", "a-model", [A_PROMPT])) as pieces:
            async for piece in pieces:
                assert call.finish is None, "nothing follows a finish"
                if isinstance(piece, Finish):
                    call.finish = piece
                else:
                    call.events.append(piece)
                    seen(call)
    except UpstreamError as error:
        call.error = error
    return call

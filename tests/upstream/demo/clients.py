"""Talking to a demo upstream as the server does: the real client, no retries, events as plain dicts."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

import anyio
from openai import AsyncOpenAI, AsyncStream, DefaultAsyncHttpx2Client

from roomcast.upstream.demo import DemoServer, DemoSettings, serve_demo

Event = dict[str, Any]

FAST = DemoSettings(first_token_ms=0, tokens_per_second=math.inf, faults=True, record_requests=10)
APIS = ("responses", "chat")

_PATHS = {"responses": "/responses", "chat": "/chat/completions"}


@dataclass(frozen=True, slots=True)
class Demo:
    """A running demo upstream and a client of it."""

    server: DemoServer
    client: AsyncOpenAI

    async def stream(self, api: str, prompt: str, **options: object) -> list[Event]:
        """Return all events of a streamed answer."""
        return [event async for event in self.events(api, prompt, **options)]

    async def events(self, api: str, prompt: str, **options: object) -> AsyncIterator[Event]:
        """Yield the events of a streamed answer. Close it, or read it to its end."""
        async with await self.open(api, prompt, **options) as stream:
            async for event in stream:
                yield cast("Event", event)

    async def open(self, api: str, prompt: str, **options: object) -> AsyncStream[object]:
        """Open a streamed answer."""
        body = _body(api, prompt) | {"stream": True} | options
        return await self.client.post(
            _PATHS[api], cast_to=object, body=body, stream=True, stream_cls=AsyncStream[object]
        )

    async def ask(self, api: str, prompt: str, **options: object) -> Event:
        """Return the one object of an answer that is not streamed."""
        return cast("Event", await self.client.post(_PATHS[api], cast_to=object, body=_body(api, prompt) | options))


def _body(api: str, prompt: str) -> dict[str, object]:
    said = {"input": prompt} if api == "responses" else {"messages": [{"role": "user", "content": prompt}]}
    return {"model": "any", **said}


@asynccontextmanager
async def running(settings: DemoSettings = FAST) -> AsyncGenerator[Demo]:
    """Run a demo upstream and a client of it; redirects are not followed, as in the server."""
    async with (
        serve_demo(settings) as server,
        # Without TLS there is nothing to verify, and loading the trust store would take longer than most tests.
        DefaultAsyncHttpx2Client(follow_redirects=False, verify=False) as http_client,
        AsyncOpenAI(base_url=server.base_url, api_key=server.api_key, max_retries=0, http_client=http_client) as client,
    ):
        with anyio.fail_after(120):
            yield Demo(server, client)


def text_of(events: Iterable[Event]) -> str:
    """Join the text of a stream of either API, as deltas bring it."""
    pieces: list[str] = []
    for event in events:
        if event.get("type") == "response.output_text.delta":
            pieces.append(event["delta"])
        for choice in event.get("choices", [])[:1]:
            delta: Event = choice["delta"] or {}
            pieces.append(delta.get("content") or "")
    return "".join(pieces)


def types_of(events: Iterable[Event]) -> list[str]:
    """Name the events of a Responses stream, with neighbouring deltas counted as one."""
    names: list[str] = []
    for event in events:
        if not (names and names[-1] == event["type"] and event["type"].endswith(".delta")):
            names.append(event["type"])
    return names

"""A client that keeps everything it hears, for tests from the outside. It hides nothing and mends nothing."""

from __future__ import annotations

import itertools
import os
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import orjson
from anyio.abc import TaskGroup
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

__all__ = ["PATIENCE_S", "Heard", "WireClient", "wire_client"]

PATIENCE_S = 60.0
"""For anything that must happen at some time: a machine that others keep busy is several times slower."""

Heard = dict[str, Any]


class WireClient:
    """One connection.

    Attributes:
        heard: Every frame, decoded, in order.
        closed: Close code and reason, once it is closed.
    """

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.heard: list[Heard] = []
        self.closed: tuple[int | None, str | None] | None = None
        self._news = anyio.Event()
        self._ids = itertools.count(1)
        self._salt = os.urandom(4).hex()

    async def listen(self) -> None:
        """Take down what comes, until the end."""
        try:
            async for message in self.connection:
                self.heard.append(orjson.loads(message))
                self._tell()
        except ConnectionClosed:
            pass
        self.closed = (self.connection.close_code, self.connection.close_reason)
        self._tell()

    def _tell(self) -> None:
        self._news.set()
        self._news = anyio.Event()

    async def until(self, wanted: Callable[[Heard], bool], timeout_s: float = PATIENCE_S) -> Heard:
        """The first thing heard that is wanted; waits for it."""
        looked = 0
        with anyio.fail_after(timeout_s):
            while True:
                for got in self.heard[looked:]:
                    looked += 1
                    if wanted(got):
                        return got
                assert self.closed is None, f"closed {self.closed} before it was heard"
                await self._news.wait()

    async def until_type(self, kind: str, timeout_s: float = PATIENCE_S, **fields: Any) -> Heard:
        """The first event of this type whose fields are as given."""
        return await self.until(
            lambda got: got["type"] == kind and all(got.get(name) == value for name, value in fields.items()), timeout_s
        )

    async def until_closed(self, timeout_s: float = PATIENCE_S) -> tuple[int | None, str | None]:
        """Wait for the end of the connection."""
        with anyio.fail_after(timeout_s):
            while self.closed is None:
                await self._news.wait()
        return self.closed

    async def send(self, kind: str, **fields: Any) -> str:
        """Send a command; returns its id."""
        command_id: str = fields.pop("id", None) or f"t-{self._salt}-{next(self._ids)}"
        await self.connection.send(orjson.dumps({"type": kind, "id": command_id, **fields}), text=True)
        return command_id

    async def command(self, kind: str, **fields: Any) -> Heard:
        """Send a command and wait for its reply."""
        command_id = await self.send(kind, **fields)
        return await self.until_type("reply", id=command_id)

    async def join(self, room: str, **fields: Any) -> Heard:
        """Join; returns the result."""
        reply = await self.command("room.join", room=room, **fields)
        assert reply["ok"], reply
        result: Heard = reply["result"]
        return result

    async def ask(self, room: str, text: str, **fields: Any) -> Heard:
        """Ask; returns the result."""
        reply = await self.command("message.create", room=room, content=text, **fields)
        assert reply["ok"], reply
        result: Heard = reply["result"]
        return result

    async def ending(self, response_id: str, timeout_s: float = PATIENCE_S) -> Heard:
        """The terminal of a response."""
        return await self.until(lambda got: "digest" in got and got.get("response_id") == response_id, timeout_s)

    def events(self, room: str) -> list[Heard]:
        """The room's events, in the order heard."""
        return [got for got in self.heard if got.get("room") == room and "at" in got and "seq" in got]

    def text(self, response_id: str) -> str:
        """Output text of a response, as heard in deltas."""
        return "".join(
            got["delta"]
            for got in self.heard
            if got["type"] == "response.output_text.delta" and got["response_id"] == response_id
        )


@asynccontextmanager
async def wire_client(
    ws_url: str, tasks: TaskGroup, *, member: str | None = None, **headers: str
) -> AsyncGenerator[WireClient]:
    """Connect; `headers` with underscores for dashes."""
    url = ws_url if member is None else f"{ws_url}?member={member}&name={member.title()}"
    extra = {name.replace("_", "-"): value for name, value in headers.items()}
    async with connect(
        url,
        subprotocols=[Subprotocol("roomcast.v1")],
        compression=None,
        max_size=2**21,
        open_timeout=PATIENCE_S,
        ping_interval=None,  # whether the server is there is for the test to say
        additional_headers=extra,
        proxy=None,
    ) as connection:
        client = WireClient(connection)
        tasks.start_soon(client.listen)
        yield client

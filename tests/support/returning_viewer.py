"""A viewer that always comes back with its cursor, and keeps every frame of both ways for the auditor.

    viewer = ReturningViewer("ann", "lobby")
    viewer.address = server.ws_url          # and the next one after a restart; None while there is none
    tasks.start_soon(viewer.stay)
    await viewer.ask("tell me a story")     # again under the same id until somebody answers

It hides nothing and mends nothing: the transcript is what went over the socket.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import anyio
import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from tests.support.auditor import DISCONNECTED
from tests.support.reference import TERMINALS, Json

__all__ = ["ReturningViewer"]

PAUSE_S = 0.05
PATIENCE_S = 100.0
"""For anything that must happen at some time: a machine that others keep busy is five times slower."""


class ReturningViewer:
    """One member in one room, over as many connections as it takes.

    Attributes:
        address: Where to connect; None waits.
        transcript: Frames of both ways, decoded, as `audit_viewer` reads them.
        cursor: Where it stands: epoch and seq.
        connections: How many joins were answered.
        ended: Responses whose terminal it has, and the type of that.
    """

    def __init__(self, name: str, room: str) -> None:
        self.name, self.room = name, room
        self.address: str | None = None
        self.transcript: list[Json] = []
        self.cursor: Json | None = None
        self.connections = 0
        self.ended: dict[str, str] = {}
        self.resets: list[str] = []
        self._salt = f"{name}-{os.urandom(4).hex()}"
        self._commands = 0
        self._connection: ClientConnection | None = None
        self._news = anyio.Event()

    async def stay(self) -> None:
        """Watch for ever."""
        while True:
            if self.address is not None:
                try:
                    async with connect(
                        f"{self.address}?member={self.name}", compression=None, max_size=None, proxy=None
                    ) as connection:
                        await self._watch(connection)
                except (ConnectionClosed, InvalidHandshake, OSError):
                    pass
                finally:
                    self._connection = None
                    if self.transcript and self.transcript[-1] is not DISCONNECTED:
                        self.transcript.append(DISCONNECTED)
                    self._tell()
            await anyio.sleep(PAUSE_S)

    async def until(self, wanted: Callable[[], object], timeout_s: float = PATIENCE_S) -> None:
        """Wait until `wanted`, which is asked again after everything that happens."""
        with anyio.fail_after(timeout_s):
            while not wanted():
                await self._news.wait()

    async def until_joined(self, timeout_s: float = PATIENCE_S) -> None:
        """Wait until it is in the room."""
        await self.until(lambda: self._connection is not None, timeout_s)

    async def until_ended(self, *response_ids: str, timeout_s: float = PATIENCE_S) -> None:
        """Wait until it has the terminals of all of these."""
        await self.until(lambda: set(response_ids) <= self.ended.keys(), timeout_s)

    async def until_heard(self, kind: str, *, since: int | None = None, timeout_s: float = PATIENCE_S) -> Json:
        """Wait for something of this type behind place `since` of the transcript; returns it.

        Args:
            since: Where to begin; by default, what was heard already does not count.
        """
        heard = len(self.transcript) if since is None else since

        def found() -> Json | None:
            return next((got for got in self.transcript[heard:] if got["type"] == kind), None)

        await self.until(found, timeout_s)
        got = found()
        assert got is not None
        return got

    async def command(self, kind: str, **fields: object) -> Json:
        """Send a command under one id until it is answered, over however many connections; returns the reply."""
        self._commands += 1
        where = {} if kind.startswith("session.") else {"room": self.room}
        body: Json = {"type": kind, "id": f"{self._salt}-c{self._commands}", **where, **fields}
        while True:
            await self.until_joined()
            connection, sent_at = self._connection, len(self.transcript)
            assert connection is not None
            try:
                await connection.send(orjson.dumps(body), text=True)
            except ConnectionClosed:
                await anyio.sleep(PAUSE_S)
                continue

            def reply(sent_at: int = sent_at) -> Json | None:
                return next((got for got in self.transcript[sent_at:] if got.get("id") == body["id"]), None)

            def answered(connection: ClientConnection = connection) -> bool:
                return self._connection is not connection or reply() is not None

            await self.until(answered)
            if (got := reply()) is not None:
                return got

    def drop(self) -> None:
        """Lose the connection; it comes back by itself."""
        if self._connection is not None:
            self._connection.transport.abort()

    async def ask(self, text: str) -> str:
        """Ask until it is accepted; returns the response's id."""
        while True:
            reply = await self.command("message.create", content=text)
            if reply["ok"]:
                response_id: str = reply["result"]["response_id"]
                return response_id
            assert reply["error"]["retryable"], reply
            await anyio.sleep(reply["error"].get("retry_after_ms", 100) / 1000)

    async def _watch(self, connection: ClientConnection) -> None:
        self.connections += 1
        join: Json = {"type": "room.join", "id": f"{self.name}-j{self.connections}", "room": self.room}
        if self.cursor is not None:
            join["after"] = dict(self.cursor)
        self.transcript.append(join)
        await connection.send(orjson.dumps(join), text=True)
        async for frame in connection:
            self._take(orjson.loads(frame))
            if self._connection is None and self.transcript[-1].get("id") == join["id"]:
                self._connection = connection
            self._tell()

    def _take(self, got: Json) -> None:
        self.transcript.append(got)
        if got["type"] == "reply" and got["ok"] and "epoch" in got["result"]:
            result = got["result"]
            self._stand(result["epoch"], result["seq"])
            self._show(result)
        elif got["type"] == "room.reset":
            self._stand(got["epoch"], got["seq"])
            self._show(got)
        elif "at" in got and "seq" in got and self.cursor is not None:
            self.cursor["seq"] = got["seq"]
            if got["type"] in TERMINALS:
                self.ended[got["response_id"]] = got["type"]

    def _show(self, given: Json) -> None:
        if reason := given.get("reset") or given.get("reason"):
            self.resets.append(reason)
        for response in given.get("snapshot", {}).get("responses", ()):
            if f"response.{response['status']}" in TERMINALS:
                self.ended[response["id"]] = f"response.{response['status']}"

    def _stand(self, epoch: str, seq: int) -> None:
        self.cursor = {"epoch": epoch, "seq": seq}

    def _tell(self) -> None:
        self._news.set()
        self._news = anyio.Event()

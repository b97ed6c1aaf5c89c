"""A roomcast server that does exactly what a test tells it: real sockets, no rules."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from websockets.asyncio.server import ServerConnection, serve
from websockets.typing import Subprotocol

from roomcast.core.events import JsonObject

SNAPSHOT: JsonObject = {
    "room": {"name": "lobby", "title": "", "settings": {}, "created_at": 0},
    "items": [],
    "responses": [],
}
YOU: JsonObject = {"id": "m_ada", "name": "Ada", "role": "owner"}


class Caller:
    """One connection of the client under test."""

    def __init__(self, socket: ServerConnection) -> None:
        self._socket = socket
        self.path = socket.request.path if socket.request else ""
        self.subprotocol = socket.subprotocol

    async def hear(self, wanted: str) -> JsonObject:
        """Wait for the next command, which must be of this type."""
        with anyio.fail_after(60):
            command: JsonObject = json.loads(await self._socket.recv())
        assert command["type"] == wanted, command
        return command

    async def tell(self, *frames: JsonObject) -> None:
        """Send frames as they are."""
        for frame in frames:
            await self._socket.send(json.dumps(frame))

    async def answer(self, command: JsonObject, result: Any) -> None:
        """Say yes."""
        await self.tell({"type": "reply", "id": command["id"], "ok": True, "result": result})

    async def refuse(self, command: JsonObject, code: str, **fields: Any) -> None:
        """Say no."""
        error = {"code": code, "message": f"no: {code}", "retryable": False, **fields}
        await self.tell({"type": "reply", "id": command["id"], "ok": False, "error": error})

    async def admit(
        self, *, seq: int = 0, head: int | None = None, resumed: bool = False, epoch: str = "e1"
    ) -> JsonObject:
        """Wait for the join and grant it; returns the command."""
        command = await self.hear("room.join")
        result: JsonObject = {"epoch": epoch, "seq": seq, "head": seq if head is None else head, "resumed": resumed}
        result |= {"members": [YOU], "member_count": 1, "you": YOU}
        if not resumed:
            result |= {"reset": "new", "snapshot": SNAPSHOT}
        await self.answer(command, result)
        return command

    async def close(self, code: int) -> None:
        """Close with a code."""
        await self._socket.close(code)

    def cut(self) -> None:
        """Vanish without a word."""
        self._socket.transport.abort()


class ScriptedServer:
    """Hands each connection to the test that waits for it."""

    def __init__(self, callers: MemoryObjectReceiveStream[Caller]) -> None:
        self._callers = callers
        self.url = ""

    async def caller(self, *, within_s: float = 60) -> Caller:
        """Wait for the next connection."""
        with anyio.fail_after(within_s):
            return await self._callers.receive()

    async def nobody(self, *, within_s: float) -> bool:
        """Whether no further connection arrives."""
        with anyio.move_on_after(within_s):
            await self._callers.receive()
            return False
        return True


@asynccontextmanager
async def scripted_server() -> AsyncGenerator[ScriptedServer]:
    """Serve on a free port of the loopback address."""
    sender: MemoryObjectSendStream[Caller]
    sender, receiver = anyio.create_memory_object_stream[Caller](16)

    async def arrived(socket: ServerConnection) -> None:
        sender.send_nowait(Caller(socket))
        await socket.wait_closed()

    server = ScriptedServer(receiver)
    with sender, receiver:
        async with serve(
            arrived, "127.0.0.1", 0, subprotocols=[Subprotocol("roomcast.v1")], close_timeout=10
        ) as serving:
            server.url = f"ws://127.0.0.1:{next(iter(serving.sockets)).getsockname()[1]}/v1/ws"
            yield server


def event(seq: int, *, seq_from: int | None = None, room: str = "lobby") -> JsonObject:
    """An event of the log; what it says is of no matter here."""
    covered = {} if seq_from is None else {"seq_from": seq_from}
    return {"room": room, "seq": seq, **covered, "at": seq, "type": "item.rated", "item_id": "item_1"}

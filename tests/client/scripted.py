"""A server that does what a test says, on a real socket.

    async with scripted(first, second) as server:      # one script per connection, in order
        async with connect(server.url, backoff=QUICK) as room: ...

A script is an async function of a `Peer`, or an HTTP status, perhaps with a JSON body, that is the
answer to the request whatever it asks for.
Connections beyond the last script are a failure of the test.
"""

from __future__ import annotations

import http
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import orjson
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from roomcast.client.comeback import Backoff
from roomcast.client.events import RoomEvent
from roomcast.core.events import JsonObject

QUICK = Backoff(base_s=0.01, cap_s=0.02, later_s=0.02)
PROMPT_S = 60.0
"""Longest wait for something that should come at once; reaching it fails the test."""


def delta(seq: int, text: str, *, seq_from: int | None = None, response: str = "resp_1") -> JsonObject:
    """A piece of text, as it stands in a log."""
    covered = {} if seq_from is None else {"seq_from": seq_from}
    return {
        "room": "lobby",
        "seq": seq,
        **covered,
        "at": 0,
        "type": "response.output_text.delta",
        "response_id": response,
        "item_id": f"msg_{response}",
        "output_index": 0,
        "content_index": 0,
        "delta": text,
    }


def created(seq: int, *, response: str = "resp_1", status: str = "in_progress") -> JsonObject:
    """The beginning of a response."""
    body: JsonObject = {"id": response, "status": status, "output": []}
    return {"room": "lobby", "seq": seq, "type": "response.created", "response_id": response, "response": body}


def terminal(seq: int, ending: str = "completed", *, response: str = "resp_1", **fields: Any) -> JsonObject:
    """The end of a response."""
    body = {"id": response, "status": ending}
    return {
        "room": "lobby",
        "seq": seq,
        "type": f"response.{ending}",
        "response_id": response,
        "response": body,
        **fields,
    }


def said(seq: int, text: str, *, name: str = "Ada", item: str | None = None) -> JsonObject:
    """Something that a person said."""
    item_id = item or f"msg_{seq}"
    content = [{"type": "input_text", "text": text}]
    by = {"id": name.lower(), "name": name}
    body = {"id": item_id, "type": "message", "role": "user", "status": "completed", "content": content, "by": by}
    return {"room": "lobby", "seq": seq, "type": "item.created", "by": by, "item": body}


def snapshot(**fields: Any) -> JsonObject:
    """The state of a room, empty but for `fields`."""
    return {
        "room": {"name": "lobby", "title": "", "settings": {}, "created_at": 0},
        "items": [],
        "has_more": False,
        "responses": [],
        "queue": [],
        "approvals": [],
        "head_item_id": None,
        **fields,
    }


def as_event(data: JsonObject) -> RoomEvent:
    """An event as the client hands it over."""
    return RoomEvent(data["type"], data.get("seq"), data.get("seq_from", data.get("seq")), data)


class Peer:
    """One connection, from the server's side."""

    def __init__(self, connection: ServerConnection) -> None:
        self._connection = connection
        assert connection.request is not None
        self.path = connection.request.path
        self.headers = connection.request.headers

    async def say(self, *messages: JsonObject) -> None:
        for message in messages:
            await self._connection.send(orjson.dumps(message), text=True)

    async def say_raw(self, text: str | bytes) -> None:
        await self._connection.send(text)

    async def receive(self) -> JsonObject:
        """The next command."""
        with anyio.fail_after(PROMPT_S):
            command: JsonObject = orjson.loads(await self._connection.recv())
        return command

    async def reply(self, command: JsonObject, **result: Any) -> None:
        await self.say({"type": "reply", "id": command["id"], "ok": True, "result": result})

    async def refuse(self, command: JsonObject, code: str, message: str = "no", **fields: Any) -> None:
        error = {"code": code, "message": message, "retryable": False, **fields}
        await self.say({"type": "reply", "id": command["id"], "ok": False, "error": error})

    async def joined(self, seq: int = 0, *, epoch: str = "e1", **result: Any) -> JsonObject:
        """Await the join, let it in, and return it: resumed if it asked for exactly this position."""
        command = await self.receive()
        assert command["type"] == "room.join", command
        here = {"epoch": epoch, "seq": seq}
        if command.get("after") == here:
            answer: JsonObject = {"resumed": True}
        else:
            answer = {"resumed": False, "reset": "new", "snapshot": snapshot()}
        await self.reply(command, **{"head": seq, "members": [], "member_count": 1, "you": {}} | here | answer | result)
        return command

    async def close(self, code: int, reason: str = "") -> None:
        await self._connection.close(code, reason)

    def cut(self) -> None:
        """Let the connection break, without a word."""
        self._connection.transport.abort()

    async def gone(self) -> None:
        """Wait until the client has hung up."""
        with anyio.fail_after(PROMPT_S):
            await self._connection.wait_closed()


Script = Callable[[Peer], Awaitable[None]] | int | tuple[int, JsonObject]


class Scripted:
    """The server: its address, and what was asked of it."""

    def __init__(self, scripts: tuple[Script, ...]) -> None:
        self._scripts = scripts
        self.tries = 0
        self.port = 0
        self.paths: list[str] = []
        self.failures: list[Exception] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def admit(self, connection: ServerConnection, request: Request) -> Response | None:
        self.paths.append(request.path)
        script = self._scripts[self.tries] if self.tries < len(self._scripts) else 500
        connection.script = script  # type: ignore[attr-defined]  # carried from here to `run`
        self.tries += 1
        match script:
            case int():
                return connection.respond(http.HTTPStatus(script), "")
            case (status, body):
                return connection.respond(http.HTTPStatus(status), orjson.dumps(body).decode())
            case _:
                return None

    async def run(self, connection: ServerConnection) -> None:
        try:
            await connection.script(Peer(connection))  # type: ignore[attr-defined]  # see `admit`
        except Exception as error:  # shown where the test ends, instead of in a log
            self.failures.append(error)


@asynccontextmanager
async def scripted(*scripts: Script) -> AsyncGenerator[Scripted]:
    """Serve `scripts`, one per connection; what fails in one fails the test."""
    server = Scripted(scripts)
    async with serve(
        server.run,
        "127.0.0.1",
        0,
        process_request=server.admit,
        subprotocols=["roomcast.v1"],  # type: ignore[list-item]  # a NewType of str
        compression=None,
        close_timeout=10,
    ) as listening:
        server.port = next(iter(listening.sockets)).getsockname()[1]
        with anyio.fail_after(2 * PROMPT_S):
            yield server
    if server.failures:
        raise server.failures[0]
    assert server.tries <= len(scripts), f"{server.tries} connections for {len(scripts)} scripts"

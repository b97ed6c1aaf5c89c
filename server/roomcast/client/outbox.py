"""Commands on their way: each has an id of its own and gets one reply, across connections.

    ask ──► [ waiting for a reply ] ──► frames ──► socket
                    ^    └── everything still waiting goes again, with the same id,
                    └─────── after the join on a new connection

Invariants
    O1  A command goes again only under the id it had first; the server answers a copy with the
        first reply, so nothing happens twice.
    O2  Commands are written in the order they were asked.
    O3  A command that is no longer waited for is not sent again.
"""

from __future__ import annotations

import secrets
import time
from collections import deque
from typing import Final

import anyio

from roomcast.client.errors import Refused
from roomcast.client.events import as_object
from roomcast.core.events import JsonObject, encode
from roomcast.core.ids import ENTROPY_BYTES, make_id

__all__ = ["Outbox", "fresh_id"]

COMMAND_BYTES: Final = 64 * 1024
"""The server closes the connection on a larger frame, so it is refused here."""


def fresh_id(prefix: str) -> str:
    """Make an id that nobody else makes."""
    return make_id(prefix, time.time_ns() // 1_000_000, secrets.token_bytes(ENTROPY_BYTES))


class _Command:
    __slots__ = ("answered", "frame", "reply")

    def __init__(self, frame: bytes) -> None:
        self.frame = frame
        self.answered = anyio.Event()
        self.reply: JsonObject | None = None


class Outbox:
    """What is to be written, and who waits for which reply.

    Args:
        most: Commands that may wait for a reply at once; further ones wait for a place.
    """

    def __init__(self, *, most: int = 64) -> None:
        self._slots = anyio.Semaphore(most)
        self._waiting: dict[str, _Command] = {}
        self._frames: deque[bytes] = deque()
        self._open = False
        self._ended: Exception | None = None
        self._work = anyio.Event()

    def __len__(self) -> int:
        """Frames that wait to be written."""
        return len(self._frames)

    async def ask(self, command_type: str, fields: JsonObject) -> JsonObject:
        """Send a command and return the result of its reply.

        When cancelled, the command may have taken effect or not.

        Raises:
            Refused: The server says no, or the command is too large to be sent.
        """
        command_id = fresh_id("cmd")
        command = _Command(encode({"type": command_type, "id": command_id, **fields}))
        if len(command.frame) > COMMAND_BYTES:
            raise Refused("too_large", f"a command has at most {COMMAND_BYTES} bytes, this has {len(command.frame)}")
        async with self._slots:
            if self._ended is not None:
                raise self._ended
            self._waiting[command_id] = command
            try:
                if self._open:
                    self._write(command.frame)
                await command.answered.wait()
            finally:
                del self._waiting[command_id]
        if command.reply is None:
            assert self._ended is not None, "a command is answered, or everything has ended"
            raise self._ended
        if command.reply.get("ok") is not True:
            raise Refused.from_json(command.reply.get("error"))
        return as_object(command.reply.get("result"))

    def reply(self, message: JsonObject) -> None:
        """Take a reply. One that nobody waits for is a copy, or its asker has gone."""
        command = self._waiting.get(str(message.get("id")))
        if command is not None:
            command.reply = message
            command.answered.set()

    def first(self, frame: bytes) -> None:
        """Write `frame` before anything else, even while the outbox is closed: a join."""
        self._frames.appendleft(frame)
        self._work.set()

    def open(self) -> None:
        """The room is joined: what waits for a reply goes (again). Nothing happens when open."""
        if not self._open:
            self._open = True
            for command in self._waiting.values():
                self._write(command.frame)

    def close(self) -> None:
        """The connection is gone, and with it what was to be written on it."""
        self._open = False
        self._frames.clear()

    def end(self, error: Exception) -> None:
        """There will be no further connection: everybody who waits gets `error`."""
        self._ended = error
        for command in self._waiting.values():
            command.answered.set()

    async def next_frame(self) -> bytes:
        """Wait for the next frame to write."""
        while not self._frames:
            self._work = anyio.Event()
            await self._work.wait()
        return self._frames.popleft()

    def _write(self, frame: bytes) -> None:
        self._frames.append(frame)
        self._work.set()

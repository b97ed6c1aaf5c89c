"""What reads from a server in tests: an event stream as the specification has it, and a bare socket."""

from __future__ import annotations

import json
import socket
from collections.abc import Sequence
from dataclasses import dataclass

import anyio
import httpx2
from anyio import to_thread

from roomcast.core.events import JsonObject

__all__ = ["PATIENCE_S", "EventReader", "RawSocket", "SseEvent", "coverage", "events_of", "text_of"]

PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True)
class SseEvent:
    """One block of an event stream."""

    id: str | None
    data: JsonObject


def events_of(got: Sequence[SseEvent]) -> list[SseEvent]:
    """What has a seq, without resets and heads."""
    return [event for event in got if "seq" in event.data and event.data["type"] not in {"room.reset", "room.head"}]


def coverage(got: Sequence[SseEvent]) -> list[int]:
    """Every seq that the events cover, in the order they came."""
    spans: list[tuple[int, int]] = [
        (event.data.get("seq_from") or event.data["seq"], event.data["seq"]) for event in events_of(got)
    ]
    return [seq for first, last in spans for seq in range(first, last + 1)]


def text_of(got: Sequence[SseEvent]) -> str:
    """All output text, in the order it came."""
    return "".join(event.data["delta"] for event in got if event.data["type"] == "response.output_text.delta")


class EventReader:
    """Reads an event stream as the specification says; comments are counted."""

    def __init__(self, response: httpx2.Response) -> None:
        self.response = response
        self.comments = 0
        self.ended = False
        self._lines = response.aiter_lines()

    async def next(self) -> SseEvent:
        """The next block; `EOFError` at the end of the stream."""
        event_id: str | None = None
        data: list[str] = []
        with anyio.fail_after(PATIENCE_S):
            async for line in self._lines:
                if line.startswith(":"):
                    self.comments += 1
                elif line.startswith("id: "):
                    event_id = line[4:]
                elif line.startswith("data: "):
                    data.append(line[6:])
                elif not line and data:
                    return SseEvent(event_id, json.loads("\n".join(data)))
                else:
                    assert not line, f"a line that is none of ours: {line}"
        self.ended = True
        raise EOFError

    async def until(self, kind: str) -> list[SseEvent]:
        """Everything up to and with the first of this type."""
        got: list[SseEvent] = []
        while not got or got[-1].data["type"] != kind:
            got.append(await self.next())
        return got

    async def rest(self) -> list[SseEvent]:
        """Everything until the stream ends."""
        got: list[SseEvent] = []
        try:
            while True:
                got.append(await self.next())
        except EOFError:
            return got


class RawSocket:
    """A blocking socket in a thread: it does what a client may, whichever loop serves it."""

    def __init__(self, port: int, lines: Sequence[str], receive_buffer_bytes: int | None) -> None:
        self._socket = socket.socket()
        self._socket.settimeout(PATIENCE_S)
        if receive_buffer_bytes is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        self._socket.connect(("127.0.0.1", port))
        self._socket.sendall("".join(f"{line}\r\n" for line in lines).encode("latin-1"))

    def __enter__(self) -> RawSocket:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def close(self) -> None:
        self._socket.close()

    async def send(self, data: bytes) -> None:
        """Send more."""
        await to_thread.run_sync(self._socket.sendall, data)

    async def read(self, size: int = 65_536) -> bytes:
        """Read what is there; nothing when the peer has closed. Raises `ConnectionResetError` when it dropped us."""
        return await to_thread.run_sync(self._socket.recv, size)

    async def read_all(self) -> str:
        """Read until the peer closes."""
        data = bytearray()
        while chunk := await self.read():
            data += chunk
        return data.decode("latin-1")

"""A model service that misbehaves exactly as told, byte by byte, on a loopback socket.

    async with HostileUpstream() as upstream:
        upstream.script(respond(429, headers={"retry-after": "1"}), stream(*chat_stream("Hel", "lo")))
        …                                            # talk to upstream.base_url
        assert upstream.requests[0].json["stream"] is True
        await upstream.requests[1].hung_up.wait()

A script is what one request gets: a sequence of steps. Each request takes the next script, and the
last one goes on for good. Nothing here is shared with the program: not its parsers, not its clients.
What models say is in model_streams.py.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import struct
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, cast

__all__ = [
    "CLOSE",
    "END",
    "HANG",
    "RESET",
    "Bytes",
    "Chunk",
    "Flood",
    "HostileUpstream",
    "Pause",
    "Request",
    "Script",
    "Step",
    "Until",
    "head",
    "respond",
    "stream",
]


# ---- steps -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Bytes:
    """Send exactly this."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Chunk:
    """Send this as one chunk of a chunked body."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Pause:
    """Do nothing for a while."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Until:
    """Do nothing until the test says so."""

    event: asyncio.Event


@dataclass(frozen=True, slots=True)
class Flood:
    """Send this as a chunk again and again, as fast as the peer reads, until it hangs up or has had `most_bytes`."""

    data: bytes
    most_bytes: int


@dataclass(frozen=True, slots=True)
class _Sign:
    name: str


CLOSE = _Sign("close")
"""End the connection properly."""

RESET = _Sign("reset")
"""End the connection with a reset."""

HANG = _Sign("hang")
"""Do nothing for ever, and leave the connection open."""

END = Bytes(b"0\r\n\r\n")
"""The end of a chunked body."""

Step: TypeAlias = Bytes | Chunk | Pause | Until | Flood | _Sign
Script: TypeAlias = Sequence[Step]


# ---- scripts ---------------------------------------------------------------------------------


def head(status: int = 200, headers: dict[str, str] | None = None) -> Bytes:
    """A status line and headers."""
    lines = [f"HTTP/1.1 {status} Whatever", *(f"{name}: {value}" for name, value in (headers or {}).items()), "", ""]
    return Bytes("\r\n".join(lines).encode("latin-1"))


def respond(
    status: int,
    body: bytes | dict[str, Any] = b"",
    *,
    headers: dict[str, str] | None = None,
    content_type: str = "application/json",
) -> Script:
    """A whole answer with a length."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return [
        head(status, {"content-type": content_type, "content-length": str(len(data)), **(headers or {})}),
        Bytes(data),
    ]


def stream(
    *parts: bytes | Step,
    end: bool = True,
    content_type: str = "text/event-stream",
    headers: dict[str, str] | None = None,
) -> Script:
    """A chunked answer; each part is a chunk of its own, or a step.

    Args:
        parts: What to send and do.
        end: Whether the body is ended properly.
        content_type: Its media type.
        headers: Further ones.
    """
    steps = [Chunk(part) if isinstance(part, bytes) else part for part in parts]
    begin = head(200, {"content-type": content_type, "transfer-encoding": "chunked", **(headers or {})})
    return [begin, *steps, *([END] if end else [])]


# ---- the service -----------------------------------------------------------------------------


@dataclass(slots=True)
class Request:
    """One request as it was seen from here.

    Attributes:
        connection: Number of the connection it came on, from 0.
        at: When it was complete, on the monotonic clock.
        hung_up: Set when the peer closed the connection.
        hung_up_at: When that was.
        sent_bytes: What it got of the answer so far.
    """

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    connection: int
    at: float
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)
    hung_up_at: float | None = None
    sent_bytes: int = 0

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)


class HostileUpstream:
    """The service; use it as an async context manager on asyncio."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.connections = 0
        self._scripts: list[Script] = [respond(500)]
        self._arrived = asyncio.Condition()
        self._peers: set[_Peer] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> HostileUpstream:
        self._server = await asyncio.get_running_loop().create_server(lambda: _Peer(self), "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for peer in list(self._peers):
            peer.abort()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    @property
    def port(self) -> int:
        """Where it listens."""
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    @property
    def base_url(self) -> str:
        """What to give an OpenAI client."""
        return f"http://127.0.0.1:{self.port}/v1"

    def script(self, *scripts: Script) -> None:
        """Say what the next requests get; the last one goes on for good."""
        self._scripts = list(scripts)

    async def asked(self, count: int = 1) -> Request:
        """Wait until `count` requests have come since the start; return the newest of them."""
        async with self._arrived:
            await self._arrived.wait_for(lambda: len(self.requests) >= count)
        return self.requests[count - 1]

    def arrived(self, peer: _Peer, request: Request) -> None:
        """Begin to play the next script to `request`."""
        self.requests.append(request)
        script = self._scripts.pop(0) if len(self._scripts) > 1 else self._scripts[0]
        task = asyncio.get_running_loop().create_task(self._serve(peer, request, script))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def connected(self, peer: _Peer) -> int:
        """Count a connection; return its number."""
        self._peers.add(peer)
        self.connections += 1
        return self.connections - 1

    def disconnected(self, peer: _Peer) -> None:
        """Forget a connection."""
        self._peers.discard(peer)

    async def _serve(self, peer: _Peer, request: Request, script: Iterable[Step]) -> None:
        async with self._arrived:
            self._arrived.notify_all()
        for step in script:
            if request.hung_up.is_set():
                return
            await peer.play(request, step)
        peer.ready_for_next()


class _Peer(asyncio.Protocol):
    """One connection: reads requests, plays steps, notices the end."""

    def __init__(self, upstream: HostileUpstream) -> None:
        self._upstream = upstream
        self._transport: asyncio.Transport | None = None
        self._number = -1
        self._buffer = bytearray()
        self._current: Request | None = None
        self._writable = asyncio.Event()
        self._writable.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are not of asyncio's class
        self._transport.set_write_buffer_limits(high=64 * 1024)
        self._number = self._upstream.connected(self)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._parse()

    def eof_received(self) -> bool:
        self._note_end()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._note_end()
        self._writable.set()
        self._upstream.disconnected(self)

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def ready_for_next(self) -> None:
        self._current = None
        self._parse()

    async def play(self, request: Request, step: Step) -> None:
        match step:
            case Bytes(data):
                await self._write(request, data)
            case Chunk(data):
                await self._write(request, b"%x\r\n%s\r\n" % (len(data), data))
            case Pause(seconds):
                await asyncio.sleep(seconds)
            case Until(event):
                await event.wait()
            case Flood(data, most_bytes):
                already = request.sent_bytes
                while request.sent_bytes - already < most_bytes and not request.hung_up.is_set():
                    await self._write(request, b"%x\r\n%s\r\n" % (len(data), data))
                    await asyncio.sleep(0)
            case _:
                await self._obey(step)

    async def _obey(self, sign: _Sign) -> None:
        assert self._transport is not None
        if sign is RESET:
            linger = struct.pack("ii", 1, 0)
            self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self._transport.abort()
        elif sign is CLOSE:
            self._transport.close()
        await asyncio.Event().wait()  # cancelled when the service ends

    async def _write(self, request: Request, data: bytes) -> None:
        assert self._transport is not None
        self._transport.write(data)
        request.sent_bytes += len(data)
        await self._writable.wait()

    def _parse(self) -> None:
        """Take a request out of the buffer, if one is there and none is being answered."""
        head_bytes, found, rest = bytes(self._buffer).partition(b"\r\n\r\n")
        if self._current is not None or not found:
            return
        lines = head_bytes.decode("latin-1").split("\r\n")
        method, path, _ = (*lines[0].split(" "), "", "")[:3]
        pairs = (re.split(r":\s*", line, maxsplit=1) for line in lines[1:])
        headers = {pair[0].lower(): pair[-1] for pair in pairs}
        length = int(headers.get("content-length", "0"))
        if len(rest) < length:
            return
        del self._buffer[: len(head_bytes) + 4 + length]
        self._current = Request(method, path, headers, rest[:length], self._number, time.monotonic())
        self._upstream.arrived(self, self._current)

    def _note_end(self) -> None:
        request = self._current
        if request is not None and not request.hung_up.is_set():
            request.hung_up_at = time.monotonic()
            request.hung_up.set()

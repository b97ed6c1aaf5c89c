"""What plain Python does with the same stream, to compare with: one frame a token, to everybody, at once.

usage: python_peers.py raw|broadcast|losing|repeating PORT MODEL_PORT

    raw          `transport.write` of one shared frame, on uvloop
    broadcast    `websockets.broadcast()`, on uvloop
    losing       raw, but every 50th token is missing; to check the checks
    repeating    raw, but every 50th token comes twice

None has a log, rooms, or a bound on what waits for a slow viewer.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import cast

import uvloop
from websockets.asyncio.server import ServerConnection, broadcast, serve

ACCEPTED = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"  # of the one key that crowd sends
)
ENVELOPE = (
    b'{"room":"bench","seq":%d,"at":1795334400123,"type":"response.output_text.delta",'
    b'"item_id":"msg_01m81a6zpne413z9hx7q5e2wbe","output_index":0,"content_index":0,"delta":"%b",'
    b'"response_id":"resp_01m81a6zpne413z9hx7q5e2wbe","sequence_number":%d}'
)


class Viewer(asyncio.Protocol):
    """A connection of the raw server."""

    writes: dict[Viewer, Callable[[bytes], None]] = {}  # noqa: RUF012  # one server a process

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if data.startswith(b"GET "):
            self.transport.write(ACCEPTED)
            self.writes[self] = self.transport.write

    def connection_lost(self, exc: Exception | None) -> None:
        self.writes.pop(self, None)


async def relay(model_port: int, show: Callable[[bytes], None], *, fiftieth: int = 1) -> None:
    """Read the model's stream and show each token when it comes, and every 50th `fiftieth` times."""
    reader, writer = await asyncio.open_connection("127.0.0.1", model_port)
    writer.write(b"POST /v1/responses HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
    tokens = seq = 0
    async for line in reader:
        _, found, rest = line.partition(b'"delta":"')
        if found:
            tokens += 1
            for _ in range(1 if tokens % 50 else fiftieth):
                seq += 1
                show(ENVELOPE % (seq, rest.partition(b'"')[0], seq))
    writer.close()


async def serve_raw(port: int, model_port: int, *, fiftieth: int = 1) -> None:
    writes = Viewer.writes

    def show(payload: bytes) -> None:
        frame = b"\x81\x7e" + len(payload).to_bytes(2, "big") + payload
        for write in list(writes.values()):
            write(frame)

    server = await asyncio.get_running_loop().create_server(Viewer, "127.0.0.1", port, backlog=4096)
    async with server:
        print("ready", flush=True)
        await relay(model_port, show, fiftieth=fiftieth)
        await asyncio.Event().wait()


async def serve_broadcast(port: int, model_port: int) -> None:
    viewers: set[ServerConnection] = set()

    async def handler(connection: ServerConnection) -> None:
        viewers.add(connection)
        try:
            await connection.wait_closed()
        finally:
            viewers.discard(connection)

    def show(payload: bytes) -> None:
        broadcast(viewers, payload.decode())

    async with serve(handler, "127.0.0.1", port, backlog=4096, compression=None):
        print("ready", flush=True)
        await relay(model_port, show)
        await asyncio.Event().wait()


if __name__ == "__main__":
    variant, ports = sys.argv[1], (int(sys.argv[2]), int(sys.argv[3]))
    match variant:
        case "broadcast":
            uvloop.run(serve_broadcast(*ports))
        case _:
            uvloop.run(serve_raw(*ports, fiftieth={"raw": 1, "losing": 0, "repeating": 2}[variant]))

"""One WebSocket connection: JSON objects in, frames out, and one way to end.

The only file that knows the `websockets` library. Whatever goes wrong here is a `LinkLost`
that says why; session.py decides what follows.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Final

import anyio
import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.typing import Subprotocol

from roomcast.client.address import Address
from roomcast.client.comeback import LinkLost, Loss
from roomcast.client.events import as_object
from roomcast.client.reason import reason
from roomcast.core.events import JsonObject

__all__ = ["Link", "open_link"]

SUBPROTOCOL: Final = Subprotocol("roomcast.v1")
FRAME_BYTES: Final = 4 * 1024 * 1024
"""The protocol allows 1 MiB; the rest is for servers that come after this client."""
OPEN_TIMEOUT_S: Final = 10.0
CLOSE_TIMEOUT_S: Final = 2.0
PING_INTERVAL_S: Final = 15.0
PING_TIMEOUT_S: Final = 15.0


class Link:
    """An open connection."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    async def receive(self) -> JsonObject:
        """Wait for the next object. Cancelling loses nothing.

        Raises:
            LinkLost: The connection has ended.
        """
        try:
            message = as_object(orjson.loads(await self._connection.recv(decode=False)))
        except ConnectionClosed as closed:
            raise LinkLost(_loss(closed)) from closed
        except orjson.JSONDecodeError as error:
            raise LinkLost(Loss("the server sent something that is not JSON")) from error
        if not message:
            raise LinkLost(Loss("the server sent something that is not an object"))
        return message

    async def send(self, frame: bytes) -> None:
        """Write one text frame; waits while the socket is full.

        Raises:
            LinkLost: The connection has ended.
        """
        try:
            await self._connection.send(frame, text=True)
        except ConnectionClosed as closed:
            raise LinkLost(_loss(closed)) from closed


@asynccontextmanager
async def open_link(
    address: Address, headers: Mapping[str, str], query: Mapping[str, str | None]
) -> AsyncGenerator[Link]:
    """Connect, and hang up on leaving: politely if the peer answers in time, else at once.

    Raises:
        LinkLost: Nobody answered, or the handshake was refused.
    """
    try:
        connection = await connect(
            address.socket(**query),
            additional_headers=headers,
            subprotocols=[SUBPROTOCOL],
            compression=None,  # pieces of text are small, and the server does not offer it
            proxy=None if address.loopback else True,
            open_timeout=OPEN_TIMEOUT_S,
            ping_interval=PING_INTERVAL_S,
            ping_timeout=PING_TIMEOUT_S,
            close_timeout=CLOSE_TIMEOUT_S,
            max_size=FRAME_BYTES,
        )
    except InvalidStatus as refused:
        raise LinkLost(_refusal(refused)) from refused
    except (OSError, TimeoutError, InvalidHandshake, EOFError) as error:
        raise LinkLost(Loss(f"cannot reach {address}: {reason(error)}")) from error
    try:
        yield Link(connection)
    finally:
        with anyio.move_on_after(CLOSE_TIMEOUT_S, shield=True):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_discard, connection)  # the goodbye is behind what was not read
                await connection.close()
        # A peer that stopped reading wedges the closing handshake; nothing else frees the socket.
        connection.transport.abort()


async def _discard(connection: ClientConnection) -> None:
    with suppress(ConnectionClosed):
        while True:
            await connection.recv(decode=False)


def _loss(closed: ConnectionClosed) -> Loss:
    frame = closed.rcvd
    if frame is None:
        return Loss("the connection broke")
    return Loss(frame.reason or f"closed with {int(frame.code)}", close_code=int(frame.code))


def _refusal(refused: InvalidStatus) -> Loss:
    response = refused.response
    told = response.headers.get("Retry-After", "")
    return Loss(
        f"the server answered {response.status_code} {response.reason_phrase}",
        status=response.status_code,
        retry_after_s=float(told) if told.isdecimal() else None,
    )

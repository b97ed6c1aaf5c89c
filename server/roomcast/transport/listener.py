"""The one port: uvicorn serves HTTP and hands upgrades to our own protocol.

What is ours and why
    HttpConnection   tells the ASGI side its transport (a stalled reader of a stream can only
                     be freed by `abort()`), bounds the time that a request's head may take,
                     and passes on bytes that came in the same segment as an upgrade
    HttpServer       leaves signals to wiring.py: uvicorn re-raises them after its shutdown,
                     which would end the process before ours
Pinned to uvicorn 0.54: the hand-over is the contract of its `ws=` setting; a test holds it.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, Final, cast

import anyio
from httptools import HttpParserError, HttpParserUpgrade
from starlette.types import ASGIApp
from uvicorn import Config, Server
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from roomcast.core.limits import Limits
from roomcast.transport.websocket import WebSocketConnection
from roomcast.transport.wheel import Services

__all__ = ["HttpServer", "bind", "build_server"]

MAX_HEAD_BYTES: Final = 64 * 1024
"""Bound of a head that does not end; one that does is judged more strictly by guard.py."""

GOODBYE_S: Final = 3
"""What streams get to end by themselves, in whole seconds; each has its own deadline below that."""

_HEAD_TOO_LARGE: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
)


class HttpConnection(HttpToolsProtocol):
    """uvicorn's HTTP connection, with a deadline for heads and a way to abort.

    Attributes:
        services: Set once, in the subclass that `build_server` makes.
    """

    services: Services

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """A socket arrived; its first head is due in time."""
        super().connection_made(transport)
        self._behind = b""
        self._in_head = True
        self._head_bytes = 0
        self.services.wheel.abort_by(self, self.services.limits.handshake_timeout_s)

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone."""
        self.services.wheel.spare(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """As uvicorn has it, but for a head that does not end and what stands behind the head of an upgrade."""
        self._unset_keepalive_if_required()
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self.transport.write(_HEAD_TOO_LARGE)
                self.transport.close()
                return
        try:
            self.parser.feed_data(data)  # pyright: ignore[reportOptionalMemberAccess]  # None only behind connection_lost
        except HttpParserUpgrade as upgrade:
            if self._should_upgrade():
                self._behind = data[upgrade.args[0] :]
                self.handle_websocket_upgrade()
        except HttpParserError:
            self.send_400_response("Invalid HTTP request received.")

    def on_message_begin(self) -> None:
        """A request begins: its head is due in time, and its handlers may need the transport."""
        super().on_message_begin()
        self._in_head = True
        self.services.wheel.abort_by(self, self.services.limits.handshake_timeout_s)
        cast(dict[str, Any], self.scope)["extensions"] = {"roomcast.transport": self.transport}

    def on_headers_complete(self) -> None:
        """The head is there."""
        self._in_head, self._head_bytes = False, 0
        self.services.wheel.spare(self)
        super().on_headers_complete()

    def handle_websocket_upgrade(self) -> None:
        """Hand the socket over, and what came behind the head with it."""
        self.services.wheel.spare(self)
        under_way = cast("RequestResponseCycle | None", self.cycle)
        if under_way is not None and not under_way.response_complete:
            self.transport.close()  # an answer is being written: its bytes and frames would mix
            return
        if self.scope["http_version"] != "1.1":
            self.send_400_response("A WebSocket needs HTTP/1.1.")
            return
        super().handle_websocket_upgrade()
        protocol = self.transport.get_protocol()
        if self._behind and isinstance(protocol, WebSocketConnection):
            protocol.data_received(self._behind)

    def abort(self) -> None:
        """Drop the socket now."""
        self.transport.abort()


class HttpServer(Server):
    """uvicorn's server without its signal handlers, which says when it accepts."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.accepting = anyio.Event()
        self.stopped = anyio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to accept."""
        await super().startup(sockets)
        self.accepting.set()

    async def serve_on(self, listening: socket.socket) -> None:
        """Serve until `should_exit`; leaves nothing in the loop, also when it is cancelled."""
        try:
            await self.serve(sockets=[listening])
        finally:
            for listener in getattr(self, "servers", ()):
                listener.close()
            self.stopped.set()

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Signals are wiring's."""
        yield


def bind(host: str, port: int, limits: Limits) -> socket.socket:
    """Open the listening socket. Raises `OSError`, for example when the port is taken.

    The small receive buffer is inherited by accepted sockets: one read is then a bounded
    amount of frames, however small they are.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, limits.receive_buffer_bytes)
        listening.bind((host, port))
        listening.setblocking(False)
    except OSError:
        listening.close()
        raise
    return listening


def build_server(
    app: ASGIApp, services: Services, *, accept: Callable[[Services], WebSocketConnection] = WebSocketConnection
) -> HttpServer:
    """The server, ready for `serve(sockets=[…])`.

    Args:
        app: What answers HTTP.
        services: What connections need of the house.
        accept: Makes the connection that an upgraded socket is handed to.
    """
    connection = cast(type[asyncio.Protocol], type("BoundHttpConnection", (HttpConnection,), {"services": services}))

    def upgraded(*, config: Config, server_state: Any, app_state: dict[str, Any]) -> WebSocketConnection:
        return accept(services)

    return HttpServer(
        Config(
            app,
            http=connection,
            ws=cast(Callable[..., Any], upgraded),  # type: ignore[arg-type]  # a callable is served, though not typed
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=True,
            backlog=4096,
            timeout_keep_alive=15,
            timeout_graceful_shutdown=GOODBYE_S,
        )
    )

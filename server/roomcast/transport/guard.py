"""Around every request: from where it may come, how large its head may be, what every answer carries.

Invariants
    G1  Nothing is done for a request from a foreign Host, or one that changes something from a
        foreign Origin.
    G2  A fault of ours is logged once, by its type and place, without its words: they may quote
        what somebody sent. The sender gets 500.
    G3  A request whose body was not read is answered at once and ends its connection, with a
        little time for the answer to arrive.

Pure ASGI: Starlette's middleware base would put a queue between an event stream and its socket.
"""

from __future__ import annotations

import traceback
from typing import Final, cast

import anyio
import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from roomcast.transport.admission import Admission
from roomcast.transport.answers import problem
from roomcast.transport.rejected import Rejected

__all__ = ["Guard"]

log = structlog.get_logger()

# As the WebSocket library bounds a handshake.
_HEADERS: Final = 128
_LINE_BYTES: Final = 8_192

_LINGER_S: Final = 1.0
_LINGER_BYTES: Final = 1024 * 1024

_ALWAYS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Guard:
    """Middleware, outermost."""

    def __init__(self, app: ASGIApp, *, admission: Admission) -> None:
        self._app = app
        self._admission = admission

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(scope, receive, send)
        try:
            self._check(scope)
            await self._app(scope, exchange.receive, exchange.send)
        except Rejected as rejected:
            await problem(rejected)(scope, exchange.receive, exchange.send)
        except Exception as error:
            # The root of a request: whatever it is, it ends here.
            _log(scope, error)
            await exchange.fail()

    def _check(self, scope: Scope) -> None:
        headers = cast("list[tuple[bytes, bytes]]", scope["headers"])
        if len(scope["raw_path"]) + len(scope["query_string"]) > _LINE_BYTES:
            raise Rejected(414, "too_large", "the address is too long", param="path")
        if len(headers) > _HEADERS or any(len(name) + len(value) > _LINE_BYTES for name, value in headers):
            raise Rejected(431, "too_large", "the headers are too many or too long", param="headers")
        asked = Headers(raw=headers)
        self._admission.check_host(asked)
        if scope["method"] not in {"GET", "HEAD", "OPTIONS"}:
            self._admission.check_origin(asked)


class _Exchange:
    """One request and its answer, as they pass."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        self._scope = scope
        self._receive = receive
        self._send = send
        self._started = False
        self._unread = "transfer-encoding" in headers or headers.get("content-length", "0") != "0"
        self._lingers = False

    async def receive(self) -> Message:
        message = await self._receive()
        if not message.get("more_body", False):
            self._unread = False
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._started = True
            headers = MutableHeaders(raw=list(message.get("headers", [])))
            for name, value in _ALWAYS.items():
                headers.setdefault(name, value)
            if self._unread:
                self._lingers = True
                headers["Connection"] = "close"
            message = {**message, "headers": headers.raw}
        elif self._lingers and not message.get("more_body", False):
            await self._send({**message, "more_body": True})
            await self._linger()
            message = {"type": "http.response.body", "body": b"", "more_body": False}
        await self._send(message)

    async def fail(self) -> None:
        """Answer 500; where an answer has begun, drop the connection, so that nobody takes it for whole."""
        if not self._started:
            await problem(Rejected(500, "internal", "the server failed"))(self._scope, self.receive, self.send)
        elif transport := self._scope.get("extensions", {}).get("roomcast.transport"):
            transport.abort()
            with anyio.move_on_after(_LINGER_S):
                while (await self._receive())["type"] != "http.disconnect":
                    pass

    async def _linger(self) -> None:
        """Read a little of what is still coming: closing on unread bytes would take the answer away again."""
        left = _LINGER_BYTES
        with anyio.move_on_after(_LINGER_S):
            while self._unread and left > 0:
                left -= len((await self.receive()).get("body", b""))


def _log(scope: Scope, crash: Exception) -> None:
    error: BaseException = crash
    while isinstance(error, BaseExceptionGroup):
        error = cast("BaseExceptionGroup[BaseException]", error).exceptions[0]
    frames = traceback.extract_tb(error.__traceback__)
    log.error(
        "request_crashed",
        method=scope["method"],
        path=scope["path"],
        error=type(error).__name__,
        at=[f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in frames[-8:]],
    )

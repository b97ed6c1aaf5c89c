"""Just enough of an HTTP/1.1 server, with the freedom to misbehave.

One connection at a time: read requests with httptools, answer each in order, keep the connection. While an answer is
played, the connection is read all the same, because its end is how a client says that it wants no more (D2).

A framework would log, install signal handlers and repair what the faults break; here each byte is ours.
"""

from __future__ import annotations

import socket
import struct
from collections import deque
from collections.abc import Callable
from email.utils import formatdate
from http import HTTPStatus

import anyio
import httptools
import structlog
from anyio.abc import SocketAttribute, SocketStream

from roomcast.upstream.demo.ledger import Ending, Ledger
from roomcast.upstream.demo.steps import Cut, Hold, Pause, Performance, Reply, Request, Send
from roomcast.upstream.demo.wire import JSON, error_body

__all__ = ["Connection"]

_MAX_PENDING_BYTES = 8 * 1024 * 1024
"""Most that a client may have sent and not been answered: one large prompt, or a few pipelined ones."""

_FLUSH_BYTES = 64 * 1024
_LAST_CHUNK = b"0\r\n\r\n"
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)

_log = structlog.get_logger(__name__)


class Connection:
    """One client connection.

    Args:
        stream: The accepted socket; closed when `serve` returns.
        respond: Gives the response to a request. Must not wait.
        ledger: Where answers are counted.
    """

    def __init__(
        self, stream: SocketStream, *, respond: Callable[[Request], Reply | Performance], ledger: Ledger
    ) -> None:
        self._stream = stream
        self._respond = respond
        self._ledger = ledger
        self._inbox = _Inbox()

    async def serve(self) -> None:
        """Answer requests until either side ends the connection."""
        async with self._stream:
            while (request := await self._next_request()) is not None:
                if not await self._answer(request):
                    return
            if self._inbox.fault is not None:
                await self._send(_render(self._inbox.fault, close=True))

    async def _answer(self, request: Request) -> bool:
        """Answer one request; return whether the connection goes on."""
        try:
            response = self._respond(request)
        except Exception as error:  # the root of this connection: a bug here must not end the program around it
            # Only the name: the text of an exception may quote the prompt.
            _log.error("demo_request_failed", error=type(error).__name__)
            response = _internal_error()
        if isinstance(response, Performance):
            return await self._perform(response)
        return await self._send(_render(response))

    async def _perform(self, performance: Performance) -> bool:
        going_on = False
        with self._ledger.answering() as playing:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._watch, tasks.cancel_scope, name="demo upstream: client watch")
                try:
                    going_on = await self._play(performance)
                    playing.ending = Ending.FINISHED
                except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                    pass  # it left while we wrote
                except Exception as error:  # as in `_answer`; the head is gone, so all we can do is hang up
                    _log.error("demo_answer_failed", error=type(error).__name__)
                    playing.ending = Ending.BROKEN
                tasks.cancel_scope.cancel()
        return going_on

    async def _play(self, performance: Performance) -> bool:
        """Carry out the steps; return whether the connection can be used again."""
        head = _head(performance.status, (*performance.headers, ("transfer-encoding", "chunked")))
        out = bytearray()
        due = anyio.current_time()
        for step in performance.steps:
            match step:
                case Send(payload):
                    out += b"%b%x\r\n%b\r\n" % (head, len(payload), payload)
                    head = b""
                    if len(out) >= _FLUSH_BYTES:
                        await self._flush(out)
                case Pause(seconds) if seconds > 0:
                    await self._flush(out)
                    due += seconds
                    await anyio.sleep_until(due)
                case Pause():
                    pass
                case Hold():
                    await self._flush(out)
                    await anyio.sleep_forever()
                case Cut(reset):
                    await self._flush(out)
                    if reset:
                        raw = self._stream.extra(SocketAttribute.raw_socket)
                        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
                    return False
        out += head + _LAST_CHUNK
        await self._flush(out)
        return True

    async def _flush(self, out: bytearray) -> None:
        if out:
            await self._stream.send(bytes(out))
            out.clear()

    async def _watch(self, scope: anyio.CancelScope) -> None:
        """End the answer in `scope` when the client leaves."""
        while await self._receive():
            pass
        scope.cancel()

    async def _next_request(self) -> Request | None:
        inbox = self._inbox
        while not inbox.complete:
            if inbox.fault is not None or inbox.last or not await self._receive():
                return None
            if inbox.expects_continue:
                inbox.expects_continue = False
                await self._send(b"HTTP/1.1 100 Continue\r\n\r\n")
        return inbox.take()

    async def _receive(self) -> bool:
        """Take in what the client sent; return whether there can be more."""
        try:
            data = await self._stream.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
            return False
        self._inbox.feed(data)
        return self._inbox.fault is None

    async def _send(self, data: bytes) -> bool:
        try:
            await self._stream.send(data)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            return False
        return True


class _Inbox:
    """Requests read so far. The methods named `on_…` are called by httptools."""

    def __init__(self) -> None:
        self.complete: deque[Request] = deque()
        self.fault: Reply | None = None
        self.expects_continue = False
        self.last = False
        """Whether the client said that it asks nothing more."""
        self._parser = httptools.HttpRequestParser(self)
        self._pending_bytes = 0
        self.on_message_begin()

    def feed(self, data: bytes) -> None:
        """Parse `data`. After a `fault` nothing that follows can be understood."""
        self._pending_bytes += len(data)
        if self._pending_bytes > _MAX_PENDING_BYTES:
            self.fault = _refusal(413, "The request is too large.")
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.fault = _refusal(400, "This server does not change protocols.")
        except httptools.HttpParserError:
            self.fault = _refusal(400, "This is not an HTTP/1.1 request.")

    def take(self) -> Request:
        """Return the oldest complete request."""
        request = self.complete.popleft()
        if not self.complete:
            self._pending_bytes = 0
        return request

    def on_message_begin(self) -> None:
        self._url = b""
        self._headers: dict[str, str] = {}
        self._body = bytearray()

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        if self._headers.get("expect", "").lower() == "100-continue":
            self.expects_continue = True

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        if self._parser.get_http_version() != "1.1":
            self.fault = _refusal(505, "This server speaks HTTP/1.1.")
            return
        self.last = not self._parser.should_keep_alive()
        path = self._url.partition(b"?")[0].decode("latin-1")
        method = self._parser.get_method().decode("ascii")
        self.complete.append(Request(method, path, self._headers, bytes(self._body)))


def _refusal(status: int, message: str) -> Reply:
    return Reply(status, error_body(message, param=None, code=None), (("content-type", JSON),))


def _internal_error() -> Reply:
    body = error_body("The demo model has a bug.", type="server_error", param=None, code=None)
    return Reply(500, body, (("content-type", JSON),))


def _render(reply: Reply, *, close: bool = False) -> bytes:
    headers = (*reply.headers, ("content-length", str(len(reply.body))), *((("connection", "close"),) if close else ()))
    return _head(reply.status, headers) + reply.body


def _head(status: int, headers: tuple[tuple[str, str], ...]) -> bytes:
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", f"date: {formatdate(usegmt=True)}"]
    lines += [f"{name}: {value}" for name, value in headers]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")

"""`GET /v1/rooms/{room}/events`: a room as Server-Sent Events, with the promises of a WebSocket.

    fan-out round ──► EventStream.write ──► chunks ──► one task: ASGI send ──► transport ──► socket
                          │ too much waits                  │ below low water
                          └────► Pump.pause                 └────► Pump.resume

ASGI's `send` waits while the transport is full and has no deadline, and cancelling a handler
frees no socket of a peer that stopped reading. So each stream watches what its transport still
holds, is held to the write deadline, and ends with `abort()` on the transport that the listener
put into the scope.

Invariants
    V1  Whatever way a stream ends, its subscription, its place and its socket are given back.
    V2  At most `high_water_bytes` and one batch or snapshot wait here.
    V3  What is wrong with a request is answered as JSON with its status, before the stream.

Not here: blocks of lines (dialects/sse.py), catching up (subscriber/), deadlines of full sockets
(subscriber/overflow.py).
"""

from __future__ import annotations

import asyncio
import socket
from typing import Final, cast

import anyio
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from roomcast.core.commands import RoomJoin
from roomcast.core.errors import CloseCode, Disconnect, Refusal
from roomcast.core.events import JsonObject
from roomcast.core.intents import Opened
from roomcast.core.session import require
from roomcast.core.wire import decode
from roomcast.dialects.sse import KEEP_ALIVE, SSE, read_cursor
from roomcast.subscriber.pump import Pump
from roomcast.transport.asking import Asking
from roomcast.transport.query import integer, read_query
from roomcast.transport.rejected import Rejected
from roomcast.transport.wheel import Services

__all__ = ["EventStream", "Events", "joining"]

_HEADERS: Final = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"x-accel-buffering", b"no"),  # proxies that would gather the stream into blocks
]
_FIELDS: Final = frozenset({"after", "include", "items", "on_slow"})
_TCP_NOTSENT_LOWAT: Final = getattr(socket, "TCP_NOTSENT_LOWAT", 25)  # Linux; Python names it from 3.12 on


def joining(room: str, query: str, last_event_id: str | None) -> RoomJoin:
    """Read a request for events as the `room.join` that it stands for; so both are refused alike.

    Args:
        room: Name from the path.
        query: The query string.
        last_event_id: The header that a reader sends when it comes back; it is newer than `after`.

    Raises:
        Refusal: What `room.join` would be refused for.
    """
    asked = read_query(query, known=_FIELDS)
    body: JsonObject = {"type": "room.join", "id": "sse", "room": room}
    source = "Last-Event-ID" if last_event_id else "after"
    place = last_event_id or asked.get("after")
    if place is not None:
        cursor = read_cursor(place)
        if cursor is None:
            raise Refusal("invalid_value", "a cursor is epoch:seq, as in the id of an event", param=source)
        body["after"] = cursor._asdict()
    if "include" in asked:
        body["include"] = [kind for kind in asked["include"].split(",") if kind]
    if "items" in asked:
        body["items"] = integer(asked["items"])
    if "on_slow" in asked:
        body["on_slow"] = asked["on_slow"]
    command = decode(body)
    assert isinstance(command, RoomJoin)
    return command


class EventStream:
    """The way out of one response: a `Sink` whose bytes one task sends.

    Args:
        transport: The socket underneath; None under a server that does not tell, where a
            stalled reader's socket cannot be freed.
    """

    def __init__(self, send: Send, transport: asyncio.Transport | None, services: Services) -> None:
        self.pump: Pump
        self.aborted = False
        self._send = send
        self._transport = transport
        self._services = services
        self._limits = services.limits
        self._scope = anyio.CancelScope()
        self._wake = anyio.Event()
        self._chunks: list[bytes] = []
        self._waiting_bytes = 0
        self._handed_bytes = 0
        self._ending = False
        self._wrote_at_s = self._taken_at_s = services.clock.monotonic_s()
        self._taken_bytes = 0
        if transport is not None:
            transport.set_write_buffer_limits(high=self._limits.high_water_bytes, low=self._limits.low_water_bytes)
            sock = transport.get_extra_info("socket")
            if sock is not None and sock.family in {socket.AF_INET, socket.AF_INET6}:
                sock.setsockopt(socket.IPPROTO_TCP, _TCP_NOTSENT_LOWAT, self._limits.notsent_lowat_bytes)

    # -- the sink of the pump -------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Put bytes in line; pauses the pump when too many wait."""
        self._chunks.append(data)
        self._waiting_bytes += len(data)
        self._wake.set()
        if self.buffered_bytes() >= self._limits.high_water_bytes:
            self.pump.pause()

    def buffered_bytes(self) -> int:
        """Bytes in line here, and what the kernel has not taken of those handed on."""
        return self._waiting_bytes + self._held_bytes()

    def end(self, why: Disconnect) -> None:
        """End the stream: behind what waits, in bounded time; at once for a reader that does not read."""
        if self._ending or self.aborted:
            return
        self._services.observer.count("roomcast_disconnects_total", code=str(int(why.close_code)))
        self.pump.close()
        if why.close_code is CloseCode.TOO_SLOW:
            self.abort()
            return
        self._ending = True
        self._scope.deadline = anyio.current_time() + self._limits.close_timeout_s
        self._wake.set()

    def abort(self) -> None:
        """Drop the socket now; nothing else frees that of a peer that stopped reading."""
        self.aborted = True
        self._scope.cancel()
        if self._transport is not None:
            self._transport.abort()

    # -- the task -------------------------------------------------------------------------------

    async def run(self) -> None:
        """Send what is written until the stream is ended."""
        with self._scope:
            await self._send({"type": "http.response.start", "status": 200, "headers": list(_HEADERS)})
            while self._chunks or not self._ending:
                if self._chunks:
                    await self._flush()
                else:
                    await self._rest()
                self._check_progress()
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})
        if self._scope.cancelled_caught:
            self.abort()

    async def _flush(self) -> None:
        """Hand on what waits; when the pump is paused, let it go on once the transport is below low water."""
        data = b"".join(self._chunks)
        self._chunks.clear()
        await self._send({"type": "http.response.body", "body": data, "more_body": True})
        self._waiting_bytes -= len(data)
        self._handed_bytes += len(data)
        self._wrote_at_s = self._services.clock.monotonic_s()
        if not self.pump.writable:
            # Nothing of it is written: it only waits, as the next bytes would.
            await self._send({"type": "http.response.body", "body": b"", "more_body": True})
            self.pump.resume()

    async def _rest(self) -> None:
        """Wait for something to send; say that we are here when there was nothing for long."""
        self._wake = anyio.Event()
        patience_s = self._limits.head_interval_s
        if self._held_bytes():
            patience_s = min(patience_s, self._limits.write_deadline_s / 4)
        with anyio.move_on_after(patience_s):
            await self._wake.wait()
        silent_s = self._services.clock.monotonic_s() - self._wrote_at_s
        if not self._chunks and not self._held_bytes() and silent_s >= self._limits.head_interval_s:
            self.write(KEEP_ALIVE)

    def _check_progress(self) -> None:
        """Hold a reader to the deadline whose socket refuses even the little that does not fill a buffer."""
        now_s, held_bytes = self._services.clock.monotonic_s(), self._held_bytes()
        taken_bytes = self._handed_bytes - held_bytes
        if not held_bytes or taken_bytes > self._taken_bytes:
            self._taken_at_s, self._taken_bytes = now_s, taken_bytes
        elif now_s - self._taken_at_s >= self._limits.write_deadline_s:
            self._services.observer.count("roomcast_slow_viewers_total", action="abort")
            self.end(Disconnect(CloseCode.TOO_SLOW, "nothing could be written for too long"))

    def _held_bytes(self) -> int:
        if self._transport is None or self._transport.is_closing():
            return 0
        return self._transport.get_write_buffer_size()


class Events:
    """The address itself, as an ASGI application: a response object would hide `send`."""

    def __init__(self, services: Services, asking: Asking) -> None:
        self._services = services
        self._asking = asking

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request for events.

        Raises:
            Refusal: It is not valid, or not served.
            Rejected: Its sender may not ask, or there is no place.
        """
        request, services = Request(scope, receive), self._services
        # Watching may create the room, so other pages' requests are refused here as for a command.
        services.admission.check_origin(request.headers)
        caller, address = self._asking.who(request)
        command = joining(request.path_params["room"], request.url.query, _last_event_id(request.headers))
        require(caller.member, command.type)
        services.dispatch.desk.check(command)
        if request.method == "HEAD":
            await Response(headers={name.decode(): value.decode() for name, value in _HEADERS})(scope, receive, send)
            return
        self._asking.refuse_if_draining()
        self._admit(address)
        try:
            transport = cast("asyncio.Transport | None", scope.get("extensions", {}).get("roomcast.transport"))
            stream = EventStream(send, transport, services)
            stream.pump = Pump(stream, SSE, caller.member, services.limits, services.overflow.watch)
            try:
                await self._join(stream, command)
                await _until_either_ends(stream, receive)
            except anyio.get_cancelled_exc_class():
                stream.abort()  # the server is in a hurry, and will not look after the socket
                raise
            finally:
                stream.pump.close()
        finally:
            services.admission.release(address)

    def _admit(self, address: str) -> None:
        try:
            self._services.admission.admit_connection(address)
        except Rejected as rejected:
            self._services.observer.count("roomcast_handshakes_refused_total", reason=rejected.code)
            raise

    async def _join(self, stream: EventStream, command: RoomJoin) -> None:
        """Subscribe when the turn in the room's line has come; the first bytes then wait in the stream."""
        dispatch, pump = self._services.dispatch, stream.pump
        room = dispatch.hub.room(command.room)

        def attach() -> None:
            if not pump.closed:
                self._asking.refuse_if_draining()
                dispatch.desk.attach(pump, room, command)

        await self._asking.turn(room, attach, opened_by=Opened(pump.member))


async def _until_either_ends(stream: EventStream, receive: Receive) -> None:
    """Run the stream until it is ended, or the reader leaves."""
    async with anyio.create_task_group() as tasks:

        async def listen() -> None:
            await _gone(receive)
            tasks.cancel_scope.cancel()

        tasks.start_soon(listen)
        await stream.run()
        tasks.cancel_scope.cancel()
    if stream.aborted:
        # The server hears of it in a moment; returning before looks to it like a response cut short.
        with anyio.move_on_after(1):
            await _gone(receive)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _last_event_id(headers: Headers) -> str | None:
    found = headers.get("last-event-id", "").strip()
    return found or None

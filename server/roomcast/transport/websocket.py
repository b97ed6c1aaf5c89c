"""One WebSocket connection: bytes in, commands out; payloads in, bytes out.

An `asyncio.Protocol` over the `websockets` library's sans-I/O `ServerProtocol`. There is no
task and no timer of its own: what is due comes from one wheel for all (wheel.py).

    data_received ──► frames ──► text ──► Dispatch ──► reply ──► Pump ──► transport.write
    pause_writing / resume_writing ──► Pump.pause / resume

Invariants
    T1  After our close frame nothing else is written, and nothing read is acted on.
    T2  A peer that does not read, does not answer or does not close is gone by a deadline:
        `abort()` is the only thing that frees such a socket.
    T3  What one peer sends costs a bounded amount: bytes a message, messages and control
        frames a second, commands under way.

Not here: who may connect (handshake.py), what commands do (dispatch.py).
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final, cast

import structlog
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol

from roomcast.core.bucket import Bucket
from roomcast.core.errors import CloseCode, Disconnect, Refusal
from roomcast.core.events import JsonObject
from roomcast.core.session import SessionInput, SessionState, step
from roomcast.core.wire import command_id, error, parse, reply, reply_error
from roomcast.subscriber.pump import Pump
from roomcast.transport.dispatch import Caller
from roomcast.transport.framing import WEBSOCKET, text_frame
from roomcast.transport.handshake import PATH, SUBPROTOCOL, shake_hands

if TYPE_CHECKING:
    from roomcast.transport.wheel import Services

__all__ = ["PATH", "SUBPROTOCOL", "WebSocketConnection"]

log = structlog.get_logger()

MAX_FRAGMENTS: Final = 256  # of one message: however small, each costs as much as a frame
_RESET: Final = struct.pack("ii", 1, 0)
TCP_NOTSENT_LOWAT: Final = getattr(socket, "TCP_NOTSENT_LOWAT", 25)  # Linux; Python names it from 3.12 on


class WebSocketConnection(asyncio.Protocol):
    """A socket that has been, or is about to be, upgraded."""

    __slots__ = (
        "_asked_at_s",
        "_bad",
        "_bad_since_s",
        "_caller",
        "_commands",
        "_controls",
        "_in_flight",
        "_parts",
        "_protocol",
        "_pump",
        "_reading",
        "_rest_bytes",
        "_services",
        "_transport",
        "address",
        "heard_at_s",
        "since_s",
        "state",
    )

    def __init__(self, services: Services) -> None:
        limits = services.limits
        now_s = services.clock.monotonic_s()
        self.state = SessionState.ARRIVED
        self.since_s = now_s
        self.heard_at_s = now_s
        self.address = ""
        self._services = services
        self._protocol = ServerProtocol(
            subprotocols=None, max_size=limits.command_bytes, logger=services.protocol_logger
        )
        self._caller: Caller | None = None
        self._pump: Pump | None = None
        self._transport: asyncio.Transport
        self._parts: list[bytes] = []
        self._in_flight = 0
        self._reading = True
        self._rest_bytes: int | None = None
        self._asked_at_s = 0.0
        self._bad = 0
        self._bad_since_s = now_s
        self._commands = Bucket(limits.commands_per_s, limits.commands_burst, now_s)
        self._controls = Bucket(limits.control_frames_per_s, limits.control_frames_burst, now_s)

    # -- asyncio.Protocol -----------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the socket over from the HTTP side; its head comes next, through `data_received`."""
        self._transport = cast(asyncio.Transport, transport)
        limits = self._services.limits
        self._transport.set_write_buffer_limits(high=limits.high_water_bytes, low=limits.low_water_bytes)
        sock = transport.get_extra_info("socket")
        if sock is not None and sock.family in {socket.AF_INET, socket.AF_INET6}:
            # Without it the kernel swallows megabytes before a slow reader shows.
            sock.setsockopt(socket.IPPROTO_TCP, TCP_NOTSENT_LOWAT, limits.notsent_lowat_bytes)
        peer = transport.get_extra_info("peername")
        self.address = str(peer[0]) if peer else "local"
        self._services.add(self)

    def data_received(self, data: bytes) -> None:
        """Feed the sans-I/O protocol, and act on what it understood."""
        self.heard_at_s = self._services.clock.monotonic_s()
        self._protocol.receive_data(data)
        if self._rest_bytes is not None:
            self._rest_bytes -= len(data)
            if self._rest_bytes < 0:
                self.abort()  # it does not even look at our goodbye
        if self._protocol.state is State.OPEN:
            self._flush()  # pongs; they would come behind the answer to what follows the ping
        try:
            for event in self._protocol.events_received():
                if isinstance(event, Request):
                    self._handshake(event)
                elif isinstance(event, Frame):
                    self._frame(event)
        except Exception:
            # The root of this connection: a fault of ours ends it alone.
            log.exception("connection_crashed")
            self.end(Disconnect(CloseCode.INTERNAL_ERROR, "the server failed"))
        self._flush()

    def eof_received(self) -> None:
        """The peer sends nothing more; the transport closes when this returns, and takes no bytes from here on."""
        self._protocol.receive_eof()
        if self.state is not SessionState.CLOSING:
            self._let_go(1006)
        self._flush()

    def pause_writing(self) -> None:
        """The transport's buffer is above high water."""
        if self._pump is not None:
            self._pump.pause()

    def resume_writing(self) -> None:
        """The transport's buffer is below low water."""
        if self._pump is not None:
            self._pump.resume()

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone."""
        self.state = step(self.state, SessionInput.LOST)
        if self._pump is not None:
            self._pump.close()
        self._protocol.receive_eof()
        self._services.remove(self)
        if self._caller is not None:
            self._services.admission.release(self.address)

    # -- the sink of the pump -------------------------------------------------------------------

    @property
    def pump(self) -> Pump | None:
        """What goes out on this connection; None before the handshake."""
        return self._pump

    def write(self, data: bytes) -> None:
        """Hand bytes to the transport."""
        self._transport.write(data)

    def buffered_bytes(self) -> int:
        """Bytes that the kernel has not taken."""
        return self._transport.get_write_buffer_size()

    def end(self, why: Disconnect) -> None:
        """Say goodbye with this code; the wheel cuts whoever does not leave in time."""
        if self.state in {SessionState.CLOSING, SessionState.CLOSED}:
            return
        self._let_go(int(why.close_code))
        if self._protocol.state is State.CONNECTING:
            self._transport.abort()
            return
        if self._protocol.state is State.OPEN:
            self._protocol.send_close(int(why.close_code), why.reason)
        self._flush()
        self._rest_bytes = self._services.limits.command_bytes

    # -- due from the wheel ---------------------------------------------------------------------

    def suspect(self) -> int | None:
        """Its descriptor if it counts as writable and bytes wait, which may be for the loop or for the peer."""
        if self._pump is None or not self._pump.writable or not self._transport.get_write_buffer_size():
            return None
        descriptor: int = self._transport.get_extra_info("socket").fileno()
        return descriptor

    def refuse(self) -> None:
        """The kernel takes nothing: the connection counts as full, however little waits for it."""
        if self._pump is not None:
            self._pump.pause()

    def abort(self) -> None:
        """Drop the socket now; with a reset where bytes wait that the peer does not take.

        Without it the kernel would go on for minutes to offer a stalled peer what it holds, and the
        peer would not learn that it was dropped.
        """
        if self._pump is not None:
            self._pump.close()
        if self.state is not SessionState.CLOSED and self._transport.get_write_buffer_size():
            sock = self._transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._transport.abort()

    def expire(self) -> None:
        """Nothing valid was heard in time."""
        if self.state is SessionState.ARRIVED:
            authenticated = self._caller is not None and self._caller.authenticated
            code = CloseCode.POLICY_VIOLATION if authenticated else CloseCode.UNAUTHENTICATED
            self.end(Disconnect(code, "no valid command in time"))

    def keep_alive(self, now_s: float) -> None:
        """Ask whether the peer is there; abort if the last question went unanswered.

        A peer that stopped reading cannot see our question: it has the write deadline instead.
        """
        limits = self._services.limits
        if self._pump is None or not self._pump.writable:
            return
        if not self._reading:
            self.heard_at_s = now_s  # it may well speak: it is we who do not listen
        if self._asked_at_s > self.heard_at_s:
            if now_s - self._asked_at_s >= limits.ping_timeout_s:
                self._services.observer.count("roomcast_disconnects_total", code="ping_timeout")
                self.abort()
        elif now_s - self.heard_at_s >= limits.ping_interval_s / 2:
            self._asked_at_s = now_s
            self._protocol.send_ping(b"")
            self._flush()

    # -- the handshake --------------------------------------------------------------------------

    def _handshake(self, request: Request) -> None:
        services = self._services
        self.address = services.admission.client_address(request.headers, self.address)
        self._caller = shake_hands(services, self._protocol, request, self.address)
        request.headers.clear()  # the library keeps the request as long as the connection: 2 kB of it are headers
        if self._caller is not None:
            self._pump = Pump(self, WEBSOCKET, self._caller.member, services.limits, services.overflow.watch)
            self._pump.write = self._transport.write  # rounds go straight to the socket
            self._caller.pump = self._pump
            if services.wheel.farewell is not None:
                self._flush()  # the handshake goes first
                self._pump.tell(services.wheel.farewell)

    # -- frames ---------------------------------------------------------------------------------

    def _frame(self, frame: Frame) -> None:
        if self.state is SessionState.CLOSING or self.state is SessionState.CLOSED:
            return
        if frame.opcode in {Opcode.PING, Opcode.PONG}:
            if self._controls.take(self.heard_at_s) < 0:
                self.end(Disconnect(CloseCode.RATE_LIMITED, "too many control frames"))
        elif frame.opcode is Opcode.CLOSE:
            self._let_go(1000)  # the library has answered
        elif frame.opcode is Opcode.BINARY:
            self.end(Disconnect(CloseCode.UNSUPPORTED_DATA, "commands are text frames"))
        else:
            self._parts.append(bytes(frame.data))
            if frame.fin:
                message, self._parts = b"".join(self._parts), []
                self._message(message)
            elif len(self._parts) >= MAX_FRAGMENTS:
                self.end(Disconnect(CloseCode.MESSAGE_TOO_BIG, "too many fragments"))

    def _message(self, message: bytes) -> None:
        pump, caller = self._pump, self._caller
        if pump is None or caller is None:
            raise AssertionError("a message cannot precede the handshake")
        try:
            text = message.decode()
        except UnicodeDecodeError:
            self.end(Disconnect(CloseCode.INVALID_DATA, "text is UTF-8"))
            return
        self._text(pump, caller, text)

    def _text(self, pump: Pump, caller: Caller, text: str) -> None:
        left = self._commands.take(self.heard_at_s)
        if left <= 1 - self._services.limits.commands_burst:
            self.end(Disconnect(CloseCode.RATE_LIMITED, "too many commands"))
            return
        reply_to: str | None = None
        try:
            body = parse(text)
            reply_to = command_id(body)
            if reply_to is None:
                missing = "id" not in body
                raise Refusal(
                    "missing_field" if missing else "invalid_value",
                    "a command has an id of 1 to 64 of A-Za-z0-9_.:-",
                    param="id",
                )
            if left < 0:
                wait_ms = int(self._commands.wait_s() * 1000) + 1
                raise Refusal("rate_limited", "too many commands at once", retry_after_ms=wait_ms)
            self._command(caller, pump, body, reply_to)
        except Refusal as refusal:
            self._refuse(pump, reply_to, refusal)

    def _command(self, caller: Caller, pump: Pump, body: JsonObject, reply_to: str) -> None:
        """Hand a command over; its reply comes when it is decided and committed."""
        answered = False

        def answer(outcome: bytes | Refusal | Callable[[], bytes]) -> None:
            nonlocal answered
            answered = True
            if callable(outcome):
                pump.tell_later(partial(late, outcome))
                return
            self._settled()
            pump.tell(reply_error(reply_to, outcome) if isinstance(outcome, Refusal) else reply(reply_to, outcome))

        def late(make: Callable[[], bytes]) -> bytes:
            self._settled()  # and not before: it would wait in a lane that does not count it
            return text_frame(reply(reply_to, make()))

        self._in_flight += 1
        try:
            self._services.dispatch.handle(caller, body, answer)
        except Refusal:
            if not answered:
                self._settled()
            raise
        if self.state is SessionState.ARRIVED and caller.authenticated:
            self.state = step(self.state, SessionInput.HEARD)
        if self._in_flight >= self._services.limits.commands_in_flight and self._reading:
            self._reading = False
            self._transport.pause_reading()

    def _settled(self) -> None:
        self._in_flight -= 1
        if not self._reading and self._in_flight <= self._services.limits.commands_in_flight // 2:
            self._reading = True
            if not self._transport.is_closing():
                self._transport.resume_reading()

    def _refuse(self, pump: Pump, reply_to: str | None, refusal: Refusal) -> None:
        if reply_to is not None:
            pump.tell(reply_error(reply_to, refusal))
            return
        pump.tell(error(refusal))
        if self.heard_at_s - self._bad_since_s > 60:
            self._bad, self._bad_since_s = 0, self.heard_at_s
        self._bad += 1
        if self._bad >= self._services.limits.errors_per_minute:
            self.end(Disconnect(CloseCode.BAD_PROTOCOL, "too many messages that are no commands"))

    # -- bytes out ------------------------------------------------------------------------------

    def _flush(self) -> None:
        """Write what the protocol wants to say; an empty piece means that we say nothing more."""
        for piece in self._protocol.data_to_send():
            if not piece:
                self._transport.write_eof()
            elif self._rest_bytes is None:
                self._transport.write(piece)
        if self._protocol.close_expected() and self.state in {SessionState.ARRIVED, SessionState.OPEN}:
            # The library found the peer at fault and said so.
            self._let_go(self._protocol.close_sent.code if self._protocol.close_sent else 1006)

    def _let_go(self, code: int) -> None:
        """The connection ends: drop what we held for the peer; the socket is freed in time in any case."""
        self.state = step(self.state, SessionInput.CLOSE)
        if self._pump is not None:
            self._pump.close()
        self._services.observer.count("roomcast_disconnects_total", code=str(code))
        self._services.closing(self)

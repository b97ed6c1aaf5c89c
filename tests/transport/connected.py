"""WebSocket connections without sockets: the real protocol class over a transport in memory, on virtual time.

async with a_rig() as rig:
    line = Line(rig)
    peer = line.peer("ann")
    peer.text({"type": "session.ping", "id": "p1"})
    assert peer.messages()[-1]["ok"]
    await line.turn(seconds=5)             # the wheel turns, and the clock with it
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio

from roomcast.core.settings import Settings
from roomcast.transport.admission import Admission
from roomcast.transport.websocket import WebSocketConnection
from roomcast.transport.wheel import Services, Wheel
from tests.support.raw_peer import CLOSE, TEXT, encode_frame, upgrade_head
from tests.support.rig import Rig

__all__ = ["Line", "MemoryTransport", "Peer", "frames_of"]


class MemorySocket:
    """What is asked of a socket.

    Attributes:
        options: Those that were set.
        descriptor: Of a real socket that stands for it where the kernel is asked.
    """

    family = socket.AF_INET

    def __init__(self, address: str) -> None:
        self.options: dict[int, int | bytes] = {}
        self.descriptor = -1
        self._address = address

    def getsockname(self) -> tuple[str, int]:
        return ("127.0.0.1", 8080)

    def getpeername(self) -> tuple[str, int]:
        return (self._address, 40_000)

    def fileno(self) -> int:
        return self.descriptor

    def setsockopt(self, level: int, option: int, value: int | bytes) -> None:
        self.options[option] = value


class MemoryTransport(asyncio.Transport):
    """As strict as the real ones: writing behind the end of the stream raises.

    Attributes:
        takes: Whether the peer reads; what it does not take waits.
        taken: What it took.
    """

    def __init__(self, protocol: asyncio.Protocol, address: str) -> None:
        self.socket = MemorySocket(address)
        super().__init__({"peername": (address, 40_000), "socket": self.socket})
        self.takes = True
        self.taken = bytearray()
        self.waiting = bytearray()
        self.ended = False
        self._reading = True
        self._aborted = False
        self._protocol = protocol
        self._high_bytes = 64 * 1024
        self._paused = False

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._protocol

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        assert isinstance(protocol, asyncio.Protocol)
        self._protocol = protocol

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._high_bytes = self._high_bytes if high is None else high

    def get_write_buffer_size(self) -> int:
        return len(self.waiting)

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        if self.ended:
            raise RuntimeError("Cannot call write() after write_eof()")
        if self._aborted:
            return
        self.waiting += data
        self.flush()
        if len(self.waiting) > self._high_bytes and not self._paused:
            self._paused = True
            self._protocol.pause_writing()

    def flush(self) -> None:
        """The peer takes what waits, if it takes anything."""
        if self.takes:
            self.taken += self.waiting
            self.waiting.clear()
            if self._paused:
                self._paused = False
                self._protocol.resume_writing()

    def write_eof(self) -> None:
        self.ended = True

    def can_write_eof(self) -> bool:
        return True

    def is_closing(self) -> bool:
        return self._aborted

    def close(self) -> None:
        self.abort()

    def abort(self) -> None:
        if not self._aborted:
            self._aborted = True
            self._reading = False
            asyncio.get_running_loop().call_soon(self._protocol.connection_lost, None)

    def is_reading(self) -> bool:
        return self._reading

    def pause_reading(self) -> None:
        self._reading = False

    def resume_reading(self) -> None:
        self._reading = True


def frames_of(data: bytes) -> list[tuple[int, bytes]]:
    """Opcode and payload of every frame in `data`."""
    found: list[tuple[int, bytes]] = []
    while data:
        opcode, size, head = data[0] & 0x0F, data[1], 2
        if size >= 126:
            head = 4 if size == 126 else 10
            size = int.from_bytes(data[2:head], "big")
        found.append((opcode, data[head : head + size]))
        data = data[head + size :]
    return found


class Peer:
    """The other end of one connection."""

    def __init__(self, services: Services, head: bytes, address: str) -> None:
        self.connection = WebSocketConnection(services)
        self.transport = MemoryTransport(self.connection, address)
        self.connection.connection_made(self.transport)
        self.send(head)

    @property
    def status(self) -> int:
        """Of the answer to the handshake."""
        return int(bytes(self.transport.taken).split(b" ", 2)[1])

    @property
    def frames(self) -> list[tuple[int, bytes]]:
        """Opcode and payload of every frame that came."""
        return frames_of(bytes(self.transport.taken).partition(b"\r\n\r\n")[2])

    @property
    def messages(self) -> list[dict[str, Any]]:
        """Every text message that came."""
        return [json.loads(payload) for opcode, payload in self.frames if opcode == TEXT]

    def goodbye(self) -> int | None:
        """Code of the close frame that came, if one did; it is the last frame."""
        codes = [(place, payload) for place, (opcode, payload) in enumerate(self.frames) if opcode == CLOSE]
        if not codes:
            return None
        assert codes == [(len(self.frames) - 1, codes[0][1])], "something follows the close frame"
        return int.from_bytes(codes[0][1][:2], "big")

    def send(self, data: bytes) -> None:
        """These bytes arrive, in one read."""
        self.connection.data_received(data)

    def frame(self, opcode: int, payload: bytes = b"", **how: Any) -> None:
        """One frame arrives."""
        self.send(encode_frame(opcode, payload, **how))

    def text(self, message: dict[str, Any] | str) -> None:
        """A text message arrives."""
        self.frame(TEXT, (message if isinstance(message, str) else json.dumps(message)).encode())

    def end(self) -> None:
        """The peer sends nothing more: the transport tells, and then closes behind what waits."""
        self.connection.eof_received()
        if not self.transport.waiting:
            self.transport.abort()


class Line:
    """All that connections need, around a rig."""

    def __init__(self, rig: Rig, settings: Settings | None = None) -> None:
        self.rig = rig
        self.wheel = Wheel(rig.limits, rig.clock, rig.observer)
        self.admission = Admission(
            settings or Settings(limits=rig.limits), clock=rig.clock, new_id=rig.new_id, observer=rig.observer
        )
        self.services = Services(
            limits=rig.limits,
            clock=rig.clock,
            observer=rig.observer,
            admission=self.admission,
            dispatch=rig.dispatch,
            overflow=rig.overflow,
            wheel=self.wheel,
        )

    def peer(self, member: str = "ann", *, address: str = "127.0.0.1", **headers: str) -> Peer:
        """A connection whose handshake has arrived."""
        return Peer(self.services, upgrade_head(8080, path=f"/v1/ws?member={member}", **headers), address)

    @asynccontextmanager
    async def turning(self) -> AsyncGenerator[None]:
        """The wheel turns meanwhile."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.wheel.run, self.rig.hub, self.rig.desk, self.rig.overflow)
            yield
            tasks.cancel_scope.cancel()

    async def turn(self, seconds: float) -> None:
        """Let a wheel that begins to turn do so for this long."""
        async with self.turning():
            await anyio.sleep(seconds)

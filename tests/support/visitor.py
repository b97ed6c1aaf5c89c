"""One viewer of one room over as many connections as it takes, cheap enough for a thousand in one process.

    visitor = Visitor(server.port, "lobby", "ann")
    tasks.start_soon(visitor.follow)             # joins, listens, comes back with its cursor
    await visitor.until_type("response.completed")
    visitor.drop()                               # RST; `follow` comes back from it
    assert audit([visitor], await stored(folder, "lobby"), complete=True) == []

It keeps every frame of both ways for the auditor, and counts every byte of its sockets. Speaks the
wire by itself, and comes back when the project's own rule says (client/comeback.py).

Not here: one who asks (wire_client.py), who breaks the protocol (raw_peer.py), who judges (auditor.py).
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import orjson

from roomcast.client.comeback import Backoff, Loss
from roomcast.core.log import Events
from roomcast.storage import open_sqlite
from roomcast.wiring.outside import SystemClock
from tests.support.auditor import DISCONNECTED, audit_viewer
from tests.support.raw_peer import CLOSE, PING, PONG, TEXT, encode_frame, upgrade_head
from tests.support.reference import Json

__all__ = ["BREAK", "Visit", "Visitor", "audit", "stored"]

BREAK = orjson.dumps(DISCONNECTED)


@dataclass(slots=True)
class Visit:
    """One connection, or one that was tried in vain; instants are of the event loop.

    Attributes:
        after: The cursor that it came with.
        joined: The result of its join, less the snapshot; None when it got no further.
        status: Of the answer to the handshake; None when there was none.
        close_code: None when it ended without a goodbye.
        retry_after_s: What a draining or busy server asked to wait.
        received_bytes: All that its socket received.
        reply_bytes: The frame of the reply to its join.
        caught_up_bytes: All that its socket received, up to the frame that brought it to the head which the
            reply named; 0 when it did not get there.
    """

    began_s: float
    after: Json | None
    joined: Json | None = None
    status: int | None = None
    close_code: int | None = None
    retry_after_s: float | None = None
    ended_s: float = 0.0
    received_bytes: int = 0
    reply_bytes: int = 0
    caught_up_bytes: int = 0


class Visitor:
    """Comes and goes in one room.

    Args:
        port: Where the server listens; may be set later.
        dice: When to come back is by chance.
        frames: Equal frames are kept once; visitors of one room may share it.
        receive_buffer_bytes: What the kernel takes for us when we do not read.
        join: Further fields of `room.join`.

    Attributes:
        transcript: Frames of both ways, and `BREAK` between connections.
        visits: One for each connection, the newest last.
        cursor: Everything up to here has arrived.
    """

    def __init__(
        self,
        port: int,
        room: str,
        name: str,
        *,
        dice: random.Random | None = None,
        frames: dict[bytes, bytes] | None = None,
        receive_buffer_bytes: int | None = None,
        **join: Any,
    ) -> None:
        self.room, self.name = room, name
        self.transcript: list[bytes] = []
        self.visits: list[Visit] = []
        self.cursor: Json | None = None
        self.port = port
        self._dice = dice or random.Random(name)
        self._frames: dict[bytes, bytes] = {} if frames is None else frames
        self._receive_buffer_bytes = receive_buffer_bytes
        self._fields = join
        self._wire: _Wire | None = None
        self._sent = 0
        self._join_ids: set[str] = set()
        self._answered = 0
        self._seen: dict[str, int] = {}
        self._news = asyncio.Event()

    @property
    def breaks(self) -> int:
        """How many connections have ended."""
        return self.transcript.count(BREAK)

    @property
    def joins(self) -> int:
        """How many joins were answered."""
        return self._answered

    @property
    def here(self) -> bool:
        """Whether it has joined on the connection that it has."""
        return self._wire is not None and bool(self.visits) and self.visits[-1].joined is not None

    # -- coming and going -----------------------------------------------------------------------

    async def follow(self, backoff: Backoff | None = None) -> None:
        """Come back after each end, as soon as the project's clients would; ends when it is cancelled."""
        rule, attempt = backoff or Backoff(), 0
        while True:
            visit = await self.visit()
            attempt = 0 if visit.joined is not None else attempt + 1
            await anyio.sleep(self.back_in_s(rule, attempt))

    def back_in_s(self, rule: Backoff, attempt: int = 0) -> float:
        """When to come back after the connection that has ended, by the project's rule and by chance."""
        visit = self.visits[-1]
        refused = visit.status if visit.status != 101 else None
        return rule.delay_s(attempt, self._dice.random(), Loss("lost", visit.close_code, refused, visit.retry_after_s))

    async def visit(self, *, begin_anew: bool = False, after: Json | None = None) -> Visit:
        """Connect, join, and listen until the connection ends. Cancelling drops it.

        Args:
            begin_anew: Come without a cursor.
            after: Come with this cursor, instead of the newest.
        """
        cursor = None if begin_anew else after or self.cursor
        visit = Visit(asyncio.get_running_loop().time(), None if cursor is None else dict(cursor))
        self.visits.append(visit)
        try:
            wire = self._wire = await self._connect()
            visit.status = await wire.upgraded
            if visit.status == 101:
                self.cursor = visit.after and dict(visit.after)
                self._join(visit.after)
                await wire.lost.wait()
        except OSError:
            pass
        finally:
            self._end(visit)
        return visit

    def drop(self) -> None:
        """End the connection with a reset, now."""
        if self._wire is not None:
            self._wire.reset()

    def stall(self) -> None:
        """Read nothing more of this connection."""
        if self._wire is not None:
            self._wire.pause()

    def leave_and_join(self, after: Json | None) -> None:
        """Leave the room and join it again on the same connection, without waiting for an answer."""
        self._send("room.leave")
        self._join(after)

    async def _connect(self) -> _Wire:
        loop = asyncio.get_running_loop()
        connection = socket.socket()
        try:
            connection.setblocking(False)
            if self._receive_buffer_bytes is not None:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._receive_buffer_bytes)
            await loop.sock_connect(connection, ("127.0.0.1", self.port))
            _, wire = await loop.create_connection(lambda: _Wire(self), sock=connection)
        except BaseException:
            connection.close()
            raise
        wire.write(upgrade_head(self.port, path=f"/v1/ws?member={self.name}"))
        return wire

    def _join(self, after: Json | None) -> None:
        given = {} if after is None else {"after": after}
        self._join_ids.add(self._send("room.join", **self._fields, **given))

    def _send(self, kind: str, **fields: Any) -> str:
        assert self._wire is not None
        self._sent += 1
        command_id = f"{self.name}-{self._sent}"
        frame = orjson.dumps({"type": kind, "id": command_id, "room": self.room, **fields})
        self.transcript.append(frame)
        self._wire.write(encode_frame(TEXT, frame))
        return command_id

    def _end(self, visit: Visit) -> None:
        wire, self._wire = self._wire, None
        self._join_ids.clear()
        visit.ended_s = asyncio.get_running_loop().time()
        if wire is not None:
            visit.close_code, visit.received_bytes = wire.close_code, wire.received_bytes
            wire.reset()
            self.transcript.append(BREAK)
        self._tell()

    # -- hearing --------------------------------------------------------------------------------

    def hear(self, frame: bytes, frame_bytes: int, bytes_before: int) -> None:
        """Take a message.

        Args:
            frame: Its text.
            frame_bytes: What it took on the wire.
            bytes_before: What the socket had received before it.
        """
        self.transcript.append(self._frames.setdefault(frame, frame))
        got: Json = orjson.loads(frame)
        kind, visit = got["type"], self.visits[-1]
        if kind == "reply" and got["id"] in self._join_ids:
            self._take_join(got, visit, frame_bytes)
        elif kind == "room.reset":
            self.cursor = {"epoch": got["epoch"], "seq": got["seq"]}
        elif "at" in got and self.cursor is not None:
            self.cursor["seq"] = got["seq"]
        elif kind == "server.draining":
            visit.retry_after_s = got["retry_after_ms"] / 1_000
        joined = visit.joined
        if not visit.caught_up_bytes and joined and self.cursor and self.cursor["seq"] >= joined["head"]:
            visit.caught_up_bytes = bytes_before + frame_bytes
        self._seen[kind] = self._seen.get(kind, 0) + 1
        self._tell()

    def _take_join(self, reply: Json, visit: Visit, frame_bytes: int) -> None:
        self._join_ids.discard(reply["id"])
        self._answered += 1
        if not reply["ok"]:
            visit.retry_after_s = reply["error"].get("retry_after_ms", 1_000) / 1_000
            self.drop()
            return
        result: Json = reply["result"]
        visit.joined = {name: value for name, value in result.items() if name not in {"snapshot", "members"}}
        visit.reply_bytes = frame_bytes
        self.cursor = {"epoch": result["epoch"], "seq": result["seq"]}

    # -- waiting --------------------------------------------------------------------------------

    async def until_here(self) -> None:
        """Wait until it has joined."""
        while not self.here:
            await self._news.wait()

    async def until_seq(self, seq: int) -> None:
        """Wait until it stands there, or beyond."""
        while self.cursor is None or self.cursor["seq"] < seq:
            await self._news.wait()

    async def until_heard(self, frames: int) -> None:
        """Wait until this connection has brought so many frames, or is over."""
        until, visit = len(self.transcript) + frames, self.visits[-1]
        while len(self.transcript) < until and not visit.ended_s:
            await self._news.wait()

    async def until_type(self, kind: str, times: int = 1) -> None:
        """Wait until it has heard so many messages of this type."""
        while self._seen.get(kind, 0) < times:
            await self._news.wait()

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()


class _Wire(asyncio.Protocol):
    """The bytes of one connection.

    Attributes:
        upgraded: The status of the answer to the handshake; None when there was none.
        lost: Set when the connection is gone.
    """

    def __init__(self, visitor: Visitor) -> None:
        self.received_bytes = 0
        self.close_code: int | None = None
        self.upgraded: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        self.lost = asyncio.Event()
        self._visitor = visitor
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self.received_bytes += len(data)
        self._buffer += data
        if not self.upgraded.done():
            head, found, _ = bytes(self._buffer).partition(b"\r\n\r\n")
            if not found:
                return
            del self._buffer[: len(head) + len(found)]
            self.upgraded.set_result(int(head.split(b" ", 2)[1]))
        if self.upgraded.result() == 101:
            self._frames()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.upgraded.done():
            self.upgraded.set_result(None)
        self.lost.set()

    def write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def pause(self) -> None:
        if self._transport is not None:
            self._transport.pause_reading()

    def reset(self) -> None:
        if self._transport is not None and not self.lost.is_set():
            linger = struct.pack("ii", 1, 0)
            self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self._transport.abort()

    def _frames(self) -> None:
        """Take every whole frame out of the buffer; from a server they are neither masked nor in fragments."""
        buffer, at = self._buffer, 0
        before = self.received_bytes - len(buffer)
        while len(buffer) >= at + 2:
            begin, size = at + 2, buffer[at + 1]
            if size == 126:
                begin, size = at + 4, int.from_bytes(buffer[at + 2 : at + 4], "big")
            elif size == 127:
                begin, size = at + 10, int.from_bytes(buffer[at + 2 : at + 10], "big")
            if len(buffer) < begin + size or begin > len(buffer):
                break
            opcode, payload = buffer[at] & 0x0F, bytes(buffer[begin : begin + size])
            if opcode == TEXT:
                self._visitor.hear(payload, begin + size - at, before + at)
            elif opcode == PING:
                self.write(encode_frame(PONG, payload))
            elif opcode == CLOSE:
                self.close_code = int.from_bytes(payload[:2], "big") if payload else 1005
                self.write(encode_frame(CLOSE, payload[:2]))
            at = begin + size
        del buffer[:at]


def audit(visitors: Iterable[Visitor], log: list[Json], *, complete: bool = False) -> list[str]:
    """Everything that is wrong with what these visitors of one room were sent; see auditor.py."""
    decoded: dict[bytes, Json] = {}
    findings: list[str] = []
    for visitor in visitors:
        transcript: list[Json] = []
        for frame in visitor.transcript:
            message = decoded.get(frame)
            if message is None:
                message = decoded[frame] = orjson.loads(frame)
            transcript.append(message)
        found = audit_viewer(transcript, log, room=visitor.room, complete=complete)
        findings += [f"{visitor.name}: {finding}" for finding in found]
    return findings


async def stored(folder: Path, room: str) -> list[Json]:
    """The room's whole log, after the server is gone."""
    log: list[Json] = []
    async with open_sqlite(folder / "roomcast.db", clock=SystemClock()) as store:
        while True:
            read = await store.read(room, len(log), 10_000)
            assert isinstance(read, Events)
            if not read.records:
                return log
            log += [orjson.loads(record.data) for record in read.records]

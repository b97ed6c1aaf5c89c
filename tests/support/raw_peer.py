"""A peer that speaks WebSocket byte by byte, correctly or not, over a blocking socket.

    with RawPeer.upgraded(server.port, member="ann") as peer:
        peer.frame(PING, b"x" * 126)
        assert peer.goodbye() == 1002

Shares nothing with the program: not its parser, not its library. Whatever it waits for comes
within `PATIENCE_S`, or the test fails.
"""

from __future__ import annotations

import json
import os
import socket
import struct
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, TypeAlias

__all__ = [
    "BINARY",
    "CLOSE",
    "CONTINUATION",
    "PING",
    "PONG",
    "TEXT",
    "Gone",
    "Heard",
    "RawPeer",
    "encode_frame",
    "upgrade_head",
]

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
PATIENCE_S = 60.0
Heard: TypeAlias = dict[str, Any]
KEY = "dGhlIHNhbXBsZSBub25jZQ=="


class Gone(Exception):
    """The server ended the connection without, or behind, its close frame."""


def upgrade_head(
    port: int, *, path: str = "/v1/ws", method: str = "GET", without: Iterable[str] = (), **headers: str
) -> bytes:
    """The head of a handshake; `headers` replace the usual ones, with underscores for dashes."""
    usual = {
        "host": f"127.0.0.1:{port}",
        "upgrade": "websocket",
        "connection": "Upgrade",
        "sec-websocket-key": KEY,
        "sec-websocket-version": "13",
    }
    given = {**usual, **{name.replace("_", "-"): value for name, value in headers.items()}}
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in given.items() if name not in without)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def encode_frame(
    opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, mask: bool = True, length: int | None = None
) -> bytes:
    """One frame; `length` may lie. The mask is all zeros, which masks nothing and is valid."""
    size = len(payload) if length is None else length
    first, masked = (0x80 if fin else 0) | rsv << 4 | opcode, 0x80 if mask else 0
    if size < 126:
        head = bytes((first, masked | size))
    elif size < 65_536:
        head = struct.pack("!BBH", first, masked | 126, size)
    else:
        head = struct.pack("!BBQ", first, masked | 127, size)
    return head + (b"\0\0\0\0" if mask else b"") + payload


class RawPeer:
    """One connection.

    Attributes:
        heard: Every message that was waited for or passed over, in order.

    Args:
        receive_buffer_bytes: What the kernel takes for us before the server notices that we do not read.
    """

    def __init__(self, port: int, *, receive_buffer_bytes: int | None = None) -> None:
        self.socket = socket.socket()
        if receive_buffer_bytes is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        self.socket.settimeout(PATIENCE_S)
        self.socket.connect(("127.0.0.1", port))
        self.heard: list[Heard] = []
        self._buffer = bytearray()
        self._sent = 0
        self._salt = os.urandom(6).hex()  # an id must never repeat for a member

    @classmethod
    def upgraded(
        cls, port: int, *, member: str = "raw", receive_buffer_bytes: int | None = None, **headers: str
    ) -> RawPeer:
        """A connection whose handshake is done."""
        peer = cls(port, receive_buffer_bytes=receive_buffer_bytes)
        try:
            peer.send(upgrade_head(port, path=f"/v1/ws?member={member}", **headers))
            status, _, body = peer.response()
            assert status == 101, (status, body)
        except BaseException:
            peer.socket.close()
            raise
        return peer

    def __enter__(self) -> RawPeer:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    # -- out ------------------------------------------------------------------------------------

    def send(self, data: bytes) -> None:
        """Send exactly this."""
        self.socket.sendall(data)

    def frame(self, opcode: int, payload: bytes = b"", **how: Any) -> None:
        """Send one frame."""
        self.send(encode_frame(opcode, payload, **how))

    def text(self, text: str | bytes) -> None:
        """Send one text message."""
        self.frame(TEXT, text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text)

    def command(self, kind: str, **fields: Any) -> str:
        """Send a command; returns its id."""
        self._sent += 1
        command_id: str = fields.pop("id", None) or f"c{self._salt}-{self._sent}"
        self.text(json.dumps({"type": kind, "id": command_id, **fields}, ensure_ascii=False))
        return command_id

    def half_close(self) -> None:
        """Say that nothing more is sent; still read."""
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Drop the connection with an RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    # -- in -------------------------------------------------------------------------------------

    def response(self) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of an HTTP answer."""
        head = self._take(self._index(b"\r\n\r\n") + 4).decode("latin-1")
        status_line, *lines = head.split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
        body = self._take(int(headers.get("content-length", "0")))
        return int(status_line.split(" ")[1]), headers, body

    def next_frame(self) -> tuple[int, bytes]:
        """Opcode and payload of the next frame. Raises `Gone` when there is none."""
        first, second = self._take(2)
        assert first & 0x70 == 0, "no extension was negotiated"
        assert second & 0x80 == 0, "servers do not mask"
        size = second & 0x7F
        if size == 126:
            (size,) = struct.unpack("!H", self._take(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", self._take(8))
        return first & 0x0F, self._take(size)

    def hear(self) -> Heard:
        """The next text message; pings are answered."""
        while True:
            opcode, payload = self.next_frame()
            assert opcode != CLOSE, f"closed: {payload!r}"
            if opcode == PING:
                self.frame(PONG, payload)
            if opcode == TEXT:
                message: Heard = json.loads(payload)
                self.heard.append(message)
                return message

    def until_type(self, kind: str, **fields: Any) -> Heard:
        """The next message of this type whose fields are as given."""
        while True:
            got = self.hear()
            if got["type"] == kind and all(got.get(name) == value for name, value in fields.items()):
                return got

    def reply(self, kind: str, **fields: Any) -> Heard:
        """Send a command and wait for its reply."""
        return self.until_type("reply", id=self.command(kind, **fields))

    def goodbye(self, *, answer: bool = True) -> int | None:
        """The code of the server's close frame, whatever comes before it; None when it ends without one.

        Args:
            answer: Whether to say goodbye too, and to send nothing more.
        """
        try:
            while True:
                opcode, payload = self.next_frame()
                if opcode == CLOSE:
                    break
        except Gone:
            return None
        if answer:
            with suppress(OSError):  # it is gone already
                self.frame(CLOSE, payload[:2])
                self.half_close()
        return int.from_bytes(payload[:2], "big") if payload else 1005

    def sip(self, size: int) -> None:
        """Read this much, to be looked at later."""
        until = len(self._buffer) + size
        while len(self._buffer) < until:
            self._buffer += self.socket.recv(until - len(self._buffer))

    def rest(self) -> bytes:
        """Everything until the server ends the connection."""
        try:
            while True:
                self._more()
        except Gone:
            return bytes(self._buffer)

    def is_cut(self, *, within_s: float) -> bool:
        """Whether the server ends the connection within this time; it says nothing meanwhile."""
        self.socket.settimeout(within_s)
        try:
            self._more()
        except TimeoutError:
            return False
        except Gone:
            return True
        finally:
            self.socket.settimeout(PATIENCE_S)
        raise AssertionError(f"said {bytes(self._buffer)!r}")

    def _index(self, mark: bytes) -> int:
        while mark not in self._buffer:
            self._more()
        return self._buffer.index(mark)

    def _take(self, size: int) -> bytes:
        while len(self._buffer) < size:
            self._more()
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    def _more(self) -> None:
        try:
            data = self.socket.recv(65_536)
        except (ConnectionResetError, BrokenPipeError):
            raise Gone from None
        if not data:
            raise Gone
        self._buffer += data

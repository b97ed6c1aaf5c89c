"""Payloads to WebSocket frames: unmasked, unfragmented text, as servers send them (RFC 6455 §5.2).

Written out here because it runs once for every event, shared by all viewers, and must give
bytes that many sockets can be handed; the library builds a frame for one connection at a time.
"""

from __future__ import annotations

from typing import Final

from roomcast.core.events import Record

__all__ = ["WEBSOCKET", "WebSocketFraming", "text_frame"]

_FIN_TEXT: Final = 0x81


def text_frame(payload: bytes) -> bytes:
    """One whole text message in one frame."""
    length = len(payload)
    if length < 126:
        return bytes((_FIN_TEXT, length)) + payload
    if length < 65_536:
        return bytes((_FIN_TEXT, 126)) + length.to_bytes(2, "big") + payload
    return bytes((_FIN_TEXT, 127)) + length.to_bytes(8, "big") + payload


class WebSocketFraming:
    """One frame for each payload; the event itself says its number."""

    def event(self, epoch: str, record: Record) -> bytes:
        """Frame one committed event."""
        return text_frame(record.data)

    def notice(self, payload: bytes) -> bytes:
        """Frame a reply or a signal."""
        return text_frame(payload)

    def reset(self, epoch: str, seq: int, payload: bytes) -> bytes:
        """Frame a `room.reset`."""
        return text_frame(payload)


WEBSOCKET: Final = WebSocketFraming()
"""The one instance: connections that share a framing share its bytes."""

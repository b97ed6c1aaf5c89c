"""Server-Sent Events: payloads to the lines of an event stream, and cursors to their ids and back.

    id: EPOCH:SEQ        only on what moves the reader's cursor: events, and `room.reset`
    data: {…}            the JSON of the WebSocket; it has no raw line end, so one line is enough

There is no `event:` field: readers look at `type`, as everywhere else.

Not here: the response that carries it (transport/sse.py).
"""

from __future__ import annotations

import re
from typing import Final

from roomcast.core.events import Cursor, Record

__all__ = ["KEEP_ALIVE", "SSE", "SseFraming", "read_cursor"]

KEEP_ALIVE: Final = b": keep-alive\n\n"
"""A comment: readers skip it, but proxies and reading timeouts see that somebody is there."""

_CURSOR: Final = re.compile(r"([!-~]{1,128}):([0-9]{1,16})")


class SseFraming:
    """One block of lines for each payload."""

    def event(self, epoch: str, record: Record) -> bytes:
        """Frame one committed event."""
        return b"id: %b:%d\ndata: %b\n\n" % (epoch.encode(), record.seq, record.data)

    def notice(self, payload: bytes) -> bytes:
        """Frame a signal; a reader that comes back stands where the last event left it."""
        return b"data: %b\n\n" % payload

    def reset(self, epoch: str, seq: int, payload: bytes) -> bytes:
        """Frame a `room.reset`: from here on the reader stands at `seq`."""
        return b"id: %b:%d\ndata: %b\n\n" % (epoch.encode(), seq, payload)


SSE: Final = SseFraming()
"""The one instance: readers that share a framing share its bytes."""


def read_cursor(text: str) -> Cursor | None:
    """The cursor that an `id:` of ours names; None for anything else."""
    matched = _CURSOR.fullmatch(text)
    return Cursor(matched[1], int(matched[2])) if matched else None

"""Server-Sent Events out of bytes, with a bound on what is held. No I/O.

    decoder = EventStreamDecoder(max_bytes=…)
    for message in decoder.feed(chunk): …      # after each chunk
    if decoder.overflowed: …                   # you must: nothing more will come out
    last = decoder.close()                     # at a clean end

Invariants
    S1  The same bytes give the same messages however they are cut into chunks.
    S2  At most `max_bytes` of an unfinished line and `max_bytes` of an unfinished message are
        held, and the work is linear in the bytes fed, also for one byte at a time.
    S3  Any bytes are decoded or counted as an overflow; nothing is raised.

Not here: what the data means (payload.py), and who waits for bytes (pieces.py).
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["EventStreamDecoder", "Message"]

_BOM = b"\xef\xbb\xbf"


class _TooLong(Exception):
    """A line or a message is longer than we hold."""


class Message(NamedTuple):
    """One event of the stream.

    Attributes:
        event: The `event:` field, empty when there was none.
        data: The `data:` fields, joined by newlines.
    """

    event: bytes
    data: bytes


class EventStreamDecoder:
    """Decode a `text/event-stream` body as the HTML standard says (section 9.2.6).

    `id:` and `retry:` are ignored: nobody here reconnects to a stream.

    Args:
        max_bytes: Longest line, and longest `data` of one message, that is accepted.
    """

    def __init__(self, *, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._partial = bytearray()
        self._skip_newline = False
        self._at_start = True
        self._event = b""
        self._data: list[bytes] = []
        self._data_bytes = 0
        self.overflowed = False

    def feed(self, chunk: bytes) -> list[Message]:
        """Take the next bytes and return the messages that they complete."""
        messages: list[Message] = []
        if self._skip_newline and chunk:
            # "a U+000D CARRIAGE RETURN U+000A LINE FEED character pair" is one line end, also across chunks.
            self._skip_newline = False
            if chunk[0] == 0x0A:
                chunk = chunk[1:]
        if not chunk or self.overflowed:
            return messages
        # For bytes, `splitlines` knows exactly the three line ends of the standard.
        lines = chunk.splitlines()
        last = chunk[-1]
        rest = b"" if last in (0x0A, 0x0D) else lines.pop()
        self._skip_newline = last == 0x0D
        if lines and self._partial:
            self._partial += lines[0]
            lines[0] = bytes(self._partial)
            self._partial.clear()
        try:
            for line in lines:
                message = self._take_line(line)
                if message is not None:
                    messages.append(message)
            self._partial += rest
            if len(self._partial) > self._max_bytes:
                raise _TooLong
        except _TooLong:
            self.overflowed = True
            self._partial.clear()
            self._data.clear()
        return messages

    def close(self) -> Message | None:
        """Return what was complete but for its blank line, if anything.

        The standard drops it. Model servers exist that forget the last blank line, and a clean
        end of the body says that nothing is missing; the caller checks that it makes sense.
        """
        if self.overflowed:
            return None
        line = bytes(self._partial)
        self._partial.clear()
        try:
            return (self._take_line(line) if line else None) or self._dispatch()
        except _TooLong:
            self.overflowed = True
            return None

    def _take_line(self, line: bytes) -> Message | None:
        if len(line) > self._max_bytes:
            raise _TooLong
        if self._at_start:
            self._at_start = False
            line = line.removeprefix(_BOM)
        if not line:
            return self._dispatch()
        name, colon, value = line.partition(b":")
        if colon and value[:1] == b" ":
            value = value[1:]
        if name == b"data":
            self._data_bytes += len(value) + 1
            if self._data_bytes > self._max_bytes + 1:
                raise _TooLong
            self._data.append(value)
        elif name == b"event":
            self._event = value
        return None

    def _dispatch(self) -> Message | None:
        data, event = self._data, self._event
        self._event = b""
        if not data:
            return None
        self._data = []
        self._data_bytes = 0
        return Message(event, data[0] if len(data) == 1 else b"\n".join(data))

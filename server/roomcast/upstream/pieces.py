"""From the bytes of an answer to pieces in our vocabulary, and to how it ended.

    bytes -> messages (event_stream) -> objects (payload) -> pieces (a Translator)

Invariants
    P1  Pieces come in the upstream's order, and what came before a failure comes before its error.
    P2  At most one `Finish`, last, and only if the upstream said how it ended; nothing is read after it.
    P3  An answer that is no answer (HTML, nothing at all, broken JSON, too long) is an error; a
        clean end without a finish just ends.
    P4  Held at most: one line, one message or one whole JSON answer of `max_line_bytes`, and what
        one chunk of bytes became.

Not here: connecting and hanging up (connection.py); deadlines (the runner's), but for one: once
the upstream said that it finished, it has `AFTERWORD_S` to report the usage.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final, NoReturn, Protocol

import anyio
import orjson

from roomcast.core.errors import UpstreamError
from roomcast.core.events import JsonObject
from roomcast.core.ports import Finish, Piece
from roomcast.upstream.connection import Reply
from roomcast.upstream.errors import VENDOR_ERRORS, bad_response, from_vendor
from roomcast.upstream.event_stream import EventStreamDecoder, Message
from roomcast.upstream.payload import BadPayload, parse_object

__all__ = ["Pieces", "Translator"]

AFTERWORD_S: Final = 2.0

_WHITESPACE_AND_BOM: Final = b" \t\r\n\xef\xbb\xbf"
_BYTES_A_CHARACTER: Final = 6
"""At most, in JSON: a control character is written as \\u0001."""
_BYTES_BESIDE_DELTA: Final = 1024
"""Room for the type, the ids and the indexes of an event whose text is as long as it may be."""


class Translator(Protocol):
    """Translates one answer of one API into our vocabulary. No I/O."""

    @property
    def finish(self) -> Finish | None:
        """How the upstream said that it ended, once it did."""
        ...

    @property
    def complete(self) -> bool:
        """Whether nothing that counts can follow."""
        ...

    def feed(self, event: JsonObject, name: str, *, ragged: bool) -> Iterable[JsonObject]:
        """Translate one event of the stream.

        Args:
            event: Its data.
            name: Its `event:` field, often empty.
            ragged: Whether its strings may hold halves of surrogate pairs (see payload.py).

        Raises:
            UpstreamError: The event says that the generation failed, or makes no sense.
        """
        ...

    def answer(self, answer: JsonObject, *, ragged: bool) -> Iterable[JsonObject]:
        """Translate a whole answer, given where a stream was asked for."""
        ...

    def flush(self) -> Iterable[JsonObject]:
        """Give what was held back; called once, when nothing more follows."""
        ...


class Pieces:
    """The iterator of one generation.

    Args:
        reply: The answer to read.
        translator: A fresh one.
        max_line_bytes: Longest line, message or JSON answer that is held.
        max_event_bytes: Longest event handed on. Longer deltas are handed on in parts; closing
            events, which repeat a whole text, may be three times as long.
    """

    def __init__(self, reply: Reply, translator: Translator, *, max_line_bytes: int, max_event_bytes: int) -> None:
        self._reply = reply
        self._translator = translator
        self._max_line_bytes = max_line_bytes
        self._max_event_bytes = max_event_bytes
        self._decoder = EventStreamDecoder(max_bytes=max_line_bytes)
        self._begun = False
        self._whole: bytearray | None = None  # the JSON answer so far, where no stream came
        self._heard = False
        self._given = False
        self._ready: deque[Piece] = deque()
        self._ended = False
        self._failure: UpstreamError | None = None
        self._afterword_until: float | None = None

    def __aiter__(self) -> Pieces:
        return self

    async def __anext__(self) -> Piece:
        while not self._ready:
            if self._ended:
                self._raise_ending()
            await self._read()
        self._given = True
        return self._ready.popleft()

    def _raise_ending(self) -> NoReturn:
        failure, self._failure = self._failure, None
        if failure is None:
            raise StopAsyncIteration
        # Once the room has seen output, the same request would begin again from the start.
        failure.retryable = failure.retryable and not self._given
        raise failure

    async def _read(self) -> None:
        try:
            if self._translator.finish is None:
                chunk = await anext(self._reply.chunks, None)
            else:
                chunk = await self._read_afterword()
        except VENDOR_ERRORS as error:
            self._end(from_vendor(error))
            return
        try:
            if chunk is None:
                self._close()
            else:
                self._take(chunk)
        except UpstreamError as error:
            self._end(error)

    async def _read_afterword(self) -> bytes | None:
        if self._afterword_until is None:
            self._afterword_until = anyio.current_time() + AFTERWORD_S
        with anyio.CancelScope(deadline=self._afterword_until):
            return await anext(self._reply.chunks, None)
        return None

    def _take(self, chunk: bytes) -> None:
        if not self._begun:
            chunk = chunk.lstrip(_WHITESPACE_AND_BOM)
            if not chunk:
                return
            self._begin(chunk[:1])
        if self._whole is not None:
            self._whole += chunk
            if len(self._whole) > self._max_line_bytes:
                raise bad_response("a longer answer than we hold")
            return
        for message in self._decoder.feed(chunk):
            if self._take_message(message):
                self._reply.complete = True
                self._end(None)
                return
        if self._decoder.overflowed:
            raise bad_response("a longer line than we hold")

    def _begin(self, first: bytes) -> None:
        """Tell by its first character what this answer is; its type is often missing or wrong."""
        self._begun = True
        if first == b"<":
            raise bad_response("a page instead of an answer")
        if first in (b"{", b"["):
            self._whole = bytearray()

    def _take_message(self, message: Message) -> bool:
        """Translate one message; return whether the stream is complete with it."""
        data = message.data.strip()
        if not data:
            return False
        self._heard = True
        if data.startswith(b"[DONE]"):
            return True
        try:
            event, ragged = parse_object(data)
        except BadPayload:
            raise bad_response("a line that is no JSON object") from None
        pieces = self._translator.feed(event, message.event.decode("utf-8", "replace"), ragged=ragged)
        self._ready.extend(pieces if len(data) <= self._max_event_bytes else self._bounded(pieces))
        return self._translator.complete

    def _close(self) -> None:
        """The body ended cleanly."""
        if self._whole is not None:
            try:
                answer, ragged = parse_object(bytes(self._whole))
            except BadPayload:
                raise bad_response("an answer that is no JSON object") from None
            self._heard = True
            self._ready.extend(self._bounded(self._translator.answer(answer, ragged=ragged)))
        elif (last := self._decoder.close()) is not None and _is_whole(last):
            self._take_message(last)
        self._end(None)

    def _end(self, failure: UpstreamError | None) -> None:
        self._ready.extend(self._translator.flush())
        self._ended = True
        if (finish := self._translator.finish) is not None:
            self._ready.append(finish)  # whatever broke after it changes nothing
        elif failure is not None:
            self._failure = failure
        elif not self._heard:
            self._failure = bad_response("an empty answer")

    def _bounded(self, pieces: Iterable[JsonObject]) -> Iterator[JsonObject]:
        """Hand on long deltas in parts, and refuse what is too long and cannot be parted."""
        longest = self._max_event_bytes // _BYTES_A_CHARACTER
        for piece in pieces:
            bound = self._max_event_bytes * (3 if piece["type"].endswith(".done") else 1)
            for part in _parts(piece, longest):
                if len(orjson.dumps(part)) > bound + _BYTES_BESIDE_DELTA:
                    raise bad_response("a larger event than we take")
                yield part


def _parts(piece: JsonObject, longest: int) -> Iterator[JsonObject]:
    delta = piece.get("delta")
    if not isinstance(delta, str) or len(delta) <= longest:
        yield piece
        return
    rest = {name: value for name, value in piece.items() if name != "logprobs"}
    for start in range(0, len(delta), longest):
        yield {**rest, "delta": delta[start : start + longest]}


def _is_whole(message: Message) -> bool:
    """Whether a last message without its blank line is all there, and not cut in the middle."""
    try:
        parse_object(message.data)
    except BadPayload:
        return message.data.startswith(b"[DONE]")
    return True

"""Output items, written the way the Responses API streams them, from text that comes without any. No I/O.

    writer.text("output_text", "Hel")   output_item.added, content_part.added, output_text.delta
    writer.text("output_text", "lo")    output_text.delta
    writer.call(…)                      output_text.done, content_part.done, output_item.done; output_item.added, …
    writer.close("completed")           the closing events of what is still open

Invariants
    W1  Each opening event is followed by its closing event if, and only if, `close` is called.
    W2  The text of the closing events is the text of the deltas, joined.
    W3  At most one text item is open; function calls stay open until `close`, as their chunks may alternate.
    W4  All ids are ours.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from roomcast.core.events import JsonObject
from roomcast.core.ports import IdSource
from roomcast.upstream.errors import bad_response
from roomcast.upstream.payload import Halves

__all__ = ["ITEM_PREFIXES", "MAX_ITEMS", "ItemWriter", "TextKind", "empty_part"]

TextKind: TypeAlias = Literal["output_text", "refusal", "reasoning_text"]

MAX_ITEMS: Final = 1_000
"""Items of one response; core keeps no more, and each costs an id here."""

ITEM_PREFIXES: Final = {"message": "msg", "function_call": "fc", "reasoning": "rs"}
"""Prefix of the ids of the items that we open ourselves."""


@dataclass(slots=True)
class _Text:
    """The text item that is open, and the part of it that is open."""

    id: str
    index: int
    type: str
    parts: list[JsonObject] = field(default_factory=list[JsonObject])
    kind: TextKind = "output_text"
    pieces: list[str] | None = None


@dataclass(slots=True)
class _Call:
    """A function call that is open."""

    id: str
    call_id: str
    index: int
    name: str
    pieces: list[str] = field(default_factory=list[str])


class ItemWriter:
    """Write the output items of one response.

    Args:
        new_id: Source of ids.
    """

    def __init__(self, new_id: IdSource) -> None:
        self._new_id = new_id
        self._items = 0
        self._text: _Text | None = None
        self._calls: dict[str, _Call] = {}
        self._halves = Halves()

    def text(self, kind: TextKind, delta: str) -> Iterator[JsonObject]:
        """Go on with text of this kind; another kind begins another part or item."""
        item = self._text
        wanted = "reasoning" if kind == "reasoning_text" else "message"
        if item is None or item.type != wanted:
            yield from self._close_text("completed")
            item = self._text = _Text(self._new_id(ITEM_PREFIXES[wanted]), self._next_index(), wanted)
            yield _added(item.index, _item(item, "in_progress"))
        if item.pieces is None or item.kind != kind:
            yield from self._close_part(item)
            item.kind, item.pieces = kind, []
            yield {"type": "response.content_part.added", **_part_place(item), "part": empty_part(kind)}
        shown = self._halves.join(item.id, delta)
        if shown:
            item.pieces.append(shown)
            yield {"type": f"response.{kind}.delta", **_part_place(item), "delta": shown}

    def call(self, key: str, name: str, arguments: str) -> Iterator[JsonObject]:
        """Go on with a function call.

        Args:
            key: What names the call in this stream; a new one begins a call.
            name: The function's name, empty where it was not sent; the first counts.
            arguments: More of the arguments.
        """
        yield from self._close_text("completed")
        call = self._calls.get(key)
        if call is None:
            ids = self._new_id(ITEM_PREFIXES["function_call"]), self._new_id("call")
            call = self._calls[key] = _Call(*ids, self._next_index(), name)
            yield _added(call.index, _call_item(call, "in_progress"))
        call.name = call.name or name
        shown = self._halves.join(call.id, arguments)
        if shown:
            call.pieces.append(shown)
            yield _arguments_delta(call, shown)

    def close(self, status: str) -> Iterator[JsonObject]:
        """Close what is open, with this item status."""
        yield from self._close_text(status)
        for call in self._calls.values():
            yield from self._flush_call(call)
            place = {"item_id": call.id, "output_index": call.index}
            yield {"type": "response.function_call_arguments.done", **place, "arguments": "".join(call.pieces)}
            yield _done(call.index, _call_item(call, status))
        self._calls.clear()

    def flush(self) -> Iterator[JsonObject]:
        """The stream was cut: give what was held back, and close nothing."""
        if self._text is not None:
            yield from self._flush_part(self._text)
        for call in self._calls.values():
            yield from self._flush_call(call)

    def _close_text(self, status: str) -> Iterator[JsonObject]:
        item, self._text = self._text, None
        if item is not None:
            yield from self._close_part(item)
            yield _done(item.index, _item(item, status))

    def _close_part(self, item: _Text) -> Iterator[JsonObject]:
        if item.pieces is None:
            return
        yield from self._flush_part(item)
        text = "".join(item.pieces)
        part = empty_part(item.kind)
        name = "refusal" if item.kind == "refusal" else "text"
        part[name] = text
        yield {"type": f"response.{item.kind}.done", **_part_place(item), name: text}
        yield {"type": "response.content_part.done", **_part_place(item), "part": part}
        item.parts.append(part)
        item.pieces = None

    def _flush_part(self, item: _Text) -> Iterator[JsonObject]:
        rest = self._halves.flush(item.id)
        if rest and item.pieces is not None:
            item.pieces.append(rest)
            yield {"type": f"response.{item.kind}.delta", **_part_place(item), "delta": rest}

    def _flush_call(self, call: _Call) -> Iterator[JsonObject]:
        rest = self._halves.flush(call.id)
        if rest:
            call.pieces.append(rest)
            yield _arguments_delta(call, rest)

    def _next_index(self) -> int:
        if self._items == MAX_ITEMS:
            raise bad_response("more output items than we take")
        self._items += 1
        return self._items - 1


def empty_part(kind: TextKind) -> JsonObject:
    """A content part of this kind before its text."""
    if kind == "output_text":
        return {"type": kind, "annotations": [], "text": ""}
    return {"type": kind, "refusal" if kind == "refusal" else "text": ""}


def _added(index: int, item: JsonObject) -> JsonObject:
    return {"type": "response.output_item.added", "output_index": index, "item": item}


def _done(index: int, item: JsonObject) -> JsonObject:
    return {"type": "response.output_item.done", "output_index": index, "item": item}


def _item(item: _Text, status: str) -> JsonObject:
    if item.type == "reasoning":
        return {"id": item.id, "type": "reasoning", "status": status, "summary": [], "content": list(item.parts)}
    return {"id": item.id, "type": "message", "status": status, "role": "assistant", "content": list(item.parts)}


def _call_item(call: _Call, status: str) -> JsonObject:
    return {
        "id": call.id,
        "type": "function_call",
        "status": status,
        "call_id": call.call_id,
        "name": call.name,
        "arguments": "".join(call.pieces),
    }


def _part_place(item: _Text) -> JsonObject:
    return {"item_id": item.id, "output_index": item.index, "content_index": len(item.parts)}


def _arguments_delta(call: _Call, delta: str) -> JsonObject:
    return {
        "type": "response.function_call_arguments.delta",
        "item_id": call.id,
        "output_index": call.index,
        "delta": delta,
    }

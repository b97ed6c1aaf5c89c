"""The output of one response so far: a fold of its events, in OpenAI's shape.

    response.output_item.added        a new item at output_index
    response.content_part.added       a new part in it
    response.….delta                  text behind a field of an item or part
    response.….done, output_item.done the final value, replacing what was gathered

Invariants
    O1  Appending a delta costs the delta, not the text so far (see `_Text`).
    O2  A fork shares text with its origin and neither sees what the other appends.
    O3  Folding never raises, whatever JSON an upstream invented; what does not fit is left
        out, and `cost` says so beforehand.
    O4  `size_bytes` is never less than the JSON of all items together.

Not here: how much a response may hold (rules.py holds `cost` against `running_bytes`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any, Final, NamedTuple

import orjson

from roomcast.core.events import JsonObject, as_array, as_object

__all__ = ["Output", "content_digest"]

MAX_INDEX: Final = 1_000
"""Items of a response and parts of an item beyond this many are left out."""

NEW_BYTES: Final = 64
"""What a part or a field that was not there costs beside its text."""

GAP_BYTES: Final = 40
"""What an index costs that was skipped: an empty part stands there, so that the others keep their places."""

_ITEM: Final = "response.output_item"


class _Place(NamedTuple):
    """Where the value of an event belongs: `item[container][event[position]][field]`.

    Without a container it is `item[field]`; without a field it is the whole part.
    """

    container: str
    position: str
    field: str
    part_type: str


_PLACES: Final[Mapping[str, _Place]] = {
    "response.content_part": _Place("content", "content_index", "", ""),
    "response.reasoning_summary_part": _Place("summary", "summary_index", "", ""),
    "response.output_text": _Place("content", "content_index", "text", "output_text"),
    "response.refusal": _Place("content", "content_index", "refusal", "refusal"),
    "response.reasoning_text": _Place("content", "content_index", "text", "reasoning_text"),
    "response.reasoning_summary_text": _Place("summary", "summary_index", "text", "summary_text"),
    "response.function_call_arguments": _Place("", "", "arguments", ""),
    "response.custom_tool_call_input": _Place("", "", "input", ""),
    "response.mcp_call_arguments": _Place("", "", "arguments", ""),
    "response.code_interpreter_call_code": _Place("", "", "code", ""),
}


_EMPTY: Final = {"content": "output_text", "summary": "summary_text"}


class _Text:
    """Text that grows at its end: a view of the first `count` pieces of a shared list.

    A fork copies the view, not the list. Whoever appends at the list's own end shares on;
    whoever finds that somebody else did already, copies first. Only one of a fork and its
    origin survives a round, so copies are rare.
    """

    __slots__ = ("_count", "_pieces")

    def __init__(self, pieces: list[str], count: int) -> None:
        self._pieces = pieces
        self._count = count

    def plus(self, piece: str) -> _Text:
        if len(self._pieces) != self._count:
            self._pieces = self._pieces[: self._count]
        self._pieces.append(piece)
        return _Text(self._pieces, self._count + 1)

    def __str__(self) -> str:
        return "".join(self._pieces[: self._count])


class _Spot(NamedTuple):
    """One change: what an event gives, and where in its item that belongs."""

    item: JsonObject
    place: _Place
    at: int
    given: Any
    grows: bool

    def put(self) -> None:
        """Put it there. A part that was not announced, or as something else, becomes what its text says it is."""
        field, now = self.place.field, self._now()
        value = _text(now).plus(self.given) if self.grows else _fork(self.given)
        if not self.place.container:
            self.item[field] = value
            return
        parts: list[Any] = self.item.setdefault(self.place.container, [])
        while len(parts) < self.at:
            parts.append({"type": _EMPTY[self.place.container], "text": ""})
        part = {**(self._part() or {}), "type": self.place.part_type, field: value} if field else value
        parts[self.at : self.at + 1] = [part]

    def cost(self) -> int:
        """Bytes that `put` adds: the text or the growth, and what it brings into being around it."""
        now, part = self._now(), self._part()
        added = len(orjson.dumps(self.given)) if self.grows else _growth(now, self.given)
        if now is None or (part and part.get("type") != self.place.part_type):
            added += NEW_BYTES + GAP_BYTES * max(0, self.at - len(self._parts()))
        return added

    def _now(self) -> Any:
        holder = self._part() if self.place.container else self.item
        return holder if holder is None or not self.place.field else holder.get(self.place.field)

    def _part(self) -> JsonObject | None:
        parts = self._parts()
        return as_object(parts[self.at]) if self.at < len(parts) else None

    def _parts(self) -> list[Any]:
        parts: list[Any] = self.item.get(self.place.container, []) if self.place.container else []
        return parts


class Output:
    """Output items by `output_index`, and the bytes they hold."""

    def __init__(self) -> None:
        self._items: dict[int, JsonObject] = {}
        self._open: set[int] = set()
        self.size_bytes = 0
        """Encoded bytes of what was folded, roughly; never too low."""

    def __contains__(self, item_id: object) -> bool:
        return any(item["id"] == item_id for item in self._items.values())

    def fork(self) -> Output:
        """A copy that can be folded further without being seen here. Costs the open items, not their text."""
        twin = Output()
        twin._items = {index: _fork(item) if index in self._open else item for index, item in self._items.items()}
        twin._open = set(self._open)
        twin.size_bytes = self.size_bytes
        return twin

    def cost(self, event: JsonObject) -> int | None:
        """Bytes that folding `event` adds to `size_bytes`: 0 for types not kept here, None for what does not fit."""
        name, _, _ = event["type"].rpartition(".")
        if name == _ITEM:
            index = self._item_index(event)
            return None if index is None else _growth(self._items.get(index), event["item"])
        if name not in _PLACES:
            return 0
        spot = self._spot(event)
        return spot.cost() if spot else None

    def fold(self, event: JsonObject) -> None:
        """Apply one `response.*` event of this response."""
        name, _, verb = event["type"].rpartition(".")
        if name == _ITEM:
            self._fold_item(event, closes=verb == "done")
        elif spot := self._spot(event):
            self.size_bytes += spot.cost()
            spot.put()

    def render(self, status: str | None = None) -> list[JsonObject]:
        """The items as plain JSON, by index.

        Args:
            status: Put this status on items that the upstream did not close.
        """
        rendered: list[JsonObject] = []
        for index in sorted(self._items):
            item: JsonObject = _plain(self._items[index])
            rendered.append({**item, "status": status} if status and index in self._open else item)
        return rendered

    def text(self) -> str:
        """All output text, in order."""
        return "".join(_output_texts(self.render()))

    def digest(self) -> str:
        """The `digest` of a terminal: `sha256:` over the UTF-8 of all output text."""
        return content_digest(self.render())

    def dump(self) -> JsonObject:
        """Everything, for a checkpoint."""
        items = [[index, _plain(item), index in self._open] for index, item in self._items.items()]
        return {"items": items, "size_bytes": self.size_bytes}

    @classmethod
    def load(cls, dumped: JsonObject) -> Output:
        """Take up what `dump` gave."""
        output = cls()
        output._items = {index: item for index, item, _ in dumped["items"]}
        output._open = {index for index, _, is_open in dumped["items"] if is_open}
        output.size_bytes = dumped["size_bytes"]
        return output

    def _fold_item(self, event: JsonObject, *, closes: bool) -> None:
        index = self._item_index(event)
        if index is None:
            return
        self.size_bytes += _growth(self._items.get(index), event["item"])
        self._items[index] = _fork(event["item"])
        if closes:
            self._open.discard(index)
        else:
            self._open.add(index)

    def _item_index(self, event: JsonObject) -> int | None:
        """Where an event about a whole item belongs; None if it has no item with an id, or another is there."""
        index, item = _as_index(event.get("output_index")), as_object(event.get("item"))
        if index is None or item is None or not isinstance(item.get("id"), str):
            return None
        known = self._items.get(index)
        return index if known is None or known["id"] == item["id"] else None

    def _spot(self, event: JsonObject) -> _Spot | None:
        """Where an event about a part or a text belongs; None if its item is not open or it has no such place."""
        name, _, verb = event["type"].rpartition(".")
        place, output_index = _PLACES.get(name), _as_index(event.get("output_index"))
        if place is None or output_index not in self._open:
            return None
        item, index = self._items[output_index], 0
        if place.container:
            found = _as_index(event.get(place.position, 0))
            if found is None or as_array(item.get(place.container, [])) is None:
                return None
            index = found
        if not place.field:
            part = as_object(event.get("part"))
            return None if part is None else _Spot(item, place, index, part, grows=False)
        text = event.get("delta" if verb == "delta" else place.field)
        return _Spot(item, place, index, text, grows=verb == "delta") if isinstance(text, str) else None


def content_digest(items: list[JsonObject]) -> str:
    """Digest of rendered output items; the same rule for live state and stored terminals."""
    summed = sha256()
    for text in _output_texts(items):
        summed.update(text.encode("utf-8", "replace"))
    return "sha256:" + summed.hexdigest()


def _output_texts(items: list[JsonObject]) -> Iterator[str]:
    for item in items:
        for entry in as_array(item.get("content")) or ():
            part = as_object(entry)
            if part and part.get("type") == "output_text" and isinstance(part.get("text"), str):
                yield part["text"]


def _as_index(value: object) -> int | None:
    """`value` if it can be an index; `true` cannot."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MAX_INDEX else None


def _growth(now: Any, then: Any) -> int:
    """How many more bytes of JSON `then` is than `now`."""
    before = 0 if now is None else len(orjson.dumps(_plain(now)))
    return max(0, len(orjson.dumps(then)) - before)


def _text(now: Any) -> _Text:
    """What stands somewhere, as text that can grow."""
    if isinstance(now, _Text):
        return now
    return _Text([now if isinstance(now, str) else ""], 1)


def _fork(value: Any) -> Any:
    """Copy the containers of a JSON tree; strings, numbers and texts are shared."""
    if (found := as_object(value)) is not None:
        return {name: _fork(inner) for name, inner in found.items()}
    if (entries := as_array(value)) is not None:
        return [_fork(inner) for inner in entries]
    return value


def _plain(value: Any) -> Any:
    """The tree with its texts as strings."""
    if isinstance(value, _Text):
        return str(value)
    if (found := as_object(value)) is not None:
        return {name: _plain(inner) for name, inner in found.items()}
    if (entries := as_array(value)) is not None:
        return [_plain(inner) for inner in entries]
    return value

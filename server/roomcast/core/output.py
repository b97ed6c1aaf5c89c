"""The output of one response so far: a fold of its events, in OpenAI's shape.

    response.output_item.added        a new item at output_index
    response.content_part.added       a new part in it
    response.….delta                  text behind a field of an item or part
    response.….done, output_item.done the final value, replacing what was gathered

Invariants
    O1  Appending a delta costs the delta, not the text so far (see `_Text`).
    O2  A fork shares text with its origin and neither sees what the other appends.
    O3  Folding never raises, whatever shape an upstream invented; what does not fit is left out.

Not here: what a delta may cost (rules.py holds it against `running_bytes`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any, Final, NamedTuple

import orjson

from roomcast.core.events import JsonObject

__all__ = ["Output", "content_digest"]

MAX_INDEX: Final = 1_000
"""Items of a response and parts of an item beyond this many are not kept in the state."""


class _Place(NamedTuple):
    """Where the text of a delta goes: `item[container][event[position]][field]`, or `item[field]`."""

    container: str | None
    position: str
    field: str
    part_type: str


_DELTAS: Final[Mapping[str, _Place]] = {
    "response.output_text": _Place("content", "content_index", "text", "output_text"),
    "response.refusal": _Place("content", "content_index", "refusal", "refusal"),
    "response.reasoning_text": _Place("content", "content_index", "text", "reasoning_text"),
    "response.reasoning_summary_text": _Place("summary", "summary_index", "text", "summary_text"),
    "response.function_call_arguments": _Place(None, "", "arguments", ""),
    "response.custom_tool_call_input": _Place(None, "", "input", ""),
    "response.mcp_call_arguments": _Place(None, "", "arguments", ""),
    "response.code_interpreter_call_code": _Place(None, "", "code", ""),
}
_PARTS: Final[Mapping[str, tuple[str, str]]] = {
    "response.content_part": ("content", "content_index"),
    "response.reasoning_summary_part": ("summary", "summary_index"),
}


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


class Output:
    """Output items by `output_index`, and the bytes they hold."""

    def __init__(self) -> None:
        self._items: dict[int, JsonObject] = {}
        self._open: set[int] = set()
        self.size_bytes = 0
        """Encoded bytes of what was folded, roughly; never too low."""

    def fork(self) -> Output:
        """A copy that can be folded further without being seen here. Costs the open items, not their text."""
        twin = Output()
        twin._items = {index: _fork(item) if index in self._open else item for index, item in self._items.items()}
        twin._open = set(self._open)
        twin.size_bytes = self.size_bytes
        return twin

    def fold(self, event: JsonObject) -> None:
        """Apply one `response.*` event of this response."""
        self.size_bytes += self.cost(event)
        name, _, verb = event["type"].rpartition(".")
        index = event.get("output_index")
        if not isinstance(index, int) or not 0 <= index < MAX_INDEX:
            return
        if name == "response.output_item":
            self._replace_item(index, event.get("item"), done=verb == "done")
        elif index in self._open:
            item = self._items[index]
            if verb == "delta" and name in _DELTAS:
                self._append(item, _DELTAS[name], event)
            elif verb == "done" and name in _DELTAS:
                _finish(item, _DELTAS[name], event)
            elif name in _PARTS:
                self._replace_part(item, *_PARTS[name], event)

    def cost(self, event: JsonObject) -> int:
        """Bytes that folding `event` would add to `size_bytes`."""
        if event["type"].endswith(".delta"):
            delta = event.get("delta")
            return len(orjson.dumps(delta)) if isinstance(delta, str) else 0
        if event["type"] == "response.output_item.done":
            index = event.get("output_index")
            known = len(orjson.dumps(_plain(self._items[index]))) if index in self._items else 0
            return max(0, len(orjson.dumps(event.get("item"))) - known)
        return len(orjson.dumps(event.get("item") or event.get("part"))) if event["type"].endswith(".added") else 0

    def render(self, status: str | None = None) -> list[JsonObject]:
        """The items as plain JSON, by index.

        Args:
            status: Put this status on items that the upstream did not close.
        """
        rendered = []
        for index in sorted(self._items):
            item = _plain(self._items[index])
            rendered.append({**item, "status": status} if status and index in self._open else item)
        return rendered

    def texts(self) -> Iterator[str]:
        """Every `output_text`, by (`output_index`, `content_index`)."""
        yield from _output_texts(self.render())

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

    def _replace_item(self, index: int, item: object, *, done: bool) -> None:
        if not isinstance(item, dict):
            return
        self._items[index] = item if done else _fork(item)
        self._open.discard(index) if done else self._open.add(index)

    def _append(self, item: JsonObject, place: _Place, event: JsonObject) -> None:
        delta = event.get("delta")
        target = _target(item, place, event)
        if target is None or not isinstance(delta, str):
            return
        current = target.get(place.field)
        text = current if isinstance(current, _Text) else _Text([str(current or "")], 1)
        target[place.field] = text.plus(delta)

    def _replace_part(self, item: JsonObject, container: str, index_name: str, event: JsonObject) -> None:
        parts, index, part = item.setdefault(container, []), event.get(index_name), event.get("part")
        if isinstance(parts, list) and isinstance(index, int) and isinstance(part, dict):
            if index == len(parts) < MAX_INDEX:
                parts.append(dict(part))
            elif 0 <= index < len(parts):
                parts[index] = dict(part)


def content_digest(items: list[JsonObject]) -> str:
    """Digest of rendered output items; the same rule for live state and stored terminals."""
    summed = sha256()
    for text in _output_texts(items):
        summed.update(text.encode("utf-8", "replace"))
    return "sha256:" + summed.hexdigest()


def _output_texts(items: list[JsonObject]) -> Iterator[str]:
    for item in items:
        content = item.get("content")
        for part in content if isinstance(content, list) else ():
            if isinstance(part, dict) and part.get("type") == "output_text" and isinstance(part.get("text"), str):
                yield part["text"]


def _target(item: JsonObject, place: _Place, event: JsonObject) -> JsonObject | None:
    """The object that holds the field; a part that was not announced is made."""
    if place.container is None:
        return item
    parts, index = item.setdefault(place.container, []), event.get(place.position, 0)
    if not isinstance(parts, list) or not isinstance(index, int) or not 0 <= index < MAX_INDEX:
        return None
    if index == len(parts):
        parts.append({"type": place.part_type, place.field: ""})
    return parts[index] if index < len(parts) and isinstance(parts[index], dict) else None


def _finish(item: JsonObject, place: _Place, event: JsonObject) -> None:
    target, final = _target(item, place, event), event.get(place.field)
    if target is not None and isinstance(final, str):
        target[place.field] = final


def _fork(value: Any) -> Any:
    """Copy the containers of a JSON tree; strings, numbers and texts are shared."""
    if isinstance(value, dict):
        return {name: _fork(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_fork(inner) for inner in value]
    return value


def _plain(value: Any) -> Any:
    """The tree with its texts as strings."""
    if isinstance(value, _Text):
        return str(value)
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return value

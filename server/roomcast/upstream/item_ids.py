"""Ids of one stream: the upstream's in, ours out. No I/O.

Invariants
    N1  The same item or call has the same id of ours in every event of a stream.
    N2  No id of the upstream's items and calls gets out.
    N3  Ids are bounded: a stream that names more than `MAX_ITEMS` items or calls is refused.
"""

from __future__ import annotations

from typing import Any, Final

from roomcast.core.ports import IdSource
from roomcast.upstream.errors import bad_response
from roomcast.upstream.item_writer import ITEM_PREFIXES, MAX_ITEMS

__all__ = ["ItemIds"]

_PREFIXES: Final = {
    **ITEM_PREFIXES,
    "code_interpreter_call": "ci",
    "computer_call": "cu",
    "custom_tool_call": "ctc",
    "file_search_call": "fs",
    "image_generation_call": "ig",
    "mcp_approval_request": "mcpr",
    "mcp_call": "mcp",
    "mcp_list_tools": "mcpl",
    "web_search_call": "ws",
}
"""Prefixes that OpenAI gives its ids; an item of another type is an `item_`."""


class ItemIds:
    """Ids of the items and calls of one stream.

    Some servers name an item differently in each event, or not at all. Then its `output_index`
    tells which one is meant.

    Args:
        new_id: Source of ids.
    """

    def __init__(self, new_id: IdSource) -> None:
        self._new_id = new_id
        self._items: dict[str, str] = {}
        self._at: dict[int, str] = {}
        self._calls: dict[str, str] = {}

    def open(self, theirs: Any, index: Any, item_type: Any) -> str:
        """Our id for an item that begins at `index`."""
        known = self._items.get(theirs) if isinstance(theirs, str) else None
        ours = known or self._new_id(_PREFIXES.get(item_type, "item") if isinstance(item_type, str) else "item")
        self._bind(theirs, index, ours)
        return ours

    def find(self, theirs: Any, index: Any) -> str | None:
        """Our id for an item that has begun, or None."""
        ours = self._items.get(theirs) if isinstance(theirs, str) else None
        return self._at.get(index) if ours is None and isinstance(index, int) else ours

    def call(self, theirs: str) -> str:
        """Our id for a call."""
        ours = self._calls.get(theirs)
        if ours is None:
            ours = self._calls[theirs] = self._new_id("call")
            self._check(self._calls)
        return ours

    def _bind(self, theirs: Any, index: Any, ours: str) -> None:
        if isinstance(theirs, str):
            self._items[theirs] = ours
            self._check(self._items)
        if isinstance(index, int):
            self._at[index] = ours
            self._check(self._at)

    def _check(self, ids: dict[Any, str]) -> None:
        if len(ids) > MAX_ITEMS:
            raise bad_response("more output items than we take")

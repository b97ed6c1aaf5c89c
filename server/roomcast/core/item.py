"""One complete item of a conversation: a message, or what the model produced."""

from __future__ import annotations

from dataclasses import dataclass

import orjson

from roomcast.core.events import JsonObject

__all__ = ["Item"]


@dataclass(frozen=True, slots=True)
class Item:
    """An item and its place in the tree.

    Attributes:
        seq: Number of the event that brought it.
        parent_id: The item that it hangs below; None at a root.
        response_id: The response that produced it; None for what people and tools add.
        data: The item as JSON, as viewers get it.
        replaces: The item that says the same in older words; the model is not told that one any more.
    """

    id: str
    seq: int
    parent_id: str | None
    response_id: str | None
    data: bytes
    replaces: str | None = None

    @classmethod
    def of(cls, body: JsonObject, seq: int) -> Item:
        """An item from its JSON."""
        return cls(
            body["id"], seq, body.get("parent_id"), body.get("response_id"), orjson.dumps(body), body.get("replaces")
        )

    def body(self) -> JsonObject:
        """The item as JSON, to look into."""
        body: JsonObject = orjson.loads(self.data)
        return body

"""Who is in the room, kept from the join and the presence signals. Pure.

Above a bound the server stops naming members and only counts them; then `members` is what was
named last, and `count` is right.
"""

from __future__ import annotations

from roomcast.core.events import JsonObject

__all__ = ["Roster"]


class Roster:
    """The members of one room: `{id, name, role, state?}` each."""

    def __init__(self) -> None:
        self._by_id: dict[str, JsonObject] = {}
        self.count = 0

    @property
    def members(self) -> list[JsonObject]:
        """Who is here, in the order they came."""
        return list(self._by_id.values())

    def start(self, members: list[JsonObject], count: int) -> None:
        """Take the list that a join gives."""
        self._by_id = {member["id"]: member for member in members}
        self.count = count

    def apply(self, signal: JsonObject) -> None:
        """Take a `presence.updated`: the whole list, or what changed."""
        whole = signal.get("members")
        if whole is not None:
            self._by_id = {member["id"]: member for member in whole}
        for member in (*signal.get("joined", ()), *signal.get("changed", ())):
            self._by_id[member["id"]] = member
        for gone in signal.get("left", ()):
            self._by_id.pop(gone, None)
        self.count = signal.get("count", len(self._by_id))

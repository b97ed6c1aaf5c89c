"""Who is in a room, and what changed since it was last told.

A member is present while at least one of its connections has joined. Changes gather and
are told as one diff (`presence.updated`), so that a thousand arrivals cost one signal a
second and not a million.
"""

from __future__ import annotations

from roomcast.core.events import JsonObject
from roomcast.core.session import Member

__all__ = ["Presence"]


class _Present:
    """A member with its connections."""

    __slots__ = ("connections", "member", "state")

    def __init__(self, member: Member) -> None:
        self.member = member
        self.connections = 0
        self.state: JsonObject | None = None

    def as_json(self) -> JsonObject:
        shown = self.member.as_json()
        return shown if self.state is None else {**shown, "state": self.state}


class Presence:
    """The members of one room.

    Args:
        listed: Above this many members a diff carries only the count.
    """

    def __init__(self, *, listed: int) -> None:
        self._listed = listed
        self._present: dict[str, _Present] = {}
        self._joined: set[str] = set()
        self._left: set[str] = set()
        self._changed: set[str] = set()

    @property
    def count(self) -> int:
        """Members present."""
        return len(self._present)

    @property
    def changed(self) -> bool:
        """Whether there is something to tell."""
        return bool(self._joined or self._left or self._changed)

    def members(self) -> list[JsonObject]:
        """Up to `listed` members, in the order they came."""
        return [present.as_json() for present in list(self._present.values())[: self._listed]]

    def join(self, member: Member) -> None:
        """One more connection of `member` is here."""
        present = self._present.get(member.id)
        if present is None:
            present = self._present[member.id] = _Present(member)
            # Gone and back within one diff is no news, but for what may have changed.
            if member.id in self._left:
                self._left.discard(member.id)
                self._changed.add(member.id)
            else:
                self._joined.add(member.id)
        elif present.member != member:
            present.member = member
            self._changed.add(member.id)
        present.connections += 1

    def leave(self, member_id: str) -> None:
        """One connection of a member is gone."""
        present = self._present.get(member_id)
        if present is None:
            return
        present.connections -= 1
        if present.connections == 0:
            del self._present[member_id]
            self._changed.discard(member_id)
            if member_id in self._joined:
                self._joined.discard(member_id)
            else:
                self._left.add(member_id)

    def update(self, member_id: str, state: JsonObject) -> None:
        """A member says what it is doing."""
        if present := self._present.get(member_id):
            present.state = state
            self._changed.add(member_id)

    def take_diff(self) -> JsonObject | None:
        """What changed since the last call: `{joined, left, changed, count}`, or None.

        Above `listed` members it is `{count}` alone.
        """
        if not self.changed:
            return None
        diff: JsonObject = {"count": self.count}
        if self.count <= self._listed:
            diff["joined"] = [self._present[joined].as_json() for joined in sorted(self._joined)]
            diff["left"] = sorted(self._left)
            diff["changed"] = [self._present[changed].as_json() for changed in sorted(self._changed - self._joined)]
        self._joined.clear()
        self._left.clear()
        self._changed.clear()
        return diff

    def whole(self) -> JsonObject:
        """Everybody, for a subscriber that missed diffs: `{members, joined, left, changed, count}`."""
        return {"members": self.members(), "joined": [], "left": [], "changed": [], "count": self.count}

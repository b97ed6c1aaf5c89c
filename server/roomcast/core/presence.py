"""Who is in a room, and what changed since it was last told.

A member is present while at least one of its connections has joined. Changes gather and
are told as one diff (`presence.updated`), so that a thousand arrivals cost one signal a
second and not a million.

Invariants
    V1  Whoever applies every diff to the members it was given last (`joined` and `changed`
        set, `left` removes, `members` replaces) has the members that are present, whenever
        it was given them: also between two diffs.
    V2  Above `listed` members only the count is told; the first diff below it tells everybody.
    V3  What is told is bounded: `listed` members, and `STATES_BYTES` of what they say of themselves.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Final

import orjson

from roomcast.core.events import JsonObject
from roomcast.core.session import Member

__all__ = ["Presence"]

STATES_BYTES: Final = 48 * 1024
"""Bytes of `state` in one list of members; those behind are listed without theirs."""


class _Present:
    """A member with its connections."""

    __slots__ = ("connections", "member", "state")

    def __init__(self, member: Member) -> None:
        self.member = member
        self.connections = 0
        self.state: JsonObject | None = None


class Presence:
    """The members of one room.

    Args:
        listed: Above this many members a diff carries only the count.
    """

    def __init__(self, *, listed: int) -> None:
        self._listed = listed
        self._present: dict[str, _Present] = {}
        self._touched: dict[str, None] = {}
        self._told: set[str] = set()  # who was present at the last diff that named members
        self._told_count_only = False

    @property
    def count(self) -> int:
        """Members present."""
        return len(self._present)

    @property
    def changed(self) -> bool:
        """Whether there is something to tell."""
        return bool(self._touched)

    def members(self) -> list[JsonObject]:
        """Up to `listed` members, in the order they came."""
        return self._shown(islice(self._present, self._listed))

    def join(self, member: Member) -> None:
        """One more connection of `member` is here."""
        present = self._present.get(member.id)
        if present is None:
            present = self._present[member.id] = _Present(member)
            self._touched[member.id] = None
        elif present.member != member:
            present.member = member
            self._touched[member.id] = None
        present.connections += 1

    def leave(self, member_id: str) -> None:
        """One connection of a member is gone."""
        present = self._present.get(member_id)
        if present is None:
            return
        present.connections -= 1
        if present.connections == 0:
            del self._present[member_id]
            self._touched[member_id] = None

    def update(self, member_id: str, state: JsonObject) -> None:
        """A member says what it is doing."""
        if present := self._present.get(member_id):
            present.state = state
            self._touched[member_id] = None

    def take_diff(self) -> JsonObject | None:
        """What changed since the last call: `{joined, left, changed, count}`, or None.

        Above `listed` members it is `{count}` alone; back below, it is `whole`.
        """
        if not self._touched:
            return None
        touched, self._touched = self._touched, {}
        if self.count > self._listed:
            self._told_count_only = True
            return {"count": self.count}
        told, self._told = self._told, set(self._present)
        if self._told_count_only:
            self._told_count_only = False
            return self.whole()
        here = [member_id for member_id in touched if member_id in self._present]
        return {
            "joined": self._shown(member_id for member_id in here if member_id not in told),
            # Also who came and went between two diffs: somebody may have been given the members meanwhile.
            "left": [member_id for member_id in touched if member_id not in self._present],
            "changed": self._shown(member_id for member_id in here if member_id in told),
            "count": self.count,
        }

    def whole(self) -> JsonObject:
        """Everybody, for a subscriber that missed diffs: `{members, joined, left, changed, count}`."""
        return {"members": self.members(), "joined": [], "left": [], "changed": [], "count": self.count}

    def _shown(self, member_ids: Iterable[str]) -> list[JsonObject]:
        """The members as others see them; states as long as there is space for them."""
        shown: list[JsonObject] = []
        space = STATES_BYTES
        for member_id in member_ids:
            present = self._present[member_id]
            entry = present.member.as_json()
            if present.state is not None:
                space -= len(orjson.dumps(present.state))
                if space >= 0:
                    entry["state"] = present.state
            shown.append(entry)
        return shown

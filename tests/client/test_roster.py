"""Tests of roomcast/client/roster.py."""

from __future__ import annotations

from roomcast.client.roster import Roster
from roomcast.core.events import JsonObject


def member(name: str, **fields: object) -> JsonObject:
    return {"id": name, "name": name.title(), "role": "owner", **fields}


def here(roster: Roster) -> list[str]:
    return [one["id"] for one in roster.members]


def a_roster(*names: str) -> Roster:
    roster = Roster()
    roster.start([member(name) for name in names], len(names))
    return roster


def test_a_join_gives_who_is_here() -> None:
    roster = a_roster("ada", "bob")
    assert (here(roster), roster.count) == (["ada", "bob"], 2)


def test_a_difference_is_applied() -> None:
    roster = a_roster("ada", "bob")
    roster.apply(
        {"joined": [member("cy")], "left": ["ada"], "changed": [member("bob", state={"typing": True})], "count": 2}
    )
    assert here(roster) == ["bob", "cy"]
    assert roster.members[0]["state"] == {"typing": True}


def test_a_whole_list_replaces_what_was_known() -> None:
    roster = a_roster("ada")
    roster.apply({"members": [member("bob")], "count": 1})
    assert here(roster) == ["bob"]


def test_a_crowd_is_only_counted() -> None:
    roster = a_roster("ada")
    roster.apply({"count": 5_000})
    assert (here(roster), roster.count) == (["ada"], 5_000)

"""Tests of roomcast/core/presence.py."""

from __future__ import annotations

import hypothesis.strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from roomcast.core.events import JsonObject, encode
from roomcast.core.presence import STATES_BYTES, Presence
from roomcast.core.session import Member, Role


def member(member_id: str, name: str = "", role: Role = Role.OWNER) -> Member:
    return Member(member_id, name or member_id.title(), role)


def shown(member_id: str, **more: object) -> JsonObject:
    return {"id": member_id, "name": member_id.title(), "role": "owner", **more}


def settled(*member_ids: str, listed: int = 10) -> Presence:
    """A room where these are and everybody knows."""
    presence = Presence(listed=listed)
    for member_id in member_ids:
        presence.join(member(member_id))
    presence.take_diff()
    return presence


def test_who_came_and_who_left_is_told_once() -> None:
    presence = settled("ann", "bob")
    presence.join(member("cleo"))
    presence.leave("bob")
    changed = presence.changed
    assert presence.take_diff() == {"joined": [shown("cleo")], "left": ["bob"], "changed": [], "count": 2}
    assert (changed, presence.changed) == (True, False)
    assert presence.take_diff() is None


def test_a_member_is_there_until_its_last_connection_leaves() -> None:
    presence = settled("ann")
    presence.join(member("ann"))
    presence.leave("ann")
    assert presence.take_diff() is None
    presence.leave("ann")
    assert presence.take_diff() == {"joined": [], "left": ["ann"], "changed": [], "count": 0}


def test_a_member_that_was_never_here_cannot_leave_or_change() -> None:
    presence = settled("ann")
    presence.leave("bob")
    presence.update("bob", {"typing": True})
    assert presence.take_diff() is None


def test_what_a_member_does_is_told_as_a_change() -> None:
    presence = settled("ann", "bob")
    presence.update("ann", {"typing": True})
    diff = presence.take_diff()
    assert diff is not None
    assert (diff["joined"], diff["left"], diff["changed"]) == ([], [], [shown("ann", state={"typing": True})])
    assert presence.members() == [shown("ann", state={"typing": True}), shown("bob")]


def test_another_name_on_another_connection_is_a_change() -> None:
    presence = settled("ann")
    presence.join(member("ann", "Annie"))
    diff = presence.take_diff()
    assert diff is not None
    assert diff["changed"] == [{"id": "ann", "name": "Annie", "role": "owner"}]


def test_gone_and_back_between_two_diffs_is_no_arrival() -> None:
    presence = settled("ann")
    presence.leave("ann")
    presence.join(member("ann"))
    assert presence.take_diff() == {"joined": [], "left": [], "changed": [shown("ann")], "count": 1}


def test_come_and_gone_between_two_diffs_is_told_to_those_who_saw_it() -> None:
    """Somebody may have joined in between and been given the members."""
    presence = settled("ann")
    presence.join(member("bob"))
    presence.leave("bob")
    diff = presence.take_diff()
    assert diff is not None
    assert diff["left"] == ["bob"]


def test_above_the_bound_only_the_count_is_told() -> None:
    presence = settled("ann", "bob", listed=2)
    presence.join(member("cleo"))
    assert presence.take_diff() == {"count": 3}
    assert [entry["id"] for entry in presence.members()] == ["ann", "bob"]


def test_back_below_the_bound_everybody_is_told_once() -> None:
    presence = settled("ann", "bob", "cleo", listed=2)
    presence.leave("ann")
    whole = {"members": [shown("bob"), shown("cleo")], "joined": [], "left": [], "changed": [], "count": 2}
    assert presence.whole() == whole
    assert presence.take_diff() == whole
    presence.leave("bob")
    assert presence.take_diff() == {"joined": [], "left": ["bob"], "changed": [], "count": 1}


def test_states_are_left_out_where_they_are_too_much_together() -> None:
    members = [f"m{index:03}" for index in range(100)]
    presence = settled(*members, listed=200)
    for member_id in members:
        presence.update(member_id, {"free": "x" * 1_000})
    told = presence.members()
    assert len(told) == 100
    states = [len(encode(entry["state"])) for entry in told if "state" in entry]
    assert STATES_BYTES - 1_100 < sum(states) <= STATES_BYTES


MEMBER_IDS = st.sampled_from("abcdef")


class PresenceMachine(RuleBasedStateMachine):
    """Viewers who apply what they are told; whoever heard every diff knows who is here."""

    def __init__(self) -> None:
        super().__init__()
        self.presence = Presence(listed=4)
        self.connections: dict[str, int] = {}
        self.entries: dict[str, JsonObject] = {}
        self.viewers: list[dict[str, JsonObject]] = []

    @rule(member_id=MEMBER_IDS, name=st.sampled_from(["", "Other"]))
    def join(self, member_id: str, name: str) -> None:
        self.presence.join(member(member_id, name))
        self.connections[member_id] = self.connections.get(member_id, 0) + 1
        state = {name: value for name, value in self.entries.get(member_id, {}).items() if name == "state"}
        self.entries[member_id] = {**shown(member_id), **({"name": name} if name else {}), **state}

    @rule(member_id=MEMBER_IDS)
    def leave(self, member_id: str) -> None:
        self.presence.leave(member_id)
        left = self.connections.pop(member_id, 0) - 1
        if left > 0:
            self.connections[member_id] = left
        else:
            self.entries.pop(member_id, None)

    @rule(member_id=MEMBER_IDS, step=st.integers(0, 3))
    def update(self, member_id: str, step: int) -> None:
        self.presence.update(member_id, {"step": step})
        if member_id in self.entries:
            self.entries[member_id] = {**self.entries[member_id], "state": {"step": step}}

    @rule()
    def a_viewer_arrives(self) -> None:
        self.viewers.append({entry["id"]: entry for entry in self.presence.members()})

    @rule()
    def tell(self) -> None:
        diff = self.presence.take_diff()
        for known in self.viewers if diff else ():
            assert diff is not None
            if "members" in diff:
                known.clear()
            for entry in (*diff.get("members", ()), *diff.get("joined", ()), *diff.get("changed", ())):
                known[entry["id"]] = entry
            for member_id in diff.get("left", ()):
                known.pop(member_id, None)
        if len(self.entries) <= 4:
            assert [known for known in self.viewers if known != self.entries] == []  # V1, V2

    @invariant()
    def the_count_is_true(self) -> None:
        assert self.presence.count == len(self.entries)
        assert len(self.presence.members()) == min(4, len(self.entries))


TestPresenceMachine = PresenceMachine.TestCase

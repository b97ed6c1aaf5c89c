"""Tests of roomcast/core/session.py."""

from __future__ import annotations

import pytest

from roomcast.core.commands import COMMAND_TYPES
from roomcast.core.errors import Refusal
from roomcast.core.session import RIGHTS, SYSTEM, Member, Role, SessionInput, SessionState, require, step

MAY = {
    Role.VIEWER: "session.authenticate session.ping room.join room.leave presence.update history.list history.search",
    Role.SPEAKER: "message.create response.create response.cancel response.steer response.regenerate item.edit "
    "item.retract item.rate queue.update tool.output",
    Role.MODERATOR: "tool.decide branch.select room.update",
    Role.OWNER: "room.delete",
}
LEAST = {command: role for role, commands in MAY.items() for command in commands.split()}


def test_every_command_that_exists_has_a_least_role_and_no_other_has() -> None:
    assert set(RIGHTS) == set(COMMAND_TYPES)
    assert RIGHTS == LEAST


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("command_type", sorted(LEAST))
def test_a7_a_member_may_do_what_its_role_and_those_below_may(role: Role, command_type: str) -> None:
    try:
        require(Member("ann", "Ann", role), command_type)
        refused = None
    except Refusal as refusal:
        refused = refusal.code
    assert refused == (None if role >= LEAST[command_type] else "forbidden")


def test_the_refusal_says_which_role_it_takes() -> None:
    with pytest.raises(Refusal, match=r"room\.delete needs the role owner; you are viewer"):
        require(Member("ann", "Ann", Role.VIEWER), "room.delete")


def test_others_see_id_name_and_role() -> None:
    ann = Member("ann", "Ann", Role.SPEAKER)
    assert ann.by() == {"id": "ann", "name": "Ann"}
    assert ann.as_json() == {"id": "ann", "name": "Ann", "role": "speaker"}
    assert SYSTEM.by() == {"id": "system", "name": "system"}


LIFE = [
    (SessionState.ARRIVED, SessionInput.HEARD, SessionState.OPEN),
    (SessionState.ARRIVED, SessionInput.CLOSE, SessionState.CLOSING),
    (SessionState.ARRIVED, SessionInput.LOST, SessionState.CLOSED),
    (SessionState.OPEN, SessionInput.HEARD, SessionState.OPEN),
    (SessionState.OPEN, SessionInput.CLOSE, SessionState.CLOSING),
    (SessionState.OPEN, SessionInput.LOST, SessionState.CLOSED),
    (SessionState.CLOSING, SessionInput.HEARD, SessionState.CLOSING),
    (SessionState.CLOSING, SessionInput.CLOSE, SessionState.CLOSING),
    (SessionState.CLOSING, SessionInput.LOST, SessionState.CLOSED),
    (SessionState.CLOSED, SessionInput.LOST, SessionState.CLOSED),
]


@pytest.mark.parametrize(("state", "happened", "following"), LIFE)
def test_a_connection_lives_as_the_table_says(
    state: SessionState, happened: SessionInput, following: SessionState
) -> None:
    assert step(state, happened) is following


@pytest.mark.parametrize("happened", [SessionInput.HEARD, SessionInput.CLOSE])
def test_nothing_is_heard_from_a_socket_that_is_gone(happened: SessionInput) -> None:
    with pytest.raises(AssertionError, match="cannot happen while closed"):
        step(SessionState.CLOSED, happened)

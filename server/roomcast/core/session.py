"""Who somebody is and what they may do; and the life of one connection as a table.

Rule: rights are asked for each action, against the member's role of that moment
(`require`), never once at the door.

Not here: how somebody proves who they are (transport/admission.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Final

from roomcast.core.errors import Refusal
from roomcast.core.events import JsonObject

__all__ = ["SYSTEM", "Member", "Role", "SessionInput", "SessionState", "require", "step"]


class Role(IntEnum):
    """Roles in rising order; each has the rights of the one before."""

    VIEWER = 1
    SPEAKER = 2
    MODERATOR = 3
    OWNER = 4

    @property
    def wire(self) -> str:
        """Name on the wire, lower case."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Member:
    """One person or program, as this connection speaks for it."""

    id: str
    name: str
    role: Role = Role.OWNER

    def by(self) -> JsonObject:
        """The `by` of an event."""
        return {"id": self.id, "name": self.name}

    def as_json(self) -> JsonObject:
        """The member as others see it: `{id, name, role}`."""
        return {"id": self.id, "name": self.name, "role": self.role.wire}


SYSTEM: Final = Member("system", "system", Role.OWNER)
"""Who is behind what the server does by itself."""

RIGHTS: Final[Mapping[str, Role]] = {
    "session.authenticate": Role.VIEWER,
    "session.ping": Role.VIEWER,
    "room.join": Role.VIEWER,
    "room.leave": Role.VIEWER,
    "presence.update": Role.VIEWER,
    "history.list": Role.VIEWER,
    "history.search": Role.VIEWER,
    "message.create": Role.SPEAKER,
    "response.create": Role.SPEAKER,
    "response.cancel": Role.SPEAKER,
    "response.steer": Role.SPEAKER,
    "response.regenerate": Role.SPEAKER,
    "item.edit": Role.SPEAKER,
    "item.retract": Role.SPEAKER,
    "item.rate": Role.SPEAKER,
    "queue.update": Role.SPEAKER,
    "tool.output": Role.SPEAKER,
    "tool.decide": Role.MODERATOR,
    "branch.select": Role.MODERATOR,
    "room.update": Role.MODERATOR,
    "room.delete": Role.OWNER,
}
"""The least role that may send each command."""


def require(member: Member, command_type: str) -> None:
    """Raise `Refusal` (`forbidden`) unless `member` may send this command now."""
    needed = RIGHTS[command_type]
    if member.role < needed:
        raise Refusal("forbidden", f"{command_type} needs the role {needed.wire}; you are {member.role.wire}")


class SessionState(StrEnum):
    """Where a connection stands."""

    ARRIVED = "arrived"  # upgraded, nothing valid heard yet: it has 10 s
    OPEN = "open"
    CLOSING = "closing"  # our close frame is written; nothing else is
    CLOSED = "closed"


class SessionInput(StrEnum):
    """What can happen to it."""

    HEARD = "heard"  # a valid command, or proof of who it is
    CLOSE = "close"  # either side said goodbye
    LOST = "lost"  # the socket is gone


_NEXT: Final[Mapping[SessionState, Mapping[SessionInput, SessionState]]] = {
    SessionState.ARRIVED: {
        SessionInput.HEARD: SessionState.OPEN,
        SessionInput.CLOSE: SessionState.CLOSING,
        SessionInput.LOST: SessionState.CLOSED,
    },
    SessionState.OPEN: {
        SessionInput.HEARD: SessionState.OPEN,
        SessionInput.CLOSE: SessionState.CLOSING,
        SessionInput.LOST: SessionState.CLOSED,
    },
    # What still arrives after our close frame is read and dropped.
    SessionState.CLOSING: {
        SessionInput.HEARD: SessionState.CLOSING,
        SessionInput.CLOSE: SessionState.CLOSING,
        SessionInput.LOST: SessionState.CLOSED,
    },
    SessionState.CLOSED: {SessionInput.LOST: SessionState.CLOSED},
}


def step(state: SessionState, happened: SessionInput) -> SessionState:
    """Return the state that follows; an absent pair is a bug in the caller."""
    following = _NEXT[state].get(happened)
    assert following is not None, f"{happened} cannot happen while {state}"
    return following

"""The room itself: that it is there, its title, and what it does with prompts.

settings   {on_busy, respond}    as the room has them; `null` goes back to the server's default
"""

from __future__ import annotations

from typing import Final

from msgspec import UNSET

from roomcast.core import endings
from roomcast.core.batch import Batch
from roomcast.core.commands import RoomUpdate
from roomcast.core.errors import Refusal
from roomcast.core.events import JsonObject
from roomcast.core.outcomes import give_up
from roomcast.core.queueing import cancel_running, require_served
from roomcast.core.session import Member

__all__ = ["delete_room", "open_room", "require_room", "update_room"]

DELETED: Final = "deleted"
"""The reason that is told of responses that end with their room."""


def require_room(batch: Batch) -> None:
    """Refuse where the room is not there and may not be made by being named."""
    if not batch.state.exists and not batch.rulebook.create:
        raise Refusal("room_not_found", "there is no such room", param="room")


def open_room(batch: Batch, member: Member) -> None:
    """Make the room unless it is there. Raises `Refusal` where it may not be made."""
    require_room(batch)
    if not batch.state.exists:
        batch.emit({"type": "room.created", "title": batch.state.name, "settings": _defaults(batch), "by": member.by()})


def update_room(batch: Batch, member: Member, command: RoomUpdate) -> JsonObject:
    """Carry out `room.update`; returns `{title, settings}` as they are then.

    Raises:
        Refusal: There is no such room, nothing is to change, or a value is not served.
    """
    if not batch.state.exists:
        raise Refusal("room_not_found", "there is no such room", param="room")
    if command.title is None and command.settings is None:
        raise Refusal("missing_field", "say what to change: title or settings", param="title")
    if command.title is not None and not command.title.strip():
        raise Refusal("invalid_value", "there is no text in it", param="title")
    title = batch.state.title if command.title is None else command.title
    settings = {**batch.state.settings, **_wanted(batch, command)}
    if (title, settings) != (batch.state.title, batch.state.settings):
        batch.emit({"type": "room.updated", "title": title, "settings": settings, "by": member.by()})
    return {"title": title, "settings": settings}


def delete_room(batch: Batch, member: Member) -> JsonObject:
    """Carry out `room.delete`: everything in it ends, and then it does. Raises `Refusal` where there is none."""
    state = batch.state
    if not state.exists:
        raise Refusal("room_not_found", "there is no such room", param="room")
    for waiting in list(state.queue):
        batch.emit(endings.withdrawn(state.responses[waiting], member, DELETED, batch.now_ms))
    cancel_running(batch, member, DELETED)
    for running in list(state.running):
        give_up(batch, running, DELETED)
    batch.emit({"type": "room.deleted", "by": member.by()})
    return {}


def _wanted(batch: Batch, command: RoomUpdate) -> JsonObject:
    """The settings that change."""
    if command.settings is None:
        return {}
    wanted: JsonObject = {"on_busy": command.settings.on_busy, "respond": command.settings.respond}
    given = {name: value for name, value in wanted.items() if value is not UNSET}
    require_served(given.get("on_busy"), param="settings.on_busy")
    return {name: _defaults(batch)[name] if value is None else value for name, value in given.items()}


def _defaults(batch: Batch) -> JsonObject:
    return {"on_busy": batch.rulebook.on_busy, "respond": batch.rulebook.respond}

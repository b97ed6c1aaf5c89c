"""Where viewers come and go: joining, resuming, leaving, presence.

A join is answered when its turn in the room's line has come, in the step that also makes
the subscriber live or sets its cursor: no event of the room precedes the reply, and the next
one covers `seq` + 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

from roomcast.core.commands import PresenceUpdate, RoomJoin
from roomcast.core.errors import Refusal
from roomcast.core.events import Cursor, JsonObject, encode
from roomcast.core.session import Member
from roomcast.room.room import Room
from roomcast.subscriber.fanout import Fanout, Shared
from roomcast.subscriber.pump import Pump
from roomcast.subscriber.subscriber import Subscriber

__all__ = ["Desk", "Replier", "reset_reason"]

Replier: TypeAlias = Callable[[bytes | Refusal | Callable[[], bytes]], None]
"""Takes the outcome of a command: its encoded result, why not, or what makes the result when
it can be written (a snapshot is of that moment)."""

ALL_KINDS = ("reasoning", "tools", "annotations", "media")


def reset_reason(after: Cursor | None, position: Cursor, floor: int) -> str | None:
    """Why a viewer cannot go on from `after`, or None when it can.

    Args:
        floor: Oldest position from which the log can serve.
    """
    if after is None:
        return "new"
    if after.epoch != position.epoch:
        return "epoch_changed"
    if after.seq > position.seq:
        return "ahead_of_head"
    return "expired" if after.seq < floor else None


class Desk:
    """The viewers of all rooms of this process."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._fanouts: dict[Room, Fanout] = {}

    def fanout(self, room: Room) -> Fanout:
        """The fan-out of a room."""
        fanout = self._fanouts.get(room)
        if fanout is None:
            fanout = self._fanouts[room] = Fanout(room, self._shared)
        return fanout

    def forget(self, room: Room) -> None:
        """The room is not in memory any more; nobody followed it."""
        self._fanouts.pop(room, None)

    def fanouts(self) -> Iterator[Fanout]:
        """All fan-outs."""
        yield from list(self._fanouts.values())

    def pumps(self) -> set[Pump]:
        """All connections that follow a room."""
        return {subscriber.pump for fanout in self.fanouts() for subscriber in fanout.subscribers}

    def occupied(self, room: Room) -> bool:
        """Whether somebody follows the room."""
        fanout = self._fanouts.get(room)
        return fanout is not None and bool(fanout.subscribers)

    def deserted_since_s(self, room: Room) -> float | None:
        """When the last viewer left the room; None while there is one, or if there never was."""
        fanout = self._fanouts.get(room)
        return None if fanout is None else fanout.deserted_since_s

    def check(self, command: RoomJoin) -> None:
        """Refuse what this version does not serve, before anything is done."""
        if command.include is not None and set(command.include) != set(ALL_KINDS):
            raise Refusal("not_supported", "only all four kinds together are served yet", param="include")
        if command.tools:
            raise Refusal("not_supported", "tools are not served yet", param="tools")

    def join(self, pump: Pump, room: Room, command: RoomJoin, answer: Replier) -> None:
        """Subscribe a connection to a room that is loaded, and answer with the result of `room.join`."""
        subscriber, why = self.subscribe(pump, room, command)
        if why is None:
            answer(encode(self._result(room, pump.member, command) | {"seq": subscriber.cursor}))
            subscriber.members_told()
            subscriber.fanout.welcome(subscriber)
            subscriber.advance()
            return

        def with_snapshot() -> bytes:
            position, shown = subscriber.snapshot_at_position()
            result = self._result(room, pump.member, command)
            return encode(result | {"seq": position.seq, "resumed": False, "reset": why, "snapshot": shown})

        answer(with_snapshot)
        subscriber.fanout.welcome(subscriber)

    def attach(self, pump: Pump, room: Room, command: RoomJoin) -> None:
        """Subscribe a connection that takes no replies: a `room.reset` stands for one, unless it resumes."""
        subscriber, why = self.subscribe(pump, room, command)
        if why is None:
            subscriber.advance()
        else:
            subscriber.reset(why)
        subscriber.fanout.welcome(subscriber)

    def subscribe(self, pump: Pump, room: Room, command: RoomJoin) -> tuple[Subscriber, str | None]:
        """Make a connection a subscriber; joining again is leave and join in one.

        Returns:
            The subscriber, and None when it goes on from its cursor: tell the viewer, then
            `advance` it. Else why it cannot: it then waits for a snapshot.
        """
        self.leave(pump, room)
        fanout = self.fanout(room)
        subscriber = Subscriber(pump, fanout, items=command.items, policy=command.on_slow)
        pump.subscribers[room.name] = subscriber
        fanout.add(subscriber)
        after = None if command.after is None else Cursor(command.after.epoch, command.after.seq)
        why = reset_reason(after, room.position, room.floor)
        if after is not None and why is None:
            subscriber.start_at(after.seq)
        return subscriber, why

    def look(self, room: Room, member: Member, command: RoomJoin) -> JsonObject:
        """The result of a join without subscribing: for a request that has one answer only."""
        after = None if command.after is None else Cursor(command.after.epoch, command.after.seq)
        why = reset_reason(after, room.position, room.floor)
        result = self._result(room, member, command)
        if after is not None and why is None:
            return result | {"seq": after.seq}
        return result | {"resumed": False, "reset": why, "snapshot": self.fanout(room).snapshot(command.items)}

    def leave(self, pump: Pump, room: Room) -> bool:
        """Unsubscribe; whether there was anything to leave."""
        subscriber = pump.subscribers.pop(room.name, None)
        if subscriber is None:
            return False
        subscriber.close()
        return True

    def update_presence(self, pump: Pump, room: Room, command: PresenceUpdate) -> None:
        """A member says what it is doing."""
        if room.name not in pump.subscribers:
            raise Refusal("not_joined", "join the room first", param="room")
        if len(encode(command.state)) > self._shared.limits.presence_state_bytes:
            raise Refusal("too_large", "a presence state is at most 1 KiB", param="state")
        self.fanout(room).presence.update(pump.member.id, command.state)

    def _result(self, room: Room, member: Member, command: RoomJoin) -> JsonObject:
        presence = self.fanout(room).presence
        epoch, head = room.position
        return {
            "epoch": epoch,
            "seq": head,
            "head": head,
            "resumed": True,
            "members": presence.members(),
            "member_count": presence.count,
            "you": member.as_json(),
            "include": list(ALL_KINDS),
            "on_slow": command.on_slow,
        }

"""One room to all of its viewers: a shared buffer a round, and one write each.

    committed(round):  one joined buffer for each framing
                       write it to every subscriber that is live

Invariants
    F1  Live means: cursor = the room's position, which moved before the writes of a round; so
        a subscriber that is paused by its own write has got exactly up to the position.
    F2  A round's list is taken at its start; whoever enters or leaves meanwhile is not harmed.
    F3  The cost of a round is one encoding (done at the commit), one join a framing, and one
        write a live subscriber; subscribers that lag cost nothing.

Not here: how a subscriber that is not live catches up (subscriber.py).
"""

from __future__ import annotations

from collections.abc import Callable

import anyio
from anyio.abc import TaskGroup

from roomcast.core.events import JsonObject, encode
from roomcast.core.limits import Limits
from roomcast.core.ports import Clock, EventLog, Observer
from roomcast.core.presence import Presence
from roomcast.core.snapshot import snapshot
from roomcast.core.wire import signal
from roomcast.room.room import Room, Round
from roomcast.subscriber.pump import Framing
from roomcast.subscriber.subscriber import Subscriber

__all__ = ["Fanout", "Shared"]


class Shared:
    """What all rooms' fan-outs need: the log to catch up from, a parent for tasks, bounds."""

    def __init__(
        self, *, event_log: EventLog, tasks: TaskGroup, limits: Limits, clock: Clock, observer: Observer, reads: int = 8
    ) -> None:
        self.event_log = event_log
        self.tasks = tasks
        self.limits = limits
        self.clock = clock
        self.observer = observer
        self.reads = anyio.CapacityLimiter(reads)


class Fanout:
    """The viewers of one room.

    Attributes:
        deserted_since_s: When the last one left; None while there is one, or if there never was.
    """

    def __init__(self, room: Room, shared: Shared) -> None:
        self.room = room
        self.shared = shared
        self.presence = Presence(listed=shared.limits.members_listed)
        self.presence_version = 0
        self.subscribers: set[Subscriber] = set()
        self.deserted_since_s: float | None = None
        self._complete: set[Subscriber] = set()
        self._live: dict[Framing, dict[Subscriber, Callable[[bytes], None]]] = {}
        self._told_at_s = shared.clock.monotonic_s()

    # -- as a reader of the room ----------------------------------------------------------------

    def committed(self, batch: Round) -> None:
        """Show a round to everybody who is live."""
        epoch = batch.room.epoch
        delivered = 0
        if self._complete:
            self._begin_to_miss()
        for framing, live in self._live.items():
            if live:
                data = b"".join([framing.event(epoch, record) for record in batch.records])
                for write in list(live.values()):
                    write(data)
                delivered += len(live)
        self._told_at_s = self.shared.clock.monotonic_s()
        if delivered:
            self.shared.observer.count("roomcast_deliveries_total", delivered * len(batch.records))

    def degraded(self, room: Room, reason: str | None) -> None:
        """Tell everybody that the store stopped taking events, or takes them again."""
        payload = signal("room.restored", room.name) if reason is None else _degraded(room, reason)
        for subscriber in list(self.subscribers):
            subscriber.pump.tell(payload)

    def jumped(self, room: Room, reason: str) -> None:
        """Start everybody anew who has not waited for a snapshot anyway."""
        for subscriber in list(self.subscribers):
            subscriber.restart(reason)

    def _begin_to_miss(self) -> None:
        """Whoever is not live and has missed nothing yet misses this round."""
        now_s = self.shared.clock.monotonic_s()
        for subscriber in self._complete:
            subscriber.missing_since_s = now_s
        self._complete.clear()

    # -- subscribers ----------------------------------------------------------------------------

    def enter(self, subscriber: Subscriber) -> None:
        """Its cursor is at the room's position: from the next round on it is written to."""
        self._complete.discard(subscriber)
        self._live.setdefault(subscriber.pump.framing, {})[subscriber] = subscriber.pump.write

    def leave(self, subscriber: Subscriber) -> None:
        """From here on it is not written to by rounds; it has everything up to the room's position."""
        live = self._live.get(subscriber.pump.framing)
        if live is not None and live.pop(subscriber, None) is not None:
            self._complete.add(subscriber)

    def add(self, subscriber: Subscriber) -> None:
        """A subscriber joined; it is not live yet."""
        self.subscribers.add(subscriber)
        self.deserted_since_s = None
        self.presence.join(subscriber.member)

    def welcome(self, subscriber: Subscriber) -> None:
        """It was answered: tell it what everybody else was told and still holds."""
        if self.room.degraded_for is not None:
            subscriber.pump.tell(_degraded(self.room, self.room.degraded_for))

    def remove(self, subscriber: Subscriber) -> None:
        """A subscriber is gone."""
        self.leave(subscriber)
        self.subscribers.discard(subscriber)
        self._complete.discard(subscriber)
        if not self.subscribers and self.deserted_since_s is None:
            self.deserted_since_s = self.shared.clock.monotonic_s()
        self.presence.leave(subscriber.member.id)

    def snapshot(self, items: int, *, ended_after: int | None = None) -> JsonObject:
        """The room's visible state at its position; for a viewer that knows it up to `ended_after`, if given."""
        items_bytes = self.shared.limits.snapshot_items_bytes
        return snapshot(self.room.state, items=items, items_bytes=items_bytes, ended_after=ended_after)

    # -- signals --------------------------------------------------------------------------------

    def broadcast(self, payload: bytes) -> None:
        """Send a signal to everybody who is live; whoever is not will be owed its current value."""
        for framing, live in self._live.items():
            frame = framing.notice(payload)
            for write in list(live.values()):
                write(frame)
        self._told_at_s = self.shared.clock.monotonic_s()

    def tick(self, now_s: float) -> None:
        """What is due once in a while: who came and went, and where the log stands when it is silent."""
        diff = self.presence.take_diff()
        if diff is not None:
            self.presence_version += 1
            self.broadcast(signal("presence.updated", self.room.name, **diff))
        if now_s - self._told_at_s >= self.shared.limits.head_interval_s - 1 and self.room.loaded:
            epoch, seq = self.room.position
            self.broadcast(signal("room.head", self.room.name, epoch=epoch, seq=seq))

    def presence_whole(self) -> bytes:
        """The current members, for one that missed diffs."""
        return encode({"type": "presence.updated", "room": self.room.name, **self.presence.whole()})


def _degraded(room: Room, reason: str) -> bytes:
    return signal("room.degraded", room.name, reason=reason)

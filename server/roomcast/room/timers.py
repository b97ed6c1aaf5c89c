"""What rooms wait for by time: counted monotonically here, decided by the rules.

    RoomState.deadlines ──► armed ──► Due(name), in the room's line

A room's state names its open deadlines as durations. Each is armed when it is first seen, be it
in the round that opened it or after the room was loaded: a restart begins it anew, and a jump of
the wall clock is nothing to it. There is no task for each; the wheel turns them all.

The grace of rooms that nobody watches any more is not in a log, because viewers are not: it is
counted from the moment the last one left, and runs out once for each such moment.

Not here: what follows when something is due (core/deadlines.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from math import inf

from roomcast.core.deadlines import ORPHANED
from roomcast.core.errors import Refusal
from roomcast.core.intents import Due
from roomcast.core.ports import Clock
from roomcast.room.room import Room, Round

__all__ = ["Timers"]


class Timers:
    """The deadlines of all rooms; a reader of each.

    Args:
        orphan_grace_s: How long a room goes on that nobody watches any more; None for as long as it likes.
    """

    def __init__(self, clock: Clock, orphan_grace_s: float | None) -> None:
        self._clock = clock
        self._orphan_grace_s = orphan_grace_s
        self._armed: dict[Room, dict[str, float]] = {}
        self._given_up: dict[Room, float] = {}

    # -- as a reader of rooms -------------------------------------------------------------------

    def committed(self, batch: Round) -> None:
        """Arm what the room waits for since now, and forget what it does not wait for any more."""
        self._look(batch.room)

    def degraded(self, room: Room, reason: str | None) -> None:
        """Nothing to do: what is due stays in the room's line until the store takes it."""

    def jumped(self, room: Room, reason: str) -> None:
        """Take up what the room waits for as it stands now."""
        self._look(room)

    def _look(self, room: Room) -> None:
        named = room.state.deadlines
        known = self._armed.pop(room, {})
        if named:
            now_s = self._clock.monotonic_s()
            self._armed[room] = {name: known.get(name, now_s + after_ms / 1000) for name, after_ms in named.items()}

    # -- turning --------------------------------------------------------------------------------

    def tick(self, rooms: Iterable[Room], deserted_since_s: Callable[[Room], float | None]) -> None:
        """Say what is due.

        Args:
            rooms: All rooms in memory.
            deserted_since_s: Since when nobody watches a room; None while somebody does, or if nobody ever did.
        """
        now_s = self._clock.monotonic_s()
        for room in rooms:
            if room.loaded and room.state.queue and room not in self._armed:
                self._look(room)  # it was loaded, and nothing was committed since
            if self._orphan_grace_s is not None:
                self._watch(room, deserted_since_s(room), now_s - self._orphan_grace_s)
        for room, deadlines in self._armed.items():
            for name in [name for name, deadline_s in deadlines.items() if deadline_s <= now_s]:
                deadlines[name] = inf  # said once, and armed anew only if nothing came of it
                room.submit(Due(name), partial(self._settled, room, name))

    def _settled(self, room: Room, name: str, outcome: bytes | Refusal) -> None:
        self._armed.get(room, {}).pop(name, None)

    def _watch(self, room: Room, since_s: float | None, over_since_s: float) -> None:
        if since_s is None:
            self._given_up.pop(room, None)
        elif since_s <= over_since_s and self._given_up.get(room) != since_s:
            self._given_up[room] = since_s
            if room.state.unfinished:
                room.submit(Due(ORPHANED))

    def forget(self, room: Room) -> None:
        """The room is not in memory any more."""
        self._armed.pop(room, None)
        self._given_up.pop(room, None)

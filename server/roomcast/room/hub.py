"""All rooms of this process: finding, loading, unloading, and recovery after a crash.

Not here: the rounds (committer.py), what a room holds (room.py).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import anyio
import structlog

from roomcast.core.errors import Refusal
from roomcast.core.intents import Recovered
from roomcast.core.limits import Limits
from roomcast.core.ports import Clock, EventLog, Head, RoomCard, Rooms
from roomcast.room.committer import Committer
from roomcast.room.room import Reader, Room
from roomcast.room.timers import Timers

__all__ = ["Hub"]

log = structlog.get_logger()

RECOVERY_PATIENCE_S = 10.0


class Hub:
    """The rooms in memory.

    Args:
        readers: Makes the readers of a room when it is first named.
        orphan_grace_s: How long a room goes on that nobody watches any more; None for as long as it likes.
    """

    def __init__(
        self,
        *,
        committer: Committer,
        event_log: EventLog,
        rooms: Rooms,
        limits: Limits,
        clock: Clock,
        readers: Callable[[Room], list[Reader]],
        orphan_grace_s: float | None = None,
    ) -> None:
        self._timers = Timers(clock, orphan_grace_s)
        self.event_log = event_log
        self._committer = committer
        self._stored = rooms
        self._limits = limits
        self._clock = clock
        self._readers = readers
        self._rooms: dict[str, Room] = {}

    @property
    def loaded(self) -> list[Room]:
        """Rooms in memory now."""
        return list(self._rooms.values())

    def room(self, name: str) -> Room:
        """The room of this name, in memory from here on; it is loaded before its first intent is decided."""
        room = self._rooms.get(name)
        if room is None:
            room = self._rooms[name] = Room(name, self._limits, self._committer.wake)
            room.busy_at_s = self._clock.monotonic_s()
            room.readers = [*self._readers(room), self._timers]
        return room

    def moved(self, head: Head) -> None:
        """A room's log moved, perhaps by another writer; what is in memory, or is being loaded, follows."""
        room = self._rooms.get(head.room)
        if room is not None and (not room.loaded or head.epoch != room.epoch or head.seq > room.state.seq):
            room.seen = head
            self._committer.wake(room)

    def trimmed(self, head: Head) -> None:
        """The oldest events of a room's log were let go of: nobody resumes from there any more."""
        room = self._rooms.get(head.room)
        if room is not None and room.loaded and room.epoch == head.epoch:
            room.floor = head.floor

    async def wait_in_line(self, name: str) -> None:
        """Wait until what is in line in a room now is decided; a room that is not in memory has no line."""
        room = self._rooms.get(name)
        if room is not None:
            await _visit_all([room])

    async def exists(self, name: str) -> bool:
        """Whether the room was ever created; loads nothing."""
        room = self._rooms.get(name)
        if room is not None and room.loaded:
            return room.state.exists
        return await self.event_log.head(name) is not None

    async def cards(self, after: str | None, limit: int) -> list[RoomCard]:
        """Rooms by name, as the store and memory know them."""
        cards: list[RoomCard] = []
        for card in await self._stored.list(after, limit):
            room = self._rooms.get(card.name)
            if room is not None and room.loaded:
                state = room.state
                card = RoomCard(state.name, state.title, room.epoch, state.seq, state.unfinished)
            cards.append(card)
        return cards

    async def recover(self) -> int:
        """End what a dead process left running, and start what it left waiting. Returns the number of rooms.

        A full disk does not keep the server from its readers: what cannot be stored for a while stays
        first in the line of its room, and is not waited for.
        """
        names = await self._stored.unfinished()
        waiting, damaged = set(names), 0
        done = anyio.Event()

        def settled(name: str, outcome: bytes | Refusal) -> None:
            nonlocal damaged
            damaged += isinstance(outcome, Refusal)
            waiting.discard(name)
            if not waiting:
                done.set()

        for name in names:
            self.room(name).submit(Recovered("restart"), partial(settled, name))
        if names:
            with anyio.move_on_after(RECOVERY_PATIENCE_S):
                await done.wait()
            log.info("rooms_recovered", rooms=len(names) - len(waiting) - damaged)
            if waiting or damaged:
                log.warning("rooms_not_recovered", waiting=len(waiting), damaged=damaged)
        return len(names) - len(waiting) - damaged

    def tick(self, deserted_since_s: Callable[[Room], float | None]) -> None:
        """Say to each room what is due; `deserted_since_s` knows since when nobody watches it."""
        self._timers.tick(self._rooms.values(), deserted_since_s)

    def sweep(self, occupied: Callable[[Room], bool]) -> list[Room]:
        """Forget rooms that nobody has needed for a while; their state is a checkpoint and a tail away.

        Returns:
            The rooms that were forgotten: whatever else holds on to them lets go.
        """
        now_s = self._clock.monotonic_s()
        forgotten: list[Room] = []
        for room in list(self._rooms.values()):
            if occupied(room) or not room.idle:
                room.busy_at_s = now_s
            elif now_s - room.busy_at_s > self._limits.idle_room_s:
                if room.since_checkpoint > 0:
                    room.save()  # forgotten at the next sweep
                else:
                    forgotten.append(self._rooms.pop(room.name))
                    self._timers.forget(room)
                    room.readers = []  # they know the room: without this, its tail waits for a full collection
        return forgotten

    async def flush(self) -> None:
        """Wait until everything that is in line now is decided and committed."""
        await _visit_all(self.loaded)

    async def save(self) -> None:
        """Write a checkpoint of each room that has moved since its last one."""
        moved = [room for room in self.loaded if room.since_checkpoint > 0]
        for room in moved:
            room.save()
        await _visit_all(moved)

    def settle(self) -> None:
        """From here on nothing new starts: the process is about to stop."""
        self._committer.draining = True


async def _visit_all(rooms: list[Room]) -> None:
    """Stand in line in all of these rooms at once, and return when every turn has come."""
    turns = [anyio.Event() for _ in rooms]
    for room, turn in zip(rooms, turns, strict=True):
        room.visit(partial(_take, turn))
    for turn in turns:
        await turn.wait()


def _take(turn: anyio.Event, outcome: object) -> None:
    turn.set()

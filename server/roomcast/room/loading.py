"""What the store holds, into memory: a whole room, or what other writers appended to one.

Cost of a load: the checkpoint and what came after it. Cost of catching up: what was missed.

Not here: when a room is loaded, and what happens when that fails (committer.py).
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager

import orjson

from roomcast.core.errors import StorageDamaged
from roomcast.core.events import JsonObject, Record
from roomcast.core.limits import Limits
from roomcast.core.ports import Checkpoint, EventLog, Expired, Head, IdSource, Rooms
from roomcast.core.room_state import RoomState
from roomcast.room.room import Room

__all__ = ["Loader", "Undecodable"]


class Undecodable(StorageDamaged):
    """What is stored of one room is not what we wrote; the others are unharmed."""


class Loader:
    """Reads rooms from the store."""

    def __init__(self, *, event_log: EventLog, rooms: Rooms, limits: Limits, new_id: IdSource) -> None:
        self._event_log = event_log
        self._rooms = rooms
        self._limits = limits
        self._new_id = new_id

    async def load(self, room: Room) -> None:
        """Make a room stand where the store says.

        Raises:
            Undecodable: A row of the room cannot be folded.
            StorageError: The store does not answer, or has lost a part of the log.
        """
        head = await self._event_log.head(room.name)
        if head is None:
            self.begin(room)
            return
        saved = await self._rooms.checkpoint(room.name)
        state = self._saved_state(room.name, saved if saved and saved.epoch == head.epoch else None)
        since = state.seq
        records = await self._tail(state, head)
        room.stand(head.epoch, state, records, head.floor)
        room.since_checkpoint = state.seq - since

    def begin(self, room: Room) -> None:
        """Make a room stand at the beginning of a log of its own, which is yet to be written."""
        room.stand(self._new_id("ep"), RoomState(room.name, keep_items=self._limits.state_items), [], 0)
        room.since_checkpoint = 0

    def _saved_state(self, name: str, saved: Checkpoint | None) -> RoomState:
        """The state that is saved, or that of a room without events."""
        if saved is None:
            return RoomState(name, keep_items=self._limits.state_items)
        with _as_undecodable(name):
            return RoomState.load(saved.state, keep_items=self._limits.state_items)

    async def _tail(self, state: RoomState, head: Head) -> list[Record]:
        """Fold what follows the checkpoint; returns its records."""
        records: list[Record] = []
        while state.seq < head.seq:
            read = await self._read(state)
            if read is None:
                raise StorageDamaged(f"the log of room {state.name} has a hole behind {state.seq}")
            _fold(state, read)
            records += read
        return records

    async def catch_up(self, room: Room) -> None:
        """Fold what other writers appended, and tell the readers; where that cannot be, the room is to be loaded anew.

        Raises:
            Undecodable: A row of the room cannot be folded.
            StorageError: The store does not answer.
        """
        head = await self._event_log.head(room.name)
        if head is None and not room.state.exists:
            return
        if head is None or head.epoch != room.epoch or head.seq < room.state.seq:
            room.loaded = False
            return
        room.floor = head.floor
        while room.state.seq < head.seq:
            records = await self._read(room.state)
            if records is None:
                room.loaded = False
                return
            state = room.state.fork()
            room.advance(state, records, _fold(state, records), own=False)

    async def _read(self, state: RoomState) -> list[Record] | None:
        """The records behind a state, as many as one read gives; None where the log does not have them."""
        limits = self._limits
        read = await self._event_log.read(state.name, state.seq, limits.read_events, limits.read_bytes)
        return None if isinstance(read, Expired) else list(read.records) or None


def _fold(state: RoomState, records: Sequence[Record]) -> list[JsonObject]:
    """Fold what was read into a state; returns the events."""
    with _as_undecodable(state.name):
        events: list[JsonObject] = [orjson.loads(record.data) for record in records]
        for event in events:
            state.fold(event)
        return events


@contextmanager
def _as_undecodable(name: str) -> Generator[None]:
    """Name the room of a row that is not as we wrote it, whatever that does to who reads it."""
    try:
        yield
    except Exception as error:
        raise Undecodable(f"room {name}: what is stored does not decode") from error

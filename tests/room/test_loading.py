"""Tests of roomcast/room/loading.py: into memory, and to the head. What does not decode: test_quarantine.py."""

from __future__ import annotations

import orjson
import pytest

from roomcast.core.errors import StorageDamaged
from roomcast.core.events import JsonObject, encode_events
from roomcast.core.limits import Limits
from roomcast.core.ports import Append, Events
from roomcast.room.loading import Loader, Undecodable
from roomcast.room.room import Room, Round
from tests.support import virtual_time
from tests.support.rig import FaultyStore, a_rig


class Listener:
    """Keeps what a room tells its readers."""

    def __init__(self) -> None:
        self.rounds: list[Round] = []
        self.jumps: list[str] = []

    def committed(self, batch: Round) -> None:
        self.rounds.append(batch)

    def degraded(self, room: Room, reason: str | None) -> None:
        pass

    def jumped(self, room: Room, reason: str) -> None:
        self.jumps.append(reason)


class Woken:
    """Takes the place of a committer."""

    def __call__(self, room: Room, *, asked: bool = True) -> None:
        pass


async def written(limits: Limits, notes: int) -> FaultyStore:
    """A store with a room in which so much was said."""
    store = FaultyStore()
    async with a_rig(store=store, limits=limits) as rig:
        ann = rig.viewer("ann")
        for number in range(notes):
            await ann.ask("lobby", f"note {number}", respond="never")
    return store


def a_room(store: FaultyStore, limits: Limits, name: str = "lobby") -> tuple[Loader, Room, Listener]:
    room, listener = Room(name, limits, Woken()), Listener()
    room.readers = [listener]
    return Loader(event_log=store, rooms=store, limits=limits, new_id=lambda prefix: f"{prefix}_new"), room, listener


async def append(store: FaultyStore, room: Room, count: int, **changes: object) -> None:
    """Another writer says something more."""
    head = await store.head(room.name)
    assert head is not None
    read = await store.read(room.name, head.seq - 1, 1)
    assert isinstance(read, Events)
    last: JsonObject = orjson.loads(read.records[0].data)
    events = [{**last, "seq": head.seq + number + 1, "type": "room.updated", **changes} for number in range(count)]
    batch = Append(room=room.name, epoch=head.epoch, expected_seq=head.seq, records=encode_events(events))
    await store.append([batch])


def test_a_room_is_its_checkpoint_and_what_came_after() -> None:
    async def scenario() -> None:
        limits = Limits(checkpoint_events=10, read_events=2)
        store = await written(limits, 15)
        loader, room, listener = a_room(store, limits)
        await loader.load(room)
        assert (room.loaded, room.state.seq, room.since_checkpoint, room.tail.floor) == (True, 16, 6, 10)
        assert len(room.state.items) == 15
        assert (listener.rounds, listener.jumps) == ([], []), "nobody stood anywhere before"

    virtual_time.run(scenario())


def test_a_room_that_is_not_there_begins_a_log_of_its_own() -> None:
    async def scenario() -> None:
        loader, room, _ = a_room(FaultyStore(), Limits(), "nowhere")
        await loader.load(room)
        assert (room.epoch, room.state.seq, room.state.exists) == ("ep_new", 0, False)

    virtual_time.run(scenario())


def test_a_log_with_a_hole_is_not_taken_for_a_room() -> None:
    async def scenario() -> None:
        store = await written(Limits(), 5)
        store.lose("lobby", 2)
        loader, room, _ = a_room(store, Limits())
        with pytest.raises(StorageDamaged, match="a hole behind 4"):
            await loader.load(room)
        assert not room.loaded

    virtual_time.run(scenario())


def test_what_others_appended_is_folded_and_told_in_order() -> None:
    async def scenario() -> None:
        limits = Limits(read_events=2)
        store = await written(limits, 3)
        loader, room, listener = a_room(store, limits)
        await loader.load(room)
        await append(store, room, 5)
        await loader.catch_up(room)
        assert (room.loaded, room.state.seq) == (True, 9)
        assert [event["seq"] for batch in listener.rounds for event in batch.events] == [5, 6, 7, 8, 9]
        assert not any(batch.own for batch in listener.rounds)

    virtual_time.run(scenario())


def test_a_log_that_was_renamed_or_cut_is_loaded_anew() -> None:
    async def scenario() -> None:
        store = await written(Limits(), 5)
        loader, room, listener = a_room(store, Limits())
        await loader.load(room)
        store.rename("lobby", "ep_other", cut_behind=4)
        await loader.catch_up(room)
        assert (room.loaded, listener.rounds) == (False, [])
        await loader.load(room)
        assert (room.epoch, room.state.seq, listener.jumps) == ("ep_other", 4, ["epoch_changed"])

    virtual_time.run(scenario())


def test_what_another_wrote_and_does_not_fold_is_named_and_changes_nothing() -> None:
    async def scenario() -> None:
        store = await written(Limits(), 3)
        loader, room, listener = a_room(store, Limits())
        await loader.load(room)
        await append(store, room, 1, type="item.created", item=None)
        with pytest.raises(Undecodable, match="room lobby"):
            await loader.catch_up(room)
        assert (room.state.seq, listener.rounds) == (4, [])

    virtual_time.run(scenario())

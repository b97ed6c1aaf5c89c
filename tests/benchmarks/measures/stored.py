"""A store with many events, made by the rules of rooms themselves, so that it is what a server would have left."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from time import monotonic, time_ns

from roomcast.core.batch import Batch, Rulebook
from roomcast.core.commands import MessageCreate
from roomcast.core.events import JsonObject, encode_events
from roomcast.core.intents import Commanded, Ended, Produced
from roomcast.core.ports import Append, Committed, Finish
from roomcast.core.profile import Profile
from roomcast.core.room_state import RoomState
from roomcast.core.rules import decide
from roomcast.core.session import Member, Role
from roomcast.storage import open_sqlite

__all__ = ["fill"]

ROOMS = 20
PATTERN, EPOCH = "the-pattern", "ep_bench"
EVENTS_AN_ANSWER = 1_000
UNFINISHED = 3
ANN = Member("ann", "Ann", Role.OWNER)
NUMBERS = count(1)


class Clock:
    """The machine's clocks."""

    def now_ms(self) -> int:
        return time_ns() // 1_000_000

    def monotonic_s(self) -> float:
        return monotonic()


def new_id(prefix: str) -> str:
    """An id in the form of ours."""
    return f"{prefix}_{next(NUMBERS):026}"


async def fill(path: Path, events: int) -> None:
    """Make rooms with `events` events together; in some of them the last answer never ended."""
    patterns = {finished: list(_appends(events // ROOMS, finished=finished)) for finished in (True, False)}
    async with open_sqlite(path, durability="process", clock=Clock()) as store:
        for number in range(ROOMS):
            for pattern in patterns[number >= UNFINISHED]:
                [outcome] = await store.append([_renamed(pattern, f"room-{number}")])
                assert isinstance(outcome, Committed), outcome


def _appends(events: int, *, finished: bool) -> Iterator[Append]:
    """What fills the room `PATTERN`, an answer at a time."""
    rulebook = Rulebook(profiles={"default": Profile(name="default", model="bench")}, model="bench")
    state = RoomState(PATTERN)
    while state.seq < events:
        is_last = state.seq + EVENTS_AN_ANSWER >= events
        batch = Batch(state, rulebook, Clock().now_ms())
        _answer(batch, finished=finished or not is_last)
        yield Append(
            PATTERN,
            EPOCH,
            batch.base_seq,
            encode_events(batch.events),
            checkpoint=None if is_last else batch.state.dump(),
            unfinished=batch.state.unfinished,
            title=batch.state.title,
        )
        state = batch.state


def _renamed(pattern: Append, room: str) -> Append:
    """The same in another room: deciding it all again would take longer than storing it."""
    old, new = PATTERN.encode(), room.encode()
    records = [record._replace(data=record.data.replace(old, new)) for record in pattern.records]
    checkpoint = pattern.checkpoint and pattern.checkpoint.replace(old, new)
    return replace(pattern, room=room, records=records, checkpoint=checkpoint, title=room)


def _answer(batch: Batch, *, finished: bool) -> None:
    """One prompt and its answer, a thousand events."""
    response_id, item_id = new_id("resp"), new_id("msg")
    asked = MessageCreate(id=new_id("cmd"), room=batch.state.name, content="tell me")
    decide(batch, Commanded(asked, ANN, new_id("msg"), response_id))
    place = {"item_id": item_id, "output_index": 0}
    item: JsonObject = {"id": item_id, "type": "message", "role": "assistant", "status": "in_progress", "content": []}
    decide(batch, Produced(response_id, [{"type": "response.output_item.added", "output_index": 0, "item": item}], 100))
    while len(batch.events) < EVENTS_AN_ANSWER - finished:
        delta = {
            "type": "response.output_text.delta",
            **place,
            "content_index": 0,
            "delta": f"word {len(batch.events)} ",
        }
        decide(batch, Produced(response_id, [delta], 100))
    if finished:
        decide(batch, Ended(response_id, Finish("completed"), usage={}, first_output_ms=1, total_ms=2))

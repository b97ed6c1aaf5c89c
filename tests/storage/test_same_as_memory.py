"""Random walks: the SQLite store and the reference are told the same and must say the same."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from roomcast.core.events import Record
from roomcast.core.ports import Append, Checkpoint, Head, Hold, ItemRow, Receipt, ReceiptKey, Retention
from roomcast.storage import Store, open_memory, open_sqlite
from tests.conformance.examples import ManualClock

Answer = TypeVar("Answer")

RETENTION = Retention(age_s=0.02, size_bytes=60, events=5)
ROOMS = ("a", "b", "a.b")
FEW = st.sampled_from(("x", "y", "z"))
BYTES = st.binary(max_size=20)


@st.composite
def batches(draw: st.DrawFn, room: str) -> Callable[[str, int], Append]:
    """What to append, once it is known on what."""
    records = draw(st.lists(st.tuples(st.text(max_size=5), BYTES), max_size=4))
    receipts = draw(st.lists(st.tuples(FEW, BYTES, BYTES, st.integers(0, 20)), max_size=2))
    holds = draw(st.lists(st.tuples(FEW, FEW), max_size=2))
    released = draw(st.lists(FEW, max_size=2))
    items = draw(st.lists(st.tuples(FEW, st.integers(1, 5), BYTES), max_size=3))
    checkpoint = draw(st.none() | BYTES)
    unfinished, sync = draw(st.booleans()), draw(st.booleans())
    title = draw(st.none() | st.text(max_size=5))

    def on(epoch: str, head: int) -> Append:
        return Append(
            room=room,
            epoch=epoch,
            expected_seq=head,
            records=[Record(head + number, kind, data) for number, (kind, data) in enumerate(records, 1)],
            receipts=[Receipt(ReceiptKey(room, "ann", command), d, r, ms) for command, d, r, ms in receipts],
            holds=[Hold(room, response, node) for response, node in holds],
            released=released,
            items=[ItemRow(item_id, seq, data) for item_id, seq, data in items],
            checkpoint=checkpoint,
            unfinished=unfinished,
            title=title,
            sync=sync,
        )

    return on


class StoresAgree(RuleBasedStateMachine):
    """Every answer of one is the answer of the other."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock(now_ms=0)
        self.folder = TemporaryDirectory()
        self.runner = asyncio.Runner()
        self.in_memory = AsyncExitStack()
        self.on_disk = AsyncExitStack()
        opening = open_memory(clock=self.clock, retention=RETENTION)
        self.reference: Store = self.run(self.in_memory.enter_async_context(opening))
        self.open()

    def open(self) -> None:
        path = Path(self.folder.name) / "roomcast.db"
        opening = open_sqlite(path, clock=self.clock, retention=RETENTION)
        self.sqlite: Store = self.run(self.on_disk.enter_async_context(opening))

    def run(self, awaitable: Awaitable[Answer]) -> Answer:
        async def waited() -> Answer:
            return await awaitable

        return self.runner.run(waited())

    def both(self, call: Callable[[Store], Awaitable[Answer]]) -> Answer:
        expected = self.run(call(self.reference))
        assert self.run(call(self.sqlite)) == expected
        return expected

    def teardown(self) -> None:
        self.run(self.on_disk.aclose())
        self.run(self.in_memory.aclose())
        self.runner.close()
        self.folder.cleanup()

    @rule(data=st.data(), rooms=st.sets(st.sampled_from(ROOMS), min_size=1), off_by=st.sampled_from((0, 0, 0, 1, -1)))
    def append(self, data: st.DataObject, rooms: set[str], off_by: int) -> None:
        chosen: list[Append] = []
        for room in sorted(rooms):
            head = self.run(self.reference.head(room))
            epoch, seq = (head.epoch, head.seq) if head else ("e1", 0)
            chosen.append(data.draw(batches(room))(epoch, max(0, seq + off_by)))
        self.both(lambda store: store.append(chosen))

    @rule(room=st.sampled_from(ROOMS), after=st.integers(0, 12), limit=st.integers(1, 6), size=st.integers(0, 60))
    def read(self, room: str, after: int, limit: int, size: int) -> None:
        self.both(lambda store: store.read(room, after, limit, size))

    @rule(room=st.sampled_from(ROOMS), before=st.none() | FEW, limit=st.integers(1, 4))
    def page(self, room: str, before: str | None, limit: int) -> None:
        self.both(lambda store: store.items(room, before, limit))

    @rule(node=FEW)
    def beat(self, node: str) -> None:
        self.both(lambda store: store.beat(node))

    @rule(by_ms=st.integers(1, 10))
    def time_passes(self, by_ms: int) -> None:
        self.clock.at_ms += by_ms

    @rule()
    def trim(self) -> None:
        self.both(trim_all)

    @rule()
    def restart(self) -> None:
        self.run(self.on_disk.aclose())
        self.open()

    @invariant()
    def everything_else_is_the_same(self) -> None:
        keys = [ReceiptKey(room, "ann", command) for room in ROOMS for command in "xyz"]
        self.both(lambda store: store.list(None, 10))
        self.both(lambda store: store.unfinished())
        self.both(lambda store: store.receipts(keys))
        self.both(lambda store: store.beats())
        self.both(lambda store: store.held())
        for room in ROOMS:
            self.both(partial(head_and_checkpoint, room))


async def trim_all(store: Store) -> None:
    while await store.trim():
        pass


async def head_and_checkpoint(room: str, store: Store) -> tuple[Head | None, Checkpoint | None]:
    return await store.head(room), await store.checkpoint(room)


TestStoresAgree = StoresAgree.TestCase
# Every example opens files and syncs them, so there are fewer than of a pure machine.
TestStoresAgree.settings = settings(max_examples=max(10, settings().max_examples // 5), stateful_step_count=25)
